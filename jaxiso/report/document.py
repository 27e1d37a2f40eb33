"""A report as a whole, as Markdown, HTML and JSON, and its files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.cli.console import StopSignals
from jaxiso.cli.figures import save_figure
from jaxiso.cli.files import PART, replacing
from jaxiso.papers import vae_targets
from jaxiso.report.figures import FIGURES, SUFFIXES, Drawn, figures_of_a, figures_of_b
from jaxiso.report.not_run import cost_text, evaluation_command, list_not_run
from jaxiso.report.page import as_page
from jaxiso.report.rows import Entry, best, entries_of_a, entries_of_b, others
from jaxiso.report.runs import Found, path_text
from jaxiso.report.summary import summarise
from jaxiso.report.table import (
    Table,
    as_markdown,
    code,
    markdown_table,
    papers_markdown,
    plain,
    table_of_other_runs,
    tables_of_a,
    tables_of_b,
    tables_of_other_models,
)
from jaxiso.vae.evaluations import sentences

REPORT, PAGE, DATA = "report.md", "report.html", "report.json"
TITLE = "Both papers, and our runs"
TITLES = {
    "A": "Paper A: Isotropy, Clusters, and Classifiers",
    "B": "Paper B: On the Effect of Isotropy on VAE Representations of Text",
}
ABOUT = {
    "A": "IsoScore and silhouette while pretrained vectors are trained under a linear classifier.",
    "B": "LSTM-VAEs with a posterior variance for each dimension (diagonal), with one for all "
    "(isotropic), or with none (none: an autoencoder), held at a KL of C.",
}
NOTHING = "Nothing has been run with all of its settings; what has been is among the other runs."
COSTS = (
    "Costs are estimates: operations are counted, and times are scaled from the run that is named. "
    "Getting the data, encoding texts and evaluating models come on top. Where data and encoders "
    "come from is in runs/reference/README.md."
)


class Report(NamedTuple):
    """What report.json and report.md hold, and the figures beside them or in report.html."""

    data: dict[str, Any]
    text: str
    figures: list[Drawn]


def make_report(found: Found) -> Report:
    """Chooses the runs, and makes all tables and figures."""
    trajectories, (models, doubles) = entries_of_a(found.embed), entries_of_b(found.vae)
    chosen = best([*trajectories, *models])
    of_b = [chosen[row] for row in vae_targets() if row in chosen]
    more_runs, more_models = others(trajectories, chosen), others(models, chosen)
    tables = {"A": list(tables_of_a(chosen).values()), "B": tables_of_b(chosen)}
    other_runs, other_models = table_of_other_runs(more_runs), tables_of_other_models(more_models)
    figures = [*figures_of_a(chosen), *figures_of_b(models)]
    why = "another run of this model has these seeds too"
    not_read = [*found.not_read, *((path, f"{path_text(path)}: {why}") for path in doubles)]
    summary = summarise(chosen, models)
    data = {
        "summary": summary.sentences,
        "rows": [record for of in tables.values() for table in of for record in table.records],
        "not_run": list_not_run(chosen, found),
        "other_runs": [r for table in (other_runs, *other_models) for r in table.records],
        "not_evaluated": [path_text(run.directory) for run in found.vae if not run.evaluation],
        "not_read": [{"run": path_text(path), "why": why} for path, why in not_read],
        "figures": [drawn.as_json() for drawn in figures],
    }
    lines = [f"# {TITLE}", "", *(f"- {plain(line)}" for line in summary.sentences)]
    lines += [line for table in summary.tables for line in ("", *table)]
    models_of = {"A": [], "B": of_b}
    for paper, title in TITLES.items():
        shown = [*_models(models_of[paper]), *_tables("###", tables[paper])]
        lines += ["", f"## {title}", "", ABOUT[paper], *(shown or ["", NOTHING])]
        lines += [line for drawn in figures if drawn.paper == paper for line in _figure(drawn)]
        lines += _written("###", models_of[paper])
    lines += _others(other_runs, more_models, other_models, data)
    lines += _not_run(tables, figures, data["not_run"])
    if data["not_read"]:
        lines += ["", "## Directories that were left out", ""]
        lines += [f"- {plain(one['why'])}" for one in data["not_read"]]
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
    page = as_page(TITLE, report.text, files)
    files |= {DATA: f"{content}\n".encode(), PAGE: page.encode(), REPORT: report.text.encode()}
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
    return [folder / name for name in (REPORT, PAGE, DATA, FIGURES)]


def _others(
    runs: Table, models: Sequence[Entry], of_models: Sequence[Table], data: Mapping[str, Any]
) -> list[str]:
    """Runs that no table of the papers has."""
    lines = _tables("###", [runs])
    if models:
        lines += ["", "### Models of jaxiso.vae", *_models(models), *_tables("####", of_models)]
        lines += _written("####", models)
    if data["not_evaluated"]:
        command = code(evaluation_command(data["not_evaluated"]))
        lines += ["", "### Trained, but not evaluated", "", command]
    return ["", "## Other runs", *lines] if lines else []


def _tables(mark: str, tables: Sequence[Table]) -> list[str]:
    """Those with something in them."""
    shown = [(table.title, lines) for table in tables if (lines := as_markdown(table))]
    return [line for title, lines in shown for line in ("", f"{mark} {title}", "", *lines)]


def _models(models: Sequence[Entry]) -> list[str]:
    """Where the numbers of each model are from, and how it differs from the paper's."""
    lines = []
    for model in models:
        runs = ", ".join(code(path_text(run.directory)) for run in model.runs)
        why = plain("; ".join(model.unlike))
        unlike = f"; differences from the paper: {why}" if why else ""
        lines.append(f"- {plain(model.label)}, from {runs}{unlike}")
    return ["", *lines] if lines else []


def _written(mark: str, models: Sequence[Entry]) -> list[str]:
    """Sentences that the models wrote, as in paper B's Table 1."""
    lines = []
    for model in models:
        if written := sentences(model.detail):
            lines += ["", f"{mark} {plain(model.label)}: sentences, as in Table 1", ""]
            lines += [f"    {' '.join(line.splitlines())}" for line in written]
    return lines


def _figure(drawn: Drawn) -> list[str]:
    if not drawn.figure:
        return []
    path, notes = f"{FIGURES}/{drawn.name}", " ".join(map(plain, drawn.notes))
    picture = f"![{drawn.title}]({path}.png)"
    return ["", f"### {drawn.title}", "", picture, "", *([notes] if notes else [])]


def _not_run(
    tables: Mapping[str, Sequence[Table]],
    figures: Sequence[Drawn],
    missing: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What to run, and the paper's numbers of it."""

    def cost(one: Mapping[str, Any]) -> str:
        return plain(cost_text(one["cost"]))

    lines = []
    for paper, title in TITLES.items():
        rows = [
            [one["label"], f"{one['seeds']} of {one['of']}", code(one["command"]), cost(one)]
            for one in missing
            if one["paper"] == paper
        ]
        if rows:
            table = markdown_table(["", "seeds run", "command", "estimated cost"], rows)
            lines += ["", f"### {title}", "", *table]
        for drawn in (one for one in figures if one.paper == paper and not one.figure):
            notes = " ".join([f"{drawn.title}. Not drawn: no run of it.", *drawn.notes])
            lines += ["", plain(notes)]
        for table in tables[paper]:
            if numbers := papers_markdown(table):
                lines += ["", f"#### The paper's numbers. {table.title}", "", *numbers]
    return ["", "## Not run, or not with all seeds", "", COSTS, *lines] if lines else []
