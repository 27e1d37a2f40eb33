"""Vectors of one file in blocks of double precision, and what all of them add up to.

A file is read a few times, one block after another, and never held: what a pass needs of memory is
a block, d × d or labels × d numbers, and a few numbers a vector. Vectors in memory take the same
way. With several processes each one reads its own part of the rows, and sums are added up over all.
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
from jaxiso.metrics.moments import origin, unit_rows

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


class Moments(NamedTuple):
    """Sums over all vectors x relative to the origin, and over directions u = v / ‖v‖.

    Attributes:
        total: (d,) Σ x.
        gram: (d, d) Σ x·xᵀ; of few vectors (n, n), their products with each other.
        directions: (d,) Σ u, of those that are not zero.
        nonzero: number of those.
        fourth: Σ ‖x - x̄‖⁴.
    """

    total: np.ndarray
    gram: np.ndarray
    directions: np.ndarray
    nonzero: int
    fourth: float


def moments(cloud: Cloud) -> Moments:
    """One pass over the vectors; costs n·d·min(n, d) multiply-adds."""
    d, part = cloud.d, cloud.part
    total, cubes, directions, nonzero, fourth = np.zeros(d), np.zeros(d), np.zeros(d), 0, 0.0
    gram, few = np.zeros((d, d) if not cloud.few else (0, 0)), []
    for _, block in cloud.blocks("sums"):
        unit, directed = unit_rows(block)
        directions += unit.sum(axis=0)
        nonzero += int(directed.sum())
        block -= cloud.origin
        total += block.sum(axis=0)
        if cloud.few:
            few.append(block)
        else:
            gram += block.T @ block
            squares = np.einsum("ij,ij->i", block, block)
            cubes += squares @ block
            fourth += squares @ squares
    if cloud.few:
        x = np.concatenate(few)
        gram = x @ x.T
        x -= total / cloud.n
        fourth = (np.einsum("ij,ij->i", x, x) ** 2).sum()
    else:
        total, gram, cubes, fourth = (part.sum(one) for one in (total, gram, cubes, fourth))
        m = total / cloud.n
        fourth = fourth - 4 * m @ cubes + 4 * m @ gram @ m
        fourth += 2 * m @ m * np.trace(gram) - 3 * cloud.n * (m @ m) ** 2
    nonzero = int(part.sum(nonzero))
    return Moments(total, gram, part.sum(directions), nonzero, max(float(fourth), 0.0))


def eigenvalues(cloud: Cloud, of: Moments) -> np.ndarray:
    """Eigenvalues of the covariance, largest first, (min(n, d),); at least 0."""
    return np.linalg.eigvalsh(_centred_gram(cloud, of))[::-1].clip(0) / cloud.n


def _centred_gram(cloud: Cloud, of: Moments) -> np.ndarray:
    if cloud.few:
        mean = of.gram.mean(axis=0)
        return of.gram - mean - mean[:, None] + mean.mean()
    return of.gram - np.outer(of.total, of.total / cloud.n)


class Axes(NamedTuple):
    """The principal directions of vectors.

    Attributes:
        variances: (min(n, d),) along them, largest first; the eigenvalues of the covariance.
        vectors: (m, m) the directions, one a column; of few vectors (n, n) eigenvectors of their
            products with each other.
        middle: (d,) the mean of the vectors.
    """

    variances: np.ndarray
    vectors: np.ndarray
    middle: np.ndarray

    @classmethod
    def of(cls, cloud: Cloud, sums: Moments) -> Axes:
        """Costs about four times what `eigenvalues` alone cost."""
        squares, vectors = np.linalg.eigh(_centred_gram(cloud, sums))
        middle = cloud.origin + sums.total / cloud.n
        return cls(squares[::-1].clip(0) / cloud.n, vectors[:, ::-1], middle)

    def along(self, cloud: Cloud, where: slice, x: np.ndarray) -> np.ndarray:
        """The coordinates of a block of the cloud's vectors, (b, min(n, d)), centred."""
        if cloud.few:
            return self.vectors[where] * np.sqrt(self.variances * cloud.n)
        return (x - self.middle) @ self.vectors


def log_partitions(cloud: Cloud, of: Moments) -> np.ndarray:
    """Log Z of Mu & Viswanath for each eigenvector, and its negative, (2, d); a pass of n·d² work.

    As `jaxiso.metrics.directions.log_partitions`, of vectors as they are: not centred, nor scaled.
    """
    if cloud.few:
        (_, vectors), *others = cloud.blocks("partitions")
        vectors = np.concatenate([vectors, *(block for _, block in others)])
        values, left = np.linalg.eigh(vectors @ vectors.T)
        # With VVᵀu = σ²u, the eigenvector Vᵀu / σ of VᵀV has V(Vᵀu / σ) = σu; others have 0.
        along = left * np.sqrt(values.clip(0)) / cloud.scale
        sums = _LogSums.of(along)
        nowhere = np.full((2, cloud.d - cloud.n), np.log(cloud.n))
        return np.concatenate([nowhere, sums.logs()], axis=1)
    o, total = cloud.origin, of.total
    uncentred = of.gram + np.outer(total, o) + np.outer(o, total) + cloud.n * np.outer(o, o)
    vectors = np.linalg.eigh(uncentred)[1] / cloud.scale
    sums = None
    for _, block in cloud.blocks("partitions"):
        more = _LogSums.of(block @ vectors)
        sums = more if sums is None else sums.add(more)
    assert sums is not None
    return sums.over(cloud.part).logs()


class _LogSums(NamedTuple):
    """Σ exp(a) and Σ exp(-a) of columns a, (2, d) each, as the largest exponent and the rest."""

    largest: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, along: np.ndarray) -> _LogSums:
        largest = np.stack([along.max(axis=0), -along.min(axis=0)])
        work = along - largest[0]
        rest = [np.exp(work, out=work).sum(axis=0)]
        np.add(along, largest[1], out=work)
        np.negative(work, out=work)
        return cls(largest, np.stack([*rest, np.exp(work, out=work).sum(axis=0)]))

    def add(self, other: _LogSums) -> _LogSums:
        largest = np.maximum(self.largest, other.largest)
        mine, theirs = np.exp(self.largest - largest), np.exp(other.largest - largest)
        return _LogSums(largest, self.rest * mine + other.rest * theirs)

    def over(self, part: Part) -> _LogSums:
        largest, rest = part.gather(self.largest[None]), part.gather(self.rest[None])
        sums = _LogSums(largest[0], rest[0])
        for one in zip(largest[1:], rest[1:], strict=True):
            sums = sums.add(_LogSums(*one))
        return sums

    def logs(self) -> np.ndarray:
        return self.largest + np.log(self.rest)
