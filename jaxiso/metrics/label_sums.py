"""Silhouettes without pairs, in JAX: under squared Euclidean and cosine distance, or simplified.

The same as `jaxiso.metrics.host_labels`, for points that are traced or on an accelerator. With
centroids c_k, counts n_k and Q_k = Σ_{j∈k} ‖x_j - c_k‖², the squared distances of x to the points
of label k add up to n_k·‖x - c_k‖² + Q_k; cosine distances are half of that for points of unit
length.

A point is y = x - c_p from the centroid of its own label p, and ‖y + (c_p - c_q)‖² from those of
the others. Centroids are subtracted before they are multiplied with y, so that nothing cancels but
what is small beside ‖y‖². That takes tiles of points that share a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot, lengths, to_unit_length, to_unit_size
from jaxiso.metrics.clusters import Clusters
from jaxiso.metrics.mesh import ALL, Rows


class LabelTiles(NamedTuple):
    """Points in tiles of one label each.

    Attributes:
        order: the point in each place; n where the place is padding.
        place: the place of each point.
        label: the label of each tile.
        filled: whether a tile has points.
    """

    order: Int[Array, "t tile"]
    place: Int[Array, " n"]
    label: Int[Array, " t"]
    filled: Array

    @classmethod
    def of(cls, codes: Int[Array, " n"], k: int) -> LabelTiles:
        """Of codes 0 to k - 1, which may be traced; k for rows of padding, which get no place."""
        n = codes.shape[0]
        # Half of a label's points on average, so that at most half of the places are padding.
        tile = max(8, min(512, 1 << (max(n // (2 * k), 1)).bit_length()))
        tiles = n // tile + k
        counts = jax.ops.segment_sum(jnp.ones_like(codes), codes, k)
        used = -(-counts // tile)
        ends = jnp.cumsum(used)
        by_label = jnp.argsort(codes, stable=True).astype(jnp.int32)
        mine = jnp.minimum(codes[by_label], k - 1)
        rank = jnp.arange(n, dtype=jnp.int32) - (jnp.cumsum(counts) - counts)[mine]
        places = (ends - used)[mine] * tile + rank
        places = jnp.where(codes[by_label] < k, places, tiles * tile).astype(jnp.int32)
        order = jnp.full(tiles * tile, n, jnp.int32).at[places].set(by_label, mode="drop")
        place = jnp.zeros(n, jnp.int32).at[by_label].set(places)
        numbers = jnp.arange(tiles, dtype=ends.dtype)
        label = jnp.minimum(jnp.searchsorted(ends, numbers, side="right"), k - 1).astype(jnp.int32)
        return cls(order.reshape(tiles, tile), place, label, numbers < ends[-1])

    def each(
        self,
        offsets: Float[Array, "n d"],
        away_from: Callable[[Array], Float[Array, "k d"]],
        scores: Callable[[Float[Array, "tile k"], Array], Float[Array, " tile"]],
    ) -> Float[Array, " n"]:
        """Scores of all points from their squared distances to the reference of each label.

        Args:
            offsets: points less the reference of their label.
            away_from: the references less that of one label.
            scores: of the points of one tile, from squared distances and their label.
        """

        @jax.checkpoint  # else the gradient would keep the differences of a tile's label for each
        def of_tile(order, label):
            y = jnp.pad(offsets, ((0, 1), (0, 0)))[order]
            away = away_from(label)
            own = jnp.sum(y**2, axis=1)[:, None] + jnp.sum(away**2, axis=1)[None, :]
            return scores(jnp.maximum(own - 2 * dot(y, away.T), 0), label)

        def visit(tile):
            order, label, filled = tile
            nothing = (0 * order).astype(offsets.dtype)
            return jax.lax.cond(filled, of_tile, lambda *_: nothing, order, label)

        found = jax.lax.map(visit, (self.order, self.label, self.filled))
        return found.ravel()[self.place]


def silhouettes_without_pairs(
    points: Float[Array, "n d"],
    codes: Int[Array, " n"],
    k: int,
    metric: str,
    rows: Rows = ALL,
    *,
    simplified: bool = False,
) -> Float[Array, " n"]:
    """Silhouettes under "sqeuclidean" or "cosine" distance, in O(n·d·K).

    Simplified ones, also under "euclidean", are from distances to centroids, under cosine to their
    directions. NaN if a point is zero under cosine. On a mesh only sums by label go from device to
    device.
    """
    x, usable = _prepared(points, metric, rows)
    offsets, *shared = Clusters.of(x, codes, k, rows)
    clusters = Clusters(offsets, *rows.here(shared))
    tiles = LabelTiles.of(rows.only(codes, fill=k), k)
    if simplified:
        found = tiles.each(*_simplified(x, codes, clusters, metric))
    else:
        found = tiles.each(*_squared(codes, clusters, metric, rows))
    return jnp.where(usable, found, jnp.nan)


def _squared(codes: Array, clusters: Clusters, metric: str, rows: Rows):
    """What `LabelTiles.each` takes."""
    squares, counts = jnp.sum(clusters.offsets**2, axis=1), clusters.counts
    spread = rows.everywhere(jax.ops.segment_sum(rows.only(squares), codes, len(counts)))
    spread = rows.here(spread) / jnp.maximum(counts, 1)
    # Unit vectors are rounded, so that the same direction comes in several.
    smallest = (8 * float(jnp.finfo(squares.dtype).eps)) ** 2 if metric == "cosine" else 0.0

    def scores(squares, label):
        means = squares + spread[None, :]
        means = jnp.where(means > smallest, means, 0)
        cohesion = means[:, label] * counts[label] / jnp.maximum(counts[label] - 1, 1)
        return _scores(cohesion, means, label, counts)

    return clusters.offsets, clusters.away_from, scores


def _simplified(x: Array, codes: Array, clusters: Clusters, metric: str):
    """What `LabelTiles.each` takes."""
    offsets, away_from, vanished = clusters.offsets, clusters.away_from, None
    if metric == "cosine":
        centroids = clusters.rounded + clusters.rest
        size = lengths(centroids)[:, None]
        vanished = (size <= 8 * float(jnp.finfo(x.dtype).eps))[:, 0]
        directions = centroids / jnp.where(vanished[:, None], 1, size)
        offsets = x - directions[codes]

        def away_from(cluster: int | Array) -> Float[Array, "k d"]:
            return directions - directions[cluster][None]

    def scores(squares, label):
        distances = squares
        if metric == "euclidean":
            distances = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
        elif vanished is not None:  # no direction: at a right angle to all
            distances = jnp.where(vanished[None, :], 2, squares)
        return _scores(distances[:, label], distances, label, clusters.counts)

    return offsets, away_from, scores


def _scores(cohesion: Array, distances: Array, label: Array, counts: Array) -> Array:
    """As `host.scores`, for points of one label."""
    others = (counts > 0) & (jnp.arange(len(counts), dtype=label.dtype) != label)
    separation = jnp.min(jnp.where(others[None, :], distances, jnp.inf), axis=1)
    largest = jnp.maximum(cohesion, separation)
    defined = (largest > 0) & (counts[label] > 1) & jnp.isfinite(separation)
    return jnp.where(defined, (separation - cohesion) / jnp.where(defined, largest, 1), 0)


def _prepared(points: Array, metric: str, rows: Rows) -> tuple[Array, Array]:
    """Points of about unit size, or of unit length, and whether all have a direction."""
    if metric != "cosine":
        return to_unit_size(points, rows), jnp.asarray(True)
    x, directed = to_unit_length(points)
    return x, rows.all(directed)
