"""The tables of both papers filled with the numbers of runs, and those of all other runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxiso.data import TASKS
from jaxiso.embed import Options as EmbedOptions
from jaxiso.embed_result import find_target
from jaxiso.experiments.papers import (
    EMBED_TARGETS,
    TABLE2,
    TABLE3,
    TABLE4,
    VAE_TARGETS,
    EmbedTarget,
    Reported,
)
from jaxiso.report_costs import Cost, embed_command, embed_cost, vae_command, vae_cost
from jaxiso.report_models import Evaluated, VAERow
from jaxiso.report_runs import (
    PAPER_SEEDS,
    EmbedRow,
    EmbedRun,
    Found,
    best_embed_runs,
)
from jaxiso.report_tables import Cell, Row, Table
from jaxiso.vae_tables import TABLES, Column

SIZES = (Column("items", "items", 0), Column("parameters", "parameters", 0))
CORRELATIONS = (Column("pearson_r", "Pearson r", 4), Column("spearman_rho", "Spearman ρ", 5))
LARGEST_SD = Column("largest_sd", "largest sd over seeds", 5)
ENDS = (
    Column("isoscore_start", "IsoScore, start", 4),
    Column("isoscore_final", "final", 4),
    Column("silhouette_start", "silhouette, start", 4),
    Column("silhouette_final", "final", 4),
)
# Section 3.2 of paper A gives these bounds instead of numbers.
RHO_BELOW, SD_BELOW = -0.998, 0.0054
SETUPS = ("polarity", "snli", "pos", "supersense")
"""The tasks of paper A's Section 3; the others are those of GLUE, of its Appendix A."""
PLACES = {
    **dict.fromkeys(TABLE2, "B, Table 2"),
    **dict.fromkeys(TABLE3, "B, Table 3"),
    **dict.fromkeys(TABLE4, "B, Table 4"),
    "accuracy_deleted": "B, Section 3.2",
}


class NotRun(NamedTuple):
    """What a report has no run of, or fewer seeds than the paper.

    Attributes:
        paper: A or B.
        label: of the row.
        seeds: how many of the paper's were run.
        of: how many the paper has.
        command: that runs all of it.
        cost: of the command.
    """

    paper: str
    label: str
    seeds: int
    of: int
    command: str
    cost: Cost


def embed_label(row: EmbedRow) -> str:
    """Such as `rte, minilm`."""
    return ", ".join(part for part in row if part)


def vae_label(row: VAERow) -> str:
    """Such as `dbpedia, isotropic, C = 5`, as `Model.name` has it."""
    corpus, posterior, target = row
    return f"{corpus}, {posterior}" + ("" if target is None else f", C = {target:g}")


def tables_of_a(best: Mapping[EmbedRow, EmbedRun]) -> list[Table]:
    """Tables 1 to 3 and Section 3.2's correlations."""
    rows = [(task, encoder) for task, targets in EMBED_TARGETS.items() for encoder in targets]
    setups = [row for row in rows if row[0] in SETUPS]
    glue = sorted((row for row in rows if row[0] not in SETUPS), key=_encoder)
    sizes = "Items and trainable parameters"
    return [
        Table("A, Table 1", sizes, SIZES, [_sizes(row, best) for row in setups]),
        Table(
            "A, Section 3.2",
            "Correlations of IsoScore and silhouette across training",
            (*CORRELATIONS, LARGEST_SD),
            [_correlations(row, best) for row in setups],
        ),
        Table("A, Table 2", f"{sizes}, GLUE", SIZES, [_sizes(row, best) for row in glue]),
        Table(
            "A, Table 3",
            "Correlations of IsoScore and silhouette across training, GLUE",
            CORRELATIONS,
            [_correlations(row, best) for row in glue],
        ),
    ]


def _encoder(row: EmbedRow) -> int:
    return ("minilm", "mpnet", "roberta").index(row[1])


def _sizes(row: EmbedRow, best: Mapping[EmbedRow, EmbedRun]) -> Row:
    target, run = EMBED_TARGETS[row[0]][row[1]], best.get(row)
    papers = {"items": target.items, "parameters": target.parameters}
    ours: dict[str, float] = {}
    if run is not None:
        ours = {"items": run.config["items"], "parameters": run.parameters}
    cells = {
        name: Cell((ours[name],) if name in ours else (), _seeds(run), Reported(paper))
        for name, paper in papers.items()
    }
    return Row(embed_label(row), cells, () if run is None else (run.directory,))


def _correlations(row: EmbedRow, best: Mapping[EmbedRow, EmbedRun]) -> Row:
    target, run = EMBED_TARGETS[row[0]][row[1]], best.get(row)
    if run is None:
        return Row(embed_label(row), _embed_cells(target, None, 0))
    cells = _embed_cells(target, run.summaries[0], _seeds(run))
    return Row(embed_label(row), cells, (run.directory,), _seeds(run), tuple(run.remarks))


def _seeds(run: EmbedRun | None) -> int:
    return 0 if run is None else run.config["seeds"]


