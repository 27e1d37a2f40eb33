from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxiso
from jaxiso.metrics.spectrum import principal_axes

RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(90, 20)) * np.geomspace(1, 0.05, 20) + 0.3).astype(np.float32)


def rankme(x):
    sigma = np.linalg.svd(np.asarray(x, np.float64), compute_uv=False)
    p = sigma[sigma > 1e-12] / sigma.sum()
    return np.exp(-(p * np.log(p)).sum())


def alpha(x, first, last):
    values = np.linalg.eigvalsh(np.cov(np.asarray(x, np.float64).T))[::-1]
    i = np.arange(first, min(last, len(values)) + 1)
    design = np.stack([-np.log(i), np.ones(len(i))], axis=1)
    root = np.sqrt(1 / i)
    log = np.log(values[i - 1])
    return np.linalg.lstsq(design * root[:, None], log * root, rcond=None)[0][0]


def test_rankme_is_its_formula():
    assert float(jaxiso.rankme(X)) == pytest.approx(rankme(X), rel=1e-6)
    assert float(jaxiso.rankme(X[:7])) == pytest.approx(rankme(X[:7]), rel=1e-6)
    assert float(jaxiso.rankme(X * 1e30)) == pytest.approx(rankme(X), rel=1e-5)
    assert float(jax.jit(jaxiso.rankme)(X)) == pytest.approx(rankme(X), rel=1e-5)
    assert np.isnan(jaxiso.rankme(np.zeros((3, 2))))
    centred = X - X.mean(axis=0, dtype=np.float64)
    assert float(jaxiso.rankme(centred)) == pytest.approx(float(jaxiso.effective_rank(X)), rel=1e-5)


def test_rankme_over_a_mesh_and_its_derivative():
    mesh = jax.make_mesh((1,), ("points",))
    assert float(jaxiso.rankme(X, mesh=mesh)) == pytest.approx(rankme(X), rel=1e-5)
    gradient = jax.grad(lambda x: jaxiso.rankme(x))(jnp.asarray(X))
    moved = np.zeros(X.shape)
    moved[3, 5] = 1e-4
    wide = X.astype(np.float64)
    slope = (rankme(wide + moved) - rankme(wide - moved)) / 2e-4
    assert float(gradient[3, 5]) == pytest.approx(slope, rel=1e-2, abs=1e-4)


def test_alpha_req_is_weighted_least_squares():
    ours = float(jaxiso.alpha_req(X, first=3, last=12))
    assert ours == pytest.approx(alpha(X, 3, 12), rel=1e-5)
    assert float(jaxiso.alpha_req(X)) == pytest.approx(alpha(X, 11, 100), rel=1e-5)
    traced = jax.jit(lambda x: jaxiso.alpha_req(x, first=3, last=12))(X)
    assert float(traced) == pytest.approx(ours, rel=1e-4)
    power: Any = np.linalg.qr(RANDOM.normal(size=(200, 40)))[0]
    power = power - power.mean(axis=0)
    basis: Any = np.linalg.qr(power)[0]
    decays = basis * np.arange(1.0, 41) ** -0.6  # variances fall as i to the power of -1.2
    assert float(jaxiso.alpha_req(decays)) == pytest.approx(1.2, rel=1e-3)


def test_alpha_req_leaves_out_what_rounding_makes():
    low = X[:, :14] @ RANDOM.normal(size=(14, 30)).astype(np.float32)  # of rank 14
    assert float(jaxiso.alpha_req(low, first=3)) == pytest.approx(alpha(low, 3, 14), rel=1e-3)
    flat = X[:, :5] @ RANDOM.normal(size=(5, 30)).astype(np.float32)
    assert np.isnan(jaxiso.alpha_req(flat))
    with pytest.raises(ValueError, match=r"have 6; it takes two in the range"):
        jaxiso.alpha_req(X[:7])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_numerical_rank_sees_through_rounding(kind):
    low = X[:, :6].astype(np.float64) @ RANDOM.normal(size=(6, 20)) + 10
    rounded = low.astype(kind)
    assert int(jaxiso.numerical_rank(rounded)) == 6
    assert int(jaxiso.numerical_rank(low.astype(np.float32).astype(np.float64))) == 6
    if kind != np.float16:
        assert int(jax.jit(jaxiso.numerical_rank)(rounded.astype(np.float32))) == 6


def test_numerical_rank_is_at_most_one_below_the_points():
    assert int(jaxiso.numerical_rank(X)) == 20
    assert int(jaxiso.numerical_rank(X[:8])) == 7
    assert int(jaxiso.numerical_rank(np.full((5, 3), 0.1))) == 0
    assert int(jaxiso.numerical_rank(X[:1])) == 0
    assert int(jaxiso.numerical_rank(X, tolerance=1e9)) == 0
    assert int(jax.jit(jaxiso.numerical_rank)(X * np.nan)) == -1
    with pytest.raises(ValueError, match="tolerance is -1"):
        jaxiso.numerical_rank(X, tolerance=-1.0)


def test_principal_axes_are_those_of_a_decomposition_of_all_rows_at_once():
    x = RANDOM.normal(size=(9000, 3)) * [3, 2, 1] + 50
    axes = principal_axes(x)
    centred = x - x.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(axes.singular, singular, rtol=1e-12)
    np.testing.assert_allclose(axes.mean, x.mean(axis=0), rtol=1e-12)
    signs = np.sign((axes.directions * directions).sum(axis=1))
    np.testing.assert_allclose(axes.directions * signs[:, None], directions, atol=1e-10)
