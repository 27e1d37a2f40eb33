"""Files of named columns, .csv, .tsv (also .gz) and .parquet; and `open_table` for any of them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow
import pyarrow.parquet as pq
import pyarrow.types as types

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import ArrayFile, open_arrays, open_bytes, reading
from jaxiso.data.sources import read_lines, shorten

ARRAYS = (".npy", ".npz", ".safetensors")
COLUMNS = (".csv", ".tsv", ".parquet")

# Names that columns, arrays and fields are looked for under, best first.
LABEL_NAMES = ("label", "labels", "y", "class", "target")
WORD_NAMES = ("word", "words", "token")

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.I)
_LOOKED_AT = 1000  # rows that tell which columns of a .csv file are numbers, to find its heading


@dataclass(frozen=True)
class ColumnFile:
    """A file of columns, called `names`, which `read` reads one at a time.

    Columns have `types`, as in .parquet, or are all text. `where` tells the place of a row, counted
    from 0, as messages name it: a line, or in a .parquet file a row, from 1.
    """

    path: Path
    names: tuple[str, ...]
    types: list[pa.DataType] | None
    read: Callable[[str], pa.ChunkedArray]
    place: Callable[[int], str]

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
            found = column if self.types else _as_numbers(column)
            if found is not None:
                self._no_empty(name, found)
                return _as_floats(found)
            cells = column.to_pylist()
            wrong = [i for i, c in enumerate(cells) if c is not None and not is_number(c)]
            if len(wrong) >= len(cells) / 2:
                return None
            cell = shorten(cells[wrong[0]])
            raise InputError(
                f"{self.where(name, wrong[0])}: {name!r} is {cell!r}, no number, as are "
                f"{len(wrong):,} of its {len(cells):,} cells; correct or delete them"
            )

    def vectors(self, name: str) -> np.ndarray:
        """A column of lists of as many numbers each, (n, d); any other is refused."""
        if not self.holds_vectors(name):
            raise InputError(f"{self.path}: column {name!r} does not hold lists of numbers")
        with reading(self.path, f"column {name!r}"):
            column = self.read(name)
            self._no_empty(name, column)
            lengths = pc.call_function("list_value_length", [column]).to_numpy()
            width = int(lengths[0]) if len(lengths) else 0
            if (lengths != width).any():
                row = int(np.argmax(lengths != width))
                raise InputError(
                    f"{self.where(name, row)}: {name!r} has {lengths[row]} numbers, the rows "
                    f"before have {width}; vectors must be of one length"
                )
            flat = pc.call_function("list_flatten", [column])
            self._no_empty(name, flat, width)
            return _as_floats(flat).reshape(len(lengths), width)

    def _no_empty(self, name: str, values: pa.ChunkedArray, width: int = 1) -> None:
        if values.null_count:
            row = int(np.argmax(values.is_null().to_numpy())) // width
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


Table = ArrayFile | ColumnFile


def true_suffix(path: Path) -> str:
    """The suffix in lower case, without `.gz`; that of `.pq` as `.parquet`."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return {".pq": ".parquet"}.get(suffix, suffix)