def _embed_cells(
    target: EmbedTarget | None, summary: Mapping[str, Any] | None, seeds: int
) -> dict[str, Cell]:
    """What is compared of a trajectory; of an absent one, the paper's numbers only."""
    papers, bounds = {}, {}
    if target is not None:
        papers["pearson_r"] = Reported(target.pearson_r)
        if target.spearman_rho is None:
            bounds = {"spearman_rho": RHO_BELOW, "largest_sd": SD_BELOW}
        else:
            papers["spearman_rho"] = Reported(target.spearman_rho)
    found: dict[str, Any] = {}
    if summary is not None:
        found = {name: summary[name] for name in ("pearson_r", "spearman_rho", "largest_sd")}
        for when in ("start", "final"):
            for name in ("isoscore", "silhouette"):
                found[f"{name}_{when}"] = summary[when][name]["mean"]
    cells = {}
    for column in (*CORRELATIONS, LARGEST_SD, *ENDS):
        name, value = column.name, found.get(column.name)
        missing = "not run" if summary is None else "not defined"
        if summary is not None and name == "largest_sd" and seeds < 2:
            missing = "one seed"
        values = () if value is None else (float(value),)
        cells[name] = Cell(values, seeds, papers.get(name), bounds.get(name), missing)
    return cells


def tables_of_b(models: Mapping[VAERow, Evaluated]) -> list[Table]:
    """Tables 2 to 4 and Section 3.2's robustness; and what else was measured of these models."""
    rows: dict[VAERow, Evaluated | None] = {row: models.get(row) for row in VAE_TARGETS}
    return list(_vae_tables([(vae_label(row), row, model) for row, model in rows.items()]))


def tables_of_other_models(models: Sequence[Evaluated]) -> list[Table]:
    """The same of models that are unlike the paper's."""
    names = Counter(model.model.name for model in models)
    rows = []
    for model in models:
        label = model.model.name
        if names[label] > 1:
            label += f" ({model.runs[0].directory.name})"
        rows.append((label, model.row, model))
    return list(_vae_tables(rows))


def _vae_tables(rows: Sequence[tuple[str, VAERow, Evaluated | None]]) -> Iterator[Table]:
    seen: set[str] = set()  # one measure is in two of the tables
    for shown in TABLES:
        columns = tuple(column for column in shown.columns if column.name not in seen)
        seen |= {column.name for column in columns}
        found = [
            _vae_row(label, _vae_cells(row, model, columns), model) for label, row, model in rows
        ]
        kept = [row for row in found if any(_is_known(cell) for cell in row.cells.values())]
        columns = tuple(c for c in columns if any(_is_known(row.cells[c.name]) for row in kept))
        if kept:
            yield Table(shown.title, shown.title, columns, kept, wide=False, places=PLACES)


def _is_known(cell: Cell) -> bool:
    return bool(cell.values or cell.paper)


def _vae_cells(row: VAERow, model: Evaluated | None, columns: Sequence[Column]) -> dict[str, Cell]:
    if model is None:
        return {column.name: Cell(paper=VAE_TARGETS[row].get(column.name)) for column in columns}
    cells = {}
    for name in (column.name for column in columns):
        ours, paper = tuple(model.model.values.get(name, ())), model.model.reported.get(name)
        runs = tuple(
            run.directory
            for run in model.runs
            if run.evaluation is not None and name in run.evaluation["measures"]
        )
        cells[name] = Cell(ours, len(ours), paper, missing="not measured", runs=runs)
    return cells


def _vae_row(label: str, cells: dict[str, Cell], model: Evaluated | None) -> Row:
    if model is None:
        return Row(label, cells)
    runs = tuple(run.directory for run in model.runs)
    return Row(label, cells, runs, model.seeds, tuple(model.differences))


def table_of_other_runs(found: Found) -> Table:
    """All runs of `jaxiso.embed` that stand in no table of paper A, a row for each."""
    best, rows = best_embed_runs(found), []
    for run in found.embed:
        if best.get(run.row) is run:
            continue
        for summary in run.summaries:
            weight = f", λ = {summary['isotropy']:g}" if "isotropy" in summary else ""
            cells = _embed_cells(find_target(run.config), summary, _seeds(run))
            label = f"{embed_label(run.row)}{weight}"
            unlike = tuple(_settings(run, best))
            rows.append(Row(label, cells, (run.directory,), _seeds(run), unlike))
    columns = (*CORRELATIONS, *ENDS)
    title = "Runs of jaxiso.embed"
    return Table("other runs", title, columns, rows, last="settings, or unlike the paper's")


def _settings(run: EmbedRun, best: Mapping[EmbedRow, EmbedRun]) -> list[str]:
    if run.reproduces:
        other = best[run.row].directory.as_posix()
        return [f"`{other}` has more seeds or is newer", *run.remarks]
    if find_target(run.config) is not None:
        return [*run.differences, *run.remarks]
    task = TASKS.get(run.config["task"])
    usual = {**vars(EmbedOptions()), "updates": task.updates if task else None}
    names = ("updates", "every", "lr", "scale", "sample", "hidden", "test_fraction", "loss")
    chosen = {name: run.config[name] for name in names if name in run.config}
    return [
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in chosen.items()
        if value != usual[name]
    ]


def not_run_of_a(best: Mapping[EmbedRow, EmbedRun], found: Found) -> list[NotRun]:
    """Rows of paper A without a run of all its seeds."""
    missing = []
    for task, targets in EMBED_TARGETS.items():
        for encoder in targets:
            row, of = (task, encoder), PAPER_SEEDS["embed"]
            done = _seeds(best.get(row))
            if done < of:
                command, cost = embed_command(row), embed_cost(row, found.embed)
                missing.append(NotRun("A", embed_label(row), done, of, command, cost))
    return missing


def not_run_of_b(models: Mapping[VAERow, Evaluated], found: Found) -> list[NotRun]:
    """Rows of paper B without runs of all its seeds."""
    missing = []
    for row in VAE_TARGETS:
        done = models[row].seeds if row in models else 0
        of = PAPER_SEEDS["vae"]
        if done < of:
            command, cost = vae_command(row), vae_cost(row, found.vae)
            missing.append(NotRun("B", vae_label(row), done, of, command, cost))
    return missing
