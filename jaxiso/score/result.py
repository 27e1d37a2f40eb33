"""What `python -m jaxiso.score` prints: tables for people, or JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from jaxiso.cli.console import duration, printer
from jaxiso.cli.machine import origin
from jaxiso.data.vectors import OpenedVectors
from jaxiso.score.options import Options
from jaxiso.score.values import Row, Scores, Value

MEASURES = {
    "isoscore": "IsoScore",
    "isoscore_corrected": "IsoScore, corrected",
    "mu_viswanath": "Mu & Viswanath",
    "effective_rank": "Effective rank",
    "mean_cosine": "Mean cosine",
    "silhouette": "Silhouette",
    "simplified_silhouette": "Simplified silhouette",
    "calinski_harabasz": "Calinski–Harabasz",
    "davies_bouldin": "Davies–Bouldin",
    "dunn": "Dunn",
}
BY_LABEL = ("isoscore", "isoscore_corrected", "effective_rank", "mean_cosine", "silhouette")
SHOWN = 40
"""Rows of a table by label."""


OPTIONS = ("metric", "average", "exact", "sample_size", "seed", "precision")
"""Options that the numbers depend on."""


def describe(found: OpenedVectors) -> str:
    """A file's vectors and labels in words."""
    n, d = found.rows.shape
    labels = "" if found.labels is None else f", {len(found.labels.names):,} labels"
    return f"{found.path}: {n:,} vectors of {d:,} dimensions{labels}"


def report(scores: Sequence[Scores], options: Options, seconds: float) -> dict[str, Any]:
    """What --json prints."""
    return {
        "files": [_file(one) for one in scores],
        "differences": _plain(differences(scores)),
        "options": {name: getattr(options, name) for name in OPTIONS},
        "origin": origin(),
        "seconds": round(seconds, 2),
    }


def _file(one: Scores) -> dict[str, Any]:
    found: dict[str, Any] = {
        "file": printable(one.path),
        "transform": one.transform,
        "found": list(one.found),
        "vectors": one.n,
        "dimensions": one.d,
        "labels": None if one.labels is None else len(one.labels),
        "left_out": dict(one.left_out),
        "sampled": one.sampled,
        "interrupted": one.interrupted is not None,
        "measures": _plain(one.values),
    }
    if one.rows is not None:
        found["by_label"] = [
            {"label": row.name, "vectors": row.n} | _plain(row.values) for row in one.rows
        ]
    return found


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: value._asdict() for name, value in values.items()}


def print_tables(scores: Sequence[Scores], options: Options, seconds: float) -> None:
    """Prints the tables to standard output."""
    out = printer()
    remarks: list[str] = []
    out.print(_table(scores, options, remarks))
    for name, one in zip(names_of(scores), scores, strict=True):
        if one.rows is not None:
            out.print(_table_by_label(name, one.rows))
            if len(one.rows) > SHOWN:
                rest = f"{SHOWN} of {len(one.rows):,}"
                out.print(f"The largest labels, {rest}; --json has all of them")
    numbered = [f"[{i}] {remark}" for i, remark in enumerate(remarks, start=1)]
    for line in [*numbered, *_remarks(scores)]:
        out.print(line)
    out.print(f"Time: {duration(seconds)}")


def printable(path: Path) -> str:
    r"""A path as text that can be written as UTF-8: bytes that are none become `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_names(paths: Sequence[Path]) -> list[str]:
    """Names of files; whole paths where two names are the same."""
    names = [path.name for path in paths]
    unlike = len(set(names)) == len(names)
    return [printable(Path(path.name) if unlike else path) for path in paths]


def names_of(scores: Sequence[Scores]) -> list[str]:
    """Names of what was measured: of files, and of transforms where there are any."""
    paths = list(dict.fromkeys(one.path for one in scores))
    if all(one.transform == "none" for one in scores):
        return file_names([one.path for one in scores])
    if len(paths) == 1:
        return [one.transform for one in scores]
    names = dict(zip(paths, file_names(paths), strict=True))
    return [f"{names[one.path]}, {one.transform}" for one in scores]


def _table(scores: Sequence[Scores], options: Options, remarks: list[str]) -> Table:
    """All files side by side; what there is to say of a number is added to `remarks`."""
    table = Table()
    table.add_column("")
    for name in names_of(scores):
        table.add_column(Text(name), justify="right", overflow="fold")
    less = differences(scores)
    if less:
        table.add_column("second − first", justify="right")
    table.add_row("Vectors", *(f"{one.n:,}" for one in scores))
    table.add_row("Dimensions", *(f"{one.d:,}" for one in scores))
    if any(one.labels is not None for one in scores):
        counts = ["–" if one.labels is None else f"{len(one.labels):,}" for one in scores]
        table.add_row("Labels", *counts)
    table.add_section()
    kinds = [options.metric] * (options.metric != "euclidean")
    for key, label in MEASURES.items():
        found = [one.values.get(key) for one in scores]
        if any(found):
            if key.endswith("silhouette"):
                more = ", ".join([*kinds, *["macro"] * (options.average == "macro")])
                label = f"{label} ({more})" if more else label
            last = [shown(less[key])] if key in less else []
            table.add_row(label, *(_cell(value, remarks) for value in found), *last)
    return table


def differences(scores: Sequence[Scores]) -> dict[str, Value]:
    """The second of two less the first, with its error where the rows are the same vectors' texts.

    Rows are taken for the same where both have as many: they are then dealt into the same blocks,
    so what both estimates have in common is not counted as an error.
    """
    if len(scores) != 2 or scores[0].n != scores[1].n:
        return {}
    first, second = (one.estimates for one in scores)
    found = {name: second[name].minus(first[name]) for name in second if name in first}
    return {name: Value(one.value, one.se) for name, one in found.items() if np.isfinite(one.value)}


def _cell(value: Value | None, remarks: list[str]) -> str:
    if value is None:
        return "–"
    if value.remark is None:
        return shown(value)
    if value.remark not in remarks:
        remarks.append(value.remark)
    return f"{shown(value)} [{remarks.index(value.remark) + 1}]"


def shown(value: Value) -> str:
    """A number to five digits, with its standard error; a dash where there is none."""
    if value.value is None:
        return "–"
    text = f"{'≤ ' if value.at_most else ''}{value.value:#.5g}"
    return text if value.se is None else f"{text} ± {value.se:.1g}"


def _table_by_label(name: str, rows: Sequence[Row]) -> Table:
    table = Table(title=Text(f"{name}, by label"), title_justify="left")
    table.add_column("Label", overflow="fold")
    # On two lines, so that a table has room for its labels.
    for heading in ("Vectors", *(MEASURES[name].replace(", ", ",\n") for name in BY_LABEL)):
        table.add_column(heading, justify="right", no_wrap=True)
    if len(rows) > SHOWN:
        rows = sorted(rows, key=lambda row: -row.n)[:SHOWN]
    for row in rows:
        values = (shown(row.values[measure]) for measure in BY_LABEL)
        table.add_row(Text(row.name), f"{row.n:,}", *values)
    return table


def _remarks(scores: Sequence[Scores]) -> list[str]:
    lines = ["Mu & Viswanath depends on the vectors' length and origin: taken as they are."]
    for one in scores:
        name = printable(Path(one.path.name))
        lines += [f"{name}: {sentence}" for sentence in one.found]
        if one.interrupted is not None:
            lines.append(f"{name}: interrupted; what is printed is what was known")
        for reason, count in one.left_out.items():
            lines.append(f"{name}: {count:,} vectors left out: {reason}")
    return lines
