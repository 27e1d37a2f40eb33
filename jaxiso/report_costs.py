"""The commands that run what a report has no run of, and what they would cost.

A cost is the number of multiply-adds that the facts of the experiment give, and the time that a
finished run took for its own, scaled to that number.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.console import duration
from jaxiso.data import TASKS
from jaxiso.data.corpora import CORPORA
from jaxiso.embed import Options as EmbedOptions
from jaxiso.encoders.weights import encoder_dim
from jaxiso.experiments.papers import EMBED_TARGETS
from jaxiso.experiments.vae import VAEConfig
from jaxiso.report_models import VAERow
from jaxiso.report_runs import PAPER_SEEDS, EmbedRow, EmbedRun, VAERun
from jaxiso.vae import DEFAULTS
from jaxiso.vae import Options as VAEOptions
from jaxiso.vae_training import operations

WORDS = {"dbpedia": 21.4, "yahoo": 11.9}
"""Mean words of the first sentence of a text: counted in 13,843 of dbpedia's, 20,000 of yahoo's."""
WORD_VECTOR_DIM = 300


class Cost(NamedTuple):
    """What a command costs.

    Attributes:
        operations: multiply-adds.
        seconds: estimated; None where no run tells.
        run: the directory of the run that the time is scaled from.
        device: that it ran on.
    """

    operations: float
    seconds: float | None = None
    run: str | None = None
    device: str | None = None

    def __str__(self) -> str:
        counted = f"{self.operations:.1e} multiply-adds"
        if self.seconds is None:
            return f"{counted}; the time is not known: no run to estimate it from"
        return (
            f"about {duration(self.seconds)} on {self.device}, estimated from `{self.run}`; "
            f"{counted}"
        )


def embed_command(row: EmbedRow) -> str:
    """The command that runs a task and encoder as the paper does."""
    task, encoder = row
    named = f" --encoder {encoder}" if TASKS[task].kind == "sentence" else ""
    return f"python -m jaxiso.embed --task {task}{named}"


def vae_command(row: VAERow) -> str:
    """The command that trains a model as the paper does, and evaluates it."""
    corpus, posterior, target = row
    out = f"runs/{corpus}-{posterior}" + ("" if target is None else f"-C{target:g}")
    aim = "" if target is None else f" --C {target:g}"
    train = f"python -m jaxiso.vae --corpus {corpus} --posterior {posterior}{aim} --out {out}"
    return f"{train} && {evaluation_command([Path(out)])}"


def evaluation_command(directories: Sequence[Path]) -> str:
    """The command that evaluates trained models."""
    named = " ".join(shlex.quote(str(directory)) for directory in directories)
    return f"python -m jaxiso.vae evaluate {named}"


def embed_operations(config: Mapping[str, Any]) -> float:
    """Multiply-adds of a run: of silhouette, IsoScore and the classifier, in all seeds.

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


def embed_cost(row: EmbedRow, runs: Sequence[EmbedRun]) -> Cost:
    """What the paper's run of a task and encoder costs; encoding its texts comes on top.

    The time is scaled from the run that is most like it: of the same task, if there is one, then of
    the same kind, then the one whose updates are the nearest in size. Of several such, the fastest:
    it was disturbed the least.
    """
    name, encoder = row
    task, paper = TASKS[name], EMBED_TARGETS[name][encoder]
    dim = WORD_VECTOR_DIM if task.kind == "word" else encoder_dim(encoder)
    inputs = len(task.fields)
    head = len(task.classes) * (inputs * dim + task.bias)
    wanted = {
        "items": paper.items,
        "vectors": (paper.parameters - head) // dim,
        "dim": dim,
        "inputs": inputs,
        "classes": task.classes,
        "updates": task.updates,
        "every": 1,
        "seeds": PAPER_SEEDS["embed"],
        "sample": EmbedOptions().sample,
    }

    def of_an_update(config: Mapping[str, Any]) -> float:
        return embed_operations({**config, "seeds": 1, "updates": 1, "every": 1})

    def unlike(run: EmbedRun) -> tuple[bool, bool, float, float]:
        theirs = TASKS.get(run.config["task"])
        apart = abs(math.log(of_an_update(run.config) / of_an_update(wanted)))
        other_kind = theirs is None or theirs.kind != task.kind
        return theirs is not task, other_kind, apart, run.seconds / embed_operations(run.config)

    beyond = ("isotropy", "hidden", "loss", "track", "test_fraction")
    plain = [run for run in runs if not any(run.config.get(option) for option in beyond)]
    nearest = min(plain, key=unlike, default=None)
    return _scaled(embed_operations, wanted, nearest)


def vae_cost(row: VAERow, runs: Sequence[VAERun]) -> Cost:
    """What the paper's training of a model costs; evaluating it comes on top.

    The time is scaled from the training that is the nearest in size, or the fastest of several.
    """
    corpus, posterior, _ = row
    facts = CORPORA[corpus]
    assert facts.sizes is not None
    wanted = {name: DEFAULTS[name] for name in ("epochs", "seeds", "embedding_dim", "hidden_dim")}
    wanted |= {"posterior": posterior, "latent_dim": VAEOptions().latent_dim}
    wanted["tokens"] = facts.sizes[0] * (WORDS[corpus] + 1)  # eos
    wanted["ids"] = DEFAULTS["vocabulary"] + 3  # pad, bos, eos

    def unlike(run: VAERun) -> tuple[float, float]:
        done = vae_operations(run.config)
        return abs(math.log(done / vae_operations(wanted))), run.seconds / done

    plain = [run for run in runs if run.config["objective"] == "vae"]
    return _scaled(vae_operations, wanted, min(plain, key=unlike, default=None))


def vae_operations(config: Mapping[str, Any]) -> float:
    """Multiply-adds of a training, in all seeds.

    Args:
        config: tokens, epochs, seeds, ids, posterior, embedding_dim, hidden_dim and latent_dim.
    """
    sizes = {name: config[name] for name in ("embedding_dim", "hidden_dim", "latent_dim")}
    model = VAEConfig(config["ids"], config["posterior"], **sizes)
    return config["tokens"] * config["epochs"] * config["seeds"] * operations(model)


def _scaled(
    count: Callable[[Mapping[str, Any]], float],
    wanted: Mapping[str, Any],
    run: EmbedRun | VAERun | None,
) -> Cost:
    """The time of a run, scaled to the operations that are wanted."""
    total = count(wanted)
    if run is None:
        return Cost(total)
    seconds = run.seconds * total / count(run.config)
    return Cost(total, seconds, run.directory.as_posix(), run.device)
