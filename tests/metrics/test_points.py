"""The decorator of metrics, and what points may be."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.metrics.arithmetic import dot, in_range, precision, set_precision
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank, participation_ratio
from jaxiso.metrics.directions import isotropy_score, log_partitions, mean_cosine
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.objectives import (
    isotropy_angle,
    isotropy_defect,
    isotropy_objective,
    silhouette_objective,
    triplet_bound,
    triplet_objective,
)
from jaxiso.metrics.points import as_points, metric
from jaxiso.metrics.posterior import (
    active_directions,
    active_units,
    aggregated_posterior,
    mutual_information,
)
from jaxiso.metrics.silhouette import silhouette_samples, silhouette_score

N, D, K = 30, 4, 3
CODES = np.arange(N) % K
POINTS = (np.random.default_rng(0).normal(size=(N, D)) + CODES[:, None]).astype(np.float32)

LABELLED = [
    silhouette_score,
    silhouette_samples,
    calinski_harabasz_score,
    davies_bouldin_score,
    dunn_index,
    silhouette_objective,
    triplet_objective,
    triplet_bound,
]
FREE = [
    isoscore,
    participation_ratio,
    effective_rank,
    mean_cosine,
    isotropy_score,
    log_partitions,
    isotropy_objective,
    isotropy_angle,
    isotropy_defect,
    aggregated_posterior,
]


def broken(value, where=(3, 2)):
    points = POINTS.copy()
    points[where] = value
    return points


@pytest.mark.parametrize("function", FREE + LABELLED)
def test_nothing_is_measured_of_points_that_are_not_finite(function):
    """Where values are known it is an error, and NaN where they are traced."""
    concrete = partial(function, labels=CODES) if function in LABELLED else function
    traced = jax.jit(concrete)
    assert np.isfinite(np.concatenate([np.ravel(v) for v in jax.tree.leaves(traced(POINTS))])).all()
    for value in (np.nan, np.inf, -np.inf):
        for found in jax.tree.leaves(traced(broken(value))):
            assert np.isnan(found).all()
        with pytest.raises(ValueError, match=rf"NaN or infinity: points\[3, 2\] is {value}"):
            concrete(broken(value))


@pytest.mark.parametrize("function", [active_units, active_directions])
def test_counts_of_points_that_are_not_finite_are_minus_one(function):
    assert jax.jit(function)(POINTS) >= 0
    assert jax.jit(function)(broken(np.nan)) == -1


def test_every_array_counts():
    arrays = POINTS, np.zeros((N, 1), np.float32), POINTS + 1
    information = jax.jit(mutual_information)
    assert np.isfinite(information(*arrays))
    for i in range(3):
        spoiled = [array * np.nan if j == i else array for j, array in enumerate(arrays)]
        assert np.isnan(information(*spoiled))


# --- labels given as codes -----------------------------------------------------------------------


@pytest.mark.parametrize("function", LABELLED)
def test_codes_are_labels(function):
    found = function(POINTS, CODES, num_labels=K)
    expected = function(POINTS, np.array(["x", "b", "z"])[np.array([1, 0, 2])[CODES]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("function", LABELLED)
def test_traced_codes(function):
    traced = jax.jit(partial(function, num_labels=K + 2))
    for codes in (CODES, (CODES + 1) * (CODES < 2)):
        found = traced(POINTS, jnp.asarray(codes, jnp.int32))
        np.testing.assert_allclose(found, function(POINTS, codes), rtol=1e-4, atol=1e-6)
    nonsense = np.where(np.arange(N) == 4, K + 2, CODES)
    assert np.isnan(traced(POINTS, nonsense)).all()
    if "objective" in function.__name__ or function is triplet_bound:
        return  # sums over pairs, which one label has too
    assert np.isnan(traced(POINTS, np.zeros(N, np.int32))).all()
    assert np.isnan(jax.jit(partial(function, num_labels=N))(POINTS, np.arange(N))).all()


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (CODES - 1, r"labels from 0 to 2, as num_labels or the plan says; labels\[0\] is -1"),
        (CODES + 1, r"labels\[2\] is 3"),
        (CODES / 1, r"Expected 30 whole numbers as labels.*float64"),
        (CODES[1:], r"30 points, 29 labels"),
        (CODES[:, None], r"1D array of labels"),
    ],
)
def test_refused_codes(codes, message):
    with pytest.raises(ValueError, match=message):
        calinski_harabasz_score(POINTS, codes, num_labels=K)


def test_traced_labels_need_their_number():
    for function in (silhouette_score, calinski_harabasz_score):
        with pytest.raises(ValueError, match=r"labels must be concrete.*num_labels=k.*plan_tiles"):
            jax.jit(function)(POINTS, CODES)
    with pytest.raises(ValueError, match="Expected 30 whole numbers as labels"):
        jax.jit(partial(calinski_harabasz_score, num_labels=K))(POINTS, CODES / 1)


def test_a_metric_is_a_function_with_a_decorator():
    @metric(least=2, also=["others"], static=["power"])
    def spread(points, others, *, power: int = 2):
        """Docstring."""
        return jnp.mean((points - others) ** power)

    assert spread.__doc__ == "Docstring." and spread.__name__ == "spread"
    others = [[float(v)] * D for v in range(N)]
    np.testing.assert_allclose(spread(POINTS, others), np.mean((POINTS - others) ** 2), rtol=1e-5)
    np.testing.assert_allclose(
        jax.vmap(partial(spread, power=4))(POINTS[None], others=jnp.asarray([others])),
        [np.mean((POINTS - others) ** 4)],
        rtol=1e-5,
    )
    with pytest.raises(TypeError, match="missing a required argument: 'others'"):
        spread(POINTS)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"minimum of 2 point"):
        spread(POINTS[:1], others)
    with pytest.raises(ValueError, match=r"points\[1, 0\] is nan"):
        spread(POINTS, np.where(np.arange(N) == 1, np.nan, 1)[:, None])


# --- points --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(5), r"Expected a 2D array .* shape \(5,\)"),
        (np.zeros((2, 3, 4)), r"Expected a 2D array .* shape \(2, 3, 4\)"),
        (np.zeros((1, 3)), r"shape \(1, 3\).*minimum of 2 point"),
        (np.zeros((0, 3)), r"shape \(0, 3\).*minimum of 2 point"),
        (np.zeros((3, 0)), r"shape \(3, 0\).*of 1 feature"),
        (np.zeros((3, 2), complex), "Expected real numbers as points; got dtype complex128"),
        (np.zeros((3, 2), bool), "got dtype bool"),
        ([["a", "b"], ["c", "d"]], "got dtype <U1"),
        ([[1.0, None], [2.0, 3.0]], "got dtype object"),
        (jnp.asarray(broken(np.inf)), r"NaN or infinity: points\[3, 2\] is inf"),
        (broken(np.nan).astype(np.float64), r"points\[3, 2\] is nan"),
        (np.ma.masked_greater(np.eye(3), 0), r"points\[0, 0\] is masked"),
        (POINTS * np.float64(1e300), r"outside of float32's range.*is \S+e\+300.*Rescale"),
        (
            POINTS * np.float64(1e-60),
            r"outside of float32's range.*allowed are 1.17549e-38 to 3.40282e\+38",
        ),
    ],
)
def test_refused_points(points, message):
    with pytest.raises(ValueError, match=message):
        as_points(points, least=2)


def test_points_of_every_kind():
    for kind in (np.float16, np.float32, np.float64, np.longdouble, np.int8, np.uint64):
        points = np.round(POINTS).astype(kind) if kind != np.uint64 else np.eye(4, dtype=kind)
        for given in (
            points,
            points.tolist(),
            np.ma.masked_array(points),
            np.asfortranarray(points),
        ):
            found = as_points(given, translate=False)
            assert found.dtype == jnp.float32
            np.testing.assert_array_equal(found, points.astype(np.float32))
    np.testing.assert_array_equal(as_points(jnp.asarray(POINTS, jnp.bfloat16)) - POINTS < 0.1, True)


def test_points_that_may_be_moved_lose_no_digits():
    whole = np.random.default_rng(1).integers(-50, 50, size=(N, D))
    whole[0] = 100
    for points in (
        whole + 2.0**50,
        whole + 2**62,
        (whole + 2**24 + 1).astype(np.int32),
        whole.astype(np.uint64) + np.uint64(2**63),
        jnp.asarray(whole + 2**24 + 1, jnp.int32),
        jnp.asarray(whole - 2**31 + 50, jnp.int32),
    ):
        found = np.asarray(as_points(points))
        np.testing.assert_array_equal(found - found[:1], whole - whole[:1])
        assert np.abs(found).max() < 300  # relative to what is in their midst
    traced = jax.jit(as_points)
    for kind in (jnp.int8, jnp.int32, jnp.uint32):
        found = np.asarray(
            traced(jnp.asarray(whole + (2**30 if kind != jnp.int8 else 0)).astype(kind))
        )
        np.testing.assert_array_equal(found - found[:1], whole - whole[:1])


def test_a_far_point_does_not_drag_the_others_away():
    points = np.concatenate([np.full((1, D), 1e8), POINTS])
    found = np.asarray(as_points(points))
    np.testing.assert_allclose(found[2:] - found[1], POINTS[1:] - POINTS[0], atol=1e-6)


@pytest.mark.parametrize("axis", [None, 1])
def test_numbers_near_the_ends_of_the_range(axis):
    for size, factor in ((1, 1), (1e37, 2.0**-100), (1e-37, 2.0**100), (1e-41, 2.0**100)):
        points = (POINTS * size).astype(np.float32)
        found = jax.jit(partial(in_range, axis=axis))(points)
        np.testing.assert_array_equal(
            found, (points.astype(np.float64) * factor).astype(np.float32)
        )
    mixed = np.array([[1e-41, 2e-41], [1.0, 2.0]], np.float32)
    assert (np.asarray(in_range(jnp.asarray(mixed), axis=1)) != 0).all()


def test_precision_is_compiled_into_programs():
    product = jax.jit(lambda x: dot(x, x))

    def algorithm(dtype=jnp.float32):
        return product.lower(jnp.ones((2, 2), dtype)).as_text()

    assert precision() == "highest" and "HIGHEST" in algorithm()
    try:
        set_precision("BF16_BF16_F32_X3")
        assert "algorithm" in algorithm() and "HIGHEST" not in algorithm()
        assert "HIGHEST" in algorithm(jnp.bfloat16)
    finally:
        set_precision("highest")
    assert "HIGHEST" in algorithm()
    with pytest.raises(ValueError, match=r"one of highest, BF16_BF16_F32_X3.*got 'fast'"):
        set_precision("fast")
    with pytest.raises(ValueError, match="CPU does not multiply in TF32"):
        set_precision("TF32_TF32_F32_X3")
