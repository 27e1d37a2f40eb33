"""IsoScore by its definition in float64."""

from __future__ import annotations

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.metrics.dimension import covariance_eigenvalues
from jaxiso.metrics.isotropy import (
    isoscore,
    isoscore_from_covariance,
    isoscore_from_eigenvalues,
    isoscore_star,
)

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


def test_seven_steps():
    """The accuracy on all kinds of data is in `test_accuracy`, against a form without rounding."""
    for points in (normal(), normal() + 100, normal() ** 3):
        np.testing.assert_allclose(isoscore(points), seven_steps(points), rtol=1e-5)
    assert float(isoscore(normal(n=2, d=12))) < 1e-12  # two points span one direction


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


@pytest.mark.parametrize("factor", [1.0, 1e25, 1e-25])
def test_covariance_form(factor):
    covariance = np.cov(normal(), rowvar=False) * factor
    np.testing.assert_allclose(
        isoscore_from_covariance(covariance), seven_steps(normal()), rtol=1e-5
    )
    assert np.isnan(isoscore_from_covariance(np.zeros((D, D))))


# --- corrected for the size of the sample --------------------------------------------------------


def corrected_by_definition(points) -> float:
    """(a₁/a₂ - 1) / (d - 1), with both estimates as they are defined."""
    x = np.asarray(points, np.float64)
    c, n = np.cov(x, rowvar=False), len(x)
    t, q = np.trace(c), np.sum(c**2)
    k = np.sum(np.sum((x - x.mean(axis=0)) ** 2, axis=1) ** 2) / (n - 1)
    a2 = (n - 1) * (n - 2) * q + t**2 - n * k
    a1 = 2 * q + (n**2 - 3 * n + 1) * t**2 - n * k
    return float((a1 / a2 - 1) / (len(c) - 1))


def corrected_if_normal(points) -> float:
    """The same with estimates that are unbiased for normal data."""
    c = np.cov(np.asarray(points, np.float64), rowvar=False)
    v, t, q = len(points) - 1, np.trace(c), np.sum(c**2)
    a2 = v**2 / ((v - 1) * (v + 2)) * (q - t**2 / v)
    a1 = v / ((v - 1) * (v + 2)) * ((v + 1) * t**2 - 2 * q)
    return float((a1 / a2 - 1) / (len(c) - 1))


def test_corrected_is_made_of_unbiased_estimates():
    """Means over all four different points, of what is tr(Σ)² and ‖Σ‖² whatever they are."""
    x = np.random.default_rng(0).standard_t(3, size=(7, 3))
    four = np.array(list(permutations(range(7), 4)))
    a, b = x[four[:, 0]] - x[four[:, 1]], x[four[:, 2]] - x[four[:, 3]]
    trace = np.mean(np.sum(a**2, axis=1) * np.sum(b**2, axis=1)) / 4
    norm = np.mean(np.sum(a * b, axis=1) ** 2) / 4
    expected = (trace / norm - 1) / 2
    assert float(isoscore(x, corrected=True)) == pytest.approx(expected, rel=1e-6)
    assert corrected_by_definition(x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [5, N])
def test_corrected_by_definition(n):
    points = normal(n=n)
    expected = corrected_by_definition(points)
    np.testing.assert_allclose(isoscore(points, corrected=True), expected, rtol=1e-6)
    traced = jax.jit(lambda x: isoscore(x, corrected=True))(points.astype(np.float32))
    np.testing.assert_allclose(traced, expected, rtol=1e-5)
    variances = covariance_eigenvalues(points)
    fourth = np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=1) ** 2)
    found = isoscore_from_eigenvalues(variances, D, n=n, fourth=fourth)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [5, N])
def test_corrected_as_for_normal_data(n):
    """What is known of a covariance alone; of normal data it is about the same."""
    points = normal(n=n)
    expected = corrected_if_normal(points)
    covariance = np.cov(points, rowvar=False)
    np.testing.assert_allclose(isoscore_from_covariance(covariance, n=n), expected, rtol=1e-6)
    variances = covariance_eigenvalues(points)
    assert isoscore_from_eigenvalues(variances, D, n=n) == pytest.approx(expected, rel=1e-9)
    if n == N:
        assert expected == pytest.approx(corrected_by_definition(points), rel=0.02)


@pytest.mark.parametrize("spread", [1e-2, 1e-4])
def test_corrected_where_one_direction_dominates(spread):
    points = dominated(spread)
    excess = participation(points) * (D - 1)
    x = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    fourth = np.sum(np.sum(x**2, axis=1) ** 2) / np.sum((x.T @ x) ** 2)
    left = N - 3 + (3 + excess) / N - (N - 1) * fourth
    expected = (N - 3) * excess / left / (D - 1)
    np.testing.assert_allclose(isoscore(points, corrected=True), expected, rtol=1e-6)
    traced = jax.jit(lambda x: isoscore(x, corrected=True))(points.astype(np.float32))
    np.testing.assert_allclose(traced, expected, rtol=1e-4)


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("least", [1.0, 0.01])
def test_corrected_is_unbiased(least, heavy):
    """The plain score of 80 points in 100 dimensions is about half of what it should be.

    Also where tails are as heavy as those of Student's t with four degrees of freedom.
    """
    variances = np.geomspace(1, least, 100)
    true = (variances.sum() ** 2 / (variances**2).sum() - 1) / 99
    rng = np.random.default_rng(3)
    clouds = rng.normal(size=(60, 80, 100)) * np.sqrt(variances)
    if heavy:
        clouds /= np.sqrt(rng.chisquare(4, size=(60, 80, 1)))
    corrected = [float(isoscore(cloud, corrected=True)) for cloud in clouds]
    error = np.std(corrected) / np.sqrt(len(clouds))
    assert abs(np.mean(corrected) - true) < 3 * error < 0.03
    assert np.mean([float(isoscore(cloud)) for cloud in clouds]) < 0.65 * true


