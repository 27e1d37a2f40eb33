"""Silhouettes that need no pairs, of vectors that need not fit in memory: one pass over them.

The formulas are those of `jaxiso.metrics.host_labels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxiso.data.rows import BLOCK
from jaxiso.metrics.host import EPS, scores, squared_distances
from jaxiso.score.clusters import Groups, labelled
from jaxiso.score.streaming import Cloud


class OfPoints(NamedTuple):
    """Silhouettes of single vectors; NaN of one that has no direction, under cosine.

    Attributes:
        squared: (n,) under squared Euclidean distance, or of unit vectors cosine distance.
        simplified: (n,) from distances to centroids.
        rows: (m,) the vectors that were chosen, without those that have no direction.
        without: (2, B, m) the squared and the simplified ones of these, without each block.
    """

    squared: np.ndarray
    simplified: np.ndarray
    rows: np.ndarray
    without: np.ndarray


def silhouettes(
    cloud: Cloud, codes: np.ndarray, of: Groups, metric: str, chosen: np.ndarray | None = None
) -> OfPoints:
    """One pass of n·d·K work: exact silhouettes, and simplified ones.

    Args:
        cloud: the vectors.
        codes: (n,) their labels.
        of: their groups, of unit vectors if the metric is cosine.
        metric: "euclidean", "sqeuclidean" or "cosine". The simplified silhouette is of this one;
            under cosine of the distances to the centroids' directions.
        chosen: numbers of vectors, rising, whose silhouettes are also taken without each of the
            blocks that the groups know: m·d·K·B work for m of them. None by default.
    """
    first, size = cloud.part.start, cloud.part.stop - cloud.part.start
    found, scored = np.full((2, size), np.nan), _scorer(of, metric)
    chosen = np.zeros(0, np.int64) if chosen is None else chosen
    kept, vectors = [np.zeros(0, np.int64)], [np.zeros((0, cloud.d))]
    for numbers, x, labels in labelled(cloud, codes, of.unit, "silhouettes"):
        found[:, numbers - first] = scored(x, labels)
        some = np.isin(numbers, chosen, assume_unique=True)
        kept.append(numbers[some])
        vectors.append(x[some])
    rows, x = np.concatenate(kept), np.concatenate(vectors)
    without = np.zeros((len(of.without), 2, len(rows)))
    for j, groups in enumerate(of.without):
        without[j] = _scorer(groups, metric)(x, codes[rows])
    gather = cloud.part.gather
    moved = np.moveaxis(gather(np.ascontiguousarray(without.T)), 0, -1)
    squared, simplified = gather(found.T).T
    return OfPoints(squared, simplified, gather(rows), moved)


def _scorer(of: Groups, metric: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of (b, d) vectors and their (b,) labels: (2, b) squared and simplified ones."""
    used, own = of.counts > 0, of.counts / np.maximum(of.counts - 1, 1)
    references = _References(of.centroids, of.unit)
    # Unit vectors are rounded, so that the same direction comes in several.
    smallest = (8 * EPS) ** 2 if of.unit else 0.0
    step = max(1, BLOCK // max(of.centroids.shape))

    def scored(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        found = np.empty((2, len(x)))
        order = np.argsort(labels, kind="stable")
        for start in range(0, len(order), step):
            some = order[start : start + step]
            mine, rows = labels[some], np.arange(len(some))
            squares, near = references.squares(x[some], mine)
            if near is None:
                near = np.sqrt(squares) if metric == "euclidean" else squares.copy()
            squares += of.spread
            squares[squares <= smallest] = 0
            for row, distances, share in ((0, squares, own[mine]), (1, near, 1.0)):
                cohesion = distances[rows, mine] * share
                distances[rows, mine] = np.inf
                if not used.all():
                    distances[:, ~used] = np.inf
                found[row, some] = scores(cohesion, distances.min(axis=1), of.counts[mine] > 1)
        return found

    return scored


class _References:
    """Squared distances to the centroids of all labels; of unit vectors also to their directions.

    With y = x - c_p from the centroid of its own label it is ‖y‖² + 2·y·(c_p - r) + ‖c_p - r‖² to a
    reference r, which is a centroid c_q or its direction c_q / ‖c_q‖: one product y·c_q for both.
    """

    def __init__(self, centroids: np.ndarray, unit: bool) -> None:
        # Only differences matter, and those of numbers near zero lose least.
        self._middle = np.zeros(centroids.shape[1]) if unit else centroids.mean(axis=0)
        self._centroids = centroids - self._middle
        self._references, self._shares = [self._centroids], [np.ones(len(centroids))]
        if unit:
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
