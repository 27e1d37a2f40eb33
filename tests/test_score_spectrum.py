"""Variances and cosines in float64."""

from __future__ import annotations

import numpy as np
import pytest

import jaxiso
from jaxiso import score_spectrum
from jaxiso.score_spectrum import covariance_eigenvalues, mean_cosine, random_cosines

D = 6
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, D)) + 0.3


@pytest.mark.parametrize("n", [4, 6, 9, 25])
def test_eigenvalues(n, monkeypatch):
    monkeypatch.setattr(score_spectrum, "BLOCK", 10)
    x = RANDOM.normal(size=(n, D)).astype(np.float32) + 100
    expected = np.linalg.eigvalsh(np.cov(x.astype(np.float64), rowvar=False, bias=True))[::-1]
    found = covariance_eigenvalues(x)
    assert found.shape == (min(n, D),)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-6, atol=1e-12)


def test_random_cosines():
    x = np.array([[1.0, 0], [0, 2], [-3, 0], [0, 0]])
    assert sorted(random_cosines(x, 6, 0)) == [-1, 0, 0]
    some = random_cosines(X, 500, 0)
    assert len(some) == 500 and some.max() < 1 - 1e-9  # never a vector with itself
    assert some.mean() == pytest.approx(float(jaxiso.mean_cosine(X)), abs=0.1)
    assert (some == random_cosines(X, 500, 0)).all() and (some != random_cosines(X, 500, 1)).any()


def test_mean_cosine_of_few():
    assert mean_cosine(np.array([[0.0, 0], [1, 0]])) is None
    assert mean_cosine(np.array([[0.0, 0], [3, 0], [1, 1]])) == pytest.approx(0.5**0.5)
