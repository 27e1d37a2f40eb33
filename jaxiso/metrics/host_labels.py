"""Silhouettes that need no pairs, in NumPy and float64: a block of points after the other.

Squared Euclidean distances of a point x to all points of label k add up to
n_k·‖x - c_k‖² + Σ_{j∈k} ‖x_j - c_k‖², in which c_k is the label's centroid and nothing cancels;
cosine distances are half of that for points of unit length. So all silhouettes cost O(n·d·K), and
no copy of the points is taken. Distances to centroids alone make the simplified silhouette.

As in `jaxiso.metrics.host`, each function returns a function of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxiso.metrics.blocks import ROUNDING
from jaxiso.metrics.host import (
    EPS,
    ByLabel,
    Silhouettes,
    as_double,
    as_sparse,
    from_sums,
    scores,
    towards,
)
from jaxiso.metrics.moments import unit_rows

# Numbers of a block of points, or of their distances to labels: 8 MB.
BLOCK = 2**20


class Centroids(NamedTuple):
    """Points and what is known of their labels.

    Attributes:
        read: some of the points in float64, of unit length if the metric is the cosine.
        labels: their order by label.
        reference: the centroid of each label.
        spread: the mean squared distance of its points to it.
    """

    read: Callable[[np.ndarray], np.ndarray]
    labels: ByLabel
    reference: Float[np.ndarray, "k d"]
    spread: Float[np.ndarray, " k"]

    @classmethod
    def of(cls, points: np.ndarray, codes: np.ndarray, k: int, metric: str) -> Centroids:
        """Of checked points, two passes over them. Raises a ValueError if one has no direction."""
        read, labels = _reader(points, metric), ByLabel.of(codes, k)
        counts = np.maximum(labels.counts, 1)
        ends = np.cumsum(labels.counts)
        first = read(labels.order[np.minimum(ends - labels.counts, len(codes) - 1)])
        totals = np.zeros_like(first)
        self = cls(read, labels, first, np.zeros(k))
        # Relative to one of their points: centroids of points in one place are that place.
        for _, y, mine in self.offsets(labels.order):
            starts = np.flatnonzero(np.diff(mine, prepend=-1))
            totals[mine[starts]] += np.add.reduceat(y, starts, axis=0)
        self = self._replace(reference=first + totals / counts[:, None])
        spread = np.zeros(k)
        for _, y, mine in self.offsets(labels.order):
            spread += np.bincount(mine, np.einsum("ij,ij->i", y, y), minlength=k)
        return self._replace(spread=spread / counts)

    def offsets(
        self, rows: Int[np.ndarray, " m"]
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Of rows that are sorted by label, block by block: which, less their reference, labels."""
        codes = self.labels.codes[self.labels.place[rows]]
        step = max(1, BLOCK // max(self.reference.shape))
        for start in range(0, len(rows), step):
            some = slice(start, min(start + step, len(rows)))
            yield some, self.read(rows[some]) - self.reference[codes[some]], codes[some]

    def silhouettes(
        self, of_squares: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> Silhouettes:
        """A function of rows, from one of squared distances to the references, and labels."""

        def of(rows: np.ndarray | None = None) -> np.ndarray:
            rows = np.arange(len(self.labels.order)) if rows is None else rows
            by_label = np.argsort(self.labels.place[rows])
            found = np.empty(len(rows))
            for some, y, codes in self.offsets(rows[by_label]):
                lengths = np.einsum("ij,ij->i", y, y)
                squares = towards(y, lengths, codes, self.reference, 1.0)
                found[by_label[some]] = of_squares(np.maximum(squares, 0), codes)
            return found

        return of


def squared(points: np.ndarray, codes: Int[np.ndarray, " n"], k: int, metric: str) -> Silhouettes:
    """Under "sqeuclidean" or "cosine" distance.

    Raises:
        ValueError: a point is zero, which has no direction.
    """
    known = Centroids.of(points, codes, k, metric)
    counts = known.labels.counts
    # Unit vectors are rounded, so that the same direction comes in several.
    smallest = (8 * EPS) ** 2 if metric == "cosine" else 0.0

    def of_squares(squares: np.ndarray, codes: np.ndarray) -> np.ndarray:
        means = squares + known.spread
        means = np.where(means > smallest, means, 0)
        means[:, counts == 0] = np.inf
        rows = np.arange(len(codes))
        cohesion = means[rows, codes] * (counts / np.maximum(counts - 1, 1))[codes]
        means[rows, codes] = np.inf
        return scores(cohesion, means.min(axis=1), counts[codes] > 1)

    return known.silhouettes(of_squares)


def simplified(
    points: np.ndarray, codes: Int[np.ndarray, " n"], k: int, metric: str
) -> Silhouettes:
    """From distances to centroids; under cosine to their directions.

    Raises:
        ValueError: a point is zero, which has no direction.
    """
    known = Centroids.of(points, codes, k, metric)
    counts, vanished = known.labels.counts, None
    if metric == "cosine":
        size = np.linalg.norm(known.reference, axis=1, keepdims=True)
        vanished = (size <= 8 * EPS)[:, 0]
        known = known._replace(reference=known.reference / np.where(size > 8 * EPS, size, 1))

    def of_squares(squares: np.ndarray, codes: np.ndarray) -> np.ndarray:
        distances = np.sqrt(squares) if metric == "euclidean" else squares
        if vanished is not None:
            distances[:, vanished] = 2  # no direction: at a right angle to all
        distances[:, counts == 0] = np.inf
        rows = np.arange(len(codes))
        cohesion = distances[rows, codes]
        distances[rows, codes] = np.inf
        return scores(cohesion, distances.min(axis=1), counts[codes] > 1)

    return known.silhouettes(of_squares)


def _reader(points: np.ndarray, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    if metric == "cosine":
        return partial(_of_unit_length, points)
    if points.dtype.kind in "iu" or points.dtype.itemsize > 4:  # squares of others are in range
        points = as_double(points)
    return lambda rows: points[rows].astype(np.float64, copy=False)


def _of_unit_length(points: np.ndarray, rows: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m d"]:
    """Some points, in float64; raises the ValueError for one that is zero."""
    unit, directed = unit_rows(points[rows].astype(np.float64))
    if not directed.all():
        refuse_zero(int(rows[np.argmin(directed)]))
    return unit


def refuse_zeros(points: Any) -> None:
    """Raises the ValueError for points of which one is zero; names it where they are all here."""
    row = None
    if not isinstance(points, jax.Array) or points.is_fully_addressable:
        row = int(np.argmax(~np.asarray(points).any(axis=1)))
    refuse_zero(row)


def refuse_zero(row: int | None) -> None:
    """Raises the ValueError for a point without direction."""
    where = "" if row is None else f": points[{row}] is zero"
    raise ValueError(
        f"Cosine distance is not defined for zero vectors{where}. Leave them out, or choose "
        "metric='euclidean'."
    )


def sparse_squared(x: Any, codes: Int[np.ndarray, " n"], k: int, metric: str) -> Silhouettes:
    """`squared` of points in a scipy.sparse array, which is not made dense.

    From products with the totals of labels, so distances below 1e-8 of the points' lengths are
    lost.
    """
    x = as_sparse(x)
    lengths = np.asarray(x.multiply(x).sum(axis=1)).ravel()
    if metric == "cosine":
        if not lengths.all():
            refuse_zero(int(np.argmin(lengths)))
        x = x.multiply(1 / np.sqrt(lengths)[:, None]).tocsr()
        lengths = np.ones(len(lengths))
    counts = np.bincount(codes, minlength=k)
    entries = x.tocoo()
    totals = np.zeros((k, x.shape[1]))
    np.add.at(totals, (codes[entries.row], entries.col), entries.data)
    spread = np.bincount(codes, lengths, minlength=k)

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        rows = np.arange(len(codes)) if rows is None else rows
        found = np.empty(len(rows))
        step = max(1, BLOCK // k)
        for start in range(0, len(rows), step):
            mine = rows[start : start + step]
            size = lengths[mine][:, None] * counts + spread
            sums = size - 2 * (x[mine] @ totals.T)
            sums = np.where(sums > ROUNDING * EPS * size, sums, 0)
            found[start : start + step] = from_sums(sums, codes[mine], counts)
        return found

    return of
