"""Sums of Euclidean distances from every point to every cluster, without an n × n array.

Points are sorted by label once and cut into tiles. Each unordered pair of tiles is visited once:
one matrix product gives its tile × tile block of distances, which is added up along its rows for
one tile and along its columns for the other. Memory is O(n·K + tile²) for K clusters.

Three things decide speed and accuracy:

- Points stand back to back, so a tile may hold several labels: a run of at most `width` consecutive
  codes. Sums by label are then products with a narrow one-hot table, in which padding is zero and
  so needs no mask. (Padding every label to whole tiles was measured too: no faster with two labels,
  up to three times slower with the 15 of the part-of-speech task, impossible with hundreds.)
- Distances come from ‖a‖² + ‖b‖² - 2a·b, which cancels where clusters have collapsed to points far
  apart. So points are taken relative to the centroid of *their own* label, and the terms that come
  from the centroids are folded into the norms (`_norms`): what cancels then is only the spread.
- Tiles fit the cache of a CPU core; accelerators get fewer and larger products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso.metrics.points import dot

# A squared distance of fewer rounding errors than this of the points' squared distances to their
# own centroids is zero.
ROUNDING = 4

CPU_TILES = (128, 256, 384, 512, 768)
ACCELERATOR_TILES = (512, 1024, 2048, 4096)
# Visiting a pair of tiles costs about as much as this many distances, whatever the size.
TILE_OVERHEAD = 20_000


class TilePlan(NamedTuple):
    """Which point stands where: t tiles of `tile` places, K clusters. Plain arrays.

    Attributes:
        order: the point in each place; n where the place is padding.
        place: the place of each point, the inverse of `order`.
        onehot: which of the tile's `width` labels the place has; zeros where it is padding.
        first: code of the tile's first label.
        counts: points in each cluster.
    """

    order: Int[Array, "t tile"]
    place: Int[Array, " n"]
    onehot: Float[Array, "t tile width"]
    first: Int[Array, " t"]
    counts: Int[Array, " k"]


@jax.tree_util.register_static
@dataclass(frozen=True)
class TileShape:
    """The static part of a plan: places in a tile, and distinct labels in a tile at most.

    `jit` compiles it into the program wherever it stands among the arguments.
    """

    tile: int
    width: int


def tile_shape(counts: np.ndarray, *, tile: int | None = None) -> TileShape:
    """Tiles for clusters of known sizes.

    Args:
        counts: points in each cluster, shape (K,).
        tile: places in a tile; by default as `tile_size` has it.
    """
    ends = np.cumsum(counts)
    n = int(ends[-1])
    tile = tile or tile_size(n)
    starts = np.arange(0, n, tile)
    first = np.searchsorted(ends, starts, side="right")
    last = np.searchsorted(ends, np.minimum(starts + tile, n) - 1, side="right")
    return TileShape(tile, int((last - first).max()) + 1)


def any_tile_shape(n: int, k: int, *, tile: int | None = None) -> TileShape:
    """Tiles that hold n points of k clusters whatever the sizes of the clusters are.

    For labels that change inside a compiled program, as when every update measures a new sample.
    A tile may start with the first label and end with the last where those between are empty.
    """
    return TileShape(tile or tile_size(n), k)


def shape_for(codes: Int[np.ndarray | Array, " n"], k: int) -> TileShape:
    """Tiles for labels: for these, or for any of that number where they are traced."""
    if isinstance(codes, np.ndarray):
        return tile_shape(np.bincount(codes, minlength=k))
    return any_tile_shape(len(codes), k)


def tile_size(n: int) -> int:
    """Places in a tile for n points: the size that computes the fewest distances in vain."""
    sizes = CPU_TILES if jax.default_backend() == "cpu" else ACCELERATOR_TILES

    def distances(tile: int) -> int:
        tiles = -(-n // tile)
        return tiles * (tiles + 1) // 2 * (tile**2 + TILE_OVERHEAD)

    return min(sizes, key=distances)


def plan_tiles(codes: Int[Array, " n"], k: int, shape: TileShape) -> TilePlan:
    """Lays points out in tiles by label. Pure: labels may be traced, `k` and `shape` are static.

    Args:
        codes: label of each point as a number from 0 to k - 1.
        k: number of clusters; some may be empty.
        shape: as from `tile_shape` (for these labels) or `any_tile_shape` (for any).
    """
    tile, width = shape.tile, shape.width
    n = codes.shape[0]
    tiles = -(-n // tile)
    by_label = jnp.argsort(codes, stable=True).astype(jnp.int32)
    place = jnp.zeros(n, jnp.int32).at[by_label].set(jnp.arange(n, dtype=jnp.int32))
    padding = (0, tiles * tile - n)
    order = jnp.pad(by_label, padding, constant_values=n).reshape(tiles, tile)
    label = jnp.pad(codes[by_label].astype(jnp.int32), padding, constant_values=-1)
    label = label.reshape(tiles, tile)
    first = label[:, 0]
    onehot = jax.nn.one_hot(jnp.where(label < 0, -1, label - first[:, None]), width)
    counts = jnp.bincount(codes, length=k).astype(jnp.int32)
    return TilePlan(order, place, onehot, first, counts)


def as_plan(plan: TilePlan | TileShape | None, codes: Int[Array, " n"], k: int | None) -> TilePlan:
    """The plan itself, or one of this shape.

    Raises:
        ValueError: the plan is of another number of points.
    """
    if isinstance(plan, TilePlan):
        if plan.place.shape != codes.shape:
            raise ValueError(f"The plan is of {len(plan.place)} points; got {len(codes)}.")
        return plan
    assert plan is not None and k is not None  # `points.metric` sees to both
    return plan_tiles(codes, k, plan)


def if_planned(value: Array, plan: TilePlan, codes: Int[Array, " n"]) -> Array:
    """NaN where the plan is not one of these labels, or its tiles are too narrow for them."""
    label = plan.first[:, None] + jnp.argmax(plan.onehot, axis=2).astype(jnp.int32)
    label = jnp.where(jnp.max(plan.onehot, axis=2) > 0, label, -1)
    return jnp.where(jnp.all(label.ravel()[plan.place] == codes), value, jnp.nan)


def in_tiles(points: Float[Array, "n d"], plan: TilePlan) -> Float[Array, "t tile d"]:
    """Points in their places; zeros in padding."""
    return jnp.pad(points, ((0, 1), (0, 0)))[plan.order]


@jax.custom_vjp
def distance_sums(points: Float[Array, "n d"], plan: TilePlan) -> Float[Array, "n k"]:
    """Sum of the Euclidean distances from each point to all points of each cluster.

    Costs n²·d/2 multiply-adds and O(n·(d + K) + tile²) memory, in reverse mode about three times
    the work and the same memory. Distances below the rounding error of the norms count as zero,
    and the derivative of a distance of zero is taken as zero.

    Args:
        points: shape (n, d).
        plan: as from `plan_tiles`.

    Returns:
        Shape (n, K).
    """
    tiled = Tiled.of(points, plan)

    def add(sums, a, b, both):
        distance = jnp.sqrt(tiled.squares(a, b, both))
        sums = tiled.add_by_label(sums, a, b, distance)
        return tiled.add_by_label(sums, b, a, distance.T) if both else sums

    return tiled.by_label(over_pairs(len(plan.first), add, tiled.zeros()))


def _forward(points, plan):
    return distance_sums(points, plan), (points, plan)


def _backward(saved, cotangent):
    """∂/∂x_i = Σ_j w_ij·(x_i - x_j) with w_ij = (g_i,label(j) + g_j,label(i)) / D_ij, in tiles.

    With x = y + centroid this is (Σ_j w_ij)·y_i - Σ_j w_ij·y_j, plus the weights towards each
    other cluster times the way from its centroid: nothing that cancels when clusters collapse.
    """
    points, plan = saved
    tiled = Tiled.of(points, plan)
    g = tiled.place_rows(cotangent)

    def add(carry, a, b, both):
        squares = tiled.squares(a, b, both)
        inverse = jnp.where(squares > 0, jax.lax.rsqrt(jnp.where(squares > 0, squares, 1)), 0)
        w = (tiled.spread(g, a, b) + tiled.spread(g, b, a).T) * inverse
        return pull(pull(carry, a, b, w), b, a, w.T) if both else pull(carry, a, b, w)

    def pull(carry, a, b, w):
        weights, pulled = carry
        weights = tiled.add_by_label(weights, a, b, w)
        return weights, pulled.at[a].add(dot(w, tiled.y[b]))

    zeros = (tiled.zeros(), jnp.zeros_like(tiled.y))
    weights, pulled = over_pairs(len(plan.first), add, zeros)
    weights, pulled = tiled.by_label(weights), tiled.by_point(pulled)
    y, own = tiled.by_point(tiled.y), tiled.by_point(tiled.labels[:, :, None])[:, 0]
    k = len(plan.counts)
    others = jnp.where(own[:, None] == jnp.arange(k, dtype=own.dtype)[None, :], 0, weights)
    centroids = tiled.centroids - jnp.mean(tiled.centroids, axis=0, keepdims=True)
    apart = others.sum(1, keepdims=True) * centroids[own] - dot(others, centroids)
    return weights.sum(1, keepdims=True) * y - pulled + apart, None


distance_sums.defvjp(_forward, _backward)


class Tiled(NamedTuple):
    """Points laid out in tiles, relative to the centroid of their label."""

    plan: TilePlan
    y: Float[Array, "t tile d"]
    labels: Int[Array, "t tile"]
    centroids: Float[Array, "k d"]
    lengths: Float[Array, "t tile"]
    norms: Float[Array, "t tile k_and_width"]

    @classmethod
    def of(cls, points: Array, plan: TilePlan) -> Tiled:
        """Of points of about unit size."""
        plan = plan._replace(onehot=plan.onehot.astype(points.dtype))
        x = in_tiles(points, plan)
        k, width = plan.counts.shape[0], plan.onehot.shape[2]
        totals = jnp.einsum("tpw,tpd->twd", plan.onehot, x, precision=jax.lax.Precision.HIGHEST)
        run = plan.first[:, None] + jnp.arange(width, dtype=jnp.int32)[None, :]
        # Runs may reach past the last label, where their one-hot columns are empty.
        centroids = jnp.zeros((k, x.shape[2]), x.dtype).at[run].add(totals, mode="drop")
        centroids = centroids / jnp.maximum(plan.counts, 1).astype(x.dtype)[:, None]
        labels = plan.first[:, None] + jnp.argmax(plan.onehot, axis=2).astype(jnp.int32)
        real = plan.onehot.sum(2)[:, :, None]
        # Exact where a cluster is tight, however far out; a common mean taken off before would
        # round every point.
        y = (x - centroids[labels]) * real
        lengths = jnp.sum(y**2, axis=2)
        norms = _norms(y, labels, centroids, lengths, width)
        return cls(plan, y, labels, centroids, lengths, norms)

    def zeros(self) -> Array:
        """A table to add up sums by label in."""
        return jnp.zeros_like(self.norms)

    def squares(self, a: Array, b: Array, different: bool) -> Float[Array, "tile tile"]:
        """Squared distances between the points of tiles a and b."""
        norms = self.spread(self.norms, a, b) + self.spread(self.norms, b, a).T
        squares = norms - 2 * dot(self.y[a], self.y[b].T)
        # Not relative to `norms`, which are near zero or below where clusters meet.
        own = self.lengths[a][:, None] + self.lengths[b][None, :]
        smallest = ROUNDING * float(jnp.finfo(squares.dtype).eps)
        squares = jnp.where(squares > smallest * own, squares, 0)
        if not different:
            squares = jnp.where(jnp.eye(squares.shape[0], dtype=bool), 0, squares)
        return squares

    def spread(self, table: Array, a: Array, b: Array) -> Float[Array, "tile tile"]:
        """Row i, column j: the entry of point i of tile a for the label of point j of tile b."""
        columns = jax.lax.dynamic_slice_in_dim(
            table[a], self.plan.first[b], self.plan.onehot.shape[2], axis=1
        )
        return dot(columns, self.plan.onehot[b].T)

    def add_by_label(self, table: Array, a: Array, b: Array, block: Array) -> Array:
        """Adds up the columns of a block by label of tile b, into the rows of tile a."""
        start = (a, jnp.zeros_like(a), self.plan.first[b])
        sums = dot(block, self.plan.onehot[b])[None]
        before = jax.lax.dynamic_slice(table, start, sums.shape)
        return jax.lax.dynamic_update_slice(table, before + sums, start)

    def place_rows(self, rows: Float[Array, "n k"]) -> Array:
        """Rows of points to places; as wide as `norms`, zero in padding."""
        return jnp.pad(rows, ((0, 1), (0, self.plan.onehot.shape[2])))[self.plan.order]

    def by_point(self, table: Array) -> Array:
        """Rows of places back to points."""
        return table.reshape(-1, table.shape[2])[self.plan.place]

    def by_label(self, table: Array) -> Float[Array, "n k"]:
        """Likewise, without the columns that only pad the labels."""
        return self.by_point(table)[:, : self.plan.counts.shape[0]]


def _norms(y: Array, labels: Array, centroids: Array, lengths: Array, width: int) -> Array:
    """What a point adds to its squared distance to any point of each cluster.

    With x_i = y_i + c_p and x_j = y_j + c_q, ‖x_i - x_j‖² = u_i(q) + u_j(p) - 2·y_i·y_j, where
    u_i(q) = ‖y_i‖² + 2·y_i·(c_p - c_q) + ‖c_p - c_q‖²/2. Centroids are subtracted before they are
    multiplied: those of clusters that all but touch have most of their digits in common.
    """

    def of_tile(tile):
        y, labels, lengths = tile
        own = centroids[labels]

        def towards(c):
            apart = own - c[None, :]
            return jnp.sum((2 * y + apart / 2) * apart, axis=1)

        return lengths[:, None] + jax.vmap(towards, out_axes=1)(centroids)

    norms = jax.lax.map(of_tile, (y, labels, lengths))
    return jnp.pad(norms, ((0, 0), (0, 0), (0, width)))


def over_pairs(tiles: int, add, carry):
    """Calls `add(carry, a, b, both)` for each unordered pair of tiles, and for each tile alone.

    Pair number i joins tile i mod t to the one i // t + 1 further on, round the ring: every
    unordered pair comes once, for odd and even t, without a table of pairs.
    """

    def pair(i, carry):
        i = i.astype(jnp.int32)  # as plans have it; the loop's own type is wider with x64
        a = i % tiles
        return add(carry, a, (a + i // tiles + 1) % tiles, True)

    def alone(i, carry):
        a = i.astype(jnp.int32)
        return add(carry, a, a, False)

    carry = jax.lax.fori_loop(0, tiles * (tiles - 1) // 2, pair, carry)
    return jax.lax.fori_loop(0, tiles, alone, carry)
