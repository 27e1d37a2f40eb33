"""What `python -m jaxiso.layers` prints: tables for people, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from jaxiso.cli.console import duration, printer, several
from jaxiso.cli.machine import origin
from jaxiso.data.texts import Texts
from jaxiso.layers.experiment import Measured
from jaxiso.layers.measures import TABLES
from jaxiso.layers.options import Options
from jaxiso.score.result import printable
from jaxiso.score.values import Value

OPTIONS = ("transform", "pooling", "tokens", "token_sample", "limit", "seed")
"""Options that the numbers depend on."""


def describe(texts: Texts) -> str:
    """Texts and labels in words."""
    labels = "" if texts.labels is None else f", {several(len(texts.labels.names), 'label')}"
    return f"{printable(texts.path)}: {len(texts.texts):,} texts{labels}"


def report(
    texts: Texts, found: Sequence[Measured], options: Options, seconds: float
) -> dict[str, Any]:
    """What --json prints."""
    return {
        "texts": {
            "file": printable(texts.path),
            "texts": len(texts.texts),
            "of": texts.of,
            "labels": None if texts.labels is None else len(texts.labels.names),
        },
        "encoders": [_encoder(one) for one in found],
        "options": {name: getattr(options, name) for name in OPTIONS},
        "origin": origin(),
        "seconds": round(seconds, 2),
    }


def _encoder(one: Measured) -> dict[str, Any]:
    return {
        "encoder": one.name,
        "weights_sha256": one.weights,
        "vectors": one.vectors,
        "of_tokens": one.of,
        "dimensions": one.dim,
        "remarks": one.remarks,
        "layers": [
            {"layer": layer, "measures": {name: value._asdict() for name, value in values.items()}}
            for layer, values in enumerate(one.layers)
        ],
    }


def print_tables(texts: Texts, found: Sequence[Measured], seconds: float) -> None:
    """Prints the tables to standard output."""
    out = printer()
    remarks: list[str] = []
    out.print(describe(texts))
    for one in found:
        what = (
            f"{one.vectors:,} texts" if one.of is None else f"{one.vectors:,} of {one.of:,} tokens"
        )
        for group, names in TABLES.items():
            here = {name: short for name, (_, short) in names.items() if name in one.layers[0]}
            if here:
                title = f"{one.name}, {what}, {one.dim:,} dimensions: {group}"
                out.print(_table(title, here, one.layers, remarks))
    for remark in (remark for one in found for remark in one.remarks):
        out.print(remark)
    for i, remark in enumerate(remarks, start=1):
        out.print(f"[{i}] {remark}")
    out.print(
        "Layer 0 is the embedding layer. Vectors are as the network gives them, not normalised."
    )
    out.print(f"Time: {duration(seconds)}")


def _table(
    title: str, names: Mapping[str, str], layers: Sequence[Mapping[str, Value]], remarks: list[str]
) -> Table:
    """A row a layer; what there is to say of a number is added to `remarks`."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Layer", justify="right")
    for name in names.values():
        table.add_column(name, justify="right", no_wrap=True)
    for layer, values in enumerate(layers):
        cells = (_cell(name, values[name], remarks) for name in names)
        table.add_row(str(layer), *cells)
    return table


def _cell(name: str, value: Value, remarks: list[str]) -> str:
    if value.value is None:
        return f"– [{_number(value.remark or 'not defined', remarks)}]"
    text = f"{value.value:.3g}" if abs(value.value) < 1000 else f"{value.value:,.0f}"
    if value.se is not None:
        text += f" ± {value.se:.1g}"
    if value.remark is None:
        return text
    if name == "rogue_share":  # which dimension it is
        return f"{text} #{value.remark.rpartition(' ')[2]}"
    return f"{text} [{_number(value.remark, remarks)}]"


def _number(remark: str, remarks: list[str]) -> int:
    if remark not in remarks:
        remarks.append(remark)
    return remarks.index(remark) + 1
