"""The LSTM layer against one in numpy float64."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy_lstm import numpy_lstm

from jaxiso.models.lstm import LSTM


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
