"""What `python -m jaxiso.score` prints: tables for people, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxiso.console import duration
from jaxiso.score_measures import Row, Value

if TYPE_CHECKING:
    from rich.table import Table

MEASURES = {
    "isoscore": "IsoScore",
    "mu_viswanath": "Mu & Viswanath",
    "effective_rank": "Effective rank",
    "mean_cosine": "Mean cosine",
    "silhouette": "Silhouette",
    "calinski_harabasz": "Calinski–Harabasz",
    "davies_bouldin": "Davies–Bouldin",
    "dunn": "Dunn",
}
SHOWN = 40  # rows of a table by label


class Scores(NamedTuple):
    """All that was measured of one file.

    Attributes:
        path: the file.
        n: vectors measured.
        d: dimensions.
        labels: number of distinct labels; None where none were given.
        left_out: number of vectors left out, by reason.
        values: by the keys of `MEASURES`; those of clusters only where there are labels.
        sampled: points in each random sample that silhouette and Dunn's index are taken of, or
            None where they are of all.
        rows: by label, in label order; None where not asked for.
    """

    path: Path
    n: int
    d: int
    labels: int | None
    left_out: Mapping[str, int]
    values: Mapping[str, Value]
    sampled: int | None
    rows: list[Row] | None


def as_json(
    scores: Sequence[Scores], options: Mapping[str, Any], origin: Mapping[str, str], seconds: float
) -> dict[str, Any]:
    """What --json prints.

    Args:
        scores: one of each file.
        options: those that the numbers depend on.
        origin: versions and device.
        seconds: time taken.
    """
    return {
        "files": [_file(one) for one in scores],
        "options": dict(options),
        "origin": dict(origin),
        "seconds": round(seconds, 2),
    }


def _file(one: Scores) -> dict[str, Any]:
    found = {
        "file": str(one.path),
        "vectors": one.n,
        "dimensions": one.d,
        "labels": one.labels,
        "left_out": dict(one.left_out),
        "sampled": one.sampled,
        "measures": {name: value._asdict() for name, value in one.values.items()},
    }
    if one.rows is not None:
        found["by_label"] = [
            {"label": row.name, "vectors": row.n}
            | {name: x._asdict() for name, x in row._asdict().items() if isinstance(x, Value)}
            for row in one.rows
        ]
    return found


def print_scores(scores: Sequence[Scores], *, draws: int, seconds: float) -> None:
    """Prints the tables to standard output.

    Args:
        scores: one of each file.
        draws: number of random samples, where there are any.
        seconds: time taken.
    """
    from rich.console import Console

    # No markup: a path may have brackets in it.
    width = None if sys.stdout.isatty() else 100
    out = Console(highlight=False, soft_wrap=True, markup=False, width=width)
    remarks: list[str] = []
    out.print(_table(scores, remarks))
    names = file_names([one.path for one in scores])
    for name, one in zip(names, scores, strict=True):
        if one.rows is not None:
            out.print(_table_by_label(name, one.rows))
            if len(one.rows) > SHOWN:
                rest = f"{SHOWN} of {len(one.rows):,}"
                out.print(f"The largest labels, {rest}; --json has all of them")
    for line in [*remarks, *_remarks(scores, draws)]:
        out.print(line)
    out.print(f"Time: {duration(seconds)}")


def file_names(paths: Sequence[Path]) -> list[str]:
    """Names of files; whole paths where two names are the same."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _table(scores: Sequence[Scores], remarks: list[str]) -> Table:
    """All files side by side; what there is to say of a number is added to `remarks`."""
    from rich.table import Table
    from rich.text import Text

    names = file_names([one.path for one in scores])
    table = Table()
    table.add_column("")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    table.add_row("Vectors", *(f"{one.n:,}" for one in scores))
    table.add_row("Dimensions", *(f"{one.d:,}" for one in scores))
    if any(one.labels is not None for one in scores):
        counts = ["–" if one.labels is None else f"{one.labels:,}" for one in scores]
        table.add_row("Labels", *counts)
    table.add_section()
    for key, label in MEASURES.items():
        found = [one.values.get(key) for one in scores]
        if any(found):
            table.add_row(label, *(_cell(value, remarks) for value in found))
    return table


def _cell(value: Value | None, remarks: list[str]) -> str:
    if value is None:
        return "–"
    if value.remark is None:
        return shown(value)
    if value.remark not in [line.partition(" ")[2] for line in remarks]:
        remarks.append(f"[{len(remarks) + 1}] {value.remark}")
    number = [line.partition(" ")[2] for line in remarks].index(value.remark) + 1
    return f"{shown(value)} [{number}]"


def shown(value: Value) -> str:
    """A number to five digits, with its standard error; a dash where there is none."""
    if value.value is None:
        return "–"
    text = f"{value.value:#.5g}"
    return text if value.se is None else f"{text} ± {value.se:.1g}"


def _table_by_label(name: str, rows: list[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{name}, by label"), title_justify="left")
    table.add_column("Label", overflow="fold")
    for heading in ("Vectors", "IsoScore", "Effective rank", "Mean cosine", "Silhouette"):
        table.add_column(heading, justify="right", no_wrap=True)
    if len(rows) > SHOWN:
        rows = sorted(rows, key=lambda row: -row.n)[:SHOWN]
    for row in rows:
        values = (row.isoscore, row.effective_rank, row.mean_cosine, row.silhouette)
        table.add_row(Text(row.name), f"{row.n:,}", *map(shown, values))
    return table


def _remarks(scores: Sequence[Scores], draws: int) -> list[str]:
    lines = ["Mu & Viswanath depends on the vectors' length and origin: taken as they are."]
    sampled = sorted({(one.sampled, one.n) for one in scores if one.sampled is not None})
    if sampled:
        of = ", ".join(f"{size:,} of {n:,}" for size, n in sampled)
        lines.append(
            f"Silhouette and Dunn: mean ± standard error of {draws} random samples ({of} vectors). "
            "Dunn's index of a sample is never below that of all; --sample 0 takes all."
        )
    for one in scores:
        for reason, count in one.left_out.items():
            lines.append(f"{one.path.name}: {count:,} vectors left out: {reason}")
    return lines
