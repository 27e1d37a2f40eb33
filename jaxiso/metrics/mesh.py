"""Points spread over several devices by rows: which rows a device has, and sums over all of them.

A measure that is made of sums over points is one function for any number of devices. It gets the
rows of one device and a `Rows`, which says which of them are points and adds up over the others:
`Rows()`, the default, stands for all rows of an array on one device, and adds nothing to a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows are points, and on which axis of a mesh the others are.

    Attributes:
        real: which rows are points, shape (m,), the others being padding; None if all are.
        axis: the name of the mesh's axis, inside of `jax.shard_map`; None on one device.
    """

    real: Array | None = None
    axis: str | None = None

    def only(self, rows: Array, fill: float | int = 0) -> Array:
        """The rows, with `fill` in those that are padding."""
        if self.real is None:
            return rows
        real = self.real.reshape(-1, *(1,) * (rows.ndim - 1))
        return jnp.where(real, rows, jnp.asarray(fill, rows.dtype))

    def number(self, rows: Array) -> Array | int:
        """How many points there are; an int32 where it is not static."""
        if self.real is None and self.axis is None:
            return rows.shape[0]
        real = jnp.ones(rows.shape[0], bool) if self.real is None else self.real
        return self.everywhere(jnp.sum(real, dtype=jnp.int32))

    def count(self, rows: Array) -> Array | int:
        """Likewise, in the type of `rows` where it is not static."""
        n = self.number(rows)
        return n if isinstance(n, int) else n.astype(rows.dtype)

    def sum(self, rows: Array) -> Array:
        """The sum over all points, shape (...), of rows of shape (m, ...)."""
        return self.everywhere(jnp.sum(self.only(rows), axis=0))

    def mean(self, rows: Array) -> Array:
        """The mean over all points, shape (...), of rows of shape (m, ...)."""
        if self.real is None and self.axis is None:
            return jnp.mean(rows, axis=0)
        return self.sum(rows) / self.count(rows)

    def everywhere(self, value: Array) -> Array:
        """The sum over all devices of a value of each, as a sum over its points."""
        return value if self.axis is None else jax.lax.psum(value, self.axis)

    def max(self, value: Array) -> Array:
        """The largest over all devices of a value of each; without a derivative."""
        value = jax.lax.stop_gradient(value)
        return value if self.axis is None else jax.lax.pmax(value, self.axis)

    def min(self, value: Array) -> Array:
        """The smallest over all devices of a value of each; without a derivative."""
        value = jax.lax.stop_gradient(value)
        return value if self.axis is None else jax.lax.pmin(value, self.axis)

    def all(self, rows: Array) -> Bool[Array, ""]:
        """Whether all entries of all points are true."""
        true = jnp.all(rows if self.real is None else self.only(rows, fill=True))
        return true if self.axis is None else self.min(true.astype(jnp.int32)) > 0

    def first(self, rows: Array) -> Array:
        """The first row of the first device, which is a point as soon as any device has one."""
        if self.axis is None:
            return rows[0]
        mine = jax.lax.axis_index(self.axis) == 0
        return jax.lax.psum(jnp.where(mine, rows[0], 0), self.axis)

    def here(self, values: Any) -> Any:
        """A copy for each device of values that all devices share.

        Inside of a loop or a condition the derivative of such a copy would add up over devices,
        which may not all come there.
        """
        if self.axis is None:
            return values
        return jax.tree.map(lambda value: jax.lax.pcast(value, self.axis, to="varying"), values)

    def gathered(self, value: Array) -> Array:
        """The values of all devices, stacked: shape (P, ...)."""
        if self.axis is None:
            return value[None]
        # Not `all_gather`, of whose result JAX does not know that it is the same everywhere.
        index, size = jax.lax.axis_index(self.axis), jax.lax.axis_size(self.axis)
        empty = jnp.zeros((size, *value.shape), value.dtype)
        return jax.lax.psum(empty.at[index].set(value), self.axis)


ALL = Rows()


class Spread(NamedTuple):
    """An array spread over a mesh by rows, as from `spread`.

    Each device has a part of the rows in a row, then padding of its own: `rows[real]` is the array.

    Attributes:
        rows: shape (P·m, ...), m rows a device.
        real: which of them are rows of the array, shape (P·m,).
    """

    rows: Array
    real: Array


def check_mesh(mesh: Any, n: int | None = None) -> str:
    """The name of the mesh's only axis.

    Raises:
        ValueError: not a mesh, of several axes, without a device, or of more devices than points.
    """
    if not isinstance(mesh, Mesh):
        raise ValueError(
            "mesh must be a jax.sharding.Mesh with one axis, such as "
            f"jax.make_mesh((2,), ('points',)); got {type(mesh).__name__}."
        )
    if len(mesh.axis_names) != 1:
        raise ValueError(f"mesh must have one axis; got {len(mesh.axis_names)}: {mesh.axis_names}.")
    if mesh.size < 1:
        raise ValueError("mesh has no devices; it must have at least one.")
    if n is not None and mesh.size > n:
        raise ValueError(
            f"mesh has {mesh.size} devices, more than the {n} points; take one of {n} at most."
        )
    return mesh.axis_names[0]


