"""A report as a whole: its parts, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.experiments.papers import EMBED_TARGETS, VAE_TARGETS
from jaxiso.report_costs import evaluation_command
from jaxiso.report_figures import Drawn, figures_of_a
from jaxiso.report_figures_vae import figures_of_b
from jaxiso.report_models import Evaluated, VAERow, best_models, pool_runs
from jaxiso.report_papers import (
    NotRun,
    not_run_of_a,
    not_run_of_b,
    table_of_other_runs,
    tables_of_a,
    tables_of_b,
    tables_of_other_models,
)
from jaxiso.report_runs import Found, best_embed_runs
from jaxiso.report_tables import Table, markdown_table
from jaxiso.report_tables import as_json as table_json
from jaxiso.report_tables import as_markdown as table_markdown
from jaxiso.vae_tables import sentences

TITLES = {
    "A": "Paper A: Isotropy, Clusters, and Classifiers",
    "B": "Paper B: On the Effect of Isotropy on VAE Representations of Text",
}
ABOUT = {
    "A": "IsoScore and silhouette while pretrained vectors are trained under a linear classifier.",
    "B": "LSTM-VAEs with a posterior variance for each dimension (diagonal), with one for all "
    "(isotropic), or with none (none: an autoencoder), held at a KL of C.",
}


class Report(NamedTuple):
    """All that a report shows.

    Attributes:
        summary: how much of the papers was run, a line each.
        tables: of each paper.
        figures: of both.
        not_run: of both.
        models: of paper B, that stand in its tables.
        other_runs: of jaxiso.embed.
        other_models: of jaxiso.vae.
        other_tables: of those models.
        not_evaluated: trainings without an evaluation.
        not_read: directories that were left out, and why.
    """

    summary: list[str]
    tables: dict[str, list[Table]]
    figures: list[Drawn]
    not_run: list[NotRun]
    models: list[Evaluated]
    other_runs: Table
    other_models: list[Evaluated]
    other_tables: list[Table]
    not_evaluated: list[Path]
    not_read: list[tuple[Path, str]]


def make_report(found: Found) -> Report:
    """Chooses the runs, and makes all tables and figures."""
    runs, pooled = best_embed_runs(found), pool_runs(found.vae)
    models = best_models(pooled)
    chosen = list(models.values())
    others = [_as_other(m, models) for m in pooled if not any(m is one for one in chosen)]
    setups = sum(map(len, EMBED_TARGETS.values()))
    used = {run.directory for model in pooled for run in model.runs}
    doubles = [run.directory for run in found.vae if run.evaluation and run.directory not in used]
    return Report(
        summary=[
            f"Paper A: {len(runs)} of {setups} setups have been run with its settings.",
            f"Paper B: {len(models)} of {len(VAE_TARGETS)} models have been trained with its "
            f"settings and evaluated; {len(others)} other(s) are listed below.",
        ],
        tables={"A": tables_of_a(runs), "B": tables_of_b(models)},
        figures=[*figures_of_a(runs), *figures_of_b(pooled)],
        not_run=[*not_run_of_a(runs, found), *not_run_of_b(models, found)],
        models=chosen,
        other_runs=table_of_other_runs(found),
        other_models=others,
        other_tables=tables_of_other_models(others),
        not_evaluated=[run.directory for run in found.vae if run.evaluation is None],
        not_read=[
            *found.not_read,
            *((path, f"{path}: another run of this model has these seeds too") for path in doubles),
        ],
    )


def _as_other(model: Evaluated, models: Mapping[VAERow, Evaluated]) -> Evaluated:
    """A model that stands in no table of the paper, with the reason."""
    if model.differences:
        return model
    why = "the paper has no such model"
    if model.row in models:
        chosen = models[model.row].runs[0].directory.as_posix()
        why = f"that of `{chosen}` has more seeds or is newer"
    return model._replace(differences=[why])


def as_json(report: Report, folder: str) -> dict[str, Any]:
    """The report for programs; figures are in `folder`."""
    tables = [*report.tables["A"], *report.tables["B"]]
    others = [report.other_runs, *(t._replace(places={}) for t in report.other_tables)]
    return {
        "summary": report.summary,
        "rows": [row for table in tables for row in table_json(table)],
        "not_run": [{**one._asdict(), "cost": one.cost._asdict()} for one in report.not_run],
        "other_runs": [row for table in others for row in table_json(table)],
        "not_evaluated": [directory.as_posix() for directory in report.not_evaluated],
        "not_read": [
            {"run": directory.as_posix(), "why": why} for directory, why in report.not_read
        ],
        "figures": [
            {
                "name": drawn.name,
                "paper": drawn.paper,
                "title": drawn.title,
                "notes": drawn.notes,
                "files": None
                if drawn.figure is None
                else [f"{folder}/{drawn.name}{suffix}" for suffix in (".png", ".pdf")],
            }
            for drawn in report.figures
        ],
    }


def as_markdown(report: Report, folder: str) -> list[str]:
    """The report for people, in lines; figures are in `folder`."""
    lines = ["# Both papers, and our runs", "", *(f"- {line}" for line in report.summary)]
    for paper in TITLES:
        lines += ["", f"## {TITLES[paper]}", "", ABOUT[paper]]
        if paper == "B":
            lines += _models(report.models)
        for table in report.tables[paper]:
            named = table.title if table.name == table.title else f"{table.name}: {table.title}"
            lines += ["", f"### {named}", "", *table_markdown(table)]
        if paper == "B":
            lines += _written(report.models)
        for drawn in report.figures:
            if drawn.paper == paper:
                lines += _figure(drawn, folder)
        lines += _not_run([one for one in report.not_run if one.paper == paper])
    return [*lines, *_others(report)]


def _models(models: Sequence[Evaluated]) -> list[str]:
    """Where the numbers of each model are from, and how it is unlike the paper's."""
    lines = []
    for model in models:
        runs = ", ".join(f"`{run.directory.as_posix()}`" for run in model.runs)
        unlike = (
            f"; unlike the paper's: {'; '.join(model.differences)}" if model.differences else ""
        )
        lines.append(f"- {model.model.name}, from {runs}{unlike}")
    return ["", *lines] if lines else []