def open_table(path: Path, *, of_labels: bool = False, column: str | None = None) -> Table:
    """Opens a file of arrays or columns, by its suffix, one of `ARRAYS` or `COLUMNS`.

    Args:
        path: the file.
        of_labels: it is a file of labels, in which all columns may be text.
        column: a column that it must have, if its first line names columns.

    Raises InputError if it cannot be read.
    """
    suffix = true_suffix(path)
    if path.suffix.lower() == ".gz" and suffix not in (".csv", ".tsv"):
        raise InputError(f"{path}: unpack it first (gunzip); {suffix} files are not read from .gz")
    if suffix in ARRAYS:
        table = open_arrays(path)
    else:
        table = _parquet(path) if suffix == ".parquet" else _delimited(path, of_labels, column)
    twice = [name for name, count in Counter(table.names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: two arrays or columns are called {twice[0]!r}; rename one")
    return table


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def _is_number(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def _as_floats(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers; float64 unless it is of another float."""
    return (column if types.is_floating(column.type) else column.cast(pa.float64())).to_numpy()


def _as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column of text as float64; None where a cell is no number."""
    try:
        return pc.call_function("utf8_trim_whitespace", [column]).cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def _parquet(path: Path) -> ColumnFile:
    def read(name: str) -> pa.ChunkedArray:
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:
            column, rows = file.read(columns=[name]).column(0), file.metadata.num_rows
        if len(column) != rows:
            raise ValueError(f"column {name!r} has {len(column):,} rows, the file {rows:,}")
        return column

    with reading(path), path.open("rb") as file:
        schema = pq.read_schema(file)
    return ColumnFile(path, tuple(schema.names), schema.types, read, lambda row: f"row {row + 1}")


def _delimited(path: Path, of_labels: bool, column: str | None) -> ColumnFile:
    """A .csv or .tsv file, read whole; every cell as text, so that 1, 01 and 1.0 stay apart."""
    with reading(path):
        first = next((line for _, line in read_lines(path)), "")
        if not first.strip():
            raise InputError(f"{path}: the first line is empty; it must hold values or names")
        delimiter = "\t" if true_suffix(path) == ".tsv" else max(",;\t", key=first.count)
        cells = [cell.strip() for cell in next(_rows(path, delimiter))[1]]
        columns = _read_text(path, delimiter, len(cells), 4 * len(first))
        names = _names(cells, [c.slice(1) for c in columns], of_labels, column)
    heading = names is not None
    names = names or [f"column {i}" for i in range(1, len(cells) + 1)]
    found = {name: c.slice(int(heading)) for name, c in zip(names, columns, strict=True)}

    def place(row: int) -> str:
        lines = (line for line, _ in _rows(path, delimiter))
        return f"line {next(line for i, line in enumerate(lines, start=-heading) if i == row)}"

    return ColumnFile(path, tuple(names), None, found.__getitem__, place)


def _read_text(path: Path, delimiter: str, width: int, line: int) -> list[pa.ChunkedArray]:
    """All columns of a .csv file as text."""
    names = [str(i) for i in range(width)]
    read = arrow.ReadOptions(column_names=names, block_size=max(2**24, line))
    parse = arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    text = dict.fromkeys(names, pa.string())
    convert = arrow.ConvertOptions(column_types=text, null_values=[""], strings_can_be_null=True)
    try:
        with open_bytes(path) as file:
            columns = arrow.read_csv(file, read, parse, convert).columns
    except pa.ArrowInvalid:
        _check_rows(path, delimiter, width)
        raise
    # A quote that nothing closes makes one cell of all the lines up to the next quote.
    newline = pc.MatchSubstringOptions("\n")
    has = [pc.call_function("match_substring", [column], newline) for column in columns]
    if any(pc.call_function("any", [found]).as_py() for found in has):
        _check_rows(path, delimiter, width)
    return columns


def _check_rows(path: Path, delimiter: str, width: int) -> None:
    """Names the line of bytes that are no UTF-8, a quote out of place, or a ragged row, if any."""
    for line, cells in _rows(path, delimiter):
        if len(cells) != width:
            raise InputError(
                f"{path}, line {line}: it has {len(cells)} cells, the first line has {width}; "
                "every line must have as many"
            )


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a .csv file that are not blank, each with the line that it ends in."""
    lines = (line for _, line in read_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; a cell that has a quote, a separator or a "
            'line break in it must stand in quotes, with its quotes doubled: "so ""called"""'
        ) from None
    finally:
        csv.field_size_limit(limit)


def _names(
    cells: list[str], below: list[pa.ChunkedArray], of_labels: bool, column: str | None
) -> list[str] | None:
    """The names of the columns, if the first line, `cells`, has them.

    It has if no cell above numbers is one itself, or if those are 0, 1, 2, …, as pandas numbers
    columns without names, or digits beside a name that is looked for: `column`, or one of
    `LABEL_NAMES` and `WORD_NAMES`. Two columns 0, 1 are taken for data, unless there are columns of
    text too, or pandas numbered the rows as well. A name of a column of text does not occur again
    `below` it. In a file of labels, a table of text only has no names.
    """
    looked_at = [c.slice(0, _LOOKED_AT) for c in below]
    numeric = [c.null_count < len(c) and _as_numbers(c) is not None for c in looked_at]
    over = [cell for cell, number in zip(cells, numeric, strict=True) if number]
    numbered = over[1:] if numeric[0] and not cells[0] else over
    new = [c.index(cell).as_py() < 0 for cell, c in zip(cells, below, strict=True)]
    known = {*LABEL_NAMES, *WORD_NAMES} - (set() if of_labels else {"y"})  # y may be a label
    looked_for = [cell == column or cell.lower() in known for cell in cells]
    digits = all(cell.isdigit() or not is_number(cell) for cell in over)
    if digits and any(a and b for a, b in zip(looked_for, new, strict=True)):
        named = True
    elif not over:
        named = not of_labels and not any(map(is_number, cells))
    elif numbered == [str(i) for i in range(len(numbered))]:
        text = [is_new for number, is_new in zip(numeric, new, strict=True) if not number]
        named = all(text) if text else len(numbered) > 2 or numbered is not over
    else:
        named = not any(map(is_number, over))
    if not named:
        return None
    # pandas calls a column of labels without a name 0, as it does the first one of numbers.
    return [
        f"column {i}" if not cell or (not number and cells.count(cell) > 1) else cell
        for i, (cell, number) in enumerate(zip(cells, numeric, strict=True), start=1)
    ]
