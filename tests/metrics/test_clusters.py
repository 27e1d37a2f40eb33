"""Calinski-Harabasz and Davies-Bouldin against scikit-learn, Dunn against all pairs; in float64."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.tiles import any_tile_shape, plan_tiles

N, D = 60, 12


def dunn_by_definition(points, labels) -> float:
    distance = cdist(points, points)
    same = np.asarray(labels)[:, None] == np.asarray(labels)[None, :]
    separation, diameter = distance[~same].min(), distance[same].max()
    if diameter > 0:
        return float(separation / diameter)
    return float("inf") if separation > 0 else 0.0


def davies_bouldin_by_definition(points, labels) -> float:
    """scikit-learn's without ‖a‖² + ‖b‖² - 2a·b, which loses the way between close centroids."""
    groups = [points[labels == label] for label in np.unique(labels)]
    centroids = np.stack([group.mean(axis=0) for group in groups])
    radii = np.array([cdist(g, c[None]).mean() for g, c in zip(groups, centroids, strict=True)])
    distance = cdist(centroids, centroids) + np.diag([np.inf] * len(groups))
    return float(((radii[:, None] + radii[None, :]) / distance).max(axis=1).mean())


REFERENCES = {
    calinski_harabasz_score: sklearn.metrics.calinski_harabasz_score,
    davies_bouldin_score: sklearn.metrics.davies_bouldin_score,
    dunn_index: dunn_by_definition,
}
METRICS = list(REFERENCES)


def reference(metric, points, labels) -> float:
    """On points whose mean and scale do not cost float64 any digits."""
    x = np.asarray(points, np.float64)
    x = x - x[0]
    return float(REFERENCES[metric](x / (np.abs(x).max() or 1), np.asarray(labels)))


def normal(seed=0, n=N, d=D):
    return np.random.default_rng(seed).normal(size=(n, d))


def clumps(spread, labels, seed=0, d=D):
    codes = np.unique(labels, return_inverse=True)[1]
    return normal(seed, codes.max() + 1, d)[codes] + spread * normal(seed + 1, len(codes), d)


