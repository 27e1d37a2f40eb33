"""A report as a whole, as Markdown and as JSON, and its files; and what it has no run of.

For that it has the commands, and what they would cost: the number of multiply-adds that the facts
of the experiment give, and the time that a finished run took for its own, scaled to that number.
"""

from __future__ import annotations

import html
import json
import math
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.cli.console import StopSignals, duration
from jaxiso.cli.figures import save_figure
from jaxiso.cli.files import PART, replacing
from jaxiso.data.tasks import TASKS
from jaxiso.papers import EMBED, VAE, VAE_CORPORA, VAE_SEEDS, embed_targets, vae_targets
from jaxiso.report.figures import FIGURES, SUFFIXES, Drawn, figures_of_a, figures_of_b
from jaxiso.report.rows import Entry, Row, best, entries_of_a, entries_of_b, label_of, others
from jaxiso.report.runs import Finished, Found, path_text
from jaxiso.report.table import (
    Table,
    as_markdown,
    code,
    markdown_table,
    plain,
    table_of_other_runs,
    tables_of_a,
    tables_of_b,
    tables_of_other_models,
)
from jaxiso.vae.experiment import VAEConfig
from jaxiso.vae.tables import sentences
from jaxiso.vae.train import operations

REPORT, DATA = "report.md", "report.json"
TITLES = {
    "A": "Paper A: Isotropy, Clusters, and Classifiers",
    "B": "Paper B: On the Effect of Isotropy on VAE Representations of Text",
}
ABOUT = {
    "A": "IsoScore and silhouette while pretrained vectors are trained under a linear classifier.",
    "B": "LSTM-VAEs with a posterior variance for each dimension (diagonal), with one for all "
    "(isotropic), or with none (none: an autoencoder), held at a KL of C.",
}
COSTS = (
    "Costs are estimates: operations are counted, and times are scaled from the run that is named. "
    "Getting the data, encoding texts and evaluating models come on top. Where data and encoders "
    "come from is in the README."
)

WORDS = {"dbpedia": 21.4, "yahoo": 11.9}
"""Mean words of the first sentence of a text: counted in 13,843 of dbpedia's, 20,000 of yahoo's."""
SIZES = ("ids", "posterior", "embedding_dim", "hidden_dim", "latent_dim")

Config = Mapping[str, Any]


class Report(NamedTuple):
    """What report.json and report.md hold, and the figures beside them."""

    data: dict[str, Any]
    text: str
    figures: list[Drawn]


def make_report(found: Found) -> Report:
    """Chooses the runs, and makes all tables and figures."""
    trajectories, (models, doubles) = entries_of_a(found.embed), entries_of_b(found.vae)
    chosen = best([*trajectories, *models])
    of_a, of_b = ([chosen[r] for r in of if r in chosen] for of in (embed_targets(), vae_targets()))
    more_runs, more_models = others(trajectories, chosen), others(models, chosen)
    tables = {"A": list(tables_of_a(chosen).values()), "B": tables_of_b(chosen)}
    other_runs, other_models = table_of_other_runs(more_runs), tables_of_other_models(more_models)
    figures = [*figures_of_a(chosen), *figures_of_b(models)]
    why = "another run of this model has these seeds too"
    not_read = [*found.not_read, *((path, f"{path_text(path)}: {why}") for path in doubles)]
    data = {
        "summary": [
            f"Paper A: {len(of_a)} of {len(embed_targets())} setups have been run with its "
            "settings.",
            f"Paper B: {len(of_b)} of {len(vae_targets())} models have been trained with its "
            f"settings and evaluated; {len(more_models)} more "
            f"{'is' if len(more_models) == 1 else 'are'} listed below.",
        ],
        "rows": [record for of in tables.values() for table in of for record in table.records],
        "not_run": list_not_run(chosen, found),
        "other_runs": [r for table in (other_runs, *other_models) for r in table.records],
        "not_evaluated": [path_text(run.directory) for run in found.vae if not run.evaluation],
        "not_read": [{"run": path_text(path), "why": why} for path, why in not_read],
        "figures": [drawn.as_json() for drawn in figures],
    }
    lines = ["# Both papers, and our runs", "", *(f"- {line}" for line in data["summary"])]
    shown = {"A": [], "B": of_b}
    for paper, title in TITLES.items():
        lines += ["", f"## {title}", "", ABOUT[paper], *_models(shown[paper])]
        lines += [*_tables("###", tables[paper]), *_written(shown[paper])]
        lines += [line for drawn in figures if drawn.paper == paper for line in _figure(drawn)]
        lines += _not_run([one for one in data["not_run"] if one["paper"] == paper])
    lines += _others([other_runs] if more_runs else [], more_models, other_models, data)
    return Report(data, "\n".join([*lines, ""]), figures)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Writes all files of a report, each whole or not at all; returns what to look at.

    Figures that cannot be drawn any more are deleted. All is made before the first file is written,
    and what comes in between (Ctrl-C) waits for the last.
    """
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for drawn in report.figures:
            if drawn.figure:
                for path in save_figure(drawn.figure, Path(scratch) / drawn.name):
                    files[f"{FIGURES}/{path.name}"] = path.read_bytes()
    content = json.dumps(report.data, indent=2, ensure_ascii=False, allow_nan=False)
    files |= {DATA: f"{content}\n".encode(), REPORT: report.text.encode()}
    with StopSignals("report"):
        (folder / FIGURES).mkdir(exist_ok=True)
        for where in (folder, folder / FIGURES):
            for part in where.glob(f"{PART}*.part"):  # of a process that was killed
                part.unlink()
        for name, new in files.items():
            with replacing(folder / name) as file:
                file.write(new)
        for drawn in report.figures:
            for suffix in () if drawn.figure else SUFFIXES:
                (folder / FIGURES / f"{drawn.name}{suffix}").unlink(missing_ok=True)
    return [folder / name for name in (REPORT, DATA, FIGURES)]


def _others(
    runs: Sequence[Table], models: Sequence[Entry], of_models: Sequence[Table], data: dict[str, Any]
) -> list[str]:
    """Runs that no table of the papers has, and directories that were left out."""
    lines = _tables("###", runs)
    if models:
        lines += ["", "### Models of jaxiso.vae", *_models(models), *_tables("####", of_models)]
        lines += _written(models)
    if data["not_evaluated"]:
        command = code(evaluation_command(data["not_evaluated"]))
        lines += ["", "### Trained, but not evaluated", "", command]
    lines = ["", "## Other runs", *lines] if lines else []
    if data["not_read"]:
        lines += ["", "## Directories that were left out", ""]
        lines += [f"- {plain(one['why'])}" for one in data["not_read"]]
    return lines


def _tables(mark: str, tables: Sequence[Table]) -> list[str]:
    return [x for table in tables for x in ("", f"{mark} {table.title}", "", *as_markdown(table))]


def _models(models: Sequence[Entry]) -> list[str]:
    """Where the numbers of each model are from, and how it is unlike the paper's."""
    lines = []
    for model in models:
        runs = ", ".join(code(path_text(run.directory)) for run in model.runs)
        why = plain("; ".join(model.unlike))
        unlike = f"; unlike the paper's: {why}" if why else ""
        lines.append(f"- {plain(model.label)}, from {runs}{unlike}")
    return ["", *lines] if lines else []


