"""Silhouettes against a double loop and against scikit-learn, both in float64."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.metrics.silhouette import silhouette_samples, silhouette_score
from jaxiso.metrics.silhouette_programs import from_pairs
from jaxiso.metrics.tiles import TileShape, any_tile_shape, plan_tiles, tile_shape

N, D = 60, 5
WAYS = (silhouette_samples, from_pairs)  # on the host, and the program


def brute_force(points, labels) -> np.ndarray:
    """Rousseeuw's definition, a point and a cluster at a time."""
    x, labels = np.asarray(points, np.float64), np.asarray(labels)
    scores = []
    for i, own in enumerate(labels):
        distance = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
        same = (labels == own) & (np.arange(len(x)) != i)
        if not same.any():
            scores.append(0.0)
            continue
        a = distance[same].mean()
        b = min(distance[labels == other].mean() for other in set(labels) - {own})
        scores.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    return np.array(scores)


def reference(points, labels) -> np.ndarray:
    """scikit-learn in float64, on points whose mean and scale do not cost it any digits."""
    x = np.asarray(points, np.float64)
    x = x - x[0]
    return np.asarray(sklearn.metrics.silhouette_samples(x / (np.abs(x).max() or 1), labels))


def normal(seed=0, n=N, d=D):
    return np.random.default_rng(seed).normal(size=(n, d))


def clumps(spread, labels, seed=0, d=D):
    """Points within `spread` of a place for each label; places are about 3 apart."""
    codes = np.unique(labels, return_inverse=True)[1]
    return normal(seed, codes.max() + 1, d)[codes] + spread * normal(seed + 1, len(codes), d)