def by_rows(mesh: Mesh) -> NamedSharding:
    """How arrays lie on a mesh whose devices have some rows each."""
    return NamedSharding(as_auto(mesh), PartitionSpec(check_mesh(mesh)))


def as_auto(mesh: Mesh) -> Mesh:
    """The mesh with an axis of the kind that takes arrays wherever they are, traced ones too."""
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,))


def is_spread(array: Any, mesh: Mesh) -> bool:
    """Whether a concrete array is spread over the mesh by rows already."""
    if not isinstance(array, jax.Array) or isinstance(array, Tracer):
        return False
    return array.sharding.is_equivalent_to(by_rows(mesh), array.ndim)


def rows_each(array: Any, mesh: Mesh) -> int:
    """How many rows a device gets of an array that `spread` places.

    A size class, so that other numbers of rows need no new programs; only as many as are needed of
    an array that is spread already, or traced.
    """
    most = -(-array.shape[0] // mesh.size)
    return most if isinstance(array, Tracer) or is_spread(array, mesh) else size_class(most)


def spread(array: Any, mesh: Mesh, *, size: int | None = None, fill: Any = 0) -> Spread:
    """Spreads an array over a mesh by rows, as evenly as they divide.

    What is on the host goes to each device by itself; with several processes, all of them have the
    same array.

    Args:
        array: shape (n, ...).
        mesh: of one axis.
        size: rows that each device gets, padding included; by default as `rows_each` has it.
        fill: what padding is made of.

    Raises:
        ValueError: as `check_mesh`.
    """
    n, parts = array.shape[0], mesh.size
    check_mesh(mesh, n)
    sharding, size = by_rows(mesh), size or rows_each(array, mesh)
    if isinstance(array, Tracer):
        return _move(array, jnp.asarray(fill, array.dtype), parts=parts, size=size)
    if isinstance(array, jax.Array) and not _on_host(array, mesh):
        return _spreading(sharding, n, size)(array, jnp.asarray(fill, array.dtype))
    array = np.asarray(array)
    ends = [n * (part + 1) // parts for part in range(parts)]

    def piece(index: Any, values: np.ndarray, fill: Any) -> np.ndarray:
        part = (index[0].start or 0) // size
        start = ends[part - 1] if part else 0
        return padded(values[start : ends[part]], size, fill)

    def place(values: np.ndarray, fill: Any) -> jax.Array:
        shape = (parts * size, *values.shape[1:])
        return jax.make_array_from_callback(
            shape, sharding, lambda index: piece(index, values, fill)
        )

    return Spread(place(array, fill), place(np.ones(n, bool), False))


def places(n: int, parts: int, size: int) -> np.ndarray:
    """Where `spread` puts each of n rows, if each of some devices gets `size` rows: shape (n,)."""
    ends = n * np.arange(1, parts + 1) // parts
    starts = np.concatenate([[0], ends[:-1]])
    return np.arange(n) + np.repeat(np.arange(parts) * size - starts, ends - starts)


def _on_host(array: jax.Array, mesh: Mesh) -> bool:
    return (
        not is_spread(array, mesh)
        and array.is_fully_addressable
        and all(d.platform == "cpu" for d in array.devices())
    )


@lru_cache(maxsize=256)
def _spreading(sharding: NamedSharding, n: int, size: int):
    """The program that moves the n rows of an array to their places, `size` of them a device."""
    return jax.jit(partial(_move, parts=sharding.mesh.size, size=size), out_shardings=sharding)


def _move(array: Array, fill: Array, *, parts: int, size: int) -> Spread:
    n = array.shape[0]
    if n == parts * size:
        return Spread(array, jnp.ones(n, bool))
    ends = n * np.arange(1, parts + 1) // parts
    source = np.concatenate([[0], ends[:-1]])[:, None] + np.arange(size)
    real = (source < ends[:, None]).ravel()
    rows = array[jnp.asarray(np.where(real, source.ravel(), 0), jnp.int32)]
    mask = jnp.asarray(real)
    return Spread(jnp.where(mask.reshape(-1, *(1,) * (array.ndim - 1)), rows, fill), mask)


def size_class(n: int) -> int:
    """The size that n rows are padded to, so that few sizes are compiled.

    Powers of two from 64 to 4096, then steps of an eighth of the power of two below, so that at
    most an eighth of the rows is padding.
    """
    power = 1 << max(n - 1, 1).bit_length() - 1  # the largest power of two below n
    if power < 4096:
        return max(2 * power, 64)
    step = power // 8
    return -(-n // step) * step


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below a number from 1."""
    return 1 << (number - 1).bit_length()


def padded(array: Any, size: int, fill: Any = 0) -> Any:
    """Rows of `fill` appended to an array of NumPy or JAX, so that it has `size` of them."""
    xp = np if isinstance(array, np.ndarray) else jnp
    widths = ((0, size - len(array)), *((0, 0),) * (array.ndim - 1))
    return xp.pad(array, widths, constant_values=fill)
