"""All pairs of tiles once, on one device, or round a ring of devices that have some tiles each.

Each device visits the pairs of its own tiles. Then the tiles of all devices go round the ring, one
device at a time and half of the way, with what has been found for their points; so each device
meets half of the others, and each unordered pair of devices meets once. Where their number is even,
the two that are opposite meet twice, and each of them visits one half of the pairs. At the end what
has been found is sent home. A device sends O(n·(d + K)) numbers in all, and its memory is
O(n·(d + K) / P), with P devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

Block = Callable[[Any, Any, bool], tuple[Any, Any]]
Update = Callable[[Any, Array, Any, Any, Any], Any]


def all_pairs(
    tiles: Any,
    used: Int[Array, ""],
    block: Block,
    update: Update,
    nothing: Any,
    axis: str | None = None,
    *,
    merge: Callable[[Any, Any], Any] = jnp.add,
    once: bool = False,
) -> Any:
    """Visits each unordered pair of tiles, and each tile alone.

    Args:
        tiles: arrays that stand in tiles, as `blocks.Tiles` does.
        used: how many of the tiles hold points.
        block: `block(a, b, apart)` is what is known of a pair, for the points of a and for those of
            b. `apart` says that they are not the same tile.
        update: `update(found, number of a, a, b, known)` takes in what is known for those of a.
        nothing: what is found before any pair.
        axis: that of the mesh whose devices have tiles each, inside of `jax.shard_map`.
        merge: puts together what was found here and elsewhere, array by array.
        once: a pair is taken in for the points of one of its tiles only, on one device, as where
            what is found is of all points together. It then stays where it was found.

    Returns:
        What was found, for the tiles of this device.
    """
    found = _within(tiles, used, block, update, nothing, once)
    size = 1 if axis is None else jax.lax.axis_size(axis)
    if axis is None or size == 1:
        return found

    def meet(step, state):
        mine, guest, theirs = state
        guest, theirs = jax.lax.ppermute((guest, theirs), axis, _turn(size, -1))
        share = _share(step, used, guest[1], axis)
        mine, theirs = _between((tiles, guest[0]), share, block, update, (mine, theirs), once)
        return mine, guest, theirs

    state = found, (tiles, used), None if once else nothing
    mine, _, theirs = jax.lax.fori_loop(1, size // 2 + 1, meet, state)
    if once:
        return mine
    return jax.tree.map(merge, mine, jax.lax.ppermute(theirs, axis, _turn(size, size // 2)))


def _turn(size: int, by: int) -> list[tuple[int, int]]:
    return [(i, (i + by) % size) for i in range(size)]


def _share(step: Array, mine: Array, theirs: Array, axis: str) -> tuple[Array, Array, Array]:
    """From which to which of the own tiles, and up to which of the guest's, are visited here."""
    size = jax.lax.axis_size(axis)
    twice = 2 * step == size
    lower = jax.lax.axis_index(axis) < size // 2
    start = jnp.where(twice & ~lower, mine // 2, 0)
    return start, mine, jnp.where(twice & lower, theirs // 2, theirs)


def _within(tiles: Any, used: Array, block: Block, update: Update, found: Any, once: bool) -> Any:
    """Visits each unordered pair of tiles of one device, and each tile alone."""

    def add(found, a, b, apart):
        tile_a, tile_b = at(tiles, a), at(tiles, b)
        of_a, of_b = block(tile_a, tile_b, apart)
        found = update(found, a, tile_a, tile_b, of_a)
        return update(found, b, tile_b, tile_a, of_b) if apart and not once else found

    # Pair number i joins tile i mod t to the one i // t + 1 further on, round a ring: every
    # unordered pair comes once, for odd and even t, without a table of pairs.
    def pair(i, found):
        a = i % used
        return add(found, a, (a + i // used + 1) % used, True)

    def alone(a, found):
        return add(found, a, a, False)

    found = jax.lax.fori_loop(0, used * (used - 1) // 2, pair, found)
    return jax.lax.fori_loop(0, used, alone, found)


def _between(
    tiles: tuple[Any, Any],
    share: tuple[Array, Array, Array],
    block: Block,
    update: Update,
    found: tuple[Any, Any],
    once: bool,
) -> tuple[Any, Any]:
    """Visits pairs of tiles of two devices, and updates what is found for both."""
    ours, theirs = tiles
    start, end, stop = share

    def pair(i, found):
        mine, other = found
        a, b = start + i // stop, i % stop
        tile_a, tile_b = at(ours, a), at(theirs, b)
        of_a, of_b = block(tile_a, tile_b, True)
        mine = update(mine, a, tile_a, tile_b, of_a)
        return mine, other if once else update(other, b, tile_b, tile_a, of_b)

    return jax.lax.fori_loop(0, (end - start) * stop, pair, found)


def at(tiles: Any, a: Array) -> Any:
    """One tile of all of whatever stands in tiles."""
    return jax.tree.map(lambda table: table[a], tiles)
