"""Files of comma- or tab-separated values: .csv and .tsv, plain or .gz."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import open_bytes, reading
from jaxiso.data.columns import LABEL_NAMES, WORD_NAMES, ColumnFile, as_numbers, is_number
from jaxiso.data.sources import read_lines

_LOOKED_AT = 1000  # rows that tell which columns are numbers, to find the heading


def open_delimited(path: Path, *, tabs: bool, of_labels: bool, column: str | None) -> ColumnFile:
    """A .csv or .tsv file, read whole; every cell as text, so that 1, 01 and 1.0 stay apart."""
    with reading(path):
        first = next((line for _, line in read_lines(path)), "")
        if not first.strip():
            raise InputError(f"{path}: the first line is empty; it must hold values or names")
        delimiter = "\t" if tabs else max(",;\t", key=first.count)
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
    columns without names, or unlike the numbers below (`_stand_out`), or digits beside a name that
    is looked for: `column`, or one of `LABEL_NAMES` and `WORD_NAMES`. Two columns 0, 1 are taken
    for data, unless there are columns of text too, or pandas numbered the rows as well. A name of a
    column of text does not occur again `below` it. In a file of labels, a table of text only has no
    names.
    """
    looked_at = [c.slice(0, _LOOKED_AT) for c in below]
    found = [as_numbers(c) if c.null_count < len(c) else None for c in looked_at]
    numeric = [numbers is not None for numbers in found]
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
        values = [c.to_numpy() for c in found if c is not None]
        unlike = _stand_out(numbered, values[len(over) - len(numbered) :])
        text = [is_new for number, is_new in zip(numeric, new, strict=True) if not number]
        named = not any(map(is_number, over)) or (unlike and all(text))
    if not named:
        return None
    # pandas calls a column of labels without a name 0, as it does the first one of numbers.
    return [
        f"column {i}" if not cell or (not number and cells.count(cell) > 1) else cell
        for i, (cell, number) in enumerate(zip(cells, numeric, strict=True), start=1)
    ]


def _stand_out(cells: list[str], below: list[np.ndarray]) -> bool:
    """Whether numbers in the first line are names, going by the numbers below each.

    They are if at least three of them rise or fall in equal steps, as no row below does; or are
    different whole numbers above columns each of which has fractions, such as wavelengths.
    """
    if len(cells) < 3 or not all(map(is_number, cells)):
        return False
    names = np.array(cells, np.float64)
    rows = np.stack(below, axis=1)
    if (names % 1 == 0).all() and len(set(cells)) == len(cells):
        with np.errstate(invalid="ignore"):
            if (rows % 1 > 0).any(axis=0).all():
                return True
    return _in_steps(names[None])[0] and not _in_steps(rows).any()


def _in_steps(rows: np.ndarray) -> np.ndarray:
    """Whether the numbers of each row rise, or fall, in equal steps; (n, d) to (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(rows, axis=1)
        error = 1e-9 * np.abs(rows).max(axis=1, keepdims=True)
        return (steps[:, 0] != 0) & (np.abs(steps - steps[:, :1]) <= error).all(axis=1)