RANDOM = np.random.default_rng(0)
TWO = RANDOM.integers(0, 2, N)
SEVEN = np.arange(N) % 7
# The accuracy on all kinds of data is in `test_accuracy`; these are of other shapes.
CASES = {
    "two clusters": (normal(), TWO),
    "boolean labels": (normal(), TWO == 1),
    "singletons": (normal(), np.minimum(np.arange(N), 9)),
    "n - 1 clusters": (normal(), np.maximum(np.arange(N), 1)),
    "duplicates across all clusters": (
        np.tile(normal(n=N // 4), (4, 1)),
        np.repeat([0, 1], N // 2),
    ),
    "all points in one place": (np.full((N, D), 0.1), TWO),
    "all points in one place, float32": (np.full((N, D), 0.3, np.float32), TWO),
    "three points": (normal(n=3), [0, 0, 1]),
    "more clusters than a tile has places": (normal(n=601), np.arange(601) // 2),
}


@pytest.mark.parametrize("name", CASES)
def test_references(name):
    points, labels = CASES[name]
    for samples in WAYS:
        scores = samples(points, labels)
        assert scores.shape == (len(labels),) and scores.dtype == jnp.float32
        np.testing.assert_allclose(scores, brute_force(points, labels), atol=2e-6)
        np.testing.assert_allclose(scores, reference(points, labels), atol=2e-6)
    score = silhouette_score(points, labels)
    assert score.shape == ()
    np.testing.assert_allclose(score, reference(points, labels).mean(), atol=1e-6)


def test_the_numbers_of_scikit_learn_itself():
    expected = sklearn.metrics.silhouette_score(normal(), SEVEN)
    np.testing.assert_allclose(silhouette_score(normal(), SEVEN), expected, atol=1e-6)


FIVE = np.arange(N) // 12
LABELLINGS = {
    "a label each": FIVE,
    "clumps of two labels": np.arange(N) // 6,
    "a label of two clumps": np.maximum(FIVE, 1),
    "a label of all clumps": np.arange(N) % 3,
    "some labels wrong": np.where(np.arange(N) % 11 == 0, 0, FIVE),
}


@pytest.mark.parametrize("labels", LABELLINGS.values(), ids=LABELLINGS)
def test_collapsed_clusters(labels):
    for spread in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        for offset in (0, 10):
            check_collapsed(spread, labels, offset)


def check_collapsed(spread, labels, offset):
    points = (clumps(spread, FIVE) + offset).astype(np.float32)
    expected = reference(points, labels)
    for samples in WAYS:
        found = np.asarray(samples(points, labels))
        np.testing.assert_allclose(found.mean(), expected.mean(), atol=1e-4)
        # Where a cluster spans clumps, distances within a clump are lost beside its width.
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
def test_collapsed_cluster_pairs_far_from_others(spread):
    """Two clusters close together on the scale of their spread, and a third far away."""
    points = normal(n=N) * spread
    points[12:24, 0] += 3 * spread
    points[24:] += 2
    labels = np.minimum(np.arange(N) // 12, 2)
    points = points.astype(np.float32)
    expected = reference(points, labels)
    for samples in WAYS:
        np.testing.assert_allclose(samples(points, labels), expected, atol=1e-5)


@pytest.mark.parametrize("d", [1, 16])
def test_clusters_that_share_a_point(d):
    """Distances of zero between clusters whose norms cancel to zero or below."""
    way = np.random.default_rng(d).normal(size=(1, d))
    points = (way * np.repeat([0.0, 0.7, 0.7, 1.4], 15)[:, None]).astype(np.float32)
    labels = np.repeat([0, 1], 30)
    for samples in WAYS:
        np.testing.assert_allclose(samples(points, labels), brute_force(points, labels), atol=1e-5)


def test_jit_and_vmap_are_eager():
    batch = jnp.asarray([normal(seed) for seed in range(3)], jnp.float32)
    eager = np.array([silhouette_samples(points, SEVEN) for points in batch])
    samples = partial(silhouette_samples, labels=SEVEN)
    np.testing.assert_allclose(jax.vmap(samples)(batch), eager, atol=1e-6)
    np.testing.assert_allclose(jax.jit(samples)(batch[0]), eager[0], atol=1e-6)
    labels = jnp.asarray(SEVEN)
    closed_over = jax.jit(lambda factor: factor * silhouette_score(batch[0], labels))
    np.testing.assert_allclose(closed_over(jnp.float32(2)), 2 * eager[0].mean(), atol=1e-6)


def dense_score(points, labels):
    """The score in plain JAX, for automatic differentiation."""
    mine = labels[:, None] == np.unique(labels)[None, :]
    difference = points[:, None, :] - points[None, :, :]
    squares = jnp.sum(difference**2, axis=2)
    distance = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    sums = jnp.sum(jnp.where(mine[None], distance[:, :, None], 0), axis=1)
    size = jnp.sum(mine, axis=0).astype(points.dtype)[None]
    cohesion = jnp.sum(jnp.where(mine, sums / (size - 1), 0), axis=1)
    separation = jnp.min(jnp.where(mine, jnp.inf, sums / size), axis=1)
    return jnp.mean((separation - cohesion) / jnp.maximum(cohesion, separation))


GRADIENT = jax.jit(partial(jax.grad(dense_score), labels=SEVEN))


@pytest.mark.parametrize(
    "points",
    [normal(), normal() + 100, np.repeat(normal(n=N // 2), 2, axis=0), clumps(1e-3, SEVEN)],
    ids=["normal", "far from the origin", "coinciding points", "collapsed"],
)
def test_gradient(points):
    points = jnp.asarray(points, jnp.float32)
    gradient = jax.grad(silhouette_score)(points, SEVEN)
    expected = GRADIENT(points)
    assert np.isfinite(gradient).all()
    size = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=2e-4 * size)


def test_gradient_of_coinciding_points_is_zero():
    gradient = jax.grad(silhouette_score)(jnp.full((N, D), 0.1, jnp.float32), SEVEN)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("shape", [any_tile_shape(N, 9, tile=tile) for tile in (None, 7)])
def test_traced_labels_with_empty_clusters(shape):
    @jax.jit
    def samples(points, codes):
        return silhouette_samples(points, codes, plan=plan_tiles(codes, 9, shape))

    for codes in (SEVEN, TWO * 8, np.where(np.arange(N) == 0, 4, TWO * 3)):
        scores = samples(jnp.asarray(normal(), jnp.float32), jnp.asarray(codes, jnp.int32))
        np.testing.assert_allclose(scores, reference(normal(), codes), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(-5, 1).map(lambda power: 10**power),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(-20, 20).map(lambda power: 10**power),
)
def test_invariance(seed, spread, shift, scale):
    random = np.random.default_rng(seed)
    points = clumps(spread, SEVEN, seed)
    rotation = np.linalg.qr(random.normal(size=(D, D)))[0]
    order, names = random.permutation(N), random.permutation(np.arange(7) * 5 - 11)
    scores = np.asarray(silhouette_samples(points, SEVEN))
    assert (np.abs(scores) <= 1).all()
    # float64 points keep what a shift does to the sixteenth digit: 1e-13 of a spread of 1e-5.
    close = partial(np.testing.assert_allclose, desired=scores, atol=1e-5)
    close(silhouette_samples(points + shift, SEVEN))
    close(silhouette_samples(points * scale, SEVEN))
    close(silhouette_samples(points @ rotation, SEVEN))
    close(silhouette_samples(points, names[SEVEN]))
    close(silhouette_samples(points, names[SEVEN].astype(str)))
    permuted = np.asarray(silhouette_samples(points[order], SEVEN[order]))
    np.testing.assert_allclose(permuted, scores[order], atol=1e-5)


FAR = normal()
FAR[0] = 1e8


def test_one_point_far_away():
    """It drags away a mean, but neither the other points nor what is measured of them."""
    for labels in (SEVEN, np.maximum(SEVEN, 1)):
        for points in (FAR, FAR.astype(np.float32)):
            expected = brute_force(points, labels)
            elsewhere = labels != labels[0]
            for samples in WAYS:
                found = samples(points, labels)
                np.testing.assert_allclose(found, expected, atol=1e-5)
                np.testing.assert_allclose(found[elsewhere], expected[elsewhere], atol=5e-7)


def test_a_plan_of_other_points_or_labels():
    points, codes = jnp.asarray(normal(), jnp.float32), jnp.asarray(TWO, jnp.int32)
    plan = plan_tiles(codes, 2, tile_shape(np.bincount(TWO)))
    np.testing.assert_allclose(
        silhouette_samples(points, codes, plan=plan), brute_force(normal(), TWO), atol=2e-6
    )
    with pytest.raises(ValueError, match="The plan is of 60 points; got 59"):
        silhouette_samples(points[1:], codes[1:], plan=plan)
    assert np.isnan(silhouette_score(points, 1 - codes, plan=plan))
    narrow = TileShape(7, 1)  # where one tile has both labels
    assert np.isnan(silhouette_score(points, codes, num_labels=2, plan=narrow))
