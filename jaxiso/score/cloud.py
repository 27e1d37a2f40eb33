"""Vectors of one file in blocks of double precision, which several processes may share.

A file is read a few times, one block after another, and never held. Vectors in memory take the same
way. With several processes each one reads its own part of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxiso.cli.console import Progress
from jaxiso.data.rows import Rows
from jaxiso.metrics.moments import origin

MANY = 2**26
"""Numbers whose passes take long enough for a progress bar."""
SOME = 1001
"""Rows at the start that tell where the vectors are."""


def part_of_process() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    return jax.process_index(), jax.process_count()


class Part(NamedTuple):
    """The rows that this process reads.

    Attributes:
        start: the first of them.
        stop: the one after the last.
        pooled: whether other processes have other rows.
    """

    start: int
    stop: int
    pooled: bool

    @classmethod
    def of(cls, n: int) -> Part:
        """The part of this process; parts are as even as they can be."""
        mine, parts = part_of_process()
        return cls(n * mine // parts, n * (mine + 1) // parts, parts > 1)

    def agreed(self, mine: float) -> float:
        """What the first process has, as where a time decides what to do next."""
        return float(self.gather(np.array([mine]))[0])

    def sum(self, mine: np.ndarray | float) -> np.ndarray:
        """The sum over all processes, to the last bit the same in each of them."""
        return self.gather(np.asarray(mine)[None]).sum(axis=0) if self.pooled else np.asarray(mine)

    def gather(self, mine: np.ndarray) -> np.ndarray:
        """The rows of all processes, in their order; each may have another number of them."""
        if not self.pooled:
            return mine
        mine = np.ascontiguousarray(mine)
        lengths = multihost_utils.process_allgather(np.array([len(mine)], np.int32)).ravel()
        # As bytes: JAX would round double precision to single.
        width = mine.dtype.itemsize * int(np.prod(mine.shape[1:]))
        data = np.zeros((int(lengths.max()), width), np.uint8)
        data[: len(mine)] = np.frombuffer(mine.tobytes(), np.uint8).reshape(len(mine), width)
        every = np.asarray(multihost_utils.process_allgather(data))
        every = every.reshape(len(lengths), *data.shape)
        parts = [part[:length] for part, length in zip(every, lengths, strict=True)]
        return np.frombuffer(np.concatenate(parts).tobytes(), mine.dtype).reshape(
            int(lengths.sum()), *mine.shape[1:]
        )


class Cloud:
    """Vectors, in blocks of float64, each of about unit size: times a power of two.

    Args:
        rows: the vectors, finite; n and d at least 2.
        quiet: no progress bars.
        pooled: whether several processes share the rows; else this one reads them all.

    Attributes:
        rows: the vectors as they are, n of d numbers.
        few: whether they are no more than their dimensions.
        part: the rows of this process.
    """

    def __init__(self, rows: Rows, *, quiet: bool = True, pooled: bool = True) -> None:
        self.rows, (self.n, self.d) = rows, rows.shape
        self._quiet = quiet or self.n * self.d < MANY
        # Fewer vectors than dimensions take no more memory than a covariance: all processes have
        # them all.
        self.few = self.n <= self.d
        alone = self.few or not pooled
        self.part = Part(0, self.n, pooled=False) if alone else Part.of(self.n)

    @cached_property
    def scale(self) -> float:
        """The power of two: 1, unless squares would leave the range of double precision."""
        if self.rows.dtype.kind == "f" and self.rows.dtype.itemsize <= 4:
            return 1.0
        largest = 0.0
        for block in self.rows.blocks(self.part.start, self.part.stop):
            # As numbers of their own type, the smallest whole number has no absolute value.
            largest = max(largest, float(block.max()), -float(block.min()))
        largest = float(self.part.gather(np.array([largest])).max())
        return 1.0 if 1e-60 < largest < 1e60 or largest == 0 else 2.0 ** -int(np.frexp(largest)[1])

    @cached_property
    def origin(self) -> np.ndarray:
        """(d,) a place in their midst, times `scale`."""
        some = min(self.n, SOME)
        first = np.concatenate([self._double(b) for b in self.rows.blocks(0, some)])
        return origin(first)

    def _double(self, block: np.ndarray) -> np.ndarray:
        block = block.astype(np.float64)
        return block if self.scale == 1.0 else block * self.scale

    def blocks(self, what: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields this process's vectors, times `scale`: where a block stands, and (b, d) numbers.

        They are not moved to the origin. The caller may change them in place.

        Args:
            what: is made of them, for the progress bar.
        """
        start, stop = self.part.start, self.part.stop
        with Progress(what, stop - start, unit="vectors", quiet=self._quiet) as progress:
            for block in self.rows.blocks(start, stop):
                yield slice(start, start + len(block)), self._double(block)
                start += len(block)
                progress.advance(len(block))

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Some vectors by their numbers in rising order, as `load` has them; of all processes."""
        low, high = np.searchsorted(numbers, [self.part.start, self.part.stop])
        return self.part.gather(self._single(self.rows.take(numbers[low:high])))

    def load(self) -> np.ndarray:
        """The vectors in one array (n, d), for measures that ignore a translation and the size.

        Those of other processes are zeros there, which take no memory until they are written to.
        Vectors in single precision at most are as they are, in that; others are moved to the origin
        before they are rounded to it.
        """
        loaded = np.zeros((self.n, self.d), np.float32)
        at = self.part.start
        for block in self.rows.blocks(self.part.start, self.part.stop):
            loaded[at : at + len(block)] = self._single(block)
            at += len(block)
        return loaded

    def _single(self, block: np.ndarray) -> np.ndarray:
        if block.dtype.kind == "f" and block.dtype.itemsize <= 4:
            return block.astype(np.float32, copy=False)
        return (self._double(block) - self.origin).astype(np.float32)
