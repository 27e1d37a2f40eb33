from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxiso.models.probe import Probe


def test_scores_are_those_of_two_hidden_layers():
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


def test_sizes_and_start_are_the_papers_and_keras():
    params: Any = jax.jit(Probe(14).init)(jax.random.key(1), np.zeros((1, 32), np.float32))
    for i, (inputs, outputs) in enumerate([(32, 128), (128, 128), (128, 14)]):
        layer = params["params"][f"Dense_{i}"]
        kernel, limit = np.asarray(layer["kernel"]), np.sqrt(6 / (inputs + outputs))
        assert kernel.shape == (inputs, outputs)
        assert 0.98 * limit < np.abs(kernel).max() <= limit
        assert abs(kernel.std() / (limit / np.sqrt(3)) - 1) < 0.05  # uniform
        np.testing.assert_array_equal(layer["bias"], np.zeros(outputs))
