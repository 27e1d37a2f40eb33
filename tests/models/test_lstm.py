"""The LSTM layer against one in numpy float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy_lstm import numpy_lstm

from jaxiso.models.lstm import LSTM, lstm_cell, recurrence


def test_lstm_with_a_constant_input():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(6, 5, 3)).astype(np.float32)
    constant = rng.normal(size=(6, 4)).astype(np.float32)
    arrays = jnp.asarray(inputs), jnp.asarray(constant)
    params: Any = jax.jit(LSTM(7).init)(jax.random.key(0), *arrays)
    found: Any = jax.jit(LSTM(7).apply)(params, *arrays)
    for i in range(6):
        both = np.concatenate([inputs[i], np.tile(constant[i], (5, 1))], axis=1)
        np.testing.assert_allclose(found[i], numpy_lstm(params["params"], both), atol=1e-6)


def test_gradient_is_that_of_its_steps():
    """Against what JAX makes of a loop over `lstm_cell`."""
    rng = np.random.default_rng(1)
    projected = jnp.asarray(rng.normal(size=(9, 4, 20)), jnp.float32)
    recurrent = jnp.asarray(rng.normal(size=(5, 20)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(9, 4, 5)), jnp.float32)

    def loop(projected, recurrent):
        zeros = jnp.zeros((4, 5))
        step = partial(lstm_cell, recurrent=recurrent)
        return jax.lax.scan(step, (zeros, zeros), projected)[1]

    def both(states: Any) -> Any:
        loss = jax.value_and_grad(lambda *x: jnp.sum(weights * states(*x)), argnums=(0, 1))
        return jax.jit(loss)(projected, recurrent)

    found, expected = jax.tree.leaves(both(recurrence)), jax.tree.leaves(both(loop))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6, rtol=1e-5)
