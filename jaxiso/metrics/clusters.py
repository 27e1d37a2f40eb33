"""Measures of how well labels are clusters in linear time: Calinski-Harabasz and Davies-Bouldin.

They compare points with the centroids of their labels and cost O(n·d); names, argument order and
conventions are scikit-learn's. Both ignore where the points are and how large they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import lengths, only_clusters, to_unit_size
from jaxiso.metrics.blocks import ROUNDING
from jaxiso.metrics.host import EPS, squared_distances
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.moments import ROWS, origin
from jaxiso.metrics.points import BLOCK, Labels, OnMesh, Points, metric


@metric(translate=True, scale=True, host=lambda X, **y: _on_host(X, **y).calinski_harabasz())
def calinski_harabasz_score(
    X: Points, labels: Labels, *, num_labels: int | None = None, mesh: OnMesh = None
) -> Float[Array, ""]:
    """Calinski-Harabasz score: dispersion between clusters over dispersion within; high is good.

    Σ n_k·‖c_k - c‖² / (K - 1) over Σ ‖x - c_k‖² / (n - K). Differentiable in X; usable under `jit`,
    `vmap` and `grad`. Costs O(n·d).

    Args:
        X: points, shape (n, d).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.
        num_labels: K, if labels are codes 0 to K - 1, which may then be traced and need not all
            occur.
        mesh: devices that share the points, as in `jaxiso.metrics.isotropy.isoscore`.

    Returns:
        A scalar, at least 0; as in scikit-learn 1 if every cluster is a single place. NaN for
        codes of which fewer than two occur, or all are different.

    Raises:
        ValueError: as scikit-learn does: NaN or infinite points, lengths that differ, 1 distinct
            label or as many as points; or a label that is missing.

    Reference: Caliński and Harabasz (1974), "A dendrite method for cluster analysis".

    Example:
        >>> float(calinski_harabasz_score([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]))
        50.0
    """
    rows = mesh or ALL
    clusters = Clusters.of(to_unit_size(X, rows), labels, num_labels, rows)
    weight, n = clusters.counts[:, None], jnp.sum(clusters.counts)
    used = jnp.sum(clusters.counts > 0).astype(X.dtype)
    from_first = clusters.away_from(0)
    away = from_first - jnp.sum(weight / n * from_first, axis=0, keepdims=True)
    between = jnp.sum(weight * away**2) / (used - 1)
    within = jnp.sum(rows.sum(clusters.offsets**2)) / (n - used)
    score = jnp.where(within > 0, between / jnp.where(within > 0, within, 1), 1)
    return only_clusters(score, clusters.counts, rows.number(X))


@metric(translate=True, scale=True, host=lambda X, **y: _on_host(X, **y).davies_bouldin())
def davies_bouldin_score(
    X: Points, labels: Labels, *, num_labels: int | None = None, mesh: OnMesh = None
) -> Float[Array, ""]:
    """Davies-Bouldin score: how much each cluster overlaps its most similar one; low is good.

    The mean over clusters k of the largest (s_k + s_l) / ‖c_k - c_l‖, where s is the mean distance
    of the points to their centroid c. Arguments and errors are those of `calinski_harabasz_score`.
    Costs O(n·d + K²·d) time and O(n·d + K²) memory.

    Returns:
        A scalar, at least 0. Clusters on the same centroid are not compared, as in scikit-learn;
        where it calls distances of up to 1e-8 zero, here it is those of rounding errors.

    Reference: Davies and Bouldin (1979), "A Cluster Separation Measure".

    Example:
        >>> float(davies_bouldin_score([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]))
        0.20000000298023224
    """
    rows = mesh or ALL
    clusters = Clusters.of(to_unit_size(X, rows), labels, num_labels, rows)
    spreads = lengths(clusters.offsets)[:, None]
    radii = _mean_by_label(spreads, labels, clusters.counts, rows)[:, 0]
    used = clusters.counts > 0
    smallest = ROUNDING * float(jnp.finfo(X.dtype).eps)

    def most_similar(cluster):
        distance = lengths(clusters.away_from(cluster))
        both = radii + radii[cluster]
        compared = used & (distance > smallest * both)
        return jnp.max(jnp.where(compared, both / jnp.where(compared, distance, 1), 0))

    # One cluster at a time: k × d differences, not k × k × d.
    worst = jax.lax.map(most_similar, jnp.arange(len(radii), dtype=jnp.int32))
    score = jnp.sum(jnp.where(used, worst, 0)) / jnp.sum(used).astype(X.dtype)
    return only_clusters(score, clusters.counts, rows.number(X))


class Clusters(NamedTuple):
    """Points relative to their centroids, which are sums of a rounded part and what it lacks.

    Both parts are needed where centroids are far from the origin, or closer to each other than the
    points are to them. Points in one place have offsets of exactly zero.
    """

    offsets: Float[Array, "n d"]
    rounded: Float[Array, "k d"]
    rest: Float[Array, "k d"]
    counts: Float[Array, " k"]

    @classmethod
    def of(cls, points: Array, codes: Array, k: int | None, rows: Rows = ALL) -> Clusters:
        """Of points of about unit size, and codes 0 to k - 1."""
        assert k is not None  # `points.metric` sees to it
        counts = _sum_by_label(jnp.ones_like(codes), codes, k, rows).astype(points.dtype)
        member = _members(points, codes, k, rows)
        rounded = member + _mean_by_label(points - member[codes], codes, counts, rows)
        offsets = points - rounded[codes]
        rest = _mean_by_label(offsets, codes, counts, rows)
        return cls(rows.only(offsets - rest[codes]), rounded, rest, counts)

    def away_from(self, cluster: int | Array) -> Float[Array, "k d"]:
        """From the centroid of one cluster to those of all."""
        rounded = self.rounded - self.rounded[cluster][None]
        return rounded + (self.rest - self.rest[cluster][None])


def _members(points: Array, codes: Array, k: int, rows: Rows) -> Float[Array, "k d"]:
    """A point of each label: its first one, on the first device that has any."""
    numbers = rows.only(jnp.arange(len(codes), dtype=jnp.int32), fill=len(codes))
    first = jax.ops.segment_min(numbers, codes, k)
    mine = points[jnp.minimum(first, len(points) - 1)]
    if rows.axis is None:
        return mine
    device = jax.lax.axis_index(rows.axis)
    owner = rows.min(jnp.where(first < len(codes), device, jax.lax.axis_size(rows.axis)))
    return rows.everywhere(jnp.where((owner == device)[:, None], mine, 0))


def _sum_by_label(values: Array, codes: Array, k: int, rows: Rows) -> Array:
    return rows.everywhere(jax.ops.segment_sum(rows.only(values), codes, k))


def _mean_by_label(values: Array, codes: Array, counts: Array, rows: Rows) -> Float[Array, "k d"]:
    return _sum_by_label(values, codes, len(counts), rows) / jnp.maximum(counts, 1)[:, None]


@dataclass(frozen=True)
class HostClusters:
    """The same of clusters in double precision on the host, and their scores.

    Attributes:
        counts: points of each label, shape (k,).
        centroids: shape (k, d); those of labels without points do not matter.
        spread: the mean squared distance of a label's points to their centroid, shape (k,).
        radii: the mean distance, shape (k,).
    """

    counts: np.ndarray
    centroids: np.ndarray
    spread: np.ndarray
    radii: np.ndarray

    def calinski_harabasz(self) -> float:
        """As `calinski_harabasz_score`."""
        n, used = self.counts.sum(), self.counts > 0
        if not 1 < (k := np.count_nonzero(used)) < n:
            return float("nan")
        counts, centroids = self.counts[used], self.centroids[used]
        away = centroids - centroids[0]
        away -= counts @ away / n
        between, within = counts @ np.sum(away**2, axis=1), self.counts @ self.spread
        return float(between / (k - 1) / (within / (n - k))) if within > 0 else 1.0

    def davies_bouldin(self) -> float:
        """As `davies_bouldin_score`."""
        n, used = self.counts.sum(), self.counts > 0
        if not 1 < (k := np.count_nonzero(used)) < n:
            return float("nan")
        centroids, radii = self.centroids[used], self.radii[used]
        centroids = centroids - centroids.mean(axis=0)
        worst, step = np.zeros(k), max(1, BLOCK // k)
        for start in range(0, k, step):
            some = slice(start, start + step)
            distances = np.sqrt(squared_distances(centroids[some], centroids))
            both = radii[some, None] + radii
            compared = distances > np.sqrt(n) * ROUNDING * EPS * both
            ratios = np.divide(both, distances, out=np.zeros_like(both), where=compared)
            worst[some] = ratios.max(axis=1)
        return float(worst.mean())


def _on_host(X: np.ndarray, labels: np.ndarray, num_labels: int) -> HostClusters:
    """Of finite points on the host, and codes 0 to num_labels - 1."""
    counts = np.bincount(labels, minlength=num_labels)
    ends, used = np.cumsum(counts), np.flatnonzero(counts)
    by_label = np.split(np.argsort(labels, kind="stable"), ends[used[:-1]])
    centroids, sums = np.empty((len(used), X.shape[1])), np.empty((2, len(used)))
    middle = origin(X)
    for number, rows in enumerate(by_label):
        centroids[number], sums[:, number] = _around_centroid(X, rows, middle)
    counts = counts[used]
    return HostClusters(counts, centroids, *(sums / counts))


def _around_centroid(
    X: np.ndarray, rows: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """The centroid of some points, and the sums of their squared distances, and distances, to it.

    Relative to one of them, so that points in one place have distances of exactly zero.
    """
    member = X[rows[0]].astype(np.float64)

    def offsets() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), ROWS):
            x = X[rows[start : start + ROWS]].astype(np.float64)
            x -= member
            yield x

    few = list(offsets()) if len(rows) <= ROWS else None
    rest = sum(x.sum(axis=0) for x in few or offsets()) / len(rows)
    squared = distances = 0.0
    for x in few or offsets():
        x -= rest
        squares = np.einsum("ij,ij->i", x, x)
        squared += squares.sum()
        distances += np.sqrt(squares).sum()
    return (member - middle) + rest, (squared, distances)
