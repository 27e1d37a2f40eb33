"""The measures of one cloud against the public functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn

import jaxiso
from jaxiso.data import rows
from jaxiso.data.labels import Labels
from jaxiso.data.rows import ArrayRows, FileRows, KeptRows
from jaxiso.data.vectors import OpenedVectors, open_vectors
from jaxiso.metrics import clusters, errors, host_labels
from jaxiso.metrics.errors import Estimate, deal
from jaxiso.score import by_label, measures, pairs
from jaxiso.score.by_label import by_label as measured_by_label
from jaxiso.score.free import LOW, WHITE
from jaxiso.score.measures import TOO_MANY, measure
from jaxiso.score.options import Options
from jaxiso.score.pairs import Silhouettes
from jaxiso.score.values import CLUSTERS, Scores, Value

N, D, K = 40, 6, 2
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, D)) * np.linspace(0.5, 2, D) + 0.3
CODES = (np.arange(N) % K).astype(np.int32)


def labels(codes: np.ndarray, names: tuple[str, ...] = ("a", "b")) -> Labels:
    return Labels(codes, names, tuple((name,) for name in names), names, multilabel=False)


def measured(x: np.ndarray, of: Labels | None = None, **options) -> Scores:
    found = OpenedVectors(Path("v.npy"), ArrayRows(x), of, {})
    return measure(found, Options((Path("v.npy"),), quiet=True, **options))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_as_the_functions(kind):
    x = X.astype(kind)
    found = measured(x, labels(CODES), no_error=True).values
    functions = {
        "isoscore": jaxiso.isoscore(x),
        "isoscore_corrected": jaxiso.isoscore(x, corrected=True),
        "mu_viswanath": jaxiso.isotropy_score(x),
        "effective_rank": jaxiso.effective_rank(x),
        "mean_cosine": jaxiso.mean_cosine(x),
        "silhouette": jaxiso.silhouette_score(x, CODES),
        "calinski_harabasz": jaxiso.calinski_harabasz_score(x, CODES),
        "davies_bouldin": jaxiso.davies_bouldin_score(x, CODES),
        "dunn": jaxiso.dunn_index(x, CODES),
    }
    assert set(found) == {*functions, "simplified_silhouette"}
    for name, value in functions.items():
        remark = LOW if name == "isoscore" else None
        assert found[name] == (pytest.approx(float(value), rel=1e-5), None, remark, False), name


@pytest.mark.parametrize("d", [2, D])
def test_vectors_whitened_by_themselves_have_no_corrected_score(d):
    """Also where there are twenty times as many as dimensions, and a correction is small."""
    x = X[:, :d].astype(np.float64)
    left, _, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    found = measured(left).values
    assert found["isoscore"].value == pytest.approx(1) and found["isoscore"].remark is None
    assert found["isoscore_corrected"] == (None, None, WHITE, False)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "sqeuclidean"])
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_silhouettes(metric, average):
    codes = np.minimum(CODES + np.arange(N) // 30, 2).astype(np.int32)
    found = measured(X, labels(codes, ("a", "b", "c")), metric=metric, average=average)
    samples = np.asarray(sklearn.silhouette_samples(X, codes, metric=metric))
    expected = samples.mean()
    if average == "macro":
        expected = np.mean([samples[codes == k].mean() for k in range(3)])
    assert found.values["silhouette"].value == pytest.approx(expected, abs=2e-6)
    assert found.silhouettes is not None and found.sampled is None
    np.testing.assert_allclose(found.silhouettes.values, samples, atol=2e-5)


def test_larger_than_memory(tmp_path, monkeypatch):
    """A file read in blocks of a few rows gives what the vectors in memory give."""
    y = CODES.astype(str).tolist()
    y[3] = ""
    np.save(tmp_path / "x.npy", X.astype(np.float16))
    (tmp_path / "y.txt").write_text("".join(f"{one}\n" for one in y))
    for metric in ("cosine", "euclidean"):
        options = Options((tmp_path / "x.npy",), metric=metric, labels="", by_label=True)
        several, of = [], None
        for block in (rows.BLOCK, 4 * D):
            for module in (rows, clusters, host_labels):
                monkeypatch.setattr(module, "BLOCK", block)
            monkeypatch.setattr(by_label, "GATHERED", block)
            opened = open_vectors(tmp_path / "x.npy", str(tmp_path / "y.txt"), quiet=True)
            assert isinstance(opened.rows, KeptRows) and isinstance(opened.rows.rows, FileRows)
            found, of = measure(opened, options), opened.labels
            assert found.rows is not None
            values = [*found.values.values(), *(v for r in found.rows for v in r.values.values())]
            several.append([value.value for value in values])
        assert several[0] == pytest.approx(several[1], rel=1e-12)
        whole = measured(np.delete(X.astype(np.float16), 3, axis=0), of, metric=metric).values
        first = [value.value for value in whole.values()]
        assert several[0][: len(first)] == pytest.approx(first, rel=1e-12)


def test_far_from_the_origin():
    found = measured(X + 1e6).values
    assert found["isoscore"].value == pytest.approx(float(jaxiso.isoscore(X)), rel=1e-4)


def test_zeros_have_no_direction():
    x = X.copy()
    x[[3, 7]] = 0
    found = measured(x, labels(CODES), metric="cosine", no_error=True).values
    rest, codes = np.delete(x, [3, 7], axis=0), np.delete(CODES, [3, 7])
    remark = "of the 38 vectors that are not zero: a zero has no direction"
    value = float(jaxiso.mean_cosine(rest))
    assert found["mean_cosine"] == (pytest.approx(value, rel=1e-5), None, remark, False)
    value = sklearn.silhouette_score(rest, codes, metric="cosine")
    assert found["silhouette"] == (pytest.approx(value), None, remark, False)
    assert found["simplified_silhouette"].remark == remark
    x[1:] = 0
    found = measured(x, labels(CODES), metric="cosine").values
    assert found["mean_cosine"] == Value(None, remark="1 of 40 vectors is not zero")
    none = Value(None, remark="1 of 40 vectors are not zero, and have 1 labels")
    assert found["silhouette"] == found["simplified_silhouette"] == none


def test_all_vectors_the_same():
    found = measured(np.ones((N, D))).values
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
    of = labels(codes, tuple(map(str, range(k))))
    found = measured(X, of, by_label=True, labels="y")
    assert {found.values[name] for name in CLUSTERS} == {Value(None, remark=why)}
    assert found.silhouettes is None and found.rows is not None
    assert all(row.values["silhouette"].value is None for row in found.rows)
    assert (found.rows[0].values["isoscore"].value is None) == (k == N)


def test_dunn_of_single_places():
    x = np.where(CODES[:, None] == 0, -1.0, 1.0) * np.ones((N, D))
    found = measured(x, labels(CODES)).values
    assert found["dunn"] == Value(None, remark="infinite: every label is a single place")
    assert found["silhouette"].value == found["simplified_silhouette"].value == 1


# --- standard errors --------------------------------------------------------------------------

SINGLE = np.r_[np.full(2, 3), 4, np.arange(N - 3) % 3].astype(np.int32)  # of 2, of 1, and of more
ROUNDED = (X + SINGLE[:, None]).astype(np.float32)  # as pairs are compared


def averaged(values: np.ndarray, codes: np.ndarray, average: str) -> float:
    if average == "micro":
        return values.mean()
    return float(np.mean([values[codes == code].mean() for code in np.unique(codes)]))


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "sqeuclidean"])
def test_errors_are_those_of_leaving_out_blocks(metric, average):
    x, codes, seed = ROUNDED.astype(np.float64), SINGLE, 3
    found = measured(
        ROUNDED, labels(codes, tuple("abcde")), metric=metric, average=average, seed=seed
    )
    oracles = {
        "calinski_harabasz": sklearn.calinski_harabasz_score,
        "davies_bouldin": sklearn.davies_bouldin_score,
        "silhouette": lambda x, y: averaged(
            np.asarray(sklearn.silhouette_samples(x, y, metric=metric)), y, average
        ),
        "simplified_silhouette": lambda x, y: averaged(
            np.asarray(jaxiso.simplified_silhouette_samples(x, y, metric=metric)), y, average
        ),
    }
    block, count = deal(N, seed=seed)
    for name, oracle in oracles.items():
        parts = [oracle(x[block != b], codes[block != b]) for b in range(count)]
        # The simplified one is rounded to float32 by JAX.
        tolerance = 1e-7 if name == "simplified_silhouette" else 1e-12
        np.testing.assert_allclose(found.estimates[name].without, parts, rtol=1e-9, atol=tolerance)
        error = Estimate(0.0, np.array(parts)).se
        assert found.values[name].se == pytest.approx(error, rel=1e-6, abs=5 * tolerance)
        assert found.values[name].value == pytest.approx(oracle(x, codes), rel=1e-6)


def test_errors_are_what_samples_differ_by():
    places, names = 1.5 * np.random.default_rng(9).normal(size=(4, D)), CLUSTERS[:4]
    several = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        codes = random.integers(0, 4, 120).astype(np.int32)
        x = random.normal(size=(120, D)) + places[codes]
        found = measured(x, labels(codes, tuple("abcd"))).values
        several.append([found[name][:2] for name in names])
    value, se = np.moveaxis(np.array(several, float), 2, 0)
    ratio = np.sqrt((se**2).mean(axis=0)) / value.std(axis=0, ddof=1)
    np.testing.assert_allclose(ratio, 1, atol=0.3)


def test_errors_of_labels():
    of = labels(SINGLE, tuple("abcde"))
    found = measured(ROUNDED, of, by_label=True, labels="y")
    block, count = deal(N)
    x = ROUNDED.astype(np.float64)
    rest = [(x[block != b], SINGLE[block != b]) for b in range(count)]
    samples = [np.asarray(sklearn.silhouette_samples(*one)) for one in rest]
    assert found.rows is not None
    for code in range(3):
        parts = [values[y == code].mean() for values, (_, y) in zip(samples, rest, strict=True)]
        error = found.rows[code].values["silhouette"].se
        assert error == pytest.approx(Estimate(0.0, np.array(parts)).se, rel=1e-6)
    assert found.rows[4].values["silhouette"] == Value(0.0)  # without it, there is no such label


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_some_vectors_stand_for_all(metric, monkeypatch):
    """What leaving out a block does to the others is known of a few; its own are taken out."""
    n, k = 600, 4
    codes = (np.arange(n) % k).astype(np.int32)
    x = RANDOM.normal(size=(n, D)) + 2 * np.eye(k, D)[codes]
    names = ("silhouette", "simplified_silhouette")
    of = labels(codes, tuple("abcd"))
    exact = measured(x, of, metric=metric).values
    monkeypatch.setattr(errors, "ENOUGH", 140)
    assert len(errors.some_of_each(codes, k)) == 172
    some = measured(x, of, metric=metric).values
    for name in names:
        assert some[name].value == exact[name].value
        assert some[name].se != exact[name].se
        assert some[name].se == pytest.approx(exact[name].se, rel=0.1)


def test_where_errors_would_take_too_much(monkeypatch):
    of = labels(CODES)
    monkeypatch.setattr(pairs, "PARTS", 100)
    found = measured(X, of)
    assert found.values["silhouette"][1:3] == (None, TOO_MANY)
    monkeypatch.setattr(measures, "WORK", 100)
    found = measured(X, of, metric="cosine")
    for name in ("silhouette", "simplified_silhouette"):
        assert found.values[name][1:3] == (None, TOO_MANY) and name not in found.estimates
    assert found.values["davies_bouldin"].se
    monkeypatch.setattr(measures, "ERRORS", 100)
    found = measured(X, of)
    for name in CLUSTERS:
        assert found.values[name].value and found.values[name].se is None
        assert found.values[name].remark == (None if name == "dunn" else TOO_MANY)
    assert set(found.estimates).isdisjoint(CLUSTERS) and found.values["isoscore"].se


def test_interrupted_errors_leave_the_value(monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(measures, "without_blocks", interrupt)
    found = measured(X, labels(CODES))
    assert found.interrupted == 130 and found.values["silhouette"].value
    assert found.values["silhouette"].se is None and found.values["davies_bouldin"].se
    assert found.values["dunn"] == Value(None, remark="interrupted")


# --- by label ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gathered", [by_label.GATHERED, 7 * D])
def test_by_label(gathered, monkeypatch):
    monkeypatch.setattr(by_label, "GATHERED", gathered)
    found = measured(X, labels(CODES), by_label=True, labels="y").rows
    samples = np.asarray(sklearn.silhouette_samples(X, CODES))
    assert found is not None and [(row.name, row.n) for row in found] == [("a", 20), ("b", 20)]
    for code, row in enumerate(found):
        mine = X[code == CODES]
        covariance = np.cov(mine, rowvar=False)
        ratio = np.trace(covariance) ** 2 / (covariance**2).sum()
        share = np.linalg.svd(mine - mine.mean(axis=0), compute_uv=False)
        share /= share.sum()
        unit = mine / np.linalg.norm(mine, axis=1, keepdims=True)
        cosines = (unit @ unit.T)[np.triu_indices(len(mine), 1)]
        expected = {
            "isoscore": (ratio - 1) / (D - 1),
            "isoscore_corrected": float(jaxiso.isoscore(mine, corrected=True)),
            "effective_rank": np.exp(-(share * np.log(share)).sum()),
            "mean_cosine": cosines.mean(),
            "silhouette": samples[code == CODES].mean(),
        }
        values = {name: value.value for name, value in row.values.items()}
        assert values == pytest.approx(expected, rel=1e-5)


def test_by_label_where_there_is_little():
    x = X.copy()
    x[:4] = 0
    codes = np.array([0, 0, 0, 0, 1, *[2] * (N - 5)])
    same, single, _ = measured_by_label(
        ArrayRows(x), labels(codes, ("same", "single", "rest")), None
    )
    nothing = Value(None, remark="all vectors are the same")
    assert same.values["isoscore"] == same.values["effective_rank"] == nothing
    assert same.values["mean_cosine"] == Value(None, remark="0 of 4 vectors is not zero")
    alone = Value(None, remark="a single vector")
    assert single.n == 1 and single.values["isoscore"] == single.values["mean_cosine"] == alone


def test_by_label_compiles_nothing(monkeypatch):
    """Labels of 100 sizes would be 100 programs."""

    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("jax._src.compiler.compile_or_get_cached", compiled)
    codes = np.repeat(np.arange(8), np.arange(1, 9)).astype(np.int32)
    x = RANDOM.normal(size=(len(codes), D)).astype(np.float32)
    of = Silhouettes(np.zeros(len(codes)), codes, np.bincount(codes))
    found = measured_by_label(ArrayRows(x), labels(codes, tuple("abcdefgh")), of)
    assert [row.n for row in found] == list(range(1, 9))


# --- numbers that say what they are -----------------------------------------------------------


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_outside_of_single_precision(scale):
    """What depends on the size is of vectors so long, or short, that all else is lost in it."""
    found, usual = (measured(x, labels(CODES)).values for x in (X * scale, X))
    for name, value in usual.items():
        if name != "mu_viswanath":
            assert found[name].value == pytest.approx(value.value, rel=1e-4), name
    assert found["mu_viswanath"].value == pytest.approx(0 if scale > 1 else 1)
