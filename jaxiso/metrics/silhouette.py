"""Exact silhouette scores, in memory that does not grow with the square of the points.

Rousseeuw (1987), "Silhouettes: A graphical aid to the interpretation and validation of cluster
analysis", with scikit-learn's conventions: Euclidean distance, a point alone in its cluster
scores 0. Names and argument order are scikit-learn's too.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxiso.metrics.checks import as_codes, as_points
from jaxiso.metrics.pairwise import TilePlan, TileShape, distance_sums, plan_tiles, tile_shape


def silhouette_score(X: ArrayLike, labels: ArrayLike) -> Float[Array, ""]:
    """Mean silhouette of all points, from -1 (wrong clusters) to 1 (dense, well apart).

    Exact, and differentiable in X; usable under `jit`, `vmap` and `grad` where the labels are
    concrete. Costs n²·d/2 multiply-adds and O(n·(d + K)) memory for K clusters; no n × n array.

    Args:
        X: points, shape (n, d).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.

    Returns:
        A scalar. Where clusters have collapsed to single points, still accurate to 1e-4.

    Raises:
        ValueError: as scikit-learn does: NaN or infinite points, lengths that differ, 1 distinct
            label or as many as points.

    Reference: Rousseeuw (1987); paper A ("Isotropy, Clusters, and Classifiers"), Section 2.1.

    Example:
        >>> round(float(silhouette_score([[0.0], [1.0], [10.0], [11.0]], ["a", "a", "b", "b"])), 4)
        0.8997
    """
    return jnp.mean(silhouette_samples(X, labels))


def silhouette_samples(X: ArrayLike, labels: ArrayLike) -> Float[Array, " n"]:
    """Silhouette of each point; arguments, cost and errors as for `silhouette_score`.

    Returns:
        Shape (n,), in the order of X; 0 for a point that is alone in its cluster.
    """
    points = as_points(X)
    codes, k = as_codes(labels, points.shape[0])
    shape = tile_shape(np.bincount(codes))
    return _planned_samples(points, jnp.asarray(codes), k, shape)


@partial(jax.jit, static_argnums=(2, 3))
def _planned_samples(points: Array, codes: Array, k: int, shape: TileShape) -> Array:
    return silhouette_of_tiles(points, codes, plan_tiles(codes, k, shape))


def silhouette_of_tiles(
    points: Float[Array, "n d"], codes: Int[Array, " n"], plan: TilePlan
) -> Float[Array, " n"]:
    """Silhouette of each point for a plan made before: arrays in, arrays out.

    Args:
        points: shape (n, d).
        codes: the labels that `plan` was made from, 0 to K - 1.
        plan: as from `plan_tiles`; clusters may be empty, as in a random sample.
    """
    sums = distance_sums(points * _unit_scale(points), plan)
    return _scores(sums, codes, plan.counts)


def _unit_scale(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """A power of two that brings points to about unit size.

    It keeps squared distances inside the range of float32; scores ignore it, and it rounds nothing.
    """
    size = jnp.max(jnp.abs(points - jnp.mean(points, axis=0, keepdims=True)))
    exponent = jnp.clip(-jnp.frexp(size)[1], -126, 126)
    return jax.lax.stop_gradient(jnp.ldexp(jnp.ones((), points.dtype), exponent))


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