def _written(models: Sequence[Entry]) -> list[str]:
    """Sentences that the models wrote, as in paper B's Table 1."""
    lines = []
    for model in models:
        if written := sentences(model.detail):
            title = html.escape(plain(model.label))
            lines += ["", "<details>", f"<summary>{title}: sentences, as in Table 1</summary>", ""]
            lines += [f"    {' '.join(line.splitlines())}" for line in written]
            lines += ["", "</details>"]
    return lines


def _figure(drawn: Drawn) -> list[str]:
    lines, path = [*map(plain, drawn.notes)], f"{FIGURES}/{drawn.name}"
    if drawn.figure:
        text = " ".join([*lines, f"[PDF]({path}.pdf)"])
        lines = [f"![{drawn.title}]({path}.png)", "", text]
    else:
        lines = ["Not drawn: no run of it.", *lines]
    return ["", f"### {drawn.title}", "", *lines]


def _not_run(missing: Sequence[dict[str, Any]]) -> list[str]:
    """The table of what to run."""
    if not missing:
        return []
    rows = []
    for one in missing:
        seeds, cost = f"{one['seeds']} of {one['of']}", plain(cost_text(one["cost"]))
        rows.append([one["label"], seeds, code(one["command"]), cost])
    table = markdown_table(["", "seeds run", "command", "estimated cost"], rows)
    return ["", "### Not run, or not with all seeds", "", COSTS, "", *table]


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
    return config["tokens"] * config["epochs"] * config["seeds"] * operations(model)


def embed_cost(row: Row, runs: Sequence[Finished]) -> dict[str, Any]:
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


def vae_cost(row: Row, runs: Sequence[Finished]) -> dict[str, Any]:
    """What the paper's training of a model costs; evaluating it comes on top.

    The time is scaled from the training that is the nearest in size.
    """
    corpus, posterior, _ = row
    wanted = VAE | {"posterior": posterior, "seeds": VAE_SEEDS}
    wanted["tokens"] = VAE_CORPORA[corpus]["sentences"] * (WORDS[corpus] + 1)  # eos
    wanted["ids"] = VAE["vocabulary"] + 3  # pad, bos, eos

    def far(config: Config) -> float:
        return abs(math.log(vae_operations(config) / vae_operations(wanted)))

    alike = [run for run in runs if run.config["objective"] == "vae"]
    return _cost(vae_operations, wanted, alike, far)


def _cost(
    count: Callable[[Config], float],
    wanted: Config,
    runs: Sequence[Finished],
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
