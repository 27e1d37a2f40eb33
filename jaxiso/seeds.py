"""Seeds: one key each, and how several are computed at once, on one device or on many.

Everything that is trained side by side, a model for each seed (and for each weight of isotropy, or
target KL), lies along the first axis of stacked arrays. On several devices that axis is spread over
a mesh: each device runs the program of one device on its own models, and they never communicate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

AXIS = "seeds"
STACKED, SHARED = jax.P(AXIS), jax.P()
"""How an argument of a spread program lies: models along its first axis, or the same for all."""


def seed_keys(seed: int, seeds: int) -> Array:
    """One key a seed. Seed i of a run is the same whatever the number of seeds."""
    return jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(seeds))


def in_turn_on_cpu(function: Callable[..., Any], stacked: Any) -> Any:
    """Applies a function to each seed's part of `stacked`, a pytree with seeds as first axis.

    At once on an accelerator. In turn on a CPU, where large products of several seeds at once only
    drive each other out of its cache.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.map(function, stacked)
    return jax.vmap(function)(stacked)


@dataclass(frozen=True)
class Spread:
    """How models side by side are spread over devices.

    Where their number does not divide, the last one is computed more than once; `whole` leaves the
    copies out. On one device every method gives back what it was given.

    Attributes:
        models: how many.
        mesh: of the devices, with one axis; None for one device.
    """

    models: int
    mesh: jax.sharding.Mesh | None = None

    @staticmethod
    def over(models: int) -> Spread:
        """Over the devices of all processes; no more of them than it takes to be as fast."""
        processes, local = jax.process_count(), jax.local_device_count()
        rounds = -(-models // (processes * local))
        each = -(-models // (processes * rounds))
        if processes == each == 1:
            return Spread(models)
        first = [
            device
            for process in range(processes)
            for device in [d for d in jax.devices() if d.process_index == process][:each]
        ]
        return Spread(models, jax.make_mesh((len(first),), (AXIS,), devices=first))

    @property
    def each(self) -> int:
        """How many models a device computes."""
        return self.models if self.mesh is None else -(-self.models // self.mesh.size)

    @property
    def copies(self) -> int:
        """How many models are computed besides, since the number of devices does not divide."""
        return 0 if self.mesh is None else -self.models % self.mesh.size

    def program(self, function: Callable[..., Any], *arguments: jax.P) -> Callable[..., Any]:
        """A function of stacked arrays, run by each device on its own models; not compiled yet.

        Args:
            function: gives stacked arrays.
            arguments: of each argument, `STACKED` or `SHARED`.
        """
        if self.mesh is None:
            return function
        # Its loops carry what is the same everywhere and what is not; there is nothing to check
        # where nothing is sent.
        return jax.shard_map(
            function, mesh=self.mesh, in_specs=arguments, out_specs=STACKED, check_vma=False
        )

    def stack(self, tree: Any) -> Any:
        """Spreads arrays of all models, with them along the first axis; None stays None."""
        if self.mesh is None:
            return tree
        rows = np.minimum(np.arange(self.models + self.copies), self.models - 1)
        to = jax.NamedSharding(self.mesh, STACKED)
        return jax.tree.map(lambda x: _put(x, to, rows), tree)

    def share(self, tree: Any) -> Any:
        """Gives every device the same arrays."""
        if self.mesh is None:
            return tree
        to = jax.NamedSharding(self.mesh, SHARED)
        return jax.tree.map(lambda x: _put(x, to), tree)

    def whole(self, tree: Any) -> Any:
        """The arrays of all models, on every device, without copies; needs memory for them there.

        All processes have to call it.
        """
        return tree if self.mesh is None else _gather(self.mesh, self.models)(tree)

    def to_save(self, state: Any) -> Any:
        """The arrays of all models without copies, as far as possible where they lie."""
        return self.whole(state) if self.copies else state

    def restored(self, state: Any) -> Any:
        """Spreads arrays that have been read as `places` says."""
        return self.stack(state) if self.copies else state

    def placed(self, state: Any) -> Any:
        """The same state, where `restored` would have it."""
        return jax.device_put(state, _one_device()) if self.mesh is None else state

    def places(self, state: Any) -> Any:
        """Shapes of what `to_save` gives, and where a checkpoint's arrays are to be read to."""
        to: jax.sharding.Sharding = _one_device()
        if self.mesh is not None:
            to = jax.NamedSharding(self.mesh, SHARED if self.copies else STACKED)

        def place(x: Any) -> jax.ShapeDtypeStruct:
            shape = (x.shape[0] - self.copies, *x.shape[1:])
            return jax.ShapeDtypeStruct(shape, x.dtype, sharding=to)

        return jax.tree.map(place, state)


ONE_DEVICE = Spread(1)
"""For any number of models."""


def _one_device() -> jax.sharding.Sharding:
    return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])


def _put(x: Any, to: jax.NamedSharding, rows: np.ndarray | None = None) -> Array:
    """An array's rows, on the devices of a mesh; each process takes its part of what it has."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(x), to, rows)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    host = np.asarray(x)
    host = host if rows is None else host[rows]
    return jax.make_array_from_callback(host.shape, to, lambda part: host[part])


@lru_cache(maxsize=8)
def _gather(mesh: jax.sharding.Mesh, models: int) -> Callable[[Any], Any]:
    to = jax.NamedSharding(mesh, SHARED)
    return jax.jit(lambda tree: jax.tree.map(lambda x: jax.reshard(x, to)[:models], tree))
