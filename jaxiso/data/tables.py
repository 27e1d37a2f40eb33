"""Files with named columns: .csv, .tsv (also .gz) and .parquet."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from jaxiso.data.arrays import ArrayFile, Kind, open_arrays
from jaxiso.data.sources import shorten
from jaxiso.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

ARRAYS = (".npy", ".npz", ".safetensors")
COLUMNS = (".csv", ".tsv", ".parquet")


class ColumnFile:
    """A file of columns, read one at a time.

    Attributes:
        path: the file.
        names: its columns.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        read: Callable[[str], pa.ChunkedArray],
        line: Callable[[int], str],
    ):
        self.path, self.names = path, tuple(schema.names)
        self._schema, self._read, self._line = schema, read, line

    def kind(self, name: str) -> Kind:
        """What the column can serve as; from its type, without reading it."""
        found = self._schema.field(name).type
        if _is_list(found) and _is_number(found.value_type):
            return "vectors"
        return "numbers" if _is_number(found) else "other"

    def numbers(self, name: str) -> np.ndarray:
        """A column of numbers, (n,), or of lists of as many numbers each, (n, d).

        Raises:
            InputError: an empty cell, or lists of different lengths.
        """
        import pyarrow as pa

        with _reading(self.path):
            column = self._read(name)
            self._no_empty(column, name, 0)
            if not _is_list(column.type):
                column = column if pa.types.is_floating(column.type) else column.cast(pa.float64())
                return column.to_numpy()
            return self._matrix(column, name)

    def _matrix(self, column: pa.ChunkedArray, name: str) -> np.ndarray:
        import pyarrow as pa
        import pyarrow.compute as pc

        blocks, start, width = [], 0, None
        for chunk in column.chunks:
            lengths = pc.call_function("list_value_length", [chunk]).to_numpy()
            width = int(lengths[0]) if width is None and len(lengths) else width
            other = np.flatnonzero(lengths != width)
            if len(other):
                row = int(other[0])
                raise InputError(
                    f"{self.where(name, start + row)}: {name!r} has {lengths[row]} numbers, the "
                    f"rows before have {width}; vectors must be of one length"
                )
            flat = chunk.flatten()
            self._no_empty(flat, name, start, width or 1)
            flat = flat if pa.types.is_floating(flat.type) else flat.cast(pa.float64())
            numbers = flat.to_numpy(zero_copy_only=False)
            blocks.append(numbers.reshape(len(chunk), width or 0))
            start += len(chunk)
        return np.concatenate(blocks) if blocks else np.zeros((0, 0))

    def _no_empty(self, values: Any, name: str, start: int, width: int = 1) -> None:
        if values.null_count:
            first = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
            place = self.where(name, start + first // width)
            raise InputError(f"{place}: {name!r} is empty; every vector needs all its numbers")

    def values(self, name: str) -> list[Any]:
        """The column as Python values; None where it is empty."""
        with _reading(self.path):
            return self._read(name).to_pylist()

    def check_cells(self, name: str) -> None:
        """Refuses a column that was meant to be numbers: less than half of its cells are none.

        A single cell that is no number makes a column one of words.

        Raises:
            InputError: names the first such cell.
        """
        cells = self.values(name)
        cells = [c.decode(errors="replace") if isinstance(c, bytes) else c for c in cells]
        wrong = [i for i, c in enumerate(cells) if isinstance(c, str) and not is_number(c)]
        if 0 < len(wrong) < len(cells) / 2:
            raise InputError(
                f"{self.where(name, wrong[0])}: {name!r} is {shorten(cells[wrong[0]])!r}, no "
                f"number, as are {len(wrong):,} of its {len(cells):,} cells; correct or delete them"
            )

    def where(self, name: str, row: int) -> str:
        """The place of a row as messages name it: a line, or in a .parquet file a row, from 1."""
        del name
        return self._line(row)


Table = ArrayFile | ColumnFile


def true_suffix(path: Path) -> str:
    """The suffix in lower case, without `.gz`; that of `.pq` as `.parquet`."""
    name = path.name.lower().removesuffix(".gz")
    return {".pq": ".parquet"}.get(Path(name).suffix, Path(name).suffix)


def open_table(path: Path, is_heading: Callable[[list[str]], bool] | None = None) -> Table:
    """Opens a file of arrays or columns, by its suffix.

    Args:
        path: a file with a suffix of `ARRAYS` or `COLUMNS`.
        is_heading: whether the first line of a .csv or .tsv file, in cells, names the columns; by
            default if none of its cells is a number.

    Raises:
        InputError: it cannot be read.
    """
    suffix = true_suffix(path)
    if path.suffix.lower() == ".gz" and suffix not in (".csv", ".tsv"):
        raise InputError(f"{path}: unpack it first (gunzip); {suffix} files are not read from .gz")
    if suffix in ARRAYS:
        return open_arrays(path)
    return _parquet(path) if suffix == ".parquet" else _delimited(path, is_heading or names_columns)


def names_columns(cells: list[str]) -> bool:
    """Whether the first line of a table of numbers names its columns.

    It does if no cell is a number, or if the cells are 0, 1, 2, …, as pandas numbers columns
    without names; with only two columns that is taken for data, unless it numbered the rows too.
    """
    numbered = cells[1:] if not cells[0] else cells
    if numbered == [str(i) for i in range(len(numbered))]:
        return len(numbered) > 2 or numbered is not cells
    return not any(map(is_number, cells))


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def _parquet(path: Path) -> ColumnFile:
    import pyarrow.parquet as pq

    def read(name: str) -> pa.ChunkedArray:
        with pq.ParquetFile(path) as file:
            return file.read(columns=[name]).column(0)

    with _reading(path):
        schema = pq.read_schema(path)
    _check_names(path, schema.names)
    return ColumnFile(path, schema, read, lambda row: f"{path}, row {row + 1}")


def _delimited(path: Path, is_heading: Callable[[list[str]], bool]) -> ColumnFile:
    """A .csv or .tsv file, read whole."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    with _reading(path):
        with _text(path) as file:
            first = file.readline(10_000_000)
        if not first.strip():
            raise InputError(f"{path}: the first line is empty; it must hold values or names")
        delimiter = "\t" if true_suffix(path) == ".tsv" else max(",;\t", key=first.count)
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter))]
        heading = is_heading(cells)
        names = [cell or f"column {i}" for i, cell in enumerate(cells, start=1)]
        if not heading:
            names = [f"column {i}" for i in range(1, len(cells) + 1)]
    _check_names(path, names)

    def line(row: int) -> str:
        rows = _Rows(path, delimiter)
        for number, _ in enumerate(rows, start=-heading):
            if number == row:
                break
        return f"{path}, line {rows.line_num}"

    with _reading(path):
        try:
            table = arrow.read_csv(
                path,
                read_options=arrow.ReadOptions(column_names=names, skip_rows=int(heading)),
                parse_options=arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=arrow.ConvertOptions(null_values=[""], strings_can_be_null=True),
            )
        except pa.ArrowInvalid:
            _find_ragged_row(path, delimiter, len(names))
            raise
    return ColumnFile(path, table.schema, table.column, line)


class _Rows(Iterator[list[str]]):
    """Rows of a .csv file that are not blank; `line_num` is the line of the last one."""

    def __init__(self, path: Path, delimiter: str):
        self._path, self._delimiter, self.line_num = path, delimiter, 0
        self._all = self._read()

    def _read(self) -> Iterator[list[str]]:
        with _text(self._path) as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            for cells in reader:
                if cells:
                    self.line_num = reader.line_num
                    yield cells

    def __next__(self) -> list[str]:
        return next(self._all)


def _text(path: Path) -> IO[str]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="")


def _find_ragged_row(path: Path, delimiter: str, width: int) -> None:
    """Names the line where a row has too many or too few cells, if that is what is wrong."""
    rows = _Rows(path, delimiter)
    for cells in rows:
        if len(cells) != width:
            raise InputError(
                f"{path}, line {rows.line_num}: it has {len(cells)} cells, the first line has "
                f"{width}; every line must have as many"
            )


def _check_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: two columns are called {twice[0]!r}; rename one of them")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns whatever a strange or damaged file leads to into one message."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # arrow's, gzip's and csv's have no common class
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read: {shorten(first)}") from error
