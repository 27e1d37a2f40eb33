"""Exact silhouettes in NumPy and float64, from all pairs: of few points, of sparse ones, or given.

Few points cost less here than the compiling of a program. As in `jaxiso.metrics.blocks`, points
are taken relative to a reference point of their label, so that clusters may be as tight as they
like.

Each function here prepares points once and returns a function of rows, which gives the silhouettes
of those points, against all points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxiso.metrics.blocks import ROUNDING
from jaxiso.metrics.moments import origin
from jaxiso.metrics.points import BLOCK, in_double, squares_in_range

# The silhouettes of some rows; of all in their order if None.
Silhouettes = Callable[[np.ndarray | None], np.ndarray]

EPS = float(np.finfo(np.float64).eps)

# Numbers of a block of distances that is worked on at once: 512 KB, which stay in a core's cache.
CHUNK = 2**16

# Up to this many multiplications all pairs are compared here: a few tenths of a second.
WORK = 2**32


def is_small(n: int, d: int) -> bool:
    """Whether all pairs are compared faster here than a program for them is compiled."""
    return n**2 <= BLOCK and n**2 * d <= WORK


def as_double(points: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Points in float64, times a power of two where their squares would leave its range.

    Whole numbers that it does not hold are moved, all alike.
    """
    if points.dtype.kind in "iu" and points.dtype.itemsize == 8:
        return in_double(points, translate=True, scale=False)
    if points.dtype.itemsize > 8:
        points = in_double(points, translate=True, scale=True)
    points = points.astype(np.float64, copy=False)
    if squares_in_range(points):
        return points
    return in_double(points, translate=False, scale=True)


def scores(cohesion: np.ndarray, separation: np.ndarray, defined: Any = True) -> np.ndarray:
    """(separation - cohesion) / max of both; 0 if not defined, as for points all in one place."""
    largest = np.maximum(cohesion, separation)
    defined = defined & (largest > 0) & np.isfinite(separation)
    return np.where(defined, (separation - cohesion) / np.where(defined, largest, 1), 0)


