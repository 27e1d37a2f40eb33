"""Sums of Euclidean distances from every point to every cluster, without an n × n array.

Points are sorted by label once and cut into tiles (`jaxiso.metrics.tiles`). Each unordered pair of
tiles is visited once (`jaxiso.metrics.ring`), on whichever device meets both: one matrix product
gives its tile × tile block of distances (`jaxiso.metrics.blocks`), which is added up along its rows
for one tile and along its columns for the other. Memory is O(n·(d + K) + tile²) for K clusters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxiso.metrics.blocks import (
    Tiles,
    add_by_label,
    along_ways,
    by_point,
    distances,
    in_places,
    middles,
    spread,
    squares,
)
from jaxiso.metrics.points import dot
from jaxiso.metrics.ring import all_pairs
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
    sums = all_pairs(tiles, plan.used, distances, add_by_label, tiles.zeros(), axis)
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


def _weights(a: tuple[Tiles, Array], b: tuple[Tiles, Array], apart: bool) -> Array:
    """w_ij of the points of two tiles, each with the cotangents of its sums."""
    (tile_a, g_a), (tile_b, g_b) = a, b
    found = squares(tile_a, tile_b, apart)
    inverse = jnp.where(found > 0, jax.lax.rsqrt(jnp.where(found > 0, found, 1)), 0)
    return spread(g_a, tile_a, g_b, tile_b) * inverse


def _pull(
    pulls: tuple[Array, Array], a: Array, ours: Any, theirs: tuple[Tiles, Array], w: Array
) -> tuple[Array, Array]:
    """Adds up w_ij by label, and w_ij·y_j."""
    by_label, pulled = pulls
    by_label = add_by_label(by_label, a, ours[0], theirs[0], w)
    return by_label, pulled.at[a].add(dot(w, theirs[0].y))


def _gradient(tiles: Tiles, pulls: tuple[Array, Array], centres: Array) -> Array:
    """Of the points in their places, from what `_pull` has added up."""
    by_label, pulled = pulls
    by_label = by_label[:, :, : len(centres)]
    ways = along_ways(dot, by_label, tiles.labels, centres, centres.shape[1])
    return by_label.sum(2, keepdims=True) * tiles.y - pulled + ways
