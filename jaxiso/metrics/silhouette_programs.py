"""Silhouettes in JAX: the programs for points that are traced, or too many for the host.

Each gives the silhouettes of all points, shape (n,). Points are checked where they are concrete;
labels are codes where `num_labels` or a plan is given, and may then be traced too.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxiso.metrics.blocks import Tiles, add_by_label, by_point, distances, middles
from jaxiso.metrics.label_sums import simplified_silhouettes, squared_silhouettes
from jaxiso.metrics.mesh import ALL, Rows, size_class
from jaxiso.metrics.pairwise import distance_sums
from jaxiso.metrics.points import (
    Labels,
    OnMesh,
    Points,
    dot,
    metric,
    only_clusters,
    to_unit_size,
)
from jaxiso.metrics.ring import at
from jaxiso.metrics.tiles import (
    TilePlan,
    TileShape,
    as_plan,
    if_planned,
    plan_tiles,
    power_of_two,
    shape_for,
    tile_shape,
    tile_size,
)


@metric(translate=True, scale=True, by_point=True)
def from_pairs(
    points: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    shape: TileShape,
    mesh: OnMesh = None,
) -> Float[Array, " n"]:
    """Under Euclidean distance, from all pairs in tiles of a shape that holds each device's points.

    On a mesh blocks of points go round it (`jaxiso.metrics.ring`).
    """
    rows = mesh or ALL
    codes, plan = _tiles(labels, num_labels, shape, rows)
    sums = distance_sums(to_unit_size(points, rows), plan, rows.axis)
    counts = rows.everywhere(plan.counts)
    found = only_clusters(from_sums(sums, labels, counts), counts, rows.number(points))
    return jnp.where(rows.all(_planned(plan, codes)), found, jnp.nan)


@metric(translate=True, scale=True)
def of_rows(
    points: Points,
    labels: Labels,
    *,
    chosen: Int[Array | np.ndarray, " m"],
    chosen_shape: TileShape,
    num_labels: int | None = None,
    shape: TileShape,
    mesh: OnMesh = None,
) -> Float[Array, " m"]:
    """Likewise of some of the points only, each against all.

    Args:
        points: shape (n, d).
        labels: codes.
        chosen: the numbers of some points.
        chosen_shape: tiles for the chosen points.
        num_labels: K.
        shape: tiles for the points of each device.
        mesh: their devices.
    """
    rows = mesh or ALL
    codes, plan = _tiles(labels, num_labels, shape, rows)
    x = to_unit_size(points, rows)
    here = jnp.asarray(chosen, jnp.int32)
    if rows.axis is not None:  # the first of this device's, as `mesh.spread` has it
        n, size = jnp.asarray(rows.number(x)), jax.lax.axis_size(rows.axis)
        here = here - n * jax.lax.axis_index(rows.axis) // size
    mine = (here >= 0) & (here < jnp.sum(codes < len(plan.counts)))
    place = jnp.where(mine, here, 0)
    some = rows.everywhere(jnp.where(mine[:, None], x[place], 0))
    label = rows.everywhere(jnp.where(mine, labels[place], 0))

    centres = middles(x, plan, rows.axis)
    tiles = Tiles.of(x, plan, centres)
    of_some = plan_tiles(label, len(plan.counts), chosen_shape)
    rows_of = rows.here(Tiles.of(some, of_some, centres))
    # By which a point knows itself; -1 where it is on another device.
    itself = jnp.pad(jnp.where(mine, here, -1), (0, 1), constant_values=-1)[of_some.order]
    rows_of = rows_of._replace(order=itself)

    def visit(i, found):
        a, b = at(rows_of, i // plan.used), at(tiles, i % plan.used)
        return add_by_label(found, i // plan.used, a, b, distances(a, b, False))

    found = jax.lax.fori_loop(0, len(of_some.order) * plan.used, visit, rows_of.zeros())
    sums = rows.everywhere(by_point(found, of_some)[:, : len(plan.counts)])
    planned = rows.all(_planned(plan, codes)) & jnp.all(_planned(of_some, label))
    return jnp.where(planned, from_sums(sums, label, rows.everywhere(plan.counts)), jnp.nan)


def _tiles(
    labels: Array, k: int | None, shape: TileShape, rows: Rows
) -> tuple[Int[Array, " n"], TilePlan]:
    """Codes, k in rows of padding, which come last, and the tiles of this device's points."""
    assert k is not None  # `points.metric` sees to it
    codes = rows.only(labels, fill=k)
    real = None if rows.real is None else jnp.sum(rows.real, dtype=jnp.int32)
    return codes, plan_tiles(codes, k, shape, real)


def _planned(plan: TilePlan, codes: Int[Array, " n"]) -> Bool[Array, " n"]:
    """Whether the tiles were wide enough for each point."""
    return plan.labels.ravel()[plan.place] == codes


def shape_on(codes: Int[np.ndarray | Array, " n"], k: int, mesh: Mesh | None) -> TileShape:
    """A shape for `from_pairs`: one of few; for any labels where they are traced."""
    n, parts = len(codes), 1 if mesh is None else mesh.size
    tile = tile_size(size_class(-(-n // parts)))
    if not isinstance(codes, np.ndarray):
        return TileShape(tile, k)
    ends = n * np.arange(parts + 1) // parts
    pieces = [codes[ends[i] : ends[i + 1]] for i in range(parts)]
    shapes = [tile_shape(np.bincount(piece, minlength=k), tile=tile) for piece in pieces]
    return TileShape(tile, power_of_two(max(shape.width for shape in shapes)))


@metric(translate=True, scale=True, plan=shape_for)
def from_plan(
    points: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, " n"]:
    """As `from_pairs` on one device, laid out as the caller says, or by the labels."""
    tiles = as_plan(plan, labels, num_labels)
    found = from_sums(distance_sums(to_unit_size(points), tiles), labels, tiles.counts)
    return only_clusters(if_planned(found, tiles, labels), tiles.counts, len(points))


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
    way = simplified_silhouettes if simplified else squared_silhouettes
    found = way(points, labels, k, kind, rows)
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
