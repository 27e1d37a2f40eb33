"""Sums of Euclidean distances from every point to every cluster, without an n × n array.

Points are sorted by label once and cut into tiles (`jaxiso.metrics.tiles`). Each unordered pair of
tiles is visited once (`jaxiso.metrics.ring`), on whichever device meets both: one matrix product
gives its tile × tile block of distances (`jaxiso.metrics.blocks`), which is added up along its rows
for one tile and along its columns for the other. Memory is O(n·(d + K) + tile²) for K clusters.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot
from jaxiso.metrics.blocks import (
    Tiles,
    add_by_label,
    along_ways,
    by_label,
    by_point,
    in_places,
    middles,
    norms_of,
    spread,
    squares,
    sums_of_pair,
)
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.ring import all_pairs, at
from jaxiso.metrics.tiles import TilePlan


def distance_sums(
    points: Float[Array, "n d"], plan: TilePlan, axis: str | None = None
) -> Float[Array, "n k"]:
    """Sum of the Euclidean distances from each point to all points of each cluster.

    Costs n²·d/2 multiply-adds and O(n·(d + K) + tile²) memory, in reverse mode about three times
    the work and the same memory; shared by the devices of a mesh, if there are several. Distances
    below the rounding error of the norms count as zero, and the derivative of a distance of zero is
    taken as zero.

    Args:
        points: of about unit size, shape (n, d).
        plan: as from `plan_tiles`.
        axis: inside of `jax.shard_map`, the axis whose devices have some of the points each. Points
            and plan are then those of one device.

    Returns:
        Shape (n, K); zeros for points that are padding.
    """
    return _distance_sums(points, plan, axis)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _distance_sums(points: Array, plan: TilePlan, axis: str | None) -> Array:
    tiles = Tiles.of(points, plan, middles(points, plan, axis))
    sums = all_pairs(tiles, plan.used, sums_of_pair, add_by_label, tiles.zeros(), axis)
    return by_point(sums, plan)[:, : len(plan.counts)]


def _forward(points: Array, plan: TilePlan, axis: str | None):
    return _distance_sums(points, plan, axis), (points, plan)


def _backward(axis: str | None, saved: tuple[Array, TilePlan], cotangent: Array):
    points, plan = saved
    centres = middles(points, plan, axis)
    tiles = Tiles.of(points, plan, centres)
    g = in_places(jnp.pad(cotangent, ((0, 0), (0, plan.onehot.shape[2]))), plan)
    nothing = tiles.zeros(), jnp.zeros_like(tiles.y)
    used = jnp.asarray(plan.used)  # which JAX saves as a number where it is one
    pulls = all_pairs((tiles, g), used, _weights, _pull, nothing, axis)
    return by_point(_gradient(tiles, pulls, centres), plan), None


_distance_sums.defvjp(_forward, _backward)


# ∂/∂x_i = Σ_j w_ij·(x_i - x_j) with w_ij = (g_i,label(j) + g_j,label(i)) / D_ij. As x = y + centre,
# this is (Σ_j w_ij)·y_i - Σ_j w_ij·y_j, plus the weights towards each other label times the way
# from its centre: nothing that cancels when clusters collapse.


def _weights(a: tuple[Tiles, Array], b: tuple[Tiles, Array], apart: bool) -> tuple[Array, Array]:
    """w_ij and w_ji of the points of two tiles, each with the cotangents of its sums."""
    (tile_a, g_a), (tile_b, g_b) = a, b
    found = squares(tile_a, tile_b, apart)
    inverse = jnp.where(found > 0, jax.lax.rsqrt(jnp.where(found > 0, found, 1)), 0)
    w = spread(g_a, tile_a, g_b, tile_b) * inverse
    return w, w.T


def _pull(
    pulls: tuple[Array, Array], a: Array, ours: Any, theirs: tuple[Tiles, Array], w: Array
) -> tuple[Array, Array]:
    """Adds up w_ij by label, and w_ij·y_j."""
    weights, pulled = pulls
    weights = add_by_label(weights, a, ours, theirs[0], by_label(w, theirs[0]))
    return weights, pulled.at[a].add(dot(w, theirs[0].y))


def _gradient(tiles: Tiles, pulls: tuple[Array, Array], centres: Array) -> Array:
    """Of the points in their places, from what `_pull` has added up."""
    weights, pulled = pulls
    weights = weights[:, :, : len(centres)]
    ways = along_ways(dot, weights, tiles.labels, centres, centres, centres.shape[1])
    return weights.sum(2, keepdims=True) * tiles.y - pulled + ways


class Chosen(NamedTuple):
    """Some of the points, the same on each device.

    Attributes:
        points: shape (m, d).
        labels: their codes.
        place: which point of this device each is; -1 if it is on another one.
    """

    points: Float[Array, "m d"]
    labels: Int[Array, " m"]
    place: Int[Array, " m"]

    @classmethod
    def of(cls, numbers: Int[Array, " m"], points: Array, codes: Array, rows: Rows = ALL) -> Chosen:
        """By their numbers in all points, as `mesh.spread` has spread them.

        Args:
            numbers: from 0 to n - 1.
            points: of this device.
            codes: of this device.
            rows: which of them are points.
        """
        mine, place = jnp.ones_like(numbers, dtype=bool), numbers
        if rows.axis is not None:
            index, size = jax.lax.axis_index(rows.axis), jax.lax.axis_size(rows.axis)
            n = jnp.asarray(rows.number(points))
            start, stop = n * index // size, n * (index + 1) // size
            mine = (numbers >= start) & (numbers < stop)
            place = jnp.where(mine, numbers - start, 0)
        some = rows.everywhere(jnp.where(mine[:, None], points[place], 0))
        labels = rows.everywhere(jnp.where(mine, codes[place], 0))
        return cls(some, labels, jnp.where(mine, place, -1))


def distance_sums_of(
    chosen: Chosen,
    tiling: TilePlan,
    points: Float[Array, "n d"],
    plan: TilePlan,
    axis: str | None = None,
) -> Float[Array, "m k"]:
    """Sum of the Euclidean distances from each of m chosen points to all points of each cluster.

    Costs m·n·d multiply-adds and O(n·d + m·K) memory.

    Args:
        chosen: the points.
        tiling: their plan.
        points: all of them, or those of one device; of about unit size.
        plan: theirs.
        axis: as in `distance_sums`.
    """
    rows = Rows(axis=axis)
    centres = middles(points, plan, axis)
    some = rows.here(Tiles.of(chosen.points, tiling, centres))
    # By which a point knows itself; padding is no point.
    itself = jnp.pad(chosen.place, (0, 1), constant_values=-1)[tiling.order]
    room = (0, 0), (0, 0), (0, plan.onehot.shape[2])  # for the runs of the other tiles
    some = some._replace(order=itself, norms=jnp.pad(some.norms, room))
    tiles = Tiles.of(points, plan, centres, norms=False)
    width = tiling.onehot.shape[2]
    run = jnp.pad(centres, ((0, width), (0, 0)))

    def visit(i, sums):
        a, b = at(some, i // plan.used), at(tiles, i % plan.used)
        # Norms towards the labels of tile a alone, which are few; the first of them is the first.
        own = jax.lax.dynamic_slice_in_dim(run, a.first, width)
        b = b._replace(norms=norms_of(b.y[None], b.labels[None], centres, own)[0])
        found, _ = sums_of_pair(a._replace(first=jnp.zeros_like(a.first)), b, False)
        return add_by_label(sums, i // plan.used, a, b, found)

    sums = jax.lax.fori_loop(0, len(tiling.order) * plan.used, visit, some.zeros())
    return rows.everywhere(by_point(sums, tiling)[:, : len(plan.counts)])
