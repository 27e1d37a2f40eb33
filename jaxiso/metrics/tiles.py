"""Where points stand in tiles: plans by label, for sizes that are known or padded to few classes.

Points stand back to back by label, so a tile may hold several labels: a run of at most `width`
consecutive codes. Sums by label are then products with a narrow one-hot table, in which padding is
zero and so needs no mask. (Padding every label to whole tiles was measured too: no faster with two
labels, up to three times slower with the 15 of the part-of-speech task, impossible with hundreds.)

How many tiles hold points is data, not shape. Arrays padded to few sizes (`points.size_class`) then
share a program, and tiles that are all padding are never visited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental.multihost_utils import process_allgather
from jaxtyping import Array, Float, Int

from jaxiso.metrics.mesh import ALL, Rows, power_of_two, size_class

CPU_TILES = (128, 256, 384)
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
        used: how many of the tiles hold points; the others are all padding.
    """

    order: Int[Array, "t tile"]
    place: Int[Array, " n"]
    onehot: Float[Array, "t tile width"]
    first: Int[Array, " t"]
    counts: Int[Array, " k"]
    used: Int[Array, ""]

    @property
    def labels(self) -> Int[Array, "t tile"]:
        """The code of each place; -1 where it is padding."""
        label = self.first[:, None] + jnp.argmax(self.onehot, axis=2).astype(jnp.int32)
        return jnp.where(jnp.max(self.onehot, axis=2) > 0, label, -1)


@jax.tree_util.register_static
@dataclass(frozen=True)
class TileShape:
    """The static part of a plan: places in a tile, and distinct labels in a tile at most.

    `jit` compiles it into the program wherever it stands among the arguments.
    """

    tile: int
    width: int


def tile_shape(counts: np.ndarray, *, tile: int | None = None) -> TileShape:
    """Tiles for clusters of known sizes."""
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


def shape_for(codes: Int[np.ndarray | Array, " n"], k: int, parts: int | None = None) -> TileShape:
    """Tiles for labels: for these, or for any of that number where they are traced.

    Args:
        codes: label of each point.
        k: number of labels.
        parts: over how many devices points are spread and padded (`mesh.spread`). The shape is then
            one of few. None where they are neither.
    """
    n = len(codes)
    size = n if parts is None else size_class(-(-n // parts))
    tile = tile_size(size)
    if isinstance(codes, Tracer):
        return any_tile_shape(size, k, tile=tile)
    if isinstance(codes, jax.Array) and not codes.is_fully_addressable:
        codes = process_allgather(codes, tiled=True)
    codes = np.asarray(codes)
    pieces = np.split(codes, n * np.arange(1, parts or 1) // (parts or 1))  # as `spread` has them
    width = max(tile_shape(np.bincount(mine, minlength=k), tile=tile).width for mine in pieces)
    return TileShape(tile, width if parts is None else power_of_two(width))


def tile_size(n: int) -> int:
    """Places in a tile for n points: the size that computes the fewest distances in vain."""
    sizes = CPU_TILES if jax.default_backend() == "cpu" else ACCELERATOR_TILES

    def distances(tile: int) -> int:
        tiles = -(-n // tile)
        return tiles * (tiles + 1) // 2 * (tile**2 + TILE_OVERHEAD)

    return min(sizes, key=distances)


def plan_tiles(
    codes: Int[Array, " n"], k: int, shape: TileShape, real: Int[Array, ""] | None = None
) -> TilePlan:
    """Lays points out in tiles by label. Pure: labels may be traced, `k` and `shape` are static.

    Args:
        codes: label of each point as a number from 0 to k - 1; k for a point that is padding.
        k: number of clusters; some may be empty.
        shape: as from `tile_shape` (for these labels) or `any_tile_shape` (for any).
        real: how many points are not padding; all where it is not given.
    """
    tile, width = shape.tile, shape.width
    n = codes.shape[0]
    tiles = -(-n // tile)
    codes = codes.astype(jnp.int32)
    by_label = jnp.argsort(codes, stable=True).astype(jnp.int32)
    place = jnp.zeros(n, jnp.int32).at[by_label].set(jnp.arange(n, dtype=jnp.int32))
    padding = (0, tiles * tile - n)
    label = jnp.pad(codes[by_label], padding, constant_values=k)
    order = jnp.where(label < k, jnp.pad(by_label, padding), n).reshape(tiles, tile)
    label = label.reshape(tiles, tile)
    first = label[:, 0]
    onehot = jax.nn.one_hot(jnp.where(label < k, label - first[:, None], -1), width)
    counts = jnp.bincount(codes, length=k).astype(jnp.int32)
    used = jnp.asarray(tiles if real is None else -(-real // tile), jnp.int32)
    return TilePlan(order, place, onehot, first, counts, used)


def as_plan(
    plan: TilePlan | TileShape | None, codes: Int[Array, " n"], k: int | None, rows: Rows = ALL
) -> TilePlan:
    """The plan itself, or one of this shape.

    Args:
        plan: as callers give it, or `shape_for` makes it.
        codes: label of each row, of anything where it is padding.
        k: number of labels.
        rows: which rows are points.

    Raises:
        ValueError: the plan is of another number of points.
    """
    if isinstance(plan, TilePlan):
        if plan.place.shape != codes.shape:
            raise ValueError(f"The plan is of {len(plan.place)} points; got {len(codes)}.")
        return plan
    assert plan is not None and k is not None  # `points.metric` sees to both
    real = None if rows.real is None else jnp.sum(rows.real, dtype=jnp.int32)
    return plan_tiles(rows.only(codes, fill=k), k, plan, real)


def if_planned(value: Array, plan: TilePlan, codes: Int[Array, " n"], rows: Rows = ALL) -> Array:
    """NaN where the plan is not one of these labels, or its tiles are too narrow for them."""
    planned = rows.all(plan.labels.ravel()[plan.place] == codes)
    return jnp.where(planned, value, jnp.nan)
