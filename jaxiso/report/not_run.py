"""What has not been run: the commands, and what they would cost.

A cost is the number of multiply-adds that the facts of the experiment give, and the time that a
finished run took for its own, scaled to that number.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxiso.cli.console import duration
from jaxiso.data.tasks import TASKS
from jaxiso.papers import EMBED, VAE, VAE_CORPORA, VAE_SEEDS, embed_targets, vae_targets
from jaxiso.report.rows import Entry, Row, label_of
from jaxiso.report.runs import Found, FoundRun, path_text
from jaxiso.vae.experiment import VAEConfig

WORDS = {"dbpedia": 21.4, "yahoo": 11.9}
"""Mean words of the first sentence of a text: counted in 13,843 of dbpedia's, 20,000 of yahoo's."""
SIZES = ("ids", "posterior", "embedding_dim", "hidden_dim", "latent_dim")

Config = Mapping[str, Any]


def list_not_run(chosen: Mapping[Row, Entry], found: Found) -> list[dict[str, Any]]:
    """Rows of both papers without runs of all their seeds, as report.json has them.

    `paper` and `label` name the row, `seeds` of `of` were run, `command` runs all of it, and
    `cost` is what that costs: `operations`, multiply-adds; `seconds`, estimated from the `run` that
    is named, on its `device`; None where no run tells.
    """
    papers = (
        ("A", embed_targets(), EMBED["seeds"], embed_command, embed_cost, found.embed),
        ("B", vae_targets(), VAE_SEEDS, vae_command, vae_cost, found.vae),
    )
    missing = []
    for paper, rows, of, command, cost, runs in papers:
        for row in rows:
            seeds = chosen[row].seeds if row in chosen else 0
            one = {"paper": paper, "label": label_of(row), "seeds": seeds, "of": of}
            if seeds < of:
                missing.append({**one, "command": command(row), "cost": cost(row, runs)})
    return missing


def embed_command(row: Row) -> str:
    """The command that runs a task and encoder as the paper does."""
    task, encoder = row
    named = f" --encoder {encoder}" if TASKS[task].kind == "sentence" else ""
    return f"python -m jaxiso.embed --task {task}{named}"


def vae_command(row: Row) -> str:
    """The command that trains a model as the paper does, and evaluates it."""
    corpus, posterior, target = row
    aim, mark = ("", "") if target is None else (f" --C {target:g}", f"-C{target:g}")
    out = f"runs/{corpus}-{posterior}{mark}"
    train = f"python -m jaxiso.vae --corpus {corpus} --posterior {posterior}{aim} --out {out}"
    return f"{train} && {evaluation_command([out])}"


def evaluation_command(directories: Sequence[str]) -> str:
    """The command that evaluates trained models."""
    return f"python -m jaxiso.vae evaluate {' '.join(map(shlex.quote, directories))}"


def embed_operations(config: Config) -> float:
    """Multiply-adds of silhouette, IsoScore and the classifier, in all seeds of a run.

    Adam's arithmetic, which is less, is not counted.

    Args:
        config: items, vectors, dim, inputs, classes, updates, every, seeds and sample of the run.
    """
    width = config["inputs"] * config["dim"]
    most = config["sample"] or math.inf
    measured = min(config["items"], most)
    scored = min(config["vectors"], most) if config["items"] > most else config["vectors"]
    measurement = measured**2 * width / 2 + scored * config["dim"] ** 2
    update = 3 * config["items"] * width * len(config["classes"])  # forwards, twice that backwards
    measurements = math.ceil(config["updates"] / config["every"]) + 1
    return config["seeds"] * (measurements * measurement + config["updates"] * update)


def vae_operations(config: Config) -> float:
    """Multiply-adds of a training, in all seeds.

    Args:
        config: tokens, epochs, seeds, ids, posterior, embedding_dim, hidden_dim and latent_dim.
    """
    model = VAEConfig(**{name: config[name] for name in SIZES})
    return config["tokens"] * config["epochs"] * config["seeds"] * model.operations()


def embed_cost(row: Row, runs: Sequence[FoundRun]) -> dict[str, Any]:
    """What the paper's run of a task and encoder costs; encoding its texts comes on top.

    The time is scaled from the run that is most like it: of the same task, if there is one, then of
    the same kind, then the one whose updates are the nearest in size.
    """
    task, facts = TASKS[row[0]], embed_targets()[row[0], row[1]]._asdict()
    wanted = EMBED | facts | {"classes": range(facts["classes"])}
    one = {"seeds": 1, "updates": 1, "every": 1}

    def far(config: Config) -> tuple[bool, bool, float]:
        theirs = TASKS.get(config["task"])
        apart = embed_operations({**config, **one}) / embed_operations(wanted | one)
        other_kind = theirs is None or theirs.kind != task.kind
        return theirs is not task, other_kind, abs(math.log(apart))

    def is_plain(config: Config) -> bool:
        beyond = (config[name] for name in ("isotropy", "hidden", "track", "test_items"))
        return not any(beyond) and config["loss"] == EMBED["loss"]

    return _cost(embed_operations, wanted, [run for run in runs if is_plain(run.config)], far)


def vae_cost(row: Row, runs: Sequence[FoundRun]) -> dict[str, Any]:
    """What the paper's training of a model costs; evaluating it comes on top.

    The time is scaled from the training that is the nearest in size.
    """
    corpus, posterior, _ = row
    wanted = VAE | {"posterior": posterior, "seeds": VAE_SEEDS}
    wanted["tokens"] = VAE_CORPORA[corpus]["sentences"] * (WORDS[corpus] + 1)  # eos
    wanted["ids"] = VAE["vocabulary"] + 3  # pad, bos, eos

    def far(config: Config) -> float:
        return abs(math.log(vae_operations(config) / vae_operations(wanted)))

    alike = [run for run in runs if run.result and run.config["objective"] == "vae"]
    return _cost(vae_operations, wanted, alike, far)


def _cost(
    count: Callable[[Config], float],
    wanted: Config,
    runs: Sequence[FoundRun],
    far: Callable[[Config], Any],
) -> dict[str, Any]:
    """The operations of what is wanted, and the time of the run that is the least far, scaled.

    Of several such the fastest: it was disturbed the least.
    """
    operations = count(wanted)
    if not runs:
        return {"operations": operations, "seconds": None, "run": None, "device": None}
    run = min(runs, key=lambda r: (far(r.config), r.result["seconds"] / count(r.config)))
    return {
        "operations": operations,
        "seconds": run.result["seconds"] * operations / count(run.config),
        "run": path_text(run.directory),
        "device": run.device,
    }


def cost_text(cost: Mapping[str, Any]) -> str:
    """A cost for people."""
    counted = f"{cost['operations']:.1e} multiply-adds"
    if cost["seconds"] is None:
        return f"{counted}; the time is not known: no run to estimate it from"
    time, where = duration(cost["seconds"]), f"{cost['device']}, estimated from {cost['run']}"
    return f"about {time} on {where}; {counted}"