def from_sums(
    sums: Float[np.ndarray, "m k"], codes: Int[np.ndarray, " m"], counts: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " m"]:
    """Silhouettes from the sums of distances to each label; labels without points do not count."""
    rows = np.arange(len(sums))
    cohesion = sums[rows, codes] / np.maximum(counts[codes] - 1, 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    means[rows, codes] = np.inf
    return scores(cohesion, means.min(axis=1), counts[codes] > 1)


class ByLabel(NamedTuple):
    """The order of points by label.

    Attributes:
        order: the point in each place, shape (n,).
        place: the place of each point, the inverse of `order`.
        codes: the label of each place.
        counts: points of each label.
    """

    order: Int[np.ndarray, " n"]
    place: Int[np.ndarray, " n"]
    codes: Int[np.ndarray, " n"]
    counts: Int[np.ndarray, " k"]

    @classmethod
    def of(cls, codes: np.ndarray, k: int) -> ByLabel:
        """Of codes 0 to k - 1, of which some may not occur."""
        order = np.argsort(codes, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(order, place, codes[order], np.bincount(codes, minlength=k))

    def silhouettes(
        self, places: Int[np.ndarray, " m"], distances: Callable[[slice], np.ndarray]
    ) -> Float[np.ndarray, " m"]:
        """Silhouettes of the points in some places.

        Args:
            places: the places.
            distances: of a slice of them the distances to the points in all places.
        """
        used = np.flatnonzero(self.counts)
        starts = (np.cumsum(self.counts) - self.counts)[used]
        codes = np.searchsorted(used, self.codes[places])
        found = np.empty(len(places))
        step = max(1, CHUNK // len(self.order))
        for start in range(0, len(places), step):
            some = slice(start, min(start + step, len(places)))
            sums = np.add.reduceat(distances(some), starts, axis=1)
            found[some] = from_sums(sums, codes[some], self.counts[used])
        return found


def euclidean(x: Float[np.ndarray, "n d"], codes: Int[np.ndarray, " n"], k: int) -> Silhouettes:
    """Of few points: m·n·d multiplications and m·n numbers for m rows; half as many for all."""
    labels = ByLabel.of(codes, k)
    reference, y = around_members(x, labels)
    lengths = np.einsum("ij,ij->i", y, y)
    norms = towards(y, lengths, labels.codes, reference)
    by_label = np.ascontiguousarray(norms.T)

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        places = np.arange(len(x)) if rows is None else labels.place[rows]
        # Of all with all NumPy computes one half.
        products = (y if rows is None else y[places]) @ y.T

        def distances(some: slice) -> np.ndarray:
            mine = places[some]
            block = np.take(norms[mine], labels.codes, axis=1)
            block += by_label[labels.codes[mine]]
            block -= 2 * products[some]
            return roots(block, lengths[mine], lengths, (np.arange(len(mine)), mine))

        found = labels.silhouettes(places, distances)
        return found[labels.place] if rows is None else found

    return of


def rows_of_many(points: np.ndarray, codes: Int[np.ndarray, " n"], k: int) -> Silhouettes:
    """Of some of many points, from `sums_of_rows`."""
    sums, counts = sums_of_rows(points, codes, k), np.bincount(codes, minlength=k)

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        rows = np.arange(len(codes)) if rows is None else rows
        return from_sums(sums(rows), codes[rows], counts)

    return of


def sums_of_rows(
    points: np.ndarray, codes: Int[np.ndarray, " n"], k: int
) -> Callable[[np.ndarray], Float[np.ndarray, "m k"]]:
    """Sums of distances to the points of each label, as a function of rows.

    m·n·d multiplications and O(m·K) memory for m of them. Distances below 1e-8 of the points'
    distance from their midst are lost, which is less than the rounding of float32 points.
    """
    labels = ByLabel.of(codes, k)
    middle = origin(points)
    if points.dtype.kind in "iu" or points.dtype.itemsize > 4:
        points, middle = in_double(points, translate=True, scale=True), 0

    def of(rows: np.ndarray) -> np.ndarray:
        some = points[rows].astype(np.float64) - middle
        mine = np.einsum("ij,ij->i", some, some)
        sums = np.zeros((len(rows), k))
        step = max(1, BLOCK // max(some.shape))
        for start in range(0, len(codes), step):
            places = slice(start, start + step)
            x = points[labels.order[places]].astype(np.float64) - middle
            lengths = np.einsum("ij,ij->i", x, x)
            squares = some @ (-2 * x.T)
            squares += mine[:, None]
            squares += lengths
            at = labels.place[rows] - start
            here = np.flatnonzero((at >= 0) & (at < len(x)))
            found = roots(squares, mine, lengths, (here, at[here]))
            firsts = np.flatnonzero(np.diff(labels.codes[places], prepend=-1))
            sums[:, labels.codes[places][firsts]] += np.add.reduceat(found, firsts, axis=1)
        return sums

    return of


def around_members(x: np.ndarray, labels: ByLabel) -> tuple[np.ndarray, np.ndarray]:
    """The point of each label that is closest to its mean, and all points relative to theirs.

    Points and not means, so that differences of whole numbers are exact.
    """
    x = x[labels.order]
    ends = np.cumsum(labels.counts)
    used = np.flatnonzero(labels.counts)
    reference, y = np.zeros((len(ends), x.shape[1])), np.empty_like(x)
    for label in used:
        mine = slice(ends[label] - labels.counts[label], ends[label])
        offsets = x[mine] - x[mine.start]
        offsets -= offsets.mean(axis=0)
        reference[label] = x[mine.start + np.argmin(np.einsum("ij,ij->i", offsets, offsets))]
        np.subtract(x[mine], reference[label], out=y[mine])
    return reference, y


def towards(
    y: Float[np.ndarray, "m d"],
    lengths: Float[np.ndarray, " m"],
    codes: Int[np.ndarray, " m"],
    reference: Float[np.ndarray, "k d"],
) -> Float[np.ndarray, "m k"]:
    """‖y‖² + 2·y·(c_p - c_q) + ½·‖c_p - c_q‖² for points of label p and each label q.

    This is what a point adds to its squared distances to the points of each label
    (`jaxiso.metrics.blocks`).

    Args:
        y: points less the reference of their label.
        lengths: their squared lengths.
        codes: their labels, sorted.
        reference: the references; only their differences matter.
    """
    reference = reference - reference[codes[0]]
    along = y @ reference.T
    norms = along[np.arange(len(y)), codes][:, None] - along
    norms *= 2
    norms += lengths[:, None]
    mine, which = np.unique(codes, return_inverse=True)
    apart = np.empty((len(mine), len(reference)))
    for row, label in enumerate(mine):
        away = reference - reference[label]
        np.einsum("ij,ij->i", away, away, out=apart[row])
    apart /= 2
    norms += apart[which]
    return norms


def sparse_euclidean(x: Any, codes: Int[np.ndarray, " n"], k: int) -> Silhouettes:
    """Of points in a scipy.sparse array, which is not made dense: sparse products of all pairs.

    Distances below 1e-8 of the points' lengths are lost.
    """
    labels = ByLabel.of(codes, k)
    x = as_sparse(x)[labels.order]
    lengths = np.asarray(x.multiply(x).sum(axis=1)).ravel()
    columns = x.T.tocsc()

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        places = labels.place if rows is None else labels.place[rows]

        def distances(some: slice) -> np.ndarray:
            mine = places[some]
            block = (x[mine] @ columns).toarray()
            block *= -2
            block += lengths[mine][:, None] + lengths
            return roots(block, lengths[mine], lengths, (np.arange(len(mine)), mine))

        return labels.silhouettes(places, distances)

    return of


def as_sparse(x: Any) -> Any:
    """A scipy.sparse array as rows of float64 whose squares are in its range."""
    x = x.tocsr().astype(np.float64)
    size = np.abs(x.data).max() if x.nnz else 1
    return x * np.ldexp(1.0, -int(np.frexp(size)[1]))


def precomputed(distances: Any, codes: Int[np.ndarray, " n"], k: int) -> Silhouettes:
    """From given distances, n × n; in a sparse array those that are missing are 0."""
    labels = ByLabel.of(codes, k)

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        rows = np.arange(len(codes)) if rows is None else rows

        def block(some: slice) -> np.ndarray:
            mine = distances[rows[some]]
            mine = mine.toarray() if hasattr(mine, "toarray") else mine
            return mine[:, labels.order].astype(np.float64)

        return labels.silhouettes(labels.place[rows], block)

    return of


def roots(
    squares: Float[np.ndarray, "m n"],
    mine: Float[np.ndarray, " m"],
    lengths: Float[np.ndarray, " n"],
    itself: tuple[Int[np.ndarray, " s"], Int[np.ndarray, " s"]],
) -> Float[np.ndarray, "m n"]:
    """Distances from their squares, in place: zero where rounding cancels, and to a point itself.

    `mine` and `lengths` are squared lengths of the m and of the n points, `itself` the rows and
    columns in which a point meets itself.
    """
    squares[itself] = np.inf
    smallest = ROUNDING * EPS
    if squares.min() <= smallest * (mine.max() + lengths.max()):
        squares[squares <= smallest * (mine[:, None] + lengths)] = 0
    squares[itself] = 0
    return np.sqrt(squares, out=squares)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances from rows of a to rows of b."""
    size = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    found = size - 2 * a @ b.T
    # Of those that all but touch the product has lost much of the difference.
    close = found < 1e-3 * size
    for row in np.flatnonzero(close.any(axis=1)):
        away = b[close[row]] - a[row]
        found[row, close[row]] = np.einsum("ij,ij->i", away, away)
    return found
