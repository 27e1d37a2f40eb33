"""Silhouettes that need no pairs, in NumPy and float64: a block of points after the other.

Squared Euclidean distances of a point x to all points of label k add up to
n_k·‖x - c_k‖² + Σ_{j∈k} ‖x_j - c_k‖², in which c_k is the label's centroid and nothing cancels;
cosine distances are half of that for points of unit length. So all silhouettes cost O(n·d·K), and
no copy of the points is taken. Distances to centroids alone make the simplified silhouette.

As in `jaxiso.metrics.host`, `without_pairs` returns a function of rows; `scorer` is for points that
need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

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
    squared_distances,
)
from jaxiso.metrics.moments import unit_rows

# Numbers of a block of points, or of their distances to labels: 8 MB.
BLOCK = 2**20

SQUARED, SIMPLIFIED = "squared", "simplified"
"""Silhouettes of squared distances to all points, or of distances to centroids."""


def without_pairs(
    points: np.ndarray, codes: Int[np.ndarray, " n"], k: int, metric: str, *, simplified: bool
) -> Silhouettes:
    """Under "sqeuclidean" or "cosine" distance; simplified also under "euclidean".

    Raises a ValueError for a point that is zero, which has no direction.
    """
    read, labels = _reader(points, metric), ByLabel.of(codes, k)
    centroids, spread = _centroids(read, labels)
    kind = SIMPLIFIED if simplified else SQUARED
    scored = scorer(labels.counts, centroids, spread, metric, kind)

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        rows = np.arange(len(codes)) if rows is None else rows
        order, found = np.argsort(labels.place[rows]), np.empty(len(rows))
        for some in _blocks(order, centroids):
            found[some] = scored(read(rows[some]), codes[rows[some]])[0]
        return found

    return of


def _blocks(rows: np.ndarray, centroids: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BLOCK // max(centroids.shape))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _centroids(
    read: Callable[[np.ndarray], np.ndarray], labels: ByLabel
) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, " k"]]:
    """The centroid of each label, and the mean squared distance of its points to it; two passes."""
    k, counts = len(labels.counts), np.maximum(labels.counts, 1)
    ends = np.cumsum(labels.counts)
    first = read(labels.order[np.minimum(ends - labels.counts, len(labels.order) - 1)])
    totals, spread = np.zeros_like(first), np.zeros(k)
    # Relative to one of their points: centroids of points in one place are that place.
    for some in _blocks(labels.order, first):
        mine = labels.codes[labels.place[some]]
        starts = np.flatnonzero(np.diff(mine, prepend=-1))
        totals[mine[starts]] += np.add.reduceat(read(some) - first[mine], starts, axis=0)
    centroids = first + totals / counts[:, None]
    for some in _blocks(labels.order, first):
        mine = labels.codes[labels.place[some]]
        y = read(some) - centroids[mine]
        spread += np.bincount(mine, np.einsum("ij,ij->i", y, y), minlength=k)
    return centroids, spread / counts


def scorer(
    counts: Int[np.ndarray, " k"],
    centroids: Float[np.ndarray, "k d"],
    spread: Float[np.ndarray, " k"],
    metric: str,
    *kinds: str,
) -> Callable[[np.ndarray, np.ndarray], Float[np.ndarray, "kinds b"]]:
    """A function of (b, d) points, of unit length under cosine, and their (b,) labels.

    Args:
        counts: points of each label.
        centroids: of the labels; those of labels without points do not matter.
        spread: the mean squared distance of a label's points to its centroid.
        metric: as for `without_pairs`.
        kinds: `SQUARED`, `SIMPLIFIED` or both: which silhouettes it gives.
    """
    unit, used = metric == "cosine", counts > 0
    own = counts / np.maximum(counts - 1, 1)
    references = _References(centroids, unit and SIMPLIFIED in kinds)
    # Unit vectors are rounded, so that the same direction comes in several.
    smallest = (8 * EPS) ** 2 if unit else 0.0

    def scored(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        found = np.empty((len(kinds), len(x)))
        for some in _blocks(np.argsort(labels, kind="stable"), centroids):
            mine, rows = labels[some], np.arange(len(some))
            squares, near = references.squares(x[some], mine)
            for row, kind in enumerate(kinds):
                share, distances = 1.0, squares if near is None else near
                if kind == SQUARED:
                    share, distances = own[mine], squares + spread
                    distances[distances <= smallest] = 0
                else:
                    distances = np.sqrt(distances) if metric == "euclidean" else distances.copy()
                cohesion = distances[rows, mine] * share
                distances[rows, mine] = np.inf
                distances[:, ~used] = np.inf
                found[row, some] = scores(cohesion, distances.min(axis=1), counts[mine] > 1)
        return found

    return scored


class _References:
    """Squared distances to the centroids of all labels, and if asked for to their directions.

    With y = x - c_p from the centroid of its own label it is ‖y‖² + 2·y·(c_p - r) + ‖c_p - r‖² to a
    reference r, which is a centroid c_q or its direction c_q / ‖c_q‖: one product y·c_q for both.
    """

    def __init__(self, centroids: np.ndarray, directions: bool) -> None:
        # Only differences matter, and those of numbers near zero lose least.
        self._middle = np.zeros(centroids.shape[1]) if directions else centroids.mean(axis=0)
        self._centroids = centroids - self._middle
        self._references, self._shares = [self._centroids], [np.ones(len(centroids))]
        if directions:
            lengths = np.sqrt(np.einsum("ij,ij->i", centroids, centroids))
            self._vanished = lengths <= 8 * EPS
            shares = np.where(self._vanished, 0, 1 / np.where(self._vanished, 1, lengths))
            self._references.append(centroids * shares[:, None])
            self._shares.append(shares)
        every = len(centroids) ** 2 <= BLOCK
        self._apart = None
        if every:
            self._apart = [squared_distances(self._centroids, r) for r in self._references]

    def squares(self, x: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(b, k) to centroids and to directions, of vectors sorted by label."""
        y = x - self._middle - self._centroids[codes]
        product = y @ self._centroids.T
        own = 2 * product[np.arange(len(y)), codes] + np.einsum("ij,ij->i", y, y)
        labels, which = codes, None
        if self._apart is None:
            labels, which = np.unique(codes, return_inverse=True)
        found = []
        for number, reference in enumerate(self._references):
            if self._apart is not None:
                squares = self._apart[number][codes]
            else:
                squares = squared_distances(self._centroids[labels], reference)[which]
            squares += own[:, None]
            squares -= product * (2 * self._shares[number])
            found.append(np.maximum(squares, 0, out=squares))
        if len(found) == 1:
            return found[0], None
        found[1][:, self._vanished] = 2  # no direction: at a right angle to all
        return found[0], found[1]


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
    """Those of points in a scipy.sparse array, which is not made dense.

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
