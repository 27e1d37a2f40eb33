"""Sums over blocks of vectors against the public functions, and against all vectors at once."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils
from sklearn import metrics as sklearn

import jaxiso
from jaxiso.data import rows
from jaxiso.data.rows import ArrayRows
from jaxiso.metrics import clusters, host_labels
from jaxiso.metrics.dimension import covariance_eigenvalues
from jaxiso.metrics.errors import deal
from jaxiso.score import cloud as clouds
from jaxiso.score.cloud import Cloud, Part
from jaxiso.score.clusters import Groups
from jaxiso.score.linear import silhouettes
from jaxiso.score.streaming import eigenvalues, log_partitions, moments

N, D, K = 60, 7, 4
RANDOM = np.random.default_rng(0)
CODES = RANDOM.integers(0, K, N).astype(np.int32)
X = RANDOM.normal(size=(N, D)) * np.linspace(0.5, 2, D) + 0.3 + CODES[:, None]
X[5] = 0


@pytest.fixture(params=[rows.BLOCK, 2 * D], ids=["a block", "blocks"])
def block(request, monkeypatch) -> None:
    for module in (rows, clusters, host_labels):
        monkeypatch.setattr(module, "BLOCK", request.param)


@pytest.mark.parametrize("x", [X, X[:D], X[:3], X + 1e6, (X * 100).astype(np.int16)])
def test_moments(x, block):
    cloud = Cloud(ArrayRows(x))
    sums = moments(cloud)
    np.testing.assert_allclose(eigenvalues(cloud, sums), covariance_eigenvalues(x), atol=1e-9)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    directions = x[lengths[:, 0] > 0] / lengths[lengths[:, 0] > 0]
    np.testing.assert_allclose(sums.directions, directions.sum(axis=0), rtol=1e-12)
    assert sums.nonzero == len(directions)
    if np.abs(x).max() < 1e3:  # longer ones score 0
        found = log_partitions(cloud, sums)
        x = np.asarray(x, np.float64)
        turned = np.linalg.eigh(x.T @ x)[1]
        both = np.concatenate([x @ turned, -(x @ turned)], axis=1)
        largest = both.max(axis=0)
        expected = largest + np.log(np.exp(both - largest).sum(axis=0))
        # Where eigenvalues are the same, as the zeros of few vectors, any basis will do.
        np.testing.assert_allclose(np.sort(found.ravel()), np.sort(expected), rtol=1e-8, atol=1e-8)


def test_vectors_in_one_place_have_exact_zeros(block):
    cloud = Cloud(ArrayRows(np.tile(RANDOM.normal(size=(1, D)).astype(np.float32), (N, 1))))
    assert (eigenvalues(cloud, moments(cloud)) == 0).all()


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_outside_of_the_range_of_squares(scale, block):
    cloud, usual = Cloud(ArrayRows(X * scale)), Cloud(ArrayRows(X))
    found, expected = moments(cloud), moments(usual)
    ours, theirs = eigenvalues(cloud, found), eigenvalues(usual, expected)
    np.testing.assert_allclose(ours / ours.sum(), theirs / theirs.sum(), rtol=1e-12)
    np.testing.assert_allclose(found.directions, expected.directions, rtol=1e-12)
    assert np.isfinite(cloud.load()).all() and 0.1 < np.abs(cloud.load()).max() < 10


def test_whole_numbers_have_no_absolute_value():
    x = np.array([[-128, 0], [127, 3]], np.int8)
    cloud = Cloud(ArrayRows(x))
    np.testing.assert_allclose(eigenvalues(cloud, moments(cloud)), covariance_eigenvalues(x))


@pytest.mark.parametrize("kind", [np.float64, np.float16])
def test_groups(kind, block):
    x = X.astype(kind)
    groups = Groups.of(Cloud(ArrayRows(x)), CODES, K)
    assert groups.counts.tolist() == np.bincount(CODES).tolist()
    double = x.astype(np.float64)
    expected = sklearn.calinski_harabasz_score(double, CODES)
    assert groups.calinski_harabasz() == pytest.approx(expected, rel=1e-12)
    assert groups.davies_bouldin() == pytest.approx(sklearn.davies_bouldin_score(double, CODES))


@pytest.mark.parametrize("unit", [False, True])
def test_groups_without_each_block(unit, block):
    """A label of few vectors has none left without some block."""
    codes = np.where(np.arange(N) < 2, K, CODES)
    dealt = deal(N, 7)
    groups = Groups.of(Cloud(ArrayRows(X + 9)), codes, K + 1, unit=unit, dealt=dealt)
    assert len(groups.without) == 7
    for number, found in enumerate(groups.without):
        kept = dealt.block != number
        expected = Groups.of(Cloud(ArrayRows(X[kept] + 9)), codes[kept], K + 1, unit=unit)
        np.testing.assert_array_equal(found.counts, expected.counts)
        used = found.counts > 0
        for name in ("centroids", "spread", "radii"):
            ours, theirs = getattr(found, name), getattr(expected, name)
            np.testing.assert_allclose(ours[used], theirs[used], atol=1e-12)


def test_labels_in_single_places(block):
    places = RANDOM.normal(size=(K, D))
    cloud = Cloud(ArrayRows(places[CODES] + 100))
    groups = Groups.of(cloud, CODES, K)
    assert (groups.spread == 0).all() and groups.calinski_harabasz() == 1
    for metric in ("euclidean", "cosine"):
        groups = Groups.of(cloud, CODES, K, unit=metric == "cosine")
        found = silhouettes(cloud, CODES, groups, metric)
        assert (found.squared == 1).all() and (found.simplified > 1 - 1e-6).all()


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean"])
def test_silhouettes(metric, block):
    cloud = Cloud(ArrayRows(X))
    found = silhouettes(cloud, CODES, Groups.of(cloud, CODES, K, unit=metric == "cosine"), metric)
    kept = X.any(axis=1) if metric == "cosine" else np.ones(N, bool)
    expected = np.asarray(sklearn.silhouette_samples(X[kept], CODES[kept], metric=metric))
    np.testing.assert_allclose(found.squared[kept], expected, atol=1e-12)
    assert np.isnan(found.squared[~kept]).all() and np.isnan(found.simplified[~kept]).all()


@pytest.mark.parametrize("metric", ["cosine", "sqeuclidean", "euclidean"])
def test_simplified_silhouettes(metric, block):
    codes = CODES.copy()
    codes[7] = K  # alone
    x = np.delete(X, 5, axis=0)
    codes = np.delete(codes, 5)
    cloud = Cloud(ArrayRows(x))
    groups = Groups.of(cloud, codes, K + 1, unit=metric == "cosine")
    found = silhouettes(cloud, codes, groups, metric).simplified
    points = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    centroids = np.stack([points[codes == k].mean(axis=0) for k in range(K + 1)])
    distances = sklearn.pairwise_distances(points, centroids, metric=metric)
    own = distances[np.arange(len(x)), codes].copy()
    distances[np.arange(len(x)), codes] = np.inf
    other = distances.min(axis=1)
    expected = np.where(codes == K, 0, (other - own) / np.maximum(own, other))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_label_whose_directions_cancel(block):
    """Its centroid has no direction, and is at a right angle to all."""
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0.1, 1], [0, -1]])
    codes = np.array([0, 0, 1, 1, 1])
    cloud = Cloud(ArrayRows(x))
    found = silhouettes(cloud, codes, Groups.of(cloud, codes, 2, unit=True), "cosine").simplified
    expected = jaxiso.simplified_silhouette_samples(x, codes, metric="cosine")
    np.testing.assert_allclose(found, np.asarray(expected), atol=1e-6)


def test_what_is_gathered_keeps_its_bits(monkeypatch):
    """Two processes, of which this is the first; the other has the same rows, but for the last."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 0)

    def other(mine):
        fewer = (
            mine - 1 if mine.dtype == np.int32 else np.where(np.arange(len(mine)) < 4, mine.T, 0).T
        )
        return np.stack([mine, fewer])

    monkeypatch.setattr(multihost_utils, "process_allgather", other)
    part = Part.of(11)
    assert part == Part(0, 5, pooled=True)
    mine = RANDOM.normal(size=(5, 2, 3))
    np.testing.assert_array_equal(part.gather(mine), np.concatenate([mine, mine[:4]]))
    mine = (RANDOM.normal(size=5) > 0).astype(np.int64)
    np.testing.assert_array_equal(part.gather(mine), np.concatenate([mine, mine[:4]]))


def test_values_are_those_of_the_functions():
    x = X.astype(np.float32)
    cloud = Cloud(ArrayRows(x))
    partitions = log_partitions(cloud, moments(cloud))
    score = float(np.exp(partitions.min() - partitions.max()))
    assert score == pytest.approx(float(jaxiso.isotropy_score(x)), rel=1e-4)
    np.testing.assert_array_equal(cloud.load(), x)
    np.testing.assert_array_equal(cloud.take(np.array([2, 5])), x[[2, 5]])
    assert clouds.SOME > N
