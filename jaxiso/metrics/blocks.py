"""Points in tiles, relative to the middle of their label, and the distances of a pair of tiles.

Distances come from ‖a‖² + ‖b‖² - 2a·b, which cancels where clusters have collapsed to points far
apart. So points are taken relative to the middle of *their own* label (`middles`), and the terms
that come from the middles are folded into the norms (`norms_of`): what cancels then is only the
spread.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxiso.metrics.arithmetic import dot
from jaxiso.metrics.tiles import TilePlan

# A squared distance of fewer rounding errors than this of the points' squared distances to the
# middles of their own labels is zero.
ROUNDING = 4

# Places that are multiplied at a time with the ways between middles: few, as labels may be small,
# but enough for a matrix product.
CPU_RUN, ACCELERATOR_RUN = 16, 256


class Tiles(NamedTuple):
    """Points in their tiles, relative to the middle of their label; one tile where t is left out.

    Attributes:
        y: the points; zeros in padding.
        norms: what a point adds to its squared distance to any point of each label; zeros in
            padding, and in the last columns, as a run of labels may reach past the last.
        lengths: squared lengths of y.
        labels: codes; -1 in padding.
        onehot: as in `TilePlan`; None of a tile all of whose places have points of one label.
        first: likewise.
        order: likewise.
    """

    y: Float[Array, "*t tile d"]
    norms: Float[Array, "*t tile k_and_width"]
    lengths: Float[Array, "*t tile"]
    labels: Int[Array, "*t tile"]
    onehot: Float[Array, "*t tile width"] | None
    first: Int[Array, "*t"]
    order: Int[Array, "*t tile"]

    @classmethod
    def of(
        cls,
        points: Float[Array, "n d"],
        plan: TilePlan,
        centres: Float[Array, "k d"],
        *,
        norms: bool = True,
    ) -> Tiles:
        """Of points of about unit size, and a centre near those of each label.

        Args:
            points: shape (n, d).
            plan: of these points.
            centres: as from `middles`.
            norms: False where they are made tile by tile.
        """
        labels = plan.labels

        # Tile by tile, as sums of other shapes may be rounded otherwise.
        def of_tile(places):
            order, labels = places
            x = points[jnp.minimum(order, len(points) - 1)]
            # Exact where a cluster is tight, however far out; a common mean taken off before would
            # round every point.
            y = jnp.where(labels[:, None] >= 0, x - centres[labels], 0)
            return y, jnp.sum(y**2, axis=1)

        y, lengths = jax.lax.map(of_tile, (plan.order, labels))
        onehot = plan.onehot.astype(points.dtype)
        found = norms_of(y, labels, centres, centres) if norms else y[:, :, :0]
        found = jnp.pad(found, ((0, 0), (0, 0), (0, onehot.shape[2])))
        return cls(y, found, lengths, labels, onehot, plan.first, plan.order)

    def of_one_label(self) -> Bool[Array, ""]:
        """Whether all places of a tile are points of one label."""
        return (self.labels[0] == self.labels[-1]) & (self.labels[-1] >= 0)

    @property
    def width(self) -> int:
        """How many labels there are in a tile at most."""
        return 1 if self.onehot is None else self.onehot.shape[-1]

    def zeros(self) -> Array:
        """A table to add up sums by label in."""
        return jnp.zeros_like(self.norms)


def middles(
    points: Float[Array, "n d"], plan: TilePlan, axis: str | None = None
) -> Float[Array, "k d"]:
    """The mean of each label's points, or where a few far away drag it along, a place amid most.

    That place is the median of three medians of three members, coordinate by coordinate. Means are
    taken relative to it, so points in one place are exactly zero relative to their middle.

    `axis` is that of the mesh whose devices have some of each label's points, if there is one.
    """
    nine = _nine_members(points, plan, axis)
    amid = _median(*(_median(*nine[i : i + 3]) for i in (0, 3, 6)))
    mean = amid + _means(points, plan, amid, axis)
    away = jnp.sort(jnp.stack([jnp.sum((x - amid) ** 2, axis=1) for x in nine]), axis=0)
    dragged = jnp.sum((mean - amid) ** 2, axis=1) > away[-3]
    return jnp.where(dragged[:, None], amid, mean)


def _nine_members(points: Array, plan: TilePlan, axis: str | None) -> list[Float[Array, "k d"]]:
    """Nine members of each label, evenly spread over them in their order; zeros if it has none."""
    counts, before = plan.counts, jnp.zeros_like(plan.counts)
    if axis is not None:
        of_devices = jax.lax.all_gather(counts, axis)
        counts = of_devices.sum(0, dtype=jnp.int32)
        before = (jnp.cumsum(of_devices, axis=0) - of_devices)[jax.lax.axis_index(axis)]
    starts = jnp.cumsum(plan.counts, dtype=jnp.int32) - plan.counts
    order = jnp.minimum(plan.order.ravel(), len(points) - 1)

    def member(i):
        number = counts * (2 * i + 1) // 18 - before
        here = (number >= 0) & (number < plan.counts)
        rows = points[order[starts + jnp.where(here, number, 0)]]
        rows = jnp.where(here[:, None], rows, 0)
        return rows if axis is None else jax.lax.psum(rows, axis)

    return [member(i) for i in range(9)]


def _median(a: Array, b: Array, c: Array) -> Array:
    return jnp.maximum(jnp.minimum(a, b), jnp.minimum(jnp.maximum(a, b), c))


def _means(points: Array, plan: TilePlan, origins: Array, axis: str | None) -> Float[Array, "k d"]:
    """Means by label of the points relative to an origin of each label."""
    width, labels = plan.onehot.shape[2], plan.labels

    def add(i, sums):
        real = (labels[i] >= 0)[:, None]
        x = jnp.where(real, points[jnp.minimum(plan.order[i], len(points) - 1)], 0)
        x = jnp.where(real, x - origins[labels[i]], 0)
        total = dot(plan.onehot[i].astype(x.dtype).T, x)
        before = jax.lax.dynamic_slice_in_dim(sums, plan.first[i], width)
        return jax.lax.dynamic_update_slice_in_dim(sums, before + total, plan.first[i], 0)

    nothing = jnp.zeros_like(points, shape=(len(origins) + width, points.shape[1]))
    sums = jax.lax.fori_loop(0, plan.used, add, nothing)[: len(origins)]
    sums, counts = (sums, plan.counts) if axis is None else jax.lax.psum((sums, plan.counts), axis)
    return sums / jnp.maximum(counts, 1).astype(sums.dtype)[:, None]


def norms_of(
    y: Float[Array, "t tile d"],
    labels: Int[Array, "t tile"],
    centres: Float[Array, "k d"],
    others: Float[Array, "l d"],
) -> Float[Array, "t tile l"]:
    """What a point adds to its squared distance to any point of each label; zeros in padding.

    With x_i = y_i + c_p and x_j = y_j + c_q, ‖x_i - x_j‖² = u_i(q) + u_j(p) - 2·y_i·y_j, where
    u_i(q) = ‖y_i‖² + 2·y_i·(c_p - c_q) + ‖c_p - c_q‖²/2.

    Points are relative to the centre of their label; labels are -1 in padding.
    """

    def norms(y, ways):
        lengths, apart = jnp.sum(y**2, axis=1), jnp.sum(ways**2, axis=1)
        return lengths[:, None] + (dot(2 * y, ways.T) + apart[None] / 2)

    return along_ways(norms, y, labels, centres, others, len(others))


def along_ways(
    product: Callable[[Array, Array], Array],
    rows: Float[Array, "t tile r"],
    labels: Int[Array, "t tile"],
    centres: Float[Array, "k d"],
    others: Float[Array, "l d"],
    columns: int,
) -> Float[Array, "t tile columns"]:
    """`product(rows, ways)` in each place, ways being those from other centres to its own label's.

    Centres are subtracted before they are multiplied: those of clusters that all but touch have
    most of their digits in common. So there is a product for each run of a label.
    """
    run = gcd(labels.shape[1], CPU_RUN if jax.default_backend() == "cpu" else ACCELERATOR_RUN)

    def of_places(places):
        rows, labels = places

        def of_label(p, table):
            found = product(rows, centres[p][None] - others)
            return jnp.where((labels == p)[:, None], found, table)

        nothing = jnp.zeros_like(rows, shape=(run, columns))
        return jax.lax.fori_loop(jnp.maximum(labels[0], 0), jnp.max(labels) + 1, of_label, nothing)

    places = rows.reshape(-1, run, rows.shape[2]), labels.reshape(-1, run)
    return jax.lax.map(of_places, places).reshape(*labels.shape, columns)


def in_places(rows: Float[Array, "n r"], plan: TilePlan) -> Float[Array, "t tile r"]:
    """Rows of points in their places; zeros in padding."""
    return jnp.pad(rows, ((0, 1), (0, 0)))[plan.order]


def by_point(table: Float[Array, "t tile r"], plan: TilePlan) -> Float[Array, "n r"]:
    """Rows of places back to points."""
    return table.reshape(-1, table.shape[2])[plan.place]


def squares(a: Tiles, b: Tiles, apart: bool) -> Float[Array, "tile_a tile_b"]:
    """Squared distances between the points of two tiles.

    `apart` says that no point is in both; else its distance to itself is exactly zero.
    """
    found = spread(a.norms, a, b.norms, b) - 2 * dot(a.y, b.y.T)
    # Not relative to the norms, which are near zero or below where clusters meet.
    own = a.lengths[:, None] + b.lengths[None, :]
    found = jnp.where(found > ROUNDING * float(jnp.finfo(found.dtype).eps) * own, found, 0)
    return found if apart else jnp.where(a.order[:, None] == b.order[None, :], 0, found)


def sums_of_pair(
    a: Tiles, b: Tiles, apart: bool
) -> tuple[Float[Array, "tile_a width_b"], Float[Array, "tile_b width_a"]]:
    """Sums of distances by label, of the points of two tiles to those of the other; see `squares`.

    Most tiles have one label where labels are few: those take no products but that of the points.
    """

    def sums(a, b):
        distances = jnp.sqrt(squares(a, b, apart))
        return by_label(distances, b), by_label(distances.T, a)

    def of_one_label(a, b):
        of_a, of_b = sums(a._replace(onehot=None), b._replace(onehot=None))
        return _widen(of_a, b), _widen(of_b, a)

    if not apart:
        return sums(a, b)
    return jax.lax.cond(a.of_one_label() & b.of_one_label(), of_one_label, sums, a, b)


def _widen(sums: Float[Array, "tile_a 1"], b: Tiles) -> Float[Array, "tile_a width_b"]:
    return jnp.pad(sums, ((0, 0), (0, b.width - 1)))


def spread(
    table_a: Float[Array, "tile_a _"], a: Tiles, table_b: Float[Array, "tile_b _"], b: Tiles
) -> Float[Array, "tile_a tile_b"]:
    """For points i and j, what a table by label has of i for the label of j, plus of j for i's."""
    of_a, of_b = _towards(table_a, b), _towards(table_b, a)
    if a.onehot is None or b.onehot is None:
        return of_a + of_b.T
    left = jnp.concatenate([of_a, a.onehot], axis=1)
    right = jnp.concatenate([b.onehot, of_b], axis=1)
    return dot(left, right.T)


def _towards(table: Float[Array, "tile _"], b: Tiles) -> Float[Array, "tile width"]:
    """The columns of a table by label that are of the labels of a tile."""
    return jax.lax.dynamic_slice_in_dim(table, b.first, b.width, axis=1)


def by_label(block: Float[Array, "tile_a tile_b"], b: Tiles) -> Float[Array, "tile_a width_b"]:
    """Sums of the columns of a block by label of tile b."""
    if b.onehot is None:
        return jnp.sum(block, axis=1, keepdims=True)
    return dot(block, b.onehot)


def add_by_label(table: Array, a: Array, _: Any, b: Tiles, sums: Array) -> Array:
    """Adds sums by label of tile b in the rows of tile a of a table."""
    start = (a, jnp.zeros_like(a), b.first)
    before = jax.lax.dynamic_slice(table, start, (1, *sums.shape))
    return jax.lax.dynamic_update_slice(table, before + sums[None], start)
