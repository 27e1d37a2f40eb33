"""IsoScore against its seven published steps in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.metrics.isotropy import isoscore, isoscore_from_covariance

N, D = 40, 6


def seven_steps(points) -> float:
    """Rudman et al. (2022), Algorithm 1, step by step.

    Step 5 divides the distance to the ones by its largest value. Written as printed it cancels at
    low scores even in float64: use `participation` there.
    """
    x = np.asarray(points, np.float64)
    d = x.shape[1]
    x = x - x.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(x, rowvar=False))
    variances = np.diag(np.cov(x @ directions, rowvar=False))  # steps 1 to 3
    normalised = np.sqrt(d) * variances / np.linalg.norm(variances)  # step 4
    distance = np.linalg.norm(normalised - np.ones(d))
    defect = distance / np.sqrt(2 * (d - np.sqrt(d)))  # step 5
    phi = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2  # step 6
    return float((d * phi - 1) / (d - 1))  # step 7


def participation(points) -> float:
    """The same quantity without cancellation: 2·Σ_{i<j} λ_i·λ_j / Σ λ_i² / (d - 1)."""
    x = np.asarray(points, np.float64)
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    v = (singular / singular[0]) ** 2
    pairs = sum(v[i] * v[i + 1 :].sum() for i in range(len(v)))
    return float(2 * pairs / (v**2).sum() / (x.shape[1] - 1))


def normal(seed=0, n=N, d=D):
    scales = np.linspace(0.3, 2.0, d)
    return np.random.default_rng(seed).normal(size=(n, d)) * scales


def rotation(seed, d=D):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def dominated(spread, seed=0):
    x = normal(seed) * spread
    x[:, 0] = np.random.default_rng(seed + 1).normal(size=N)
    return x @ rotation(seed)


CLOUDS = {
    "normal": normal(),
    "float32": normal().astype(np.float32),
    "float16": normal().astype(np.float16),
    "mean 1000 times the spread": normal() + 1000,
    "mean 1000 times the spread, float32": (normal() + 1000).astype(np.float32),
    "mean 1e8 times the spread, float64": normal() + 1e8,
    "fewer points than dimensions": normal(n=5, d=12),
    "duplicated points": np.repeat(normal(n=8), 5, axis=0),
    "integers": np.random.default_rng(3).integers(-9, 9, size=(N, D)),
    "unsigned integers": np.random.default_rng(3).integers(0, 9, size=(N, D)).astype(np.uint8),
    "large, float32": (normal() * 1e25).astype(np.float32),
    "large, float64": normal() * 1e25,
    "tiny, float32": (normal() * 1e-25).astype(np.float32),
    "tiny, float64": normal() * 1e-25,
    "constant column": normal() * np.array([1, 1, 1, 0, 1, 1]) + 5,
    "two points": normal(n=2, d=12),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_seven_steps(name):
    points = CLOUDS[name]
    score = isoscore(points)
    assert score.shape == () and score.dtype == jnp.float32
    # Two points span one direction: score 0, which the seven steps reach to their own rounding.
    np.testing.assert_allclose(score, seven_steps(points), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("spread", [1e-1, 1e-2, 1e-3, 1e-4, 4e-5])
@pytest.mark.parametrize("offset", [0, 1000])
def test_one_dominant_direction(spread, offset):
    points = (dominated(spread) + offset).astype(np.float32)
    expected = participation(points)
    assert offset or 1e-9 < expected < 0.1
    np.testing.assert_allclose(isoscore(points), expected, rtol=1e-4)
    if expected > 1e-6:  # where the seven steps are exact enough to tell
        np.testing.assert_allclose(seven_steps(points), expected, rtol=1e-6)


def test_one_direction_scores_zero():
    line = np.outer(np.random.default_rng(0).normal(size=N), normal(n=1)[0])
    assert float(isoscore(line)) < 1e-12
    assert float(isoscore(line.astype(np.float32))) < 1e-12


def test_cross_polytope_scores_one():
    assert float(isoscore(np.concatenate([np.eye(D), -np.eye(D)]))) == 1.0
    assert float(isoscore_from_covariance(np.eye(D))) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("value", [0.0, 7.3, 1e9])
@pytest.mark.parametrize("shape", [(N, D), (3, 384)])
def test_coinciding_points_have_no_score(dtype, value, shape):
    points = np.broadcast_to(value * np.linspace(0.1, 2, shape[1]), shape).astype(dtype)
    assert np.isnan(isoscore(points))


@pytest.mark.parametrize("kind", [jnp.float16, jnp.bfloat16, jnp.int32])
def test_jax_arrays_of_any_real_type(kind):
    points = jnp.asarray(np.round(normal() * 4)).astype(kind)
    np.testing.assert_allclose(
        isoscore(points), seven_steps(np.asarray(points, np.float64)), rtol=1e-4
    )


@pytest.mark.parametrize("factor", [1.0, 1e25, 1e-25])
def test_covariance_form(factor):
    covariance = np.cov(normal(), rowvar=False) * factor
    np.testing.assert_allclose(
        isoscore_from_covariance(covariance), seven_steps(normal()), rtol=1e-5
    )
    assert np.isnan(isoscore_from_covariance(np.zeros((D, D))))


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    spread=st.floats(-4, 0).map(lambda power: 10**power),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(-20, 20).map(lambda power: 10**power),
)
def test_invariance(seed, spread, shift, scale):
    points = dominated(spread, seed)
    expected = participation(points)
    order = np.random.default_rng(seed).permutation(N)
    score = float(isoscore(points))
    assert 0 <= score <= 1
    for other in (points, points + shift, points * scale, points @ rotation(seed), points[order]):
        np.testing.assert_allclose(isoscore(other), expected, rtol=1e-4)


def finite_differences(points, step=1e-5):
    gradient = np.zeros_like(points)
    for index in np.ndindex(*points.shape):
        moved = [points.copy(), points.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (participation(moved[0]) - participation(moved[1])) / (2 * step)
    return gradient


@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_gradient(spread):
    points = dominated(spread)
    expected = finite_differences(points)
    gradient = jax.grad(isoscore)(jnp.asarray(points, jnp.float32))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


def test_jit_and_vmap_are_eager():
    clouds = jnp.asarray([normal(seed) for seed in range(3)], jnp.float32)
    eager = np.array([isoscore(cloud) for cloud in clouds])
    np.testing.assert_allclose(jax.vmap(isoscore)(clouds), eager, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(isoscore)(clouds[0]), eager[0], rtol=1e-6)
    closed_over = jax.jit(lambda factor: factor * isoscore(clouds[0]))
    np.testing.assert_allclose(closed_over(jnp.float32(2)), 2 * eager[0], rtol=1e-6)
    covariance = jnp.cov(clouds[0], rowvar=False)
    np.testing.assert_allclose(jax.jit(isoscore_from_covariance)(covariance), eager[0], rtol=1e-5)
    closed_over = jax.jit(lambda factor: factor * isoscore_from_covariance(covariance))
    np.testing.assert_allclose(closed_over(jnp.float32(1)), eager[0], rtol=1e-5)


def broken(value, where=(3, 2)):
    points = normal()
    points[where] = value
    return points


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(5), r"Expected a 2D array .* shape \(5,\)"),
        (np.zeros((2, 3, 4)), r"Expected a 2D array .* shape \(2, 3, 4\)"),
        (np.zeros((1, 3)), r"1 point\(s\) of 3 feature.*minimum of 2 point"),
        (np.zeros((0, 3)), r"0 point\(s\).*minimum of 2 point"),
        (np.zeros((3, 0)), r"0 feature\(s\)"),
        (np.zeros((3, 1)), "IsoScore needs at least 2 dimensions; got 1"),
        (np.zeros((3, 2), complex), "Expected real numbers as points; got dtype complex128"),
        (np.zeros((3, 2), bool), "got dtype bool"),
        (np.array([["a", "b"], ["c", "d"]]), "got dtype <U1"),
        (broken(np.nan), r"Input contains NaN or infinity: points\[3, 2\] is nan"),
        (broken(-np.inf).astype(np.float32), r"points\[3, 2\] is -inf"),
        (jnp.asarray(broken(np.inf), jnp.float32), r"points\[3, 2\] is inf"),
        (normal() * 1e300, r"outside of float32's range.*Rescale"),
        (normal() * 1e-60, r"outside of float32's range.*allowed are 1.17549e-38 to 3.40282e\+38"),
    ],
)
def test_refused_points(points, message):
    with pytest.raises(ValueError, match=message):
        isoscore(points)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros(4), r"square covariance matrix; got shape \(4,\)"),
        (np.zeros((3, 4)), r"square covariance matrix; got shape \(3, 4\)"),
        (np.ones((1, 1)), "at least 2 dimensions; got 1"),
        (np.full((2, 2), np.nan), "The covariance contains NaN or infinity"),
    ],
)
def test_refused_covariance(matrix, message):
    with pytest.raises(ValueError, match=message):
        isoscore_from_covariance(matrix)


@pytest.mark.parametrize("n", [1000, 20_000])
def test_outliers_at_right_angles_to_the_main_direction(n):
    """The farthest points lie where nearly nothing varies."""
    points = np.zeros((n, 3), np.float32)
    points[:, 0] = np.where(np.arange(n) % 2, 10, -10)
    points[:2, 1] = 11
    assert float(isoscore(points)) == pytest.approx(seven_steps(points), rel=1e-4)


def test_concrete_covariances_are_taken_in_float64():
    for small in (1e-3, 1e-5, 1e-7):
        covariance = np.diag([1.0, small, small, small, small, small])
        expected = ((1 + 5 * small) ** 2 / (1 + 5 * small**2) - 1) / 5
        assert float(isoscore_from_covariance(covariance)) == pytest.approx(expected, rel=1e-6)
        assert float(isoscore_from_covariance(covariance * 1e300)) == pytest.approx(expected)
    for wrong in (np.eye(2, dtype=complex), np.array([["a", "b"], ["c", "d"]])):
        with pytest.raises(ValueError, match="Expected real numbers as covariance"):
            isoscore_from_covariance(wrong)
