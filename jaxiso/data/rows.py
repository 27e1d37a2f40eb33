"""Vectors of a file, read block by block: what is measured need not fit in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from jaxiso.data.arrays import reading
from jaxiso.data.columns import ColumnFile

BLOCK = 2**22
"""Numbers of a block at most, if a row has no more: 32 MB in double precision."""


class Rows(ABC):
    """Vectors, one a row: their sizes are known, the numbers are read when they are needed.

    Attributes:
        shape: (n, d); another number of dimensions where a file holds no vectors.
        dtype: of the numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yields the rows from `start` to `stop` in blocks (b, d) of at most `BLOCK` numbers.

        A block may change as soon as the next one is asked for. Raises InputError if the file
        cannot be read.
        """
        stop = len(self) if stop is None else stop
        size = max(1, BLOCK // max(self.shape[1], 1))
        for found in self._read(start, stop, size):
            for at in range(0, len(found), size):
                yield found[at : at + size]

    @abstractmethod
    def _read(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """The same in pieces of any size, about `size` rows."""

    def load(self, dtype: DTypeLike | None = None) -> np.ndarray:
        """All rows as one array of its own, (n, d), of `dtype` or as they are."""
        loaded = np.empty(self.shape, self.dtype if dtype is None else dtype)
        at = 0
        for block in self.blocks():
            loaded[at : at + len(block)] = block
            at += len(block)
        return loaded

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Some rows, (m, d), by their numbers in rising order; reads all up to the last of them."""
        found, start = [np.empty((0, self.shape[1]), self.dtype)], 0
        for block in self.blocks(0, int(indices[-1]) + 1 if len(indices) else 0):
            low, high = np.searchsorted(indices, [start, start + len(block)])
            if low < high:
                found.append(block[indices[low:high] - start])
            start += len(block)
        return np.concatenate(found)


class ArrayRows(Rows):
    """Rows of an array in memory."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def _read(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        for at in range(start, stop, size):
            yield self.array[at : min(at + size, stop)]

    def load(self, dtype: DTypeLike | None = None) -> np.ndarray:
        """The array itself where it has that type already."""
        return self.array if dtype is None else self.array.astype(dtype, copy=False)


class FileRows(Rows):
    """Rows that stand in a file one after the other, as in .npy.

    They are read, not mapped: the pages of a map would count as memory of this process.
    """

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype

    def _read(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        width = self.shape[1]
        with reading(self.path), self.path.open("rb") as file:
            file.seek(self.offset + start * width * self.dtype.itemsize)
            for at in range(start, stop, size):
                wanted = min(size, stop - at) * width
                numbers = np.fromfile(file, self.dtype, wanted)
                if len(numbers) != wanted:
                    raise ValueError("it became shorter while it was read")
                yield numbers.reshape(-1, width)


class ColumnRows(Rows):
    """Rows of a column of lists, or of several columns of numbers, read batch by batch.

    Args:
        table: one that has `batches`.
        names: the column of lists; or columns of numbers, which have been looked at.
    """

    def __init__(self, table: ColumnFile, names: Sequence[str]) -> None:
        assert table.n is not None
        self.table, self.names = table, list(names)
        some = self._pieces(0, min(1, table.n))
        first = next(some, np.empty((0, 0)))
        self.shape, self.dtype = (table.n, first.shape[1]), first.dtype

    def _read(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        del size
        at = start
        for block in self._pieces(start, stop, self.shape[1]):
            yield block
            at += len(block)
        if at != stop:
            with reading(self.table.path):
                raise ValueError(f"{at:,} rows, where {stop:,} should be")

    def _pieces(self, start: int, stop: int, width: int | None = None) -> Iterator[np.ndarray]:
        assert self.table.batches is not None
        with reading(self.table.path, f"column {self.names[0]!r}"):
            for batch in self.table.batches(self.names, start, stop):
                yield self._of_batch(batch, start, width)
                start += batch.num_rows

    def _of_batch(self, batch: Any, first: int, width: int | None) -> np.ndarray:
        name = self.names[0]
        if self.table.holds_vectors(name):
            return self.table.matrix(name, batch.column(name), first=first, width=width)
        return np.column_stack([self.table.floats(n, batch.column(n), first) for n in self.names])


class KeptRows(Rows):
    """Some of the rows of others, in their order.

    Args:
        rows: all of them.
        keep: (n,) bool, which ones.
    """

    def __init__(self, rows: Rows, keep: np.ndarray) -> None:
        self.rows, self.numbers = rows, np.flatnonzero(keep)
        self.shape, self.dtype = (len(self.numbers), *rows.shape[1:]), rows.dtype

    def _read(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        del size
        wanted = self.numbers[start:stop]
        if not len(wanted):
            return
        at = first = int(wanted[0])
        for block in self.rows.blocks(first, int(wanted[-1]) + 1):
            low, high = np.searchsorted(wanted, [at, at + len(block)])
            if low < high:
                yield block[wanted[low:high] - at]
            at += len(block)


def rows_of(table: Any, name: str) -> Rows:
    """The vectors of an opened file, read as late as its format allows.

    The table is as `jaxiso.data.tables.open_table` opens it, `name` an array, a field or a column
    of lists.

    Raises InputError if it cannot be read as vectors.
    """
    if isinstance(table, ColumnFile) and table.batches is not None and table.holds_vectors(name):
        return ColumnRows(table, [name])
    array = table.vectors(name)
    if isinstance(array, np.memmap) and array.ndim == 2 and array.flags.c_contiguous:
        return FileRows(table.path, array.offset, array.shape, array.dtype)
    return ArrayRows(array)