def test_corrected_may_exceed_one_and_needs_four_points():
    square = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert float(isoscore(square, corrected=True)) == pytest.approx(2.0)  # e = 1, k/q = 3/2
    with pytest.raises(ValueError, match="corrected IsoScore needs at least 4 points; got 3"):
        isoscore(square[:3], corrected=True)
    with pytest.raises(ValueError, match="at least 4 points; got 3"):
        jax.jit(lambda x: isoscore(x, corrected=True))(square[:3])
    assert np.isnan(isoscore(np.ones((5, 3)), corrected=True))
    assert np.isinf(isoscore(np.eye(5), corrected=True))  # a simplex: all that vary vary alike


def test_corrected_gradient():
    points, way, step = normal(), normal(1), 1e-6
    ahead, behind = (corrected_by_definition(points + s * way) for s in (step, -step))
    gradient = jax.grad(lambda x: isoscore(x, corrected=True))(jnp.asarray(points, jnp.float32))
    np.testing.assert_allclose(np.sum(gradient * way), (ahead - behind) / (2 * step), rtol=1e-3)


# --- IsoScore* -----------------------------------------------------------------------------------


def points_of_covariance(variances) -> np.ndarray:
    """Points of exactly this diagonal covariance."""
    d = len(variances)
    corners = np.concatenate([np.eye(d), -np.eye(d)])
    return corners * np.sqrt(np.asarray(variances) * (2 * d - 1) / 2)


def test_star_identities():
    for k in (1, 4, 10):
        some = points_of_covariance(np.arange(10) < k)
        assert float(isoscore_star(some, np.eye(10), 0)) == pytest.approx((k - 1) / 9)
    for x, expected in ((25, 0.0914826), (75, 0.0280440)):
        far = points_of_covariance([x, *[1] * 9])
        assert float(isoscore_star(far, zeta=0.0)) == pytest.approx(expected, abs=5e-8)
        assert float(isoscore_star(np.eye(10), np.diag([x, *[1] * 9]), 1)) == pytest.approx(
            expected, abs=5e-8
        )
    assert float(isoscore_star(normal(), zeta=1)) == 1
    assert np.isnan(isoscore_star(np.ones((4, 3)), zeta=0))


def test_star_is_isoscore_of_the_mixture():
    points, reference, zeta = normal(), np.cov(normal(1) ** 3, rowvar=False), 0.3
    mixture = (1 - zeta) * np.cov(points, rowvar=False) + zeta * reference
    expected = isoscore_from_covariance(mixture)
    np.testing.assert_allclose(isoscore_star(points, reference, zeta), expected, rtol=1e-6)
    x = jnp.asarray(points + 5, jnp.float32)
    traced = jax.jit(isoscore_star)(x, reference, zeta)
    np.testing.assert_allclose(traced, expected, rtol=1e-5)
    few = isoscore_star(points[:5], reference, 0.99)
    np.testing.assert_allclose(few, isoscore_from_covariance(reference), rtol=0.1)


def test_star_gradient():
    points, way, step, reference = normal(), normal(2), 1e-6, np.cov(normal(1), rowvar=False)

    def score(points):
        eigenvalues = np.linalg.eigvalsh(0.8 * np.cov(points, rowvar=False) + 0.2 * reference)
        return isoscore_from_eigenvalues(eigenvalues, D)

    slope = (score(points + step * way) - score(points - step * way)) / (2 * step)
    gradient = jax.grad(isoscore_star)(jnp.asarray(points, jnp.float32), reference)
    np.testing.assert_allclose(np.sum(gradient * way), slope, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(D + 1),), rf"reference covariance of shape \({D}, {D}\).*got \(7, 7\)"),
        ((np.ones((D, 2)),), r"square reference covariance matrix; got shape \(6, 2\)"),
        ((np.full((D, D), np.nan),), "reference covariance contains NaN"),
        ((np.eye(D), 1.5), "zeta must be from 0 to 1; got 1.5"),
    ],
)
def test_star_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        isoscore_star(normal(), *arguments)


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


def test_refused_dimensions():
    with pytest.raises(ValueError, match="IsoScore needs at least 2 dimensions; got 1"):
        isoscore(np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"shape \(1, 3\).*minimum of 2"):
        isoscore(np.zeros((1, 3)))


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


@pytest.mark.parametrize("n", [N, 4])
def test_isoscore_from_eigenvalues(n):
    points = normal(n=n)
    found = isoscore_from_eigenvalues(covariance_eigenvalues(points), D)
    assert found == pytest.approx(seven_steps(points), rel=1e-9)
    assert np.isnan(isoscore_from_eigenvalues(np.zeros(n), D))
