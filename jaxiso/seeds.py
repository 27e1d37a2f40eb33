"""Seeds: one key each, and how several are computed at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


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
