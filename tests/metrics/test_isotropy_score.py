"""Mu and Viswanath's score, effective rank, participation ratio and mean cosine, by definition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.metrics.isotropy import (
    effective_rank,
    isoscore,
    isotropy_score,
    log_partitions,
    mean_cosine,
    participation_ratio,
)

N, D = 40, 6


def normal(seed=0, n=N, d=D):
    """Scales that keep eigenvalues apart, so that directions are well determined."""
    return np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(0.2, 2.0, d)


def rotation(seed, d=D):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def partitions(points) -> np.ndarray:
    """Z as a plain sum of exponentials, over both signs of each eigenvector, one at a time."""
    x = np.asarray(points, np.float64)
    _, directions = np.linalg.eigh(x.T @ x)
    both = [sign * directions[:, i] for i in range(x.shape[1]) for sign in (1, -1)]
    return np.array([sum(np.exp(m @ v) for v in x) for m in both])


def score_by_definition(points) -> float:
    return partitions(points).min() / partitions(points).max()


SCORED = {
    "normal": normal(),
    "float32": normal().astype(np.float32),
    "float16": normal().astype(np.float16),
    "integers": np.random.default_rng(3).integers(-5, 5, size=(N, D)),
    "moved": normal() + 1.5,
    "short": normal() / 100,
    "long": normal() * 5,
    "unit length": normal() / np.linalg.norm(normal(), axis=1, keepdims=True),
    "fewer points than dimensions": normal(n=3),
    "one point": normal(n=1),
    "one dimension": normal(d=1),
    "zeros": np.zeros((N, D)),
}


@pytest.mark.parametrize("name", SCORED)
def test_isotropy_score_by_definition(name):
    points = SCORED[name]
    score = isotropy_score(points)
    assert score.shape == () and score.dtype == jnp.float32
    np.testing.assert_allclose(score, score_by_definition(points), rtol=1e-4)


def test_isotropy_score_is_not_that_of_rows_of_the_eigenvector_matrix():
    x = normal() @ rotation(2)
    _, directions = np.linalg.eigh(x.T @ x)
    rows = np.exp(np.concatenate([x @ directions.T, -x @ directions.T], axis=1)).sum(axis=0)
    score = float(isotropy_score(x))
    assert abs(rows.min() / rows.max() - score) > 0.1 * score


def test_partitions_hold_every_rule_for_the_sign():
    logs = np.asarray(log_partitions(jnp.asarray(normal(), jnp.float32)))
    np.testing.assert_allclose(np.sort(logs.ravel()), np.sort(np.log(partitions(normal()))), 1e-5)
    pairs = np.sort(np.log(partitions(normal())).reshape(D, 2), axis=1)  # by rising eigenvalue
    np.testing.assert_allclose(np.sort(logs, axis=0).T, pairs, rtol=1e-5)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e25])
def test_long_points_do_not_overflow(size):
    assert float(isotropy_score(normal() * size)) == 0
    twins = np.concatenate([np.eye(D), -np.eye(D)]) * size
    assert float(isotropy_score(twins)) == 1


def test_scale_matters_as_documented():
    once, ten = float(isotropy_score(normal() / 100)), float(isotropy_score(normal() / 10))
    assert 0 < ten < once < 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-1, 1))
def test_isotropy_score_invariance(seed, shift):
    points = normal(seed) + shift
    score = float(isotropy_score(points))
    assert 0 < score <= 1
    order = np.random.default_rng(seed).permutation(N)
    for other in (-points, points[order], points @ rotation(seed)):
        np.testing.assert_allclose(isotropy_score(other), score, rtol=1e-3)


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
    return normal(0, n, 2) @ rotation(0, d)[:2]


RANKED = {
    "normal": normal(),
    "mean 1000 times the spread": (normal() + 1000).astype(np.float32),
    "mean 1e8 times the spread, float64": normal() + 1e8,
    "rank 2 of 60": low_rank(80, 60),
    "rank 2 of 60, few points": low_rank(20, 60),
    "fewer points than dimensions": normal(n=4),
    "large": normal() * 1e25,
    "tiny": normal() * 1e-25,
    "one dimension": normal(d=1),
    "two points": normal(n=2),
}


@pytest.mark.parametrize("name", RANKED)
def test_ranks_by_definition(name):
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


def all_cosines(points) -> float:
    x = np.asarray(points, np.float64)
    x = x / np.abs(x).max(axis=1, keepdims=True)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return float(np.mean([x[i] @ x[j] for i in range(len(x)) for j in range(len(x)) if i != j]))


COMPARED = {
    "normal": normal(),
    "moved": normal() + 0.5,
    "mean 1000 times the spread": (normal() + 1000).astype(np.float32),
    "large and tiny": normal() * 10.0 ** np.linspace(-30, 30, N)[:, None],
    "two points": normal(n=2),
    "opposite": np.concatenate([normal(n=4), -normal(n=4)]),
    "the same direction": np.outer(np.arange(1, N), normal(n=1)[0]),
}


@pytest.mark.parametrize("name", COMPARED)
def test_mean_cosine_over_all_pairs(name):
    points = COMPARED[name]
    np.testing.assert_allclose(mean_cosine(points), all_cosines(points), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("metric", [isotropy_score, effective_rank, mean_cosine])
def test_jit_vmap_and_grad(metric):
    clouds = jnp.asarray([normal(seed) for seed in range(2)], jnp.float32)
    eager = [float(metric(cloud)) for cloud in clouds]
    np.testing.assert_allclose(jax.jit(jax.vmap(metric))(clouds), eager, rtol=1e-4)
    gradient = np.asarray(jax.grad(metric)(clouds[0]))
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    closed_over = jax.jit(lambda factor: factor * metric(clouds[0]))
    np.testing.assert_allclose(closed_over(jnp.float32(1)), eager[0], rtol=1e-4)


def test_traced_points_at_the_origin_count_as_cosine_zero():
    points = jnp.asarray([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(jax.jit(mean_cosine)(points), 1 / 3, rtol=1e-6)
    assert np.isfinite(jax.grad(mean_cosine)(points)).all()


def at_origin(value, row=3):
    points = normal()
    points[row] = value
    return points


@pytest.mark.parametrize(
    ("metric", "points", "message"),
    [
        (isotropy_score, np.zeros((0, 3)), r"0 point\(s\).*minimum of 1 point"),
        (isotropy_score, normal() * 1e60, r"outside of float32's range"),
        (effective_rank, normal(n=1), r"1 point\(s\).*minimum of 2 point"),
        (participation_ratio, normal(n=1), r"minimum of 2 point"),
        (mean_cosine, normal(n=1), r"minimum of 2 point"),
        (mean_cosine, at_origin(0), r"points\[3\] is zero \(in float32\).*no direction"),
        (mean_cosine, at_origin(1e-60, 7), r"points\[7\] is zero"),
        (mean_cosine, jnp.zeros((2, 2)), r"points\[0\] is zero"),
        *(
            (metric, at_origin(np.nan), r"NaN or infinity: points\[3, 0\] is nan")
            for metric in (isotropy_score, effective_rank, participation_ratio, mean_cosine)
        ),
    ],
)
def test_refusals(metric, points, message):
    with pytest.raises(ValueError, match=message):
        metric(points)
