"""Other measures of how well labels are clusters: Calinski-Harabasz, Davies-Bouldin and Dunn.

The first two compare points with the centroids of their labels and cost O(n·d); names, argument
order and conventions are scikit-learn's. Dunn's index looks at all pairs, tile by tile. All three
ignore where the points are and how large they are.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxiso.metrics.pairwise import (
    ROUNDING,
    Tiled,
    TilePlan,
    TileShape,
    as_plan,
    if_planned,
    in_tiles,
    over_pairs,
    shape_for,
)
from jaxiso.metrics.points import Labels, Points, lengths, metric, only_clusters, to_unit_size

# Up to this many dimensions distances come from differences, as points of one or two dimensions
# crowd so much that products would lose the smallest distance.
FEW_DIMENSIONS = 8


@metric(translate=True, scale=True)
def calinski_harabasz_score(
    X: Points, labels: Labels, *, num_labels: int | None = None
) -> Float[Array, ""]:
    """Calinski-Harabasz score: dispersion between clusters over dispersion within; high is good.

    Σ n_k·‖c_k - c‖² / (K - 1) over Σ ‖x - c_k‖² / (n - K). Differentiable in X; usable under `jit`,
    `vmap` and `grad`. Costs O(n·d).

    Args:
        X: points, shape (n, d).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.
        num_labels: K, if labels are codes 0 to K - 1, which may then be traced and need not all
            occur.

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
    clusters = Clusters.of(to_unit_size(X), labels, num_labels)
    weight = clusters.counts[:, None]
    n, used = len(X), jnp.sum(clusters.counts > 0).astype(X.dtype)
    from_first = clusters.away_from(0)
    away = from_first - jnp.sum(weight / n * from_first, axis=0, keepdims=True)
    between = jnp.sum(weight * away**2) / (used - 1)
    within = jnp.sum(clusters.offsets**2) / (n - used)
    score = jnp.where(within > 0, between / jnp.where(within > 0, within, 1), 1)
    return only_clusters(score, clusters.counts, n)


@metric(translate=True, scale=True)
def davies_bouldin_score(
    X: Points, labels: Labels, *, num_labels: int | None = None
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
    clusters = Clusters.of(to_unit_size(X), labels, num_labels)
    radii = _mean_by_label(lengths(clusters.offsets)[:, None], labels, clusters.counts)[:, 0]
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
    return only_clusters(score, clusters.counts, len(X))


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
    def of(cls, points: Array, codes: Array, k: int | None) -> Clusters:
        """Of points of about unit size, and codes 0 to k - 1."""
        assert k is not None  # `points.metric` sees to it
        counts = jnp.bincount(codes, length=k).astype(points.dtype)
        numbers = jnp.arange(len(points), dtype=jnp.int32)
        member = points[jnp.minimum(jax.ops.segment_min(numbers, codes, k), len(points) - 1)]
        rounded = member + _mean_by_label(points - member[codes], codes, counts)
        offsets = points - rounded[codes]
        rest = _mean_by_label(offsets, codes, counts)
        return cls(offsets - rest[codes], rounded, rest, counts)

    def away_from(self, cluster: int | Array) -> Float[Array, "k d"]:
        """From the centroid of one cluster to those of all."""
        rounded = self.rounded - self.rounded[cluster][None]
        return rounded + (self.rest - self.rest[cluster][None])


def _mean_by_label(values: Array, codes: Array, counts: Array) -> Float[Array, "k d"]:
    sums = jax.ops.segment_sum(values, codes, len(counts))
    return sums / jnp.maximum(counts, 1)[:, None]


@metric(translate=True, scale=True, plan=shape_for)
def dunn_index(
    X: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, ""]:
    """Dunn's index: the smallest distance between clusters over the largest within; high is good.

    The distance between the closest two points of different labels, over that between the farthest
    two points of the same label. Costs n²·d/2 multiply-adds and O(n·(d + K)) memory, no n × n
    array. Arguments and errors are those of `jaxiso.metrics.silhouette.silhouette_score`.

    Returns:
        A scalar, at least 0: 0 if two clusters share a place, else infinite if every cluster is a
        single place. In float32 and above 8 dimensions, pairs that are closer than 1e-3 of their
        clusters' spread may be mistaken for each other; the distance of the one taken is exact.

    Reference: Dunn (1974), "Well-Separated Clusters and Optimal Fuzzy Partitions".

    Example:
        >>> float(dunn_index([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]))
        4.0
    """
    points, tiles = to_unit_size(X), as_plan(plan, labels, num_labels)
    (_, near), (_, far) = _extreme_pairs(jax.lax.stop_gradient(points), tiles)
    separation = lengths(points[near[0]] - points[near[1]])
    diameter = lengths(points[far[0]] - points[far[1]])
    ratio = separation / jnp.where(diameter > 0, diameter, 1)
    index = jnp.where((diameter > 0) | (separation == 0), ratio, jnp.inf)
    return only_clusters(if_planned(index, tiles, labels), tiles.counts, len(X))


def _extreme_pairs(points: Array, plan: TilePlan):
    """The closest two points of different labels and the farthest two of the same.

    Squared distances from products cancel where they are small. So each point's closest one in a
    tile is found by them, but which of those is the closest of all is decided by differences.
    """
    tiled = Tiled.of(points, plan)
    x = in_tiles(points, plan)
    real = jnp.sum(plan.onehot, axis=2) > 0
    few = points.shape[1] <= FEW_DIMENSIONS
    error = 0 if few else 2 * ROUNDING * float(jnp.finfo(points.dtype).eps)

    def squares(a, b, both):
        if not few:
            return tiled.squares(a, b, both)
        return sum((p[:, None] - q[None, :]) ** 2 for p, q in zip(x[a].T, x[b].T, strict=True))

    def add(carry, a, b, both):
        block = squares(a, b, both)
        same = tiled.labels[a][:, None] == tiled.labels[b][None, :]
        pairs = real[a][:, None] & real[b][None, :]
        apart = jnp.where(pairs & ~same, block, jnp.inf)
        within = jnp.where(pairs & same, block, -1)
        # Which points they are takes longer than how far apart; most tiles have none to offer.
        unsure = error * (jnp.max(tiled.lengths[a]) + jnp.max(tiled.lengths[b]))
        (least, _), (most, _) = carry
        offers = (jnp.min(apart) - unsure < least) | (jnp.max(within) > most)
        return jax.lax.cond(offers, look, lambda *_: carry, carry, a, b, apart, within)

    def look(carry, a, b, apart, within):
        near, far = carry
        closest = jnp.argmin(apart, axis=1)
        exact = jnp.sum((x[a] - x[b][closest]) ** 2, axis=1)
        exact = jnp.where(jnp.isfinite(jnp.min(apart, axis=1)), exact, jnp.inf)
        i = jnp.argmin(exact)
        nearest = exact[i], jnp.stack([plan.order[a][i], plan.order[b][closest[i]]])
        near = _either(nearest[0] < near[0], nearest, near)
        i, j = jnp.unravel_index(jnp.argmax(within), within.shape)
        farthest = within[i, j], jnp.stack([plan.order[a][i], plan.order[b][j]])
        return near, _either(farthest[0] > far[0], farthest, far)

    nobody = jnp.zeros(2, jnp.int32)
    start = (
        (jnp.asarray(jnp.inf, points.dtype), nobody),
        (jnp.asarray(-1, points.dtype), nobody),
    )
    return over_pairs(len(plan.first), add, start)


def _either(first: Array, yes: tuple[Array, Array], no: tuple[Array, Array]):
    return jnp.where(first, yes[0], no[0]), jnp.where(first, yes[1], no[1])
