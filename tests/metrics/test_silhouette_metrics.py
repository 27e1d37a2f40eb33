"""Silhouettes under other distances, of sparse and given ones, and simplified ones."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics
from scipy.spatial.distance import cdist

from jaxiso.metrics import host
from jaxiso.metrics.silhouette import (
    sampled_silhouette,
    silhouette_samples,
    silhouette_score,
    simplified_silhouette_samples,
    simplified_silhouette_score,
)

N, D, K = 60, 5, 7
CODES = np.arange(N) % K
LINEAR = ("cosine", "sqeuclidean")


def normal(seed=0, n=N, d=D):
    return np.random.default_rng(seed).normal(size=(n, d))


def clumps(spread, seed=0):
    return normal(seed, K)[CODES] + spread * normal(seed + 1)


def scikit_learn(points, labels, metric) -> np.ndarray:
    return np.asarray(sklearn.metrics.silhouette_samples(points, labels, metric=metric))


def from_distances(distances, labels) -> np.ndarray:
    """The definition, from a matrix of distances."""
    scores = np.zeros(len(labels))
    for i, own in enumerate(labels):
        same = (labels == own) & (np.arange(len(labels)) != i)
        if same.any():
            a = distances[i, same].mean()
            b = min(distances[i, labels == other].mean() for other in set(labels) - {own})
            scores[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0
    return scores


def from_centroids(points, labels, metric) -> np.ndarray:
    """The definition of the simplified silhouette."""
    x = np.asarray(points, np.float64)
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    names = np.unique(labels)
    centroids = np.stack([x[labels == name].mean(axis=0) for name in names])
    distances = cdist(x, centroids, metric)
    mine = np.searchsorted(names, labels)
    rows = np.arange(len(x))
    a = distances[rows, mine]
    distances[rows, mine] = np.inf
    b = distances.min(axis=1)
    return np.where(np.bincount(mine)[mine] > 1, (b - a) / np.maximum(a, b), 0)


@partial(jax.jit, static_argnames=["metric", "simplified"])
def traced(points, codes, metric, simplified=False):
    samples = simplified_silhouette_samples if simplified else silhouette_samples
    return samples(points, codes, metric=metric, num_labels=K + 2)  # two do not occur


LABELLINGS = {
    "in turn": CODES,
    "a single point": np.minimum(np.arange(N), K - 1),
    "two labels": np.arange(N) % 2 * 4,
}


@pytest.mark.parametrize("metric", LINEAR)
@pytest.mark.parametrize("labels", LABELLINGS.values(), ids=LABELLINGS)
def test_distances_without_pairs(metric, labels):
    points = normal()
    expected = scikit_learn(points, labels, metric)
    found = silhouette_samples(points, labels, metric=metric)
    assert found.dtype == jnp.float32 and found.shape == (N,)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_allclose(
        traced(jnp.asarray(points, jnp.float32), jnp.asarray(labels), metric), expected, atol=2e-6
    )


@pytest.mark.parametrize("spread", [1e-3, 1e-6])
def test_squared_distances_of_collapsed_clusters(spread):
    """As float64 has them from differences; far from the origin too."""
    points = (clumps(spread) + 10).astype(np.float32)
    for labels in (CODES, CODES % 3):
        double = points.astype(np.float64)
        differences = cdist(double, double, "sqeuclidean")
        expected = from_distances(differences, labels)
        found = silhouette_samples(points, labels, metric="sqeuclidean")
        np.testing.assert_allclose(found, expected, atol=1e-6)
        found = traced(jnp.asarray(points), jnp.asarray(labels), "sqeuclidean")
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_cosines_of_one_direction_are_zero():
    """Points of one direction are told apart by no rounding; as all in one place, they score 0."""
    points = normal(n=1) * np.exp(normal(1, d=1))
    assert (silhouette_samples(points, CODES, metric="cosine") == 0).all()
    assert (traced(jnp.asarray(points, jnp.float32), jnp.asarray(CODES), "cosine") == 0).all()


@pytest.mark.parametrize("metric", ["euclidean", *LINEAR])
def test_simplified(metric):
    points = normal()
    for labels in LABELLINGS.values():
        expected = from_centroids(points, labels, metric)
        found = simplified_silhouette_samples(points, labels, metric=metric)
        np.testing.assert_allclose(found, expected, atol=1e-7)
        found = traced(jnp.asarray(points, jnp.float32), jnp.asarray(labels), metric, True)
        np.testing.assert_allclose(found, expected, atol=2e-6)
    score = simplified_silhouette_score(points, CODES, metric=metric)
    np.testing.assert_allclose(score, from_centroids(points, CODES, metric).mean(), atol=1e-6)


def test_simplified_with_a_centroid_without_direction():
    """It is at distance 1 of every point."""
    points, labels = np.array([[1, 0], [-1, 0], [0, 1], [0, 2.0]]), np.array([0, 0, 1, 1])
    found = simplified_silhouette_samples(points, labels, metric="cosine")
    np.testing.assert_allclose(found, [0, 0, 1, 1], atol=1e-6)
    found = traced(jnp.asarray(points, jnp.float32), jnp.asarray(labels), "cosine", True)
    np.testing.assert_allclose(found, [0, 0, 1, 1], atol=1e-6)


def score_of_differences(points, metric, codes):
    """The score in plain JAX, for automatic differentiation."""
    if metric == "cosine":
        points = points / jnp.linalg.norm(points, axis=1, keepdims=True)
    squares = jnp.sum((points[:, None] - points[None, :]) ** 2, axis=2)
    mine = jax.nn.one_hot(codes, K)
    size, sums = mine.sum(0)[None], squares @ mine
    a = jnp.sum(jnp.where(mine > 0, sums / (size - 1), 0), axis=1)
    b = jnp.min(jnp.where(mine > 0, jnp.inf, sums / size), axis=1)
    return jnp.mean((b - a) / jnp.maximum(a, b))


@pytest.mark.parametrize("metric", LINEAR)
def test_gradient(metric):
    points = jnp.asarray(normal() + 1, jnp.float32)
    gradient = jax.grad(silhouette_score)(points, CODES, metric=metric)
    expected = np.asarray(jax.grad(score_of_differences)(points, metric, CODES))
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


def test_vmap_and_macro_under_jit():
    batch = jnp.asarray([normal(seed) for seed in range(3)], jnp.float32)
    labels = np.minimum(CODES, 2)
    score = partial(silhouette_score, labels=labels, metric="cosine", average="macro")
    samples = [scikit_learn(np.asarray(points), labels, "cosine") for points in batch]
    expected = [np.mean([found[labels == k].mean() for k in range(3)]) for found in samples]
    np.testing.assert_allclose(jax.jit(jax.vmap(score))(batch), expected, atol=2e-6)
    np.testing.assert_allclose([score(points) for points in batch], expected, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", *LINEAR])
def test_sparse(metric):
    points = np.where(normal() > 0.5, normal(1), 0)
    points[:, 0] = 1
    expected = scikit_learn(points, CODES, metric)
    for container in (scipy.sparse.csr_array, scipy.sparse.coo_matrix):
        found = silhouette_samples(container(points), CODES, metric=metric)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    tiny = scipy.sparse.csr_array(points * 1e-200)
    np.testing.assert_allclose(silhouette_samples(tiny, CODES, metric=metric), expected, atol=1e-6)


def test_precomputed():
    distances = np.abs(cdist(normal(), normal())) + np.arange(N)  # not even symmetric
    np.fill_diagonal(distances, 0)
    expected = from_distances(distances, CODES)
    given = partial(silhouette_samples, metric="precomputed")
    np.testing.assert_allclose(given(distances, CODES), expected, atol=1e-6)
    np.testing.assert_allclose(given(scipy.sparse.csc_array(distances), CODES), expected, atol=1e-6)
    single = jnp.asarray(distances, jnp.float32)
    np.testing.assert_allclose(
        traced(single, jnp.asarray(CODES), "precomputed"), expected, atol=2e-6
    )
    wrong = single.at[3, 3].set(1)
    assert np.isnan(traced(wrong, jnp.asarray(CODES), "precomputed")).all()


@pytest.mark.parametrize("metric", ["euclidean", *LINEAR])
def test_the_host_and_the_programs_agree(metric, monkeypatch):
    """Of the same float32 points, above and below what is small."""
    points = jnp.asarray(normal(2) * 1e-3 + 1, jnp.float32)
    found = silhouette_samples(points, CODES, metric=metric)
    program = jax.jit(partial(silhouette_samples, labels=CODES, metric=metric))
    np.testing.assert_allclose(program(points), np.asarray(found), atol=1e-4)
    if metric == "euclidean":
        monkeypatch.setattr(host, "WORK", 0)
        found = np.asarray(silhouette_samples(points, CODES, metric=metric))
        np.testing.assert_allclose(found, program(points), atol=1e-6)


def test_codes_that_are_no_clusters():
    points = normal()
    for codes in (np.zeros(N, int), np.arange(N)):
        for metric in ("euclidean", "cosine"):
            assert np.isnan(silhouette_score(points, codes, metric=metric, num_labels=N))


def compiled(call) -> int:
    """How many programs are compiled during a call."""
    found: list[str] = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        call()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return len(found)


def test_nothing_is_compiled_for_few_points():
    def measure(*sizes):
        for n in sizes:
            points = jax.device_put(normal(n=n).astype(np.float32))
            for metric in ("euclidean", *LINEAR):
                silhouette_score(points, np.arange(n) % 3, metric=metric)
                simplified_silhouette_score(points, np.arange(n) % 3, metric=metric)

    assert compiled(lambda: jax.jit(lambda x: x + 3)(np.float32(1))) > 0
    measure(40)
    assert compiled(partial(measure, 41, 333)) == 0


def test_another_number_of_many_points_compiles_nothing(monkeypatch):
    """Points and labels are padded to few sizes; what is measured is the same."""
    monkeypatch.setattr(host, "WORK", 0)
    found = {}

    def measure(*sizes):
        for n, k in sizes:
            points = normal(n=n).astype(np.float32)
            found[n] = points, np.arange(n) % k, silhouette_samples(points, np.arange(n) % k)

    measure((120, 4))
    assert compiled(partial(measure, (70, 3), (128, 4))) == 0
    for points, labels, samples in found.values():
        np.testing.assert_allclose(samples, scikit_learn(points, labels, "euclidean"), atol=2e-6)


ZERO = np.where(np.arange(N)[:, None] == 9, 0, normal())


@pytest.mark.parametrize(
    "call, message",
    [
        (partial(silhouette_score, metric="manhattan"), "euclidean, cosine, .*; got 'manhattan'"),
        (partial(silhouette_samples, metric="Cosine"), "euclidean, cosine, .*; got 'Cosine'"),
        (partial(simplified_silhouette_score, metric="precomputed"), "euclidean, cosine, sqe"),
        (partial(silhouette_score, average="weighted"), "micro, macro; got 'weighted'"),
        (partial(simplified_silhouette_score, average="mean"), "micro, macro; got 'mean'"),
        (partial(silhouette_score, sample_size=1), "from 2 to the number of points, 60; got 1"),
        (partial(silhouette_score, sample_size=61), "from 2 to the number of points, 60; got 61"),
        (partial(silhouette_score, metric="precomputed"), r"shape \(n, n\); got \(60, 5\)"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(normal(), CODES)


def test_refused_points():
    cosine = partial(silhouette_score, labels=CODES, metric="cosine")
    for points in (ZERO, jnp.asarray(ZERO), scipy.sparse.csr_array(ZERO)):
        with pytest.raises(ValueError, match=r"zero vectors: points\[9\] is zero"):
            cosine(points)
    assert np.isnan(jax.jit(cosine)(jnp.asarray(ZERO, jnp.float32)))
    assert np.isfinite(silhouette_score(ZERO, CODES))
    sparse = scipy.sparse.csr_array(np.where(np.eye(N, D) > 0, np.nan, 1))
    with pytest.raises(ValueError, match=r"points\[0, 0\] is nan"):
        silhouette_score(sparse, CODES)
    with pytest.raises(ValueError, match="must not be negative; got -1"):
        silhouette_score(np.eye(N) - 1, CODES, metric="precomputed")
    with pytest.raises(ValueError, match="takes dense points"):
        simplified_silhouette_score(scipy.sparse.csr_array(normal()), CODES)
    mesh = jax.make_mesh((1,), ("points",))
    for given, metric in ((np.eye(N), "precomputed"), (scipy.sparse.csr_array(normal()), "cosine")):
        with pytest.raises(ValueError, match="cannot be spread over a mesh"):
            silhouette_score(given, CODES, metric=metric, mesh=mesh)
    with pytest.raises(ValueError, match="concrete points and labels"):
        jax.jit(partial(sampled_silhouette, labels=CODES, sample_size=9))(jnp.asarray(normal()))
