"""Mu and Viswanath's score and cosines, each by its definition in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.metrics.directions import isotropy_score, log_partitions, mean_cosine, random_cosines
from jaxiso.metrics.isotropy import isoscore

N, D = 40, 6


def normal(seed=0, n=N, d=D):
    scales = np.linspace(0.3, 2.0, d)
    return np.random.default_rng(seed).normal(size=(n, d)) * scales


def rotation(seed, d=D):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


# --- Mu and Viswanath's score ---------------------------------------------------------------------


def partitions(points) -> np.ndarray:
    """Z as a plain sum of exponentials, over both signs of each eigenvector, one at a time."""
    x = np.asarray(points, np.float64)
    _, directions = np.linalg.eigh(x.T @ x)
    both = [sign * directions[:, i] for i in range(x.shape[1]) for sign in (1, -1)]
    return np.array([sum(np.exp(m @ v) for v in x) for m in both])


def score_by_definition(points) -> float:
    return partitions(points).min() / partitions(points).max()


def test_isotropy_score_of_few_and_of_none():
    for points in (normal(n=3), normal(n=1), normal(d=1), np.zeros((N, D))):
        np.testing.assert_allclose(isotropy_score(points), score_by_definition(points), rtol=1e-4)


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


def gradient_along(metric, points, way, step=1e-6) -> float:
    return (metric(points + step * way) - metric(points - step * way)) / (2 * step)


@pytest.mark.parametrize("n", [N, 4], ids=["more points than dimensions", "fewer"])
def test_gradient_of_the_isotropy_score(n):
    points, way = normal(n=n) / 2, normal(1, n=n)
    expected = gradient_along(score_by_definition, points, way)
    gradient = jax.grad(isotropy_score)(jnp.asarray(points, jnp.float32))
    np.testing.assert_allclose(np.sum(gradient * way), expected, rtol=1e-3)


DEGENERATE = {
    "a constant column": normal() * [1, 1, 1, 0, 1, 1] + [0, 0, 0, 5, 0, 0],
    "a column of zeros": normal() * [1, 1, 1, 0, 1, 1],
    "one axis varies": normal() * [1, 0, 0, 0, 0, 0],
    "zeros": np.zeros((N, D)),
    "four places": np.repeat(normal(n=4), N // 4, axis=0),
}


@pytest.mark.parametrize("metric", [isotropy_score, isoscore, mean_cosine])
def test_gradients_are_finite(metric):
    gradient = jax.jit(jax.grad(metric))
    for name, points in DEGENERATE.items():
        assert np.isfinite(gradient(jnp.asarray(points, jnp.float32))).all(), name


def test_few_points_of_many_dimensions_cost_little():
    """A d × d eigenproblem of 2,000 dimensions takes seconds."""
    points = normal(n=4, d=2000)
    program = jax.jit(isotropy_score).lower(jnp.asarray(points, jnp.float32)).compile()
    memory = program.memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 2000**2
    np.testing.assert_allclose(isotropy_score(points / 30), few_partitions(points / 30), rtol=1e-4)


def few_partitions(points) -> float:
    """By the singular vectors; in all other directions points have no extent."""
    along = points @ np.linalg.svd(points, full_matrices=False)[2].T
    z = np.exp(np.concatenate([along, -along], axis=1)).sum(axis=0)
    return float(min(z.min(), len(points)) / max(z.max(), len(points)))


# --- cosines --------------------------------------------------------------------------------------


def all_cosines(points) -> float:
    x = np.asarray(points, np.float64)
    x = x / np.abs(x).max(axis=1, keepdims=True)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return float(np.mean([x[i] @ x[j] for i in range(len(x)) for j in range(len(x)) if i != j]))


@pytest.mark.parametrize(
    "points",
    [
        normal() * 10.0 ** np.linspace(-30, 30, N)[:, None],
        np.concatenate([normal(n=N // 2), -normal(n=N // 2)]),
        np.outer(np.arange(1, N + 1), normal(n=1)[0]),
    ],
    ids=["large and tiny", "opposite", "the same direction"],
)
def test_mean_cosine_over_all_pairs(points):
    np.testing.assert_allclose(mean_cosine(points), all_cosines(points), rtol=1e-5, atol=1e-7)


def test_traced_points_at_the_origin_count_as_cosine_zero():
    points = jnp.asarray([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(jax.jit(mean_cosine)(points), 1 / 3, rtol=1e-6)
    assert np.isfinite(jax.grad(mean_cosine)(points)).all()


def at_origin(value, row=3):
    points = normal()
    points[row] = value
    return points


def test_points_without_a_direction():
    for points, row in ((at_origin(0), 3), (at_origin(0, 7), 7), (jnp.zeros((N, D)), 0)):
        with pytest.raises(ValueError, match=rf"points\[{row}\] is zero.*has no direction"):
            mean_cosine(points)
    # In double precision a short vector has a direction too.
    assert float(mean_cosine(at_origin(1e-60))) == pytest.approx(all_cosines(at_origin(1e-60)))


def test_random_cosines():
    x = np.array([[1.0, 0], [0, 2], [-3, 0], [0, 0]])
    assert sorted(random_cosines(x, 6, 0)) == [-1, 0, 0]
    some = random_cosines(normal() + 0.3, 500, 0)
    assert len(some) == 500 and some.max() < 1 - 1e-9  # never a vector with itself
    assert some.mean() == pytest.approx(all_cosines(normal() + 0.3), abs=0.1)
    assert (some == random_cosines(normal() + 0.3, 500, 0)).all()
    assert (some != random_cosines(normal() + 0.3, 500, 1)).any()


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [isotropy_score, mean_cosine])
def test_jit_vmap_and_grad(metric):
    clouds = jnp.asarray([normal(seed) for seed in range(2)], jnp.float32)
    eager = [float(metric(cloud)) for cloud in clouds]
    np.testing.assert_allclose(jax.jit(jax.vmap(metric))(clouds), eager, rtol=1e-4)
    closed_over = jax.jit(lambda factor: factor * metric(clouds[0]))
    np.testing.assert_allclose(closed_over(jnp.float32(1)), eager[0], rtol=1e-4)
