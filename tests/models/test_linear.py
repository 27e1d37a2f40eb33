from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.models.linear import LinearHead


def test_scores_are_affine_and_bias_is_optional():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)
    params: Any = LinearHead(3).init(jax.random.key(0), x)
    dense = params["params"]["Dense_0"]
    expected = np.asarray(x) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    found: Any = LinearHead(3).apply(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    without: Any = LinearHead(3, bias=False).init(jax.random.key(0), x)
    assert set(without["params"]["Dense_0"]) == {"kernel"}
