from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.models.linear import HiddenHead, LinearHead


def test_scores_are_affine_and_bias_is_optional():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)
    params: Any = LinearHead(3).init(jax.random.key(0), x)
    dense = params["params"]["Dense_0"]
    expected = np.asarray(x) @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    found: Any = LinearHead(3).apply(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    without: Any = LinearHead(3, bias=False).init(jax.random.key(0), x)
    assert set(without["params"]["Dense_0"]) == {"kernel"}


def test_a_hidden_layer_is_rectified_and_starts_as_pytorch_linear():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)), jnp.float32)
    head = HiddenHead(3, hidden=2, bias=False)
    params: Any = head.init(jax.random.key(0), x)
    first, last = (params["params"][f"LinearHead_{i}"]["Dense_0"] for i in range(2))
    assert set(first) == {"kernel", "bias"} and set(last) == {"kernel"}
    hidden = np.asarray(x) @ np.asarray(first["kernel"]) + np.asarray(first["bias"])
    assert (hidden < 0).any() and (hidden > 0).any()
    expected = np.maximum(hidden, 0) @ np.asarray(last["kernel"])
    found: Any = head.apply(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert 0.8 * 6**-0.5 < np.abs(first["kernel"]).max() <= 6**-0.5
    assert 2**-0.5 >= np.abs(last["kernel"]).max() > 6**-0.5  # limits go by each layer's inputs
