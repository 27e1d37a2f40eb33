from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.models.heads import HiddenHead, LinearHead, Probe


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


def test_probe_scores_are_those_of_two_hidden_layers():
    rng = np.random.default_rng(0)
    layers = [
        {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[1])}
        for shape in [(6, 8), (8, 7), (7, 3)]
    ]
    x = rng.normal(size=(5, 6))
    values = x
    for layer in layers[:2]:
        values = np.maximum(values @ layer["kernel"] + layer["bias"], 0)
    expected = values @ layers[2]["kernel"] + layers[2]["bias"]
    assert expected.min() < -1  # no ReLU at the end
    params = {"params": {f"Dense_{i}": layer for i, layer in enumerate(layers)}}
    params, x = jax.tree.map(np.float32, (params, x))
    found: Any = jax.jit(Probe(3, (8, 7)).apply)(params, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_probe_sizes_and_start_are_the_papers_and_keras():
    params: Any = jax.jit(Probe(14).init)(jax.random.key(1), np.zeros((1, 32), np.float32))
    for i, (inputs, outputs) in enumerate([(32, 128), (128, 128), (128, 14)]):
        layer = params["params"][f"Dense_{i}"]
        kernel, limit = np.asarray(layer["kernel"]), np.sqrt(6 / (inputs + outputs))
        assert kernel.shape == (inputs, outputs)
        assert 0.98 * limit < np.abs(kernel).max() <= limit
        assert abs(kernel.std() / (limit / np.sqrt(3)) - 1) < 0.05  # uniform
        np.testing.assert_array_equal(layer["bias"], np.zeros(outputs))
