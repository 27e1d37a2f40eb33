"""Silhouettes in JAX: the programs for points that are traced, or too many for the host.

Each gives the silhouettes of all points, shape (n,). Points are checked where they are concrete;
labels are codes where `num_labels` or a plan is given, and may then be traced too.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot, only_clusters, to_unit_size
from jaxiso.metrics.label_sums import silhouettes_without_pairs
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.pairwise import Chosen, distance_sums, distance_sums_of
from jaxiso.metrics.points import Labels, OnMesh, Points, metric
from jaxiso.metrics.tiles import TilePlan, TileShape, as_plan, if_planned, plan_tiles, shape_for


@metric(translate=True, scale=True, plan=shape_for, by_point=True)
def from_pairs(
    points: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
    mesh: OnMesh = None,
) -> Float[Array, " n"]:
    """Under Euclidean distance, from all pairs in tiles, as a caller lays them out or labels do.

    On a mesh blocks of points go round it (`jaxiso.metrics.ring`).
    """
    rows = mesh or ALL
    tiles = as_plan(plan, labels, num_labels, rows)
    sums = distance_sums(to_unit_size(points, rows), tiles, rows.axis)
    counts = rows.everywhere(tiles.counts)
    found = only_clusters(from_sums(sums, labels, counts), counts, rows.number(points))
    return if_planned(found, tiles, labels, rows)


@metric(translate=True, scale=True, plan=shape_for)
def of_rows(
    points: Points,
    labels: Labels,
    *,
    chosen: Int[Array | np.ndarray, " m"],
    chosen_shape: TileShape,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
    mesh: OnMesh = None,
) -> Float[Array, " m"]:
    """Likewise of some of the points only, each against all.

    `chosen` are their numbers, `chosen_shape` is of their tiles; the plan is of all points.
    """
    rows = mesh or ALL
    tiles = as_plan(plan, labels, num_labels, rows)
    x = to_unit_size(points, rows)
    some = Chosen.of(jnp.asarray(chosen, jnp.int32), x, labels, rows)
    tiling = plan_tiles(some.labels, len(tiles.counts), chosen_shape)
    sums = distance_sums_of(some, tiling, x, tiles, rows.axis)
    found = from_sums(sums, some.labels, rows.everywhere(tiles.counts))
    return if_planned(if_planned(found, tiling, some.labels), tiles, labels, rows)


@metric()
def from_distances(
    points: Points, labels: Labels, *, num_labels: int | None = None
) -> Float[Array, " n"]:
    """From given distances, shape (n, n); NaN if those of points to themselves are not zero."""
    assert num_labels is not None  # `points.metric` sees to it
    counts = jnp.bincount(labels, length=num_labels).astype(jnp.int32)
    onehot = jax.nn.one_hot(labels, num_labels, dtype=points.dtype)
    found = from_sums(dot(points, onehot), labels, counts)
    smallest = 100 * float(jnp.finfo(points.dtype).eps)
    usable = jnp.all(jnp.abs(jnp.diagonal(points)) <= smallest)
    return only_clusters(jnp.where(usable, found, jnp.nan), counts, len(points))


@metric(translate=True, scale=True, static=["kind", "simplified"], by_point=True)
def from_centroids(
    points: Points,
    labels: Labels,
    *,
    kind: str = "sqeuclidean",
    simplified: bool = False,
    num_labels: int | None = None,
    mesh: OnMesh = None,
) -> Float[Array, " n"]:
    """Under squared Euclidean distance; simplified also under Euclidean."""
    return _from_centroids(points, labels, kind, simplified, num_labels, mesh or ALL)


@metric(static=["simplified"], by_point=True)
def from_directions(
    points: Points,
    labels: Labels,
    *,
    simplified: bool = False,
    num_labels: int | None = None,
    mesh: OnMesh = None,
) -> Float[Array, " n"]:
    """Under cosine distance; NaN if a point is zero."""
    return _from_centroids(points, labels, "cosine", simplified, num_labels, mesh or ALL)


def _from_centroids(
    points: Array, labels: Array, kind: str, simplified: bool, k: int | None, rows: Rows
) -> Float[Array, " n"]:
    assert k is not None  # `points.metric` sees to it
    found = silhouettes_without_pairs(points, labels, k, kind, rows, simplified=simplified)
    ones = rows.only(jnp.ones_like(labels))
    counts = rows.everywhere(jax.ops.segment_sum(ones, labels, k))
    return only_clusters(found, counts, rows.number(points))


def from_sums(
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
