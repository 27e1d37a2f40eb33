"""Exact silhouette scores, in memory that does not grow with the square of the points.

Rousseeuw (1987), "Silhouettes: A graphical aid to the interpretation and validation of cluster
analysis", with scikit-learn's conventions: Euclidean distance, a point alone in its cluster
scores 0. Names and argument order are scikit-learn's too.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxiso.metrics.pairwise import (
    TilePlan,
    TileShape,
    as_plan,
    distance_sums,
    if_planned,
    shape_for,
)
from jaxiso.metrics.points import Labels, Points, metric, only_clusters, to_unit_size


def silhouette_score(
    X: ArrayLike,
    labels: ArrayLike,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, ""]:
    """Mean silhouette of all points, from -1 (wrong clusters) to 1 (dense, well apart).

    Exact, and differentiable in X; usable under `jit`, `vmap` and `grad`. Costs n²·d/2
    multiply-adds and O(n·(d + K)) memory for K clusters; no n × n array.

    Args:
        X: points, shape (n, d).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.
        num_labels: K, if labels are codes 0 to K - 1, which may then be traced and need not all
            occur.
        plan: likewise, how to lay points out in tiles, as from `jaxiso.metrics.pairwise`, for
            labels that are measured many times.

    Returns:
        A scalar, to 2e-6 of scikit-learn's in float64; where points have collapsed to a few places,
        or one is far away, still to 2e-4. NaN for codes of which fewer than two occur, or all are
        different.

    Raises:
        ValueError: as scikit-learn does: NaN or infinite points, lengths that differ, 1 distinct
            label or as many as points; or a label that is missing.

    Reference: Rousseeuw (1987); paper A ("Isotropy, Clusters, and Classifiers"), Section 2.1.

    Example:
        >>> round(float(silhouette_score([[0.0], [1.0], [10.0], [11.0]], ["a", "a", "b", "b"])), 4)
        0.8997
    """
    return jnp.mean(silhouette_samples(X, labels, num_labels=num_labels, plan=plan))


@metric(translate=True, scale=True, plan=shape_for)
def silhouette_samples(
    X: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, " n"]:
    """Silhouette of each point; arguments, cost and errors as for `silhouette_score`.

    Returns:
        Shape (n,), in the order of X; 0 for a point that is alone in its cluster.
    """
    tiles = as_plan(plan, labels, num_labels)
    scores = _scores(distance_sums(to_unit_size(X), tiles), labels, tiles.counts)
    return only_clusters(if_planned(scores, tiles, labels), tiles.counts, len(X))


def _scores(
    sums: Float[Array, "n k"], codes: Int[Array, " n"], counts: Int[Array, " k"]
) -> Float[Array, " n"]:
    """(separation - cohesion) / max of both, from sums of distances to each cluster."""
    mine = codes[:, None] == jnp.arange(counts.shape[0], dtype=codes.dtype)[None, :]
    size = counts.astype(sums.dtype)[None, :]
    own_size = size[0, codes]
    cohesion = jnp.sum(jnp.where(mine, sums, 0), axis=1) / jnp.maximum(own_size - 1, 1)
    elsewhere = jnp.where(mine | (size == 0), jnp.inf, sums / jnp.maximum(size, 1))
    separation = jnp.min(elsewhere, axis=1)
    largest = jnp.maximum(cohesion, separation)
    # All points in one place: 0 / 0, which scikit-learn counts as 0. So does a cluster of one.
    defined = (largest > 0) & (own_size > 1) & jnp.isfinite(separation)
    scores = (separation - cohesion) / jnp.where(defined, largest, 1)
    return jnp.where(defined, scores, 0)
