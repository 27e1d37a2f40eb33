"""Which pairs are compared: all of them, or those of a sample, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn

import jaxiso
from jaxiso.cli.console import Stopped
from jaxiso.data.rows import ArrayRows
from jaxiso.score import pairs
from jaxiso.score.background import in_background
from jaxiso.score.by_label import mean_silhouette
from jaxiso.score.cloud import Cloud
from jaxiso.score.pairs import (
    Limits,
    Points,
    Silhouettes,
    dunn,
    euclidean_silhouettes,
)
from jaxiso.score.values import Value

N, D, K = 400, 5, 6
RANDOM = np.random.default_rng(0)
CODES = np.r_[RANDOM.integers(0, K - 1, N - 1), K - 1].astype(np.int32)  # the last is alone
X = (RANDOM.normal(size=(N, D)) + CODES[:, None]).astype(np.float32)
LIMITS = Limits(exact=False, sample_size=None, average="micro", seed=0, quiet=True)


@pytest.fixture
def slow(monkeypatch) -> None:
    """A machine that would need more than a minute for these pairs."""
    monkeypatch.setattr(pairs, "QUICK", 0)
    monkeypatch.setattr(pairs, "MINUTE", 0.0)
    monkeypatch.setattr(pairs, "DUNN_SAMPLE", 100)
    monkeypatch.setattr(pairs, "SAMPLE", 60)


def samples() -> np.ndarray:
    return np.asarray(sklearn.silhouette_samples(X, CODES))


def of(limits: Limits) -> Silhouettes:
    return euclidean_silhouettes(Points.of(Cloud(ArrayRows(X))), CODES, K, limits)


def test_exact_where_it_is_quick():
    found = of(LIMITS)
    np.testing.assert_allclose(found.values, samples(), atol=1e-5)
    assert found.sampled is None and found.remark is None and found.counts.sum() == N


def test_exact_where_it_takes_under_a_minute(slow, monkeypatch):
    monkeypatch.setattr(pairs, "MINUTE", 1e9)
    np.testing.assert_allclose(of(LIMITS).values, samples(), atol=1e-5)
    found = dunn(Cloud(ArrayRows(X)), None, CODES, K, LIMITS)
    assert found == (pytest.approx(float(jaxiso.dunn_index(X, CODES))), False, None, None)


@pytest.mark.parametrize(("size", "expected"), [(None, 60), (30, 30), (399, 399)])
def test_samples(slow, size, expected):
    found = of(LIMITS._replace(sample_size=size))
    assert found.sampled is not None and len(found.values) == expected
    rows = found.sampled.rows
    assert len(set(rows.tolist())) == expected
    np.testing.assert_allclose(found.values, samples()[rows], atol=1e-5)
    np.testing.assert_array_equal(found.codes, CODES[rows])
    low, high = found.sampled.interval(0.999)
    assert low - 1e-6 <= samples().mean() <= high + 1e-6
    text = f"exact against all, of {expected} of 400 vectors, drawn by label; all (--exact) take"
    assert (found.remark or "").startswith(text)


def test_macro_samples(slow):
    found = of(LIMITS._replace(sample_size=200, average="macro")).sampled
    assert found is not None
    means = [samples()[code == CODES].mean() for code in range(K)]
    low, high = found.interval(0.999)
    assert low <= np.mean(means) <= high


def test_labels_of_a_sample(slow):
    found = of(LIMITS._replace(sample_size=100))
    mine = found.values[found.codes == 2]
    size = int((CODES == 2).sum())
    error = mine.std(ddof=1) / np.sqrt(len(mine)) * np.sqrt(1 - len(mine) / size)
    value = mean_silhouette(found, 2)
    assert value[:2] == (pytest.approx(mine.mean()), pytest.approx(error))
    assert mean_silhouette(found, K - 1) == Value(0.0)  # alone
    few = found._replace(values=found.values[:0], codes=found.codes[:0])
    assert mean_silhouette(few, 2) == Value(None, remark="fewer than two of the sample")
    assert mean_silhouette(None, 2) == Value(None, remark="no silhouettes")


def test_exact_where_it_is_asked_for(slow):
    found = of(LIMITS._replace(exact=True))
    np.testing.assert_allclose(found.values, samples(), atol=1e-5)
    exact = dunn(Cloud(ArrayRows(X)), None, CODES, K, LIMITS._replace(exact=True))
    assert exact.value == pytest.approx(float(jaxiso.dunn_index(X, CODES))) and not exact.at_most


def test_dunn_is_bounded(slow):
    cloud = Cloud(ArrayRows(X))
    found = dunn(cloud, None, CODES, K, LIMITS)
    assert found.at_most and found.value >= float(jaxiso.dunn_index(X, CODES))
    assert (found.remark or "").startswith("Dunn is at most this, that of 100 of 400 vectors; all")
    assert dunn(cloud, None, CODES, K, LIMITS).value == found.value


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped("terminated", 143)])
def test_interruptions(slow, monkeypatch, error):
    """What was measured by then is what is known."""
    calls: list[int] = []
    one_batch = pairs._Sampling._one_batch

    def interrupted(self, m):
        calls.append(m)
        if len(calls) == 3:
            raise error
        return one_batch(self, m)

    monkeypatch.setattr(pairs._Sampling, "_one_batch", interrupted)
    found = of(LIMITS)
    assert found.interrupted is error and 0 < len(found.values) < 60
    assert (found.remark or "").startswith("interrupted: exact against all, of 30 of 400")
    calls[:] = [0, 0]
    with pytest.raises(type(error)):  # nothing is known yet
        of(LIMITS)


def test_interruptions_of_what_goes_on_in_the_background(slow, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pairs, "in_background", interrupted)
    found = of(LIMITS._replace(exact=True))
    assert isinstance(found.interrupted, KeyboardInterrupt) and len(found.values) == 30
    bound = dunn(Cloud(ArrayRows(X)), None, CODES, K, LIMITS._replace(exact=True))
    assert bound.at_most and isinstance(bound.interrupted, KeyboardInterrupt)
    assert "at most this, interrupted: that of 100 of 400" in (bound.remark or "")


def test_in_the_background(monkeypatch):
    assert in_background(lambda: 3, 1.0, "", quiet=True) == 3

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_background(fails, 1.0, "", quiet=True)
