"""The measures of one cloud against the public functions, and samples against all points."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

import jaxiso
from jaxiso.data.labels import Labels
from jaxiso.score.measures import (
    Silhouettes,
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
WHOLE = {"sample": 0, "draws": 5, "seed": 0}


def labels(codes: np.ndarray, names: tuple[str, ...] = ("a", "b")) -> Labels:
    return Labels(codes, names, tuple((name,) for name in names), names, multilabel=False)


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
    rows = by_label(X, labels(codes, tuple(map(str, range(k)))), None)
    assert all(row.values["silhouette"].value is None for row in rows)
    assert (rows[0].values["isoscore"].value is None) == (k == N)


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
    assert silhouettes is not None and silhouettes.values.shape == (3, 12)
    mine = by_label(X, labels(CODES), silhouettes)[1].values["silhouette"]
    means = [v[c == 1].mean() for v, c in zip(*silhouettes, strict=True)]
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
    rows = by_label(X, labels(CODES), silhouettes)
    assert [(row.name, row.n) for row in rows] == [("a", 20), ("b", 20)]
    for code, row in enumerate(rows):
        mine = X[code == CODES]
        covariance = np.cov(mine, rowvar=False)
        ratio = np.trace(covariance) ** 2 / (covariance**2).sum()
        share = np.linalg.svd(mine - mine.mean(axis=0), compute_uv=False)
        share /= share.sum()
        unit = mine / np.linalg.norm(mine, axis=1, keepdims=True)
        cosines = (unit @ unit.T)[np.triu_indices(len(mine), 1)]
        expected = {
            "isoscore": (ratio - 1) / (D - 1),
            "effective_rank": np.exp(-(share * np.log(share)).sum()),
            "mean_cosine": cosines.mean(),
            "silhouette": samples[code == CODES].mean(),
        }
        assert {name: value.value for name, value in row.values.items()} == pytest.approx(expected)


def test_by_label_where_there_is_little():
    x = X.copy()
    x[:4] = 0
    codes = np.array([0, 0, 0, 0, 1, *[2] * (N - 5)])
    same, single, _ = by_label(x, labels(codes, ("same", "single", "rest")), None)
    nothing = Value(None, remark="all vectors are the same")
    assert same.values["isoscore"] == same.values["effective_rank"] == nothing
    assert same.values["mean_cosine"] == Value(None, remark="fewer than two are not zero")
    alone = Value(None, remark="a single vector")
    assert single.n == 1 and single.values["isoscore"] == single.values["mean_cosine"] == alone


def test_by_label_compiles_nothing(monkeypatch):
    """Labels of 100 sizes would be 100 programs."""

    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("jax._src.compiler.compile_or_get_cached", compiled)
    codes = np.repeat(np.arange(8), np.arange(1, 9)).astype(np.int32)
    x = RANDOM.normal(size=(len(codes), D)).astype(np.float32)
    of = Silhouettes(np.zeros((1, len(codes)), np.float32), codes[None])
    rows = by_label(x, labels(codes, tuple("abcdefgh")), of)
    assert [row.n for row in rows] == list(range(1, 9))


# --- numbers that say what they are -----------------------------------------------------------


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_outside_of_single_precision(scale):
    """What does not depend on the size is as ever; what does is at its limit."""
    found = free_measures(X * scale) | cluster_measures(X * scale, CODES, K, **WHOLE)[0]
    usual = free_measures(X) | cluster_measures(X, CODES, K, **WHOLE)[0]
    for name in ("isoscore", "effective_rank", "silhouette", "calinski_harabasz", "dunn"):
        assert found[name].value == pytest.approx(usual[name].value, rel=1e-4), name
    assert found["mu_viswanath"].value == (0 if scale > 1 else 1)
