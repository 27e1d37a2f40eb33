"""Samples of silhouettes: unbiased, with an error that holds, whatever the labels are."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest
from sklearn.metrics import silhouette_samples as sklearn_samples

from jaxiso.metrics import host
from jaxiso.metrics.sampling import Design, Sampled, in_batches, strata
from jaxiso.metrics.silhouette import (
    sampled_silhouette,
    silhouette_in_batches,
    silhouette_samples,
    silhouette_score,
)
from jaxiso.metrics.silhouette_rows import silhouettes_of_rows

N = 1500


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def zipf(n, k) -> np.ndarray:
    """Labels whose sizes fall as 1, 1/2, 1/3, … down to singletons."""
    sizes = np.maximum(n / np.arange(1, k + 1) / np.log(k), 1).astype(int)
    codes = np.repeat(np.arange(k), sizes)
    return np.concatenate([codes, np.zeros(n, int)])[:n]


MANY = np.arange(N) // 10  # 150 labels of 10 points
FEW = np.arange(N) % 5
ZIPF = zipf(N, 500)
LABELLED = {
    "many labels": (normal(150)[MANY] + 0.5 * normal(N, seed=1), MANY),
    "clustered": (2 * normal(5)[FEW] + normal(N, seed=1), FEW),
    "Zipf with singletons": (normal(500)[ZIPF] + 0.3 * normal(N, seed=1), ZIPF),
}


def mean(silhouettes, labels, average) -> float:
    if average == "micro":
        return silhouettes.mean()
    return float(np.mean([silhouettes[labels == label].mean() for label in np.unique(labels)]))


@pytest.fixture(scope="module", params=list(LABELLED))
def labelled(request):
    points, labels = LABELLED[request.param]
    silhouettes = np.asarray(silhouette_samples(points, labels), np.float64)
    return silhouettes, np.unique(labels, return_inverse=True)[1]


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("size", [40, 400])
def test_intervals_hold_the_true_value(labelled, average, size):
    silhouettes, codes = labelled
    truth, k = mean(silhouettes, codes, average), int(codes.max()) + 1

    def sampled(seed) -> Sampled:
        design = Design.of(codes, k, size, average=average, random_state=seed)
        return design.estimate(silhouettes[design.rows[:size]])

    found = [sampled(seed) for seed in range(200)]
    values = np.array([one.value for one in found])
    errors = np.array([one.standard_error for one in found])
    held = np.mean([low <= truth <= high for low, high in (one.interval() for one in found)])
    print(f"{held:.1%} hold it; bias {values.mean() - truth:.1e}, errors {errors.mean():.1e}")
    assert held >= 0.9
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose(np.sqrt(np.mean(errors**2)), values.std(), rtol=0.25)


def test_better_than_points_drawn_at_random(labelled):
    silhouettes, codes = labelled
    design = Design.of(codes, int(codes.max()) + 1, 400, average="micro", random_state=0)
    error = design.estimate(silhouettes[design.rows[:400]]).standard_error
    simple = np.sqrt((1 - 400 / N) / 400) * silhouettes.std(ddof=1)
    assert error <= 1.05 * simple


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_every_batch_is_unbiased_and_all_points_are_exact(labelled, average):
    silhouettes, codes = labelled
    truth, k = mean(silhouettes, codes, average), int(codes.max()) + 1

    def batches(seed) -> list[Sampled]:
        design = Design.of(codes, k, 100, average=average, random_state=seed)
        return list(in_batches(design, lambda rows: silhouettes[rows], N, 100))

    runs = [batches(seed) for seed in range(60)]
    for batch in (0, 3):
        found = np.array([run[batch].value for run in runs])
        assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(len(found))
    last = runs[0][-1]
    assert last.value == pytest.approx(truth, abs=1e-12) and last.standard_error == 0
    assert last.interval() == (last.value, last.value)
    assert [len(one.rows) for one in runs[0][:2]] == [100, 200]
    for one in runs[0]:
        assert len(np.unique(one.rows)) == len(one.rows) == len(one.silhouettes)
        np.testing.assert_array_equal(one.silhouettes, silhouettes[one.rows])


@pytest.mark.parametrize("first", [2, 3, 9, 50, 299, 300, 1500])
def test_two_draws_of_each_stratum_come_first(first):
    for codes in (MANY, FEW, ZIPF):
        k = int(codes.max()) + 1
        for average in ("micro", "macro"):
            design = Design.of(codes, k, first, average=average, random_state=0)
            drawn = design.stratum[codes[design.rows[:first]]]
            found = np.bincount(drawn, minlength=len(design.sizes))
            whole = first >= len(design.rows)
            assert whole or found.min() >= 2, (first, average)
            assert design.sizes.sum() == len(design.rows) == np.sum(np.bincount(codes)[codes] > 1)


def test_strata():
    counts = np.array([600, 300, 1, 4, 5, 40, 50])
    found = strata(counts, counts.astype(float), 8)
    assert found[2] == -1  # alone, and known to be 0
    assert len({found[0], found[1], found[3]}) == 3
    assert found[3] == found[4] == found[5] == found[6]
    every = strata(counts, counts.astype(float), 12)
    assert sorted(every) == [-1, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "sqeuclidean", "precomputed"])
def test_silhouettes_of_a_sample_are_exact(metric):
    points, labels = normal(90), np.arange(90) % 4
    if metric == "precomputed":
        points = np.linalg.norm(points[:, None] - points[None], axis=2)
    measure = {"metric": metric, "average": "macro"}
    found = sampled_silhouette(points, labels, 30, **measure, random_state=3)
    exact = np.asarray(silhouette_samples(points, labels, metric=metric))
    np.testing.assert_allclose(found.silhouettes, exact[found.rows], atol=1e-6)
    assert found.n == 90 and len(found.rows) == 30
    score = silhouette_score(points, labels, **measure, sample_size=30, random_state=3)
    assert float(score) == pytest.approx(found.value, abs=1e-7)
    whole = silhouette_score(points, labels, **measure, sample_size=90)
    assert float(whole) == pytest.approx(mean(exact, labels, "macro"), abs=1e-6)


@pytest.mark.parametrize("way", ["host", "program"])
def test_rows_of_many_points(way, monkeypatch):
    """In blocks, as of more points than are compared all at once; some in one place."""
    monkeypatch.setattr(host, "WORK", 0)
    monkeypatch.setattr(host, "BLOCK", 7 * 40)
    if way == "program":  # as on an accelerator
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    points = np.concatenate([normal(80), normal(10), np.ones((10, 4))]).astype(np.float32) + 9
    labels = np.arange(100) % 4
    rows = np.array([99, 3, 40, 85, 98, 0, 17])
    expected = np.asarray(sklearn_samples(points.astype(np.float64) - 9, labels))
    found = silhouettes_of_rows(points, labels, "euclidean").of(rows)
    np.testing.assert_allclose(found, expected[rows], atol=2e-6)


def test_the_same_seed_is_the_same_sample():
    sample = partial(sampled_silhouette, normal(90), np.arange(90) % 4, 30)
    np.testing.assert_array_equal(sample().rows, sample(random_state=0).rows)
    assert (sample().rows != sample(random_state=1).rows).any()


def test_stopping_early():
    points, labels = normal(90), np.arange(90) % 4
    batches = silhouette_in_batches(points, labels, 60, batch_size=20)
    first = next(batches)
    assert len(first.rows) == 20 and first.standard_error > 0
    assert [len(one.rows) for one in batches] == [40, 60]
    with pytest.raises(ValueError, match="batch_size must be at least 2; got 1"):
        silhouette_in_batches(points, labels, 60, batch_size=1)
