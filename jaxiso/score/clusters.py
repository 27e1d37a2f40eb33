"""How well labels are clusters, by what takes linear time: a few passes over the vectors.

The formulas are those of `jaxiso.metrics.clusters` and `jaxiso.metrics.host_labels`, in double
precision: distances are taken from centroids, and nothing cancels but what is small beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from jaxiso.data.rows import BLOCK
from jaxiso.metrics.host import EPS, scores
from jaxiso.score.streaming import Cloud, units


class Groups(NamedTuple):
    """The vectors of each label: how many they are, where, and how far from each other.

    Attributes:
        counts: (k,) vectors; under cosine only those that are not zero.
        centroids: (k, d), times the cloud's scale; those of a label without vectors do not matter.
        spread: (k,) the mean squared distance of its vectors to the centroid.
        radii: (k,) the mean distance.
        unit: whether vectors are taken to unit length first, as for cosines.
    """

    counts: np.ndarray
    centroids: np.ndarray
    spread: np.ndarray
    radii: np.ndarray
    unit: bool

    @classmethod
    def of(cls, cloud: Cloud, codes: np.ndarray, k: int, *, unit: bool = False) -> Groups:
        """Three passes, the first of them only until every label was seen."""
        seen, first = np.unique(codes, return_index=True)
        by_place = np.argsort(first)
        members = np.zeros((k, cloud.d))
        some = cloud.rows.take(first[by_place]).astype(np.float64) * cloud.scale
        members[seen[by_place]] = units(some)[0] if unit else some
        counts, totals = np.zeros(k), np.zeros((k, cloud.d))
        for _, x, mine in _blocks(cloud, codes, unit, "centroids"):
            # Relative to one of their own, so that a label in one place has its centroid there.
            x -= members[mine]
            onehot = sparse.csr_array((np.ones(len(mine)), mine, np.arange(len(mine) + 1)))
            onehot.resize(len(mine), k)
            totals += onehot.T @ x
            counts += np.bincount(mine, minlength=k)
        counts = cloud.part.sum(counts)
        centroids = members + cloud.part.sum(totals) / np.maximum(counts, 1)[:, None]
        squares, distances = np.zeros(k), np.zeros(k)
        for _, x, mine in _blocks(cloud, codes, unit, "spreads"):
            x -= centroids[mine]
            lengths = np.einsum("ij,ij->i", x, x)
            squares += np.bincount(mine, lengths, minlength=k)
            distances += np.bincount(mine, np.sqrt(lengths), minlength=k)
        spread, radii = (
            cloud.part.sum(sums) / np.maximum(counts, 1) for sums in (squares, distances)
        )
        return cls(counts.astype(np.int64), centroids, spread, radii, unit)

    def calinski_harabasz(self) -> float:
        """As `jaxiso.calinski_harabasz_score`."""
        n, used = self.counts.sum(), np.count_nonzero(self.counts)
        weights = self.counts[:, None]
        from_first = self.centroids - self.centroids[0]
        away = from_first - (weights * from_first).sum(axis=0) / n
        between = (weights * away**2).sum() / (used - 1)
        within = (self.counts * self.spread).sum() / (n - used)
        return float(between / within) if within > 0 else 1.0

    def davies_bouldin(self) -> float:
        """As `jaxiso.davies_bouldin_score`; K²·d work."""
        worst = np.zeros(len(self.counts))
        for label, centroid in enumerate(self.centroids):
            distances = np.sqrt(((self.centroids - centroid) ** 2).sum(axis=1))
            both = self.radii + self.radii[label]
            compared = (self.counts > 0) & (distances > 4 * EPS * both)
            worst[label] = (both[compared] / distances[compared]).max(initial=0)
        return float(worst[self.counts > 0].mean())


class OfPoints(NamedTuple):
    """Silhouettes of single vectors; NaN of one that has no direction, under cosine.

    Attributes:
        squared: (n,) under squared Euclidean distance, or of unit vectors cosine distance.
        simplified: (n,) from distances to centroids.
    """

    squared: np.ndarray
    simplified: np.ndarray


def silhouettes(cloud: Cloud, codes: np.ndarray, of: Groups, metric: str) -> OfPoints:
    """One pass of n·d·K work: exact silhouettes, and simplified ones.

    Args:
        cloud: the vectors.
        codes: (n,) their labels.
        of: their groups, of unit vectors if the metric is cosine.
        metric: "euclidean", "sqeuclidean" or "cosine". The simplified silhouette is of this one;
            under cosine of the distances to the centroids' directions.
    """
    mine = slice(cloud.part.start, cloud.part.stop)
    found = np.full((2, mine.stop - mine.start), np.nan)
    used, own = of.counts > 0, of.counts / np.maximum(of.counts - 1, 1)
    references = _References(of.centroids, of.unit)
    # Unit vectors are rounded, so that the same direction comes in several.
    smallest = (8 * EPS) ** 2 if of.unit else 0.0
    for where, x, labels in _blocks(cloud, codes, of.unit, "silhouettes"):
        step = max(1, BLOCK // max(len(used), cloud.d))
        order = np.argsort(labels, kind="stable")
        for start in range(0, len(order), step):
            some = order[start : start + step]
            mine_codes, rows = labels[some], np.arange(len(some))
            squares, near = references.squares(x[some], mine_codes)
            if near is None:
                near = np.sqrt(squares) if metric == "euclidean" else squares.copy()
            squares += of.spread
            squares[squares <= smallest] = 0
            for row, distances, share in ((0, squares, own[mine_codes]), (1, near, 1.0)):
                cohesion = distances[rows, mine_codes] * share
                distances[rows, mine_codes] = np.inf
                if not used.all():
                    distances[:, ~used] = np.inf
                value = scores(cohesion, distances.min(axis=1), of.counts[mine_codes] > 1)
                found[row, where[some] - mine.start] = value
    return OfPoints(*cloud.part.gather(found.T).T)


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
            directions, directed = units(centroids)
            lengths = np.sqrt(np.einsum("ij,ij->i", centroids, centroids))
            self._references.append(directions)
            self._shares.append(np.where(directed, 1 / np.where(directed, lengths, 1), 0))
        every = len(centroids) ** 2 <= BLOCK
        self._apart = [_apart(self._centroids, r) for r in self._references] if every else None

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
                squares = _apart(self._centroids[labels], reference)[which]
            squares += own[:, None]
            squares -= product * (2 * self._shares[number])
            found.append(np.maximum(squares, 0, out=squares))
        return found[0], found[1] if len(found) > 1 else None


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances from rows of a to rows of b."""
    size = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    found = size - 2 * a @ b.T
    # Of those that all but touch the product has lost the difference.
    close = found < 1e-6 * size
    for row in np.flatnonzero(close.any(axis=1)):
        away = b[close[row]] - a[row]
        found[row, close[row]] = np.einsum("ij,ij->i", away, away)
    return found


def _blocks(
    cloud: Cloud, codes: np.ndarray, unit: bool, what: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The numbers of vectors, themselves and their labels; of unit length, then without zeros."""
    for where, x in cloud.blocks(what):
        numbers = np.arange(where.start, where.stop)
        if unit:
            x, directed = units(x)
            if not directed.all():
                numbers, x = numbers[directed], x[directed]
        yield numbers, x, codes[numbers]
