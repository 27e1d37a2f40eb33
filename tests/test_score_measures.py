"""The measures of one cloud against the public functions, and samples against all points."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

import jaxiso
from jaxiso.score_measures import (
    Value,
    by_label,
    cluster_measures,
    free_measures,
    is_sampled,
)

N, D, K = 40, 6, 2
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, D)) * np.linspace(0.5, 2, D) + 0.3
CODES = (np.arange(N) % K).astype(np.int32)
NAMES = ("a", "b")
WHOLE = {"sample": 0, "draws": 5, "seed": 0}


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_as_the_functions(kind):
    x = X.astype(kind)
    found = free_measures(x) | cluster_measures(x, CODES, K, **WHOLE)[0]
    functions = {
        "isoscore": jaxiso.isoscore(x),
        "mu_viswanath": jaxiso.isotropy_score(x),
        "effective_rank": jaxiso.effective_rank(x),
        "mean_cosine": jaxiso.mean_cosine(x),
        "silhouette": jaxiso.silhouette_score(x, CODES),
        "calinski_harabasz": jaxiso.calinski_harabasz_score(x, CODES),
        "davies_bouldin": jaxiso.davies_bouldin_score(x, CODES),
        "dunn": jaxiso.dunn_index(x, CODES),
    }
    assert found.keys() == functions.keys()
    for name, value in functions.items():
        assert found[name] == (pytest.approx(float(value), rel=1e-5), None, None), name


def test_far_from_the_origin():
    found = free_measures(X + 1e6)
    assert found["isoscore"].value == pytest.approx(float(jaxiso.isoscore(X)), rel=1e-4)


def test_zeros_have_no_direction():
    x = X.copy()
    x[[3, 7]] = 0
    found = free_measures(x)["mean_cosine"]
    rest = np.delete(x, [3, 7], axis=0)
    assert found.value == pytest.approx(float(jaxiso.mean_cosine(rest)), rel=1e-5)
    assert found.remark == "of the 38 vectors that are not zero: a zero has no direction"
    x[1:] = 0
    assert free_measures(x)["mean_cosine"] == Value(None, remark="1 of 40 vectors is not zero")


def test_all_vectors_the_same():
    found = free_measures(np.ones((N, D)))
    same = Value(None, remark="all vectors are the same")
    assert found["isoscore"] == found["effective_rank"] == same
    assert found["mean_cosine"].value == pytest.approx(1)


@pytest.mark.parametrize(
    ("codes", "k", "why"),
    [
        (np.zeros(N, np.int32), 1, "there is only one label"),
        (np.arange(N, dtype=np.int32), N, "every vector has a label of its own"),
    ],
)
def test_labels_that_are_no_clusters(codes, k, why):
    found, silhouettes = cluster_measures(X, codes, k, **WHOLE)
    assert set(found.values()) == {Value(None, remark=why)} and silhouettes is None
    rows = by_label(X, codes, tuple(map(str, range(k))), None)
    assert all(row.silhouette.value is None for row in rows)
    assert rows[0].isoscore.value is None if k == N else rows[0].isoscore.value is not None


def test_dunn_of_single_places():
    x = np.where(CODES[:, None] == 0, -1.0, 1.0) * np.ones((N, D))
    found, _ = cluster_measures(x, CODES, K, **WHOLE)
    assert found["dunn"] == Value(None, remark="infinite: every label is a single place")
    assert found["silhouette"].value == pytest.approx(1)


# --- samples ----------------------------------------------------------------------------------


def test_samples():
    found, silhouettes = cluster_measures(X, CODES, K, sample=12, draws=3, seed=4)
    rows = [np.random.default_rng([4, i]).choice(N, 12, replace=False) for i in range(3)]
    scores = [silhouette_score(X[row], CODES[row]) for row in rows]
    value, se, remark = found["silhouette"]
    assert value == pytest.approx(np.mean(scores), abs=1e-5) and remark is None
    assert se == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3), abs=1e-5)
    exact = float(jaxiso.dunn_index(X, CODES))
    assert found["dunn"].value is not None and found["dunn"].value >= exact
    everything = float(jaxiso.davies_bouldin_score(X, CODES))  # costs n, so of all points
    assert found["davies_bouldin"] == (pytest.approx(everything, rel=1e-5), None, None)
    assert silhouettes is not None and silhouettes.values.shape == (36,)
    mine = by_label(X, CODES, NAMES, silhouettes)[1].silhouette
    draws = [slice(12 * i, 12 * (i + 1)) for i in range(3)]
    means = [silhouettes.values[d][silhouettes.codes[d] == 1].mean() for d in draws]
    assert mine.value == pytest.approx(np.mean(means))
    assert mine.se == pytest.approx(np.std(means, ddof=1) / np.sqrt(3))
    again, _ = cluster_measures(X, CODES, K, sample=12, draws=3, seed=4)
    other, _ = cluster_measures(X, CODES, K, sample=12, draws=3, seed=5)
    assert again == found and other["silhouette"] != found["silhouette"]


def test_samples_of_rare_labels():
    codes = np.array([1, *[0] * (N - 1)], dtype=np.int32)
    found, silhouettes = cluster_measures(X, codes, K, sample=3, draws=2, seed=0)
    assert found["silhouette"].value is None and silhouettes is None
    assert found["dunn"].remark == "a sample has one label only, or all different; raise --sample"
    assert found["davies_bouldin"].value is not None


def test_samples_only_where_they_are_less_work():
    assert not is_sampled(10**9, 0, 5)
    assert not is_sampled(22_360, 10_000, 5) and is_sampled(22_361, 10_000, 5)


# --- by label ---------------------------------------------------------------------------------


def test_by_label():
    _, silhouettes = cluster_measures(X, CODES, K, **WHOLE)
    samples = np.asarray(jaxiso.silhouette_samples(X, CODES))
    rows = by_label(X, CODES, NAMES, silhouettes)
    assert [(row.name, row.n) for row in rows] == [("a", 20), ("b", 20)]
    for code, row in enumerate(rows):
        mine = X[code == CODES]
        assert row.isoscore.value == pytest.approx(float(jaxiso.isoscore(mine)), rel=1e-5)
        rank = float(jaxiso.effective_rank(mine))
        assert row.effective_rank.value == pytest.approx(rank, rel=1e-5)
        assert row.mean_cosine.value == pytest.approx(float(jaxiso.mean_cosine(mine)), rel=1e-5)
        assert row.silhouette.value == pytest.approx(samples[code == CODES].mean(), rel=1e-5)


def test_by_label_where_there_is_little():
    x = X.copy()
    x[:4] = 0
    codes = np.array([0, 0, 0, 0, 1, *[2] * (N - 5)])
    same, single, _ = by_label(x, codes, ("same", "single", "rest"), None)
    assert same.isoscore == same.effective_rank == Value(None, remark="all vectors are the same")
    assert same.mean_cosine.value is None and "not zero" in (same.mean_cosine.remark or "")
    assert single.n == 1 and single.isoscore == Value(None, remark="a single vector")
