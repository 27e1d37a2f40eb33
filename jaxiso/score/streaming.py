"""What all vectors of one file add up to, in passes over their blocks.

What a pass needs of memory is a block, d × d or labels × d numbers, and a few numbers a vector.
With several processes, sums are added up over all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxiso.metrics.moments import unit_rows
from jaxiso.score.cloud import Cloud, Part


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