RANDOM = np.random.default_rng(0)
TWO = RANDOM.integers(0, 2, N)
SEVEN = np.arange(N) % 7
# The accuracy on all kinds of data is in `test_accuracy`; these are of other shapes.
CASES = {
    "two clusters": (normal(), TWO),
    "singletons": (normal(), np.minimum(np.arange(N), 9)),
    "n - 1 clusters": (normal(), np.maximum(np.arange(N), 1)),
    "two dimensions, crowded": (normal(n=400, d=2), RANDOM.integers(0, 2, 400)),
    "three points": (normal(n=3), [0, 0, 1]),
    "hundreds of labels": (normal(n=301), np.arange(301) // 2),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", CASES)
def test_references(metric, name):
    points, labels = CASES[name]
    score = metric(points, labels)
    assert score.shape == () and score.dtype == jnp.float32
    np.testing.assert_allclose(score, reference(metric, points, labels), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_place_a_cluster(dtype):
    """Where scikit-learn is left with its own rounding errors, or divides by them."""
    points = normal(n=7).astype(dtype)[SEVEN] + dtype(3)
    assert float(calinski_harabasz_score(points, SEVEN)) == 1
    assert float(davies_bouldin_score(points, SEVEN)) == 0
    assert float(dunn_index(points, SEVEN)) == np.inf


def test_centroids_in_one_place():
    points, labels = np.tile(normal(n=N // 4), (4, 1)), np.repeat([0, 1], N // 2)
    assert float(davies_bouldin_score(points, labels)) == 0
    assert float(davies_bouldin_score(points.astype(np.float32) + 100, labels)) == 0
    assert float(calinski_harabasz_score(points, labels)) < 1e-10
    assert float(dunn_index(points, labels)) == 0


FIVE = np.arange(N) // 12
LABELLINGS = {
    "a label each": FIVE,
    "clumps of two labels": np.arange(N) // 6,
    "a label of two clumps": np.maximum(FIVE, 1),
    "some labels wrong": np.where(np.arange(N) % 11 == 0, 0, FIVE),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("labels", LABELLINGS.values(), ids=LABELLINGS)
def test_collapsed_clusters(metric, labels):
    for spread in (1e-2, 1e-4, 1e-6):
        for offset in (0, 10):
            check_collapsed(metric, spread, labels, offset)


def check_collapsed(metric, spread, labels, offset):
    points = (clumps(spread, FIVE) + offset).astype(np.float32)
    expected = reference(metric, points, labels)
    if metric is davies_bouldin_score:
        exact = davies_bouldin_by_definition(points.astype(np.float64), labels)
        np.testing.assert_allclose(expected, exact, rtol=2e-3)
        expected = exact
    np.testing.assert_allclose(metric(points, labels), expected, rtol=1e-4)


@pytest.mark.parametrize(("tile", "d"), [(7, 2), (7, D), (64, D)])
def test_dunn_does_not_depend_on_tiles_and_takes_empty_clusters(tile, d):
    points, codes = normal(d=d), 3 * TWO
    plan = any_tile_shape(N, 5, tile=tile)
    score = dunn_index(points, codes, num_labels=5, plan=plan)
    np.testing.assert_allclose(score, dunn_by_definition(points, codes), rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_traced_labels_with_empty_clusters(metric):
    score = jax.jit(lambda x, codes: metric(x, codes, num_labels=9))
    for codes in (3 * TWO, SEVEN + 1):
        found = score(jnp.asarray(normal(), jnp.float32), jnp.asarray(codes, jnp.int32))
        np.testing.assert_allclose(found, reference(metric, normal(), codes), rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_jit_and_vmap_are_eager(metric):
    batch = jnp.asarray([normal(seed) for seed in range(3)], jnp.float32)
    eager = np.array([metric(points, SEVEN) for points in batch])
    labelled = partial(metric, labels=SEVEN)
    np.testing.assert_allclose(jax.vmap(labelled)(batch), eager, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(labelled)(batch[0]), eager[0], rtol=1e-5)


@pytest.mark.parametrize(("metric", "d"), [*((metric, D) for metric in METRICS), (dunn_index, 2)])
def test_gradient(metric, d):
    points, way = clumps(0.5, SEVEN, d=d), normal(5, d=d)
    step = 1e-6
    ahead, behind = (reference(metric, points + s * way, SEVEN) for s in (step, -step))
    gradient = jax.grad(metric)(jnp.asarray(points, jnp.float32), SEVEN)
    np.testing.assert_allclose(np.sum(gradient * way), (ahead - behind) / (2 * step), rtol=2e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_are_finite(metric):
    gradient = jax.jit(jax.grad(partial(metric, labels=SEVEN)))
    for points in (np.full((N, D), 0.1), normal(n=7)[SEVEN], np.repeat(normal(n=N // 4), 4, 0)):
        assert np.isfinite(gradient(jnp.asarray(points, jnp.float32))).all()


def test_memory_grows_with_points_not_with_pairs():
    n, d, tile = 8192, 16, 256
    points, codes = jax.ShapeDtypeStruct((n, d), "float32"), jax.ShapeDtypeStruct((n,), "int32")

    def dunn(points, codes):
        return dunn_index(points, codes, plan=plan_tiles(codes, 3, any_tile_shape(n, 3, tile=tile)))

    linear = 2 * n * (3 + d) + 4 * tile**2
    memory = jax.jit(jax.grad(dunn)).lower(points, codes).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * 4 * linear < n * n


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    # What turning does to the last digit of a float32 is 1e-5 of a spread of 0.01.
    spread=st.floats(-2, 1).map(lambda power: 10**power),
    shift=st.floats(-1e3, 1e3),
    scale=st.floats(-20, 20).map(lambda power: 10**power),
)
def test_invariance(seed, spread, shift, scale):
    random = np.random.default_rng(seed)
    points = clumps(spread, SEVEN, seed)
    rotation = np.linalg.qr(random.normal(size=(D, D)))[0]
    order, names = random.permutation(N), random.permutation(np.arange(7) * 5 - 11)
    for metric in METRICS:
        score = float(metric(points, SEVEN))
        assert score >= 0
        close = partial(np.testing.assert_allclose, desired=score, rtol=2e-4)
        close(metric(points + shift, SEVEN))
        close(metric(points * scale, SEVEN))
        close(metric(points @ rotation, SEVEN))
        close(metric(points[order], names[SEVEN][order].astype(str)))
