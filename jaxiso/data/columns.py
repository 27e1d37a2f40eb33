"""Named columns, of whatever file they come: what makes vectors, labels and words of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import reading
from jaxiso.data.sources import shorten

# Names that columns, arrays and fields are looked for under, best first.
LABEL_NAMES = ("label", "labels", "y", "class", "target")
WORD_NAMES = ("word", "words", "token")

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.I)


@dataclass(frozen=True)
class ColumnFile:
    """A file of columns, called `names`, which `read` reads one at a time.

    Columns have `types`, as in .parquet, or are all text. `where` tells the place of a row, counted
    from 0, as messages name it: a line, or in a .parquet file a row, from 1. Where the `n` rows
    need not be read at once, `batches` yields some columns from one row to another.
    """

    path: Path
    names: tuple[str, ...]
    types: list[pa.DataType] | None
    read: Callable[[str], pa.ChunkedArray]
    place: Callable[[int], str]
    n: int | None = None
    batches: Callable[[Sequence[str], int, int], Iterator[pa.RecordBatch]] | None = None

    def where(self, _name: str, row: int) -> str:
        """The place of a row, of whatever column, as messages name it."""
        return f"{self.path}, {self.place(row)}"

    def holds_vectors(self, name: str) -> bool:
        """Whether the column is one of lists of numbers."""
        kind: Any = self.types[self.names.index(name)] if self.types else pa.string()
        lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        is_list = any(is_one(kind) for is_one in lists)
        return is_list and _is_number(kind.value_type)

    def numbers(self, name: str) -> np.ndarray | None:
        """A column of numbers, (n,), float64 unless the file has another float; else None.

        Refused where a cell is empty, or where a few cells among numbers are none: a single one
        would make the column one of words, and vectors would lack a dimension in silence.
        """
        if self.types and not _is_number(self.types[self.names.index(name)]):
            return None
        with reading(self.path, f"column {name!r}"):
            column = self.read(name)
            if column.null_count == len(column):
                return None
            found = column if self.types else as_numbers(column)
            if found is not None:
                return self.floats(name, found)
            cells = column.to_pylist()
            wrong = [i for i, c in enumerate(cells) if c is not None and not is_number(c)]
            if len(wrong) >= len(cells) / 2:
                return None
            cell = shorten(cells[wrong[0]])
            raise InputError(
                f"{self.where(name, wrong[0])}: {name!r} is {cell!r}, no number, as are "
                f"{len(wrong):,} of its {len(cells):,} cells; correct or delete them"
            )

    def floats(self, name: str, column: Any, first: int = 0) -> np.ndarray:
        """Some rows of a column of numbers; InputError, which counts from `first`, if one lacks."""
        self._no_empty(name, column, first)
        return _as_floats(column)

    def vectors(self, name: str) -> np.ndarray:
        """A column of lists of as many numbers each, (n, d); any other is refused."""
        if not self.holds_vectors(name):
            raise InputError(f"{self.path}: column {name!r} does not hold lists of numbers")
        with reading(self.path, f"column {name!r}"):
            return self.matrix(name, self.read(name))

    def matrix(
        self, name: str, column: Any, *, first: int = 0, width: int | None = None
    ) -> np.ndarray:
        """Some rows of a column of lists, (rows, d).

        Args:
            name: of the column.
            column: a pyarrow array of it.
            first: the row that it begins with.
            width: numbers in the rows before, if there are any.

        Raises InputError if a row is empty, lacks a number, or has not as many as the others.
        """
        self._no_empty(name, column, first)
        lengths = pc.call_function("list_value_length", [column]).to_numpy(zero_copy_only=False)
        if width is None:
            width = int(lengths[0]) if len(lengths) else 0
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise InputError(
                f"{self.where(name, first + row)}: {name!r} has {lengths[row]} numbers, the rows "
                f"before have {width}; vectors must be of one length"
            )
        flat = pc.call_function("list_flatten", [column])
        self._no_empty(name, flat, first, width)
        return _as_floats(flat).reshape(len(lengths), width)

    def _no_empty(self, name: str, values: Any, first: int = 0, width: int = 1) -> None:
        if values.null_count:
            empty = values.is_null().to_numpy(zero_copy_only=False)
            row = first + int(np.argmax(empty)) // width
            raise InputError(
                f"{self.where(name, row)}: {name!r} is empty; every vector needs all its numbers"
            )

    def values(self, name: str) -> tuple[list[Any], None]:
        """The column as Python values, None where it is empty; of .csv and .tsv always text."""
        with reading(self.path, f"column {name!r}"):
            values = self.read(name).to_pylist()
        if self.types is None:
            values = [value.strip() if value else None for value in values]
            if all(value is None or is_number(value) for value in values):  # nan among numbers
                values = [None if v is None or v[-3:].lower() == "nan" else v for v in values]
        return values, None


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def _is_number(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def _as_floats(column: Any) -> np.ndarray:
    """A column of numbers; float64 unless it is of another float."""
    floats = column if types.is_floating(column.type) else column.cast(pa.float64())
    return floats.to_numpy(zero_copy_only=False)


def as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column of text as float64; None where a cell is no number."""
    try:
        return pc.call_function("utf8_trim_whitespace", [column]).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
