"""Tables of a report, ours beside the paper's: as Markdown, and as rows for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.experiments.papers import Reported
from jaxiso.vae_tables import Column, cell, paper_cell


class Cell(NamedTuple):
    """A number of ours beside the paper's.

    Attributes:
        values: ours, one a seed; or one that is of all seeds together, as a correlation.
        seeds: how many seeds they are of.
        paper: the paper's, if it gives one.
        below: what the paper says that all its values are below, where it gives no more.
        missing: why there is none of ours.
        runs: directories that ours are from, if not from all of the row's.
    """

    values: tuple[float, ...] = ()
    seeds: int = 0
    paper: Reported | None = None
    below: float | None = None
    missing: str = "not run"
    runs: tuple[Path, ...] = ()

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        if not self.values or self.paper is None:
            return None
        return float(np.mean(self.values)) - self.paper.mean

    @property
    def holds(self) -> bool | None:
        """Whether ours is below what the paper says."""
        if not self.values or self.below is None:
            return None
        return float(np.mean(self.values)) < self.below


class Row(NamedTuple):
    """What is compared of one task and encoder, or one model.

    Attributes:
        label: such as `rte, minilm`.
        cells: by the columns' names.
        runs: directories that ours are from; empty where nothing was run.
        seeds: number of seeds.
        unlike: how ours is unlike the paper's.
    """

    label: str
    cells: dict[str, Cell]
    runs: tuple[Path, ...] = ()
    seeds: int = 0
    unlike: tuple[str, ...] = ()


class Table(NamedTuple):
    """A table of a paper, or of other measurements.

    Attributes:
        name: such as `A, Table 3`.
        title: what it shows.
        columns: what is measured.
        rows: of what.
        wide: three columns for each measure; or else three lines for each row.
        places: where the paper has a measure, if not all are in the table of that name.
        last: heading of what is unlike the paper's.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[Row]
    wide: bool = True
    places: Mapping[str, str] = {}
    last: str = "unlike the paper's"


def as_json(table: Table) -> Iterator[dict[str, Any]]:
    """A plain object for each number that we or the paper have."""
    for row in table.rows:
        for column in table.columns:
            found = row.cells.get(column.name, Cell())
            values, paper = found.values, found.paper
            if not values and paper is None and found.below is None:
                continue
            ours = None
            if values:
                ours = {
                    "mean": float(np.mean(values)),
                    "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                    "seeds": found.seeds,
                    "runs": [directory.as_posix() for directory in found.runs or row.runs],
                }
            yield {
                "table": table.places.get(column.name, table.name),
                "row": row.label,
                "measure": column.name,
                "ours": ours,
                "missing": None if values else found.missing,
                "paper": None if paper is None else paper.mean,
                "paper_sd": None if paper is None else paper.sd,
                "paper_below": found.below,
                "difference": found.difference,
                "unlike_the_paper": list(row.unlike),
            }


def as_markdown(table: Table) -> list[str]:
    """The lines of a Markdown table."""
    return _wide(table) if table.wide else _tall(table)


def _wide(table: Table) -> list[str]:
    header = [""]
    for column in table.columns:
        header += [column.heading, "paper", "difference"]
    header += ["seeds", "run", table.last]
    rows = []
    for row in table.rows:
        cells = [row.label]
        for column in table.columns:
            cells += _three(row.cells[column.name], column.digits)
        runs = ", ".join(f"`{directory.as_posix()}`" for directory in row.runs)
        rows.append([*cells, str(row.seeds or ""), runs, "; ".join(row.unlike)])
    kept = [0, *(i for i in range(1, len(header)) if any(row[i] for row in rows))]
    return markdown_table([header[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _tall(table: Table) -> list[str]:
    rows = []
    for row in table.rows:
        threes = [_three(row.cells[column.name], column.digits) for column in table.columns]
        ours, paper, difference = (list(line) for line in zip(*threes, strict=True))
        seeds = f" ({row.seeds} seed{'s' * (row.seeds > 1)})" if row.seeds else ""
        rows.append([f"{row.label}{seeds}", "ours", *ours])
        if any(paper):
            rows.append(["", "paper", *paper])
        if any(difference):
            rows.append(["", "difference", *difference])
    return markdown_table(["", "", *(column.heading for column in table.columns)], rows)


def _three(found: Cell, digits: int) -> tuple[str, str, str]:
    """Ours, the paper's and the difference."""
    ours = _plain(cell(found.values, digits), digits) if found.values else found.missing
    paper = _plain(paper_cell(found.paper, digits), digits)
    difference = found.difference
    if found.below is not None:
        paper = f"< {found.below:g}"
        holds = {None: "", True: "holds", False: "does not hold"}[found.holds]
        return ours, paper, holds
    return ours, paper, "" if difference is None else f"{difference:+z,.{digits}f}"


def _plain(shown: str, digits: int) -> str:
    """A count with commas; other numbers as they are."""
    return f"{int(shown):,}" if digits == 0 and shown.isdigit() else shown


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; bars inside of cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(one.replace("|", "\\|") for one in line) + " |" for line in lines]