def _written(models: Sequence[Evaluated]) -> list[str]:
    """Sentences that the models wrote, as in paper B's Table 1."""
    lines = []
    for model in models:
        if written := sentences(model.model):
            lines += [
                "",
                "<details>",
                f"<summary>{model.model.name}: sentences, as in Table 1</summary>",
            ]
            lines += ["", *(f"    {line}" for line in written), "", "</details>"]
    return lines


def _figure(drawn: Drawn, folder: str) -> list[str]:
    lines = ["", f"### {drawn.title}", ""]
    if drawn.figure is None:
        return [*lines, "Not drawn: no run of it.", *drawn.notes]
    path = f"{folder}/{drawn.name}"
    return [
        *lines,
        f"![{drawn.title}]({path}.png)",
        "",
        " ".join([*drawn.notes, f"[PDF]({path}.pdf)"]),
    ]


def _not_run(missing: Sequence[NotRun]) -> list[str]:
    """The table of what to run."""
    if not missing:
        return []
    rows = [
        [one.label, f"{one.seeds} of {one.of}", f"`{one.command}`", str(one.cost)]
        for one in missing
    ]
    return [
        "",
        "### Not run, or not with all seeds",
        "",
        "Costs are estimates: operations are counted, and times are scaled from the run that is "
        "named. Getting the data, encoding texts and evaluating models come on top. Where data and "
        "encoders come from is in the README.",
        "",
        *markdown_table(["", "seeds run", "command", "estimated cost"], rows),
    ]


def _others(report: Report) -> list[str]:
    """Runs that no table of the papers has, and directories that could not be read."""
    lines: list[str] = []
    if report.other_runs.rows:
        lines += ["", f"### {report.other_runs.title}", "", *table_markdown(report.other_runs)]
    if report.other_models:
        lines += ["", "### Models of jaxiso.vae", *_models(report.other_models)]
        for table in report.other_tables:
            lines += ["", f"#### {table.title}", "", *table_markdown(table)]
        lines += _written(report.other_models)
    if report.not_evaluated:
        command = evaluation_command(report.not_evaluated)
        lines += ["", "### Trained, but not evaluated", "", f"`{command}`"]
    if lines:
        lines = ["", "## Other runs", *lines]
    if report.not_read:
        lines += ["", "## Directories that were left out", ""]
        lines += [f"- {why}" for _, why in report.not_read]
    return lines
