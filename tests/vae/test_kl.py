"""The weight of the KL and its free bits against their definitions, in NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.metrics.posterior import gaussian_kl
from jaxiso.vae.kl import annealed, kl_above_free_bits, kl_by_dimension

MEAN = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def test_linear_annealing_rises_once():
    found = annealed("linear", 10, jnp.arange(15))
    np.testing.assert_allclose(found, np.r_[np.arange(10) / 10, np.ones(5)], rtol=1e-6)


@pytest.mark.parametrize("over", [40, 30, 8])
def test_cyclical_annealing_is_that_of_its_paper(over):
    """Equation 6 of Fu et al. (2019), with M = 4 and R = 0.5, updates counted from 1."""
    found = np.asarray(annealed("cyclical", over, jnp.arange(over + 5)))
    for t in range(1, over + 1):
        tau = (t - 1) % np.ceil(over / 4) / (over / 4)
        assert found[t - 1] == pytest.approx(tau / 0.5 if tau <= 0.5 else 1, rel=1e-6)
    assert (found[over:] == 1).all()
    assert (found[:over] == 0).sum() == 4 and found[0] == 0


@pytest.mark.parametrize("width", [5, 1])
@pytest.mark.parametrize("free", [0.0, 0.8])
def test_free_bits(width, free):
    log_variance = np.random.default_rng(1).normal(size=(7, width)).astype(np.float32)
    weights = np.r_[np.full(5, 0.2), 0, 0].astype(np.float32)
    each = kl_by_dimension(jnp.asarray(MEAN), jnp.asarray(log_variance))
    assert each.shape == (7, 5)
    np.testing.assert_allclose(each.sum(1), gaussian_kl(MEAN, log_variance), rtol=1e-5)
    wide = np.broadcast_to(log_variance, MEAN.shape).astype(np.float64)
    expected = (np.exp(wide) - wide - 1 + MEAN.astype(np.float64) ** 2)[:5].mean(0) / 2
    assert (expected < 0.8).any() and (expected > 0.8).any()
    mean, log_variance, weights = map(jnp.asarray, (MEAN, log_variance, weights))
    found = float(kl_above_free_bits(mean, log_variance, weights, free))
    assert found == pytest.approx(np.maximum(free, expected).sum(), rel=1e-5)
