from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import pdist

import jaxiso
from jaxiso.metrics import uniformity as module

RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(70, 6)) + 0.5).astype(np.float32)


def oracle(x, t=2.0):
    unit = np.asarray(x, np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    return np.log(np.exp(-t * pdist(unit, "sqeuclidean")).mean())


@pytest.mark.parametrize("t", [0.5, 2.0, 300.0])
def test_it_is_the_mean_over_all_pairs(t, monkeypatch):
    on_device = jax.jit(lambda x: jaxiso.uniformity(x, t=t))
    assert float(jaxiso.uniformity(X, t=t)) == pytest.approx(oracle(X, t), rel=1e-4)
    assert float(on_device(X)) == pytest.approx(oracle(X, t), rel=1e-4)
    monkeypatch.setattr(module, "BLOCK", 1000)  # of 14 rows, which do not divide them
    assert float(jaxiso.uniformity(X, t=t)) == pytest.approx(oracle(X, t), rel=1e-4)
    jax.clear_caches()
    assert float(on_device(X)) == pytest.approx(oracle(X, t), rel=1e-4)


def test_it_is_the_same_over_a_mesh_and_of_any_length():
    mesh = jax.make_mesh((1,), ("points",))
    assert float(jaxiso.uniformity(X, mesh=mesh)) == pytest.approx(oracle(X), rel=1e-5)
    scaled = X * np.geomspace(1e-30, 1e30, len(X), dtype=np.float32)[:, None]
    assert float(jaxiso.uniformity(scaled)) == pytest.approx(oracle(X), rel=1e-5)
    assert float(jaxiso.uniformity(np.ones((4, 3)))) == pytest.approx(0, abs=1e-6)
    assert float(jaxiso.uniformity([[1.0, 0.0], [0.0, 0.0]])) == pytest.approx(-4)


def test_its_derivative():
    gradient = jax.jit(jax.grad(lambda x: jaxiso.uniformity(x)))(jnp.asarray(X))
    moved = np.zeros(X.shape)
    moved[2, 3] = 1e-4
    wide = X.astype(np.float64)
    slope = (oracle(wide + moved) - oracle(wide - moved)) / 2e-4
    assert float(gradient[2, 3]) == pytest.approx(slope, rel=1e-3)


def test_random_pairs_estimate_it_with_their_error():
    exact = oracle(X)
    found = [jaxiso.sampled_uniformity(X, pairs=400, random_state=seed) for seed in range(30)]
    errors = np.array([(one.value - exact) / one.standard_error for one in found])
    assert 0.5 < errors.std() < 1.6
    assert abs(errors.mean()) < 0.7
    every = jaxiso.sampled_uniformity(X)
    assert every.value == pytest.approx(exact, rel=1e-4)
    assert every.standard_error == 0
    assert every.pairs == 70 * 69 // 2
    with pytest.raises(ValueError, match="pairs is 1, expected at least 2"):
        jaxiso.sampled_uniformity(X, pairs=1)
