"""Effective rank, participation ratio and covariance, by definition in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.metrics import moments
from jaxiso.metrics.dimension import (
    covariance_eigenvalues,
    effective_rank,
    effective_rank_from_eigenvalues,
    participation_ratio,
    singular_values,
)
from jaxiso.metrics.isotropy import isoscore

N, D = 40, 6


def normal(seed=0, n=N, d=D):
    return np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(0.2, 2.0, d)


def entropy_rank(points) -> float:
    x = np.asarray(points, np.float64)
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    share = singular / singular.sum()
    share = share[share > 1e-12]
    return float(np.exp(-(share * np.log(share)).sum()))


def variance_ratio(points) -> float:
    x = np.asarray(points, np.float64)
    variances = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    return float(variances.sum() ** 2 / (variances**2).sum())


def low_rank(n, d):
    """Two directions among many."""
    return normal(0, n, 2) @ np.linalg.qr(normal(n=d, d=d))[0][:2]


RANKED = {
    "rank 2 of 60": low_rank(80, 60),
    "rank 2 of 60, few points": low_rank(20, 60),
    "one dimension": normal(d=1),
    "two points": normal(n=2),
}


@pytest.mark.parametrize("name", RANKED)
def test_ranks_by_definition(name):
    """The accuracy on all kinds of data is in `test_accuracy`."""
    points = RANKED[name]
    np.testing.assert_allclose(effective_rank(points), entropy_rank(points), rtol=2e-4)
    ratio = participation_ratio(points)
    np.testing.assert_allclose(ratio, variance_ratio(points), rtol=1e-5)
    assert float(ratio) <= float(effective_rank(points)) * (1 + 1e-4)


def test_participation_ratio_is_isoscore_on_another_scale():
    ratio = float(participation_ratio(normal()))
    np.testing.assert_allclose(ratio, float(isoscore(normal())) * (D - 1) + 1, rtol=1e-6)


def test_ranks_of_even_and_of_coinciding_points():
    cross = np.concatenate([np.eye(D), -np.eye(D)])
    np.testing.assert_allclose(effective_rank(cross), D, rtol=1e-6)
    np.testing.assert_allclose(participation_ratio(cross), D, rtol=1e-6)
    same = np.full((N, D), 0.1, np.float32)
    assert np.isnan(effective_rank(same)) and np.isnan(participation_ratio(same))


@pytest.mark.parametrize("n", [N, 4], ids=["more points than dimensions", "fewer"])
def test_gradient(n):
    points, way, step = normal(n=n), normal(1, n=n), 1e-6
    expected = (entropy_rank(points + step * way) - entropy_rank(points - step * way)) / (2 * step)
    gradient = jax.grad(effective_rank)(jnp.asarray(points, jnp.float32))
    np.testing.assert_allclose(np.sum(gradient * way), expected, rtol=1e-3)


def test_gradients_are_finite():
    """Where a direction has no extent, the derivative of the entropy has no limit."""
    for metric in (effective_rank, participation_ratio):
        gradient = jax.jit(jax.grad(metric))
        for points in (
            normal() * [1, 1, 1, 0, 1, 1] + 5,
            normal() * [1, 0, 0, 0, 0, 0],
            np.zeros((N, D)),
            np.repeat(normal(n=4), N // 4, axis=0),
        ):
            assert np.isfinite(gradient(jnp.asarray(points, jnp.float32))).all()


def test_jit_and_vmap_are_eager():
    clouds = jnp.asarray([normal(seed) for seed in range(2)], jnp.float32)
    for metric in (effective_rank, participation_ratio):
        eager = [float(metric(cloud)) for cloud in clouds]
        np.testing.assert_allclose(jax.jit(jax.vmap(metric))(clouds), eager, rtol=1e-5)


def test_singular_values():
    x = jnp.asarray(normal(), jnp.float32)
    expected, derivative = np.linalg.svd(normal(), compute_uv=False), normal(1)
    found, change = jax.jvp(singular_values, (x,), (jnp.asarray(derivative, jnp.float32),))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    after = np.linalg.svd(normal() + 1e-6 * derivative, compute_uv=False)
    np.testing.assert_allclose(change, (after - expected) / 1e-6, rtol=1e-3)


@pytest.mark.parametrize("n", [4, 6, 9, 25])
def test_eigenvalues(n, monkeypatch):
    monkeypatch.setattr(moments, "ROWS", 10)
    x = np.random.default_rng(n).normal(size=(n, D)).astype(np.float32) + 100
    expected = np.linalg.eigvalsh(np.cov(x.astype(np.float64), rowvar=False, bias=True))[::-1]
    found = covariance_eigenvalues(x)
    assert found.shape == (min(n, D),)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-6, atol=1e-12)
    assert effective_rank_from_eigenvalues(found) == pytest.approx(entropy_rank(x), rel=1e-6)


def test_eigenvalues_of_points_in_one_place():
    eigenvalues = covariance_eigenvalues(np.full((N, D), 0.1, np.float32))
    assert (eigenvalues == 0).all() and np.isnan(effective_rank_from_eigenvalues(eigenvalues))
