"""Dunn's index: from the closest and the farthest of all pairs of points, tile by tile."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import lengths, only_clusters, to_unit_size
from jaxiso.metrics.blocks import ROUNDING, Tiles, in_places, middles, squares
from jaxiso.metrics.mesh import ALL
from jaxiso.metrics.points import Labels, OnMesh, Points, metric
from jaxiso.metrics.ring import all_pairs
from jaxiso.metrics.tiles import TilePlan, TileShape, as_plan, if_planned, shape_for

# Up to this many dimensions distances come from differences, as points of one or two dimensions
# crowd so much that products would lose the smallest distance.
FEW_DIMENSIONS = 8


@metric(translate=True, scale=True, plan=shape_for)
def dunn_index(
    X: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
    mesh: OnMesh = None,
) -> Float[Array, ""]:
    """Dunn's index: the smallest distance between clusters over the largest within; high is good.

    The distance between the closest two points of different labels, over that between the farthest
    two points of the same label. Costs n²·d/2 multiply-adds and O(n·(d + K)) memory, no n × n
    array; shared by the devices of a mesh. Arguments and errors are those of
    `jaxiso.metrics.silhouette.silhouette_score`.

    Returns:
        A scalar, at least 0: 0 if two clusters share a place, else infinite if every cluster is a
        single place. In float32 and above 8 dimensions, pairs that are closer than 1e-3 of their
        clusters' spread may be mistaken for each other; the distance of the one taken is exact.

    Reference: Dunn (1974), "Well-Separated Clusters and Optimal Fuzzy Partitions".

    Example:
        >>> float(dunn_index([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]))
        4.0
    """
    rows = mesh or ALL
    points, tiles = to_unit_size(X, rows), as_plan(plan, labels, num_labels, rows)
    separation, diameter = extreme_distances(points, tiles, rows.axis)
    ratio = separation / jnp.where(diameter > 0, diameter, 1)
    index = jnp.where((diameter > 0) | (separation == 0), ratio, jnp.inf)
    counts = rows.everywhere(tiles.counts)
    return only_clusters(if_planned(index, tiles, labels, rows), counts, rows.number(X))


def extreme_distances(
    points: Float[Array, "n d"], plan: TilePlan, axis: str | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """That of the closest two points of different labels, and of the farthest two of the same.

    Arguments are those of `jaxiso.metrics.pairwise.distance_sums`.
    """
    near, far = _extreme_pairs(jax.lax.stop_gradient(points), plan, axis)

    def row(number):
        """A row by its number in the points of all devices."""
        if axis is None:
            return points[number]
        number = number - jax.lax.axis_index(axis) * len(points)
        here = (number >= 0) & (number < len(points))
        return jax.lax.psum(jnp.where(here, points[jnp.where(here, number, 0)], 0), axis)

    return lengths(row(near[0]) - row(near[1])), lengths(row(far[0]) - row(far[1]))


class _Extremes(NamedTuple):
    """The closest and the farthest two points so far: squared distances, and numbers of points."""

    least: Float[Array, ""]
    near: Int[Array, " 2"]
    most: Float[Array, ""]
    far: Int[Array, " 2"]


def _extreme_pairs(
    points: Array, plan: TilePlan, axis: str | None
) -> tuple[Int[Array, " 2"], Int[Array, " 2"]]:
    """The closest two points of different labels and the farthest two of the same.

    Squared distances from products cancel where they are small. So each point's closest one in a
    tile is found by them, but which of those is the closest of all is decided by differences.
    """
    tiles = Tiles.of(points, plan, middles(points, plan, axis))
    if axis is not None:
        tiles = tiles._replace(order=tiles.order + jax.lax.axis_index(axis) * len(points))
    few = points.shape[1] <= FEW_DIMENSIONS
    error = 0 if few else 2 * ROUNDING * float(jnp.finfo(points.dtype).eps)

    def block(a, b, apart):
        found = _differences(a[1], b[1]) if few else squares(a[0], b[0], apart)
        return found, found.T

    def update(found, _, a, b, block):
        (tile_a, x_a), (tile_b, x_b) = a, b
        same = tile_a.labels[:, None] == tile_b.labels[None, :]
        pairs = (tile_a.labels >= 0)[:, None] & (tile_b.labels >= 0)[None, :]
        strangers = jnp.where(pairs & ~same, block, jnp.inf)
        fellows = jnp.where(pairs & same, block, -1)
        # Which points they are takes longer than how far apart; most tiles have none to offer.
        unsure = error * (jnp.max(tile_a.lengths) + jnp.max(tile_b.lengths))
        offers = (jnp.min(strangers) - unsure < found.least) | (jnp.max(fellows) > found.most)
        known = strangers, fellows, x_a, x_b, tile_a.order, tile_b.order
        return jax.lax.cond(offers, _more_extreme, lambda found, *_: found, found, *known)

    zero = jnp.zeros_like(points, shape=())
    nobody = jnp.zeros_like(tiles.order, shape=2)
    nothing = _Extremes(zero + jnp.inf, nobody, zero - 1, nobody)
    whole = tiles, in_places(points, plan)
    found = all_pairs(whole, plan.used, block, update, nothing, axis, once=True)
    if axis is None:
        return found.near, found.far
    found = jax.lax.all_gather(found, axis)
    return found.near[jnp.argmin(found.least)], found.far[jnp.argmax(found.most)]


def _differences(x_a: Array, x_b: Array) -> Float[Array, "tile_a tile_b"]:
    """Squared distances of points of few dimensions."""
    found = jnp.zeros_like(x_a, shape=(len(x_a), len(x_b)))
    for p, q in zip(x_a.T, x_b.T, strict=True):
        found += (p[:, None] - q[None, :]) ** 2
    return found


def _more_extreme(found, strangers, fellows, x_a, x_b, order_a, order_b):
    closest = jnp.argmin(strangers, axis=1)
    exact = jnp.sum((x_a - x_b[closest]) ** 2, axis=1)
    exact = jnp.where(jnp.isfinite(jnp.min(strangers, axis=1)), exact, jnp.inf)
    i = jnp.argmin(exact)
    least, near = _either(
        exact[i] < found.least,
        (exact[i], jnp.stack([order_a[i], order_b[closest[i]]])),
        (found.least, found.near),
    )
    i, j = jnp.unravel_index(jnp.argmax(fellows), fellows.shape)
    most, far = _either(
        fellows[i, j] > found.most,
        (fellows[i, j], jnp.stack([order_a[i], order_b[j]])),
        (found.most, found.far),
    )
    return _Extremes(least, near, most, far)


def _either(first: Array, yes: tuple[Array, Array], no: tuple[Array, Array]):
    return jnp.where(first, yes[0], no[0]), jnp.where(first, yes[1], no[1])
