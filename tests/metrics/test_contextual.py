"""Ethayarajh's measures and rogue dimensions, against their definitions word by word."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jaxiso.metrics.contextual import (
    cosine_contributions,
    intra_sentence_similarity,
    maximum_explainable_variance,
    rogue_share,
    self_similarity,
)
from jaxiso.metrics.directions import mean_cosine

RNG = np.random.default_rng(0)
N = 60
POINTS = (RNG.normal(size=(N, 7)) + np.arange(7)).astype(np.float32)
WORDS = np.array(["the", "film", "is", "good", "odd"])[RNG.integers(0, 4, N)]
WORDS[5] = "odd"  # occurs once
TEXTS = RNG.integers(0, 9, N)
TEXTS[7] = 30  # has one token


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_self_similarity_is_over_pairs_of_different_texts() -> None:
    expected = []
    for word in np.unique(WORDS):
        rows = np.flatnonzero(word == WORDS)
        pairs = [(i, j) for i, j in itertools.combinations(rows, 2) if TEXTS[i] != TEXTS[j]]
        cosines = [cosine(POINTS[i], POINTS[j]) for i, j in pairs]
        expected.append(np.mean(cosines) if cosines else np.nan)
    found = self_similarity(POINTS, WORDS, TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(found).tolist() == [False, False, False, True, False]
    static = np.stack([POINTS[0] * (1 + ord(word[0])) for word in WORDS])
    np.testing.assert_allclose(self_similarity(static, WORDS, TEXTS)[:3], 1, rtol=1e-12)


def test_intra_sentence_similarity_is_to_the_mean() -> None:
    expected = []
    for text in np.unique(TEXTS):
        mine = POINTS[text == TEXTS]
        mean = mine.astype(np.float64).mean(axis=0)
        expected.append(np.mean([cosine(one, mean) for one in mine]) if len(mine) > 1 else np.nan)
    found = intra_sentence_similarity(POINTS, TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(found[-1]) and np.isfinite(found[:-1]).all()
    assert np.isnan(intra_sentence_similarity([[1.0, 0.0], [-1.0, 0.0]], [0, 0])[0])


@pytest.mark.parametrize("d", [3, 40])
def test_explainable_variance_is_that_of_singular_values(d: int) -> None:
    points = RNG.normal(size=(N, d)) * 1e200  # squares would overflow
    expected = []
    for word in np.unique(WORDS):
        singular = np.linalg.svd(points[word == WORDS] / 1e200, compute_uv=False)
        expected.append(singular[0] ** 2 / (singular**2).sum() if word != "odd" else np.nan)
    found = maximum_explainable_variance(points, WORDS)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    line = np.outer(RNG.normal(size=N), np.ones(d))
    np.testing.assert_allclose(maximum_explainable_variance(line, np.zeros(N, int)), 1)


def test_contributions_add_up_to_the_mean_cosine() -> None:
    unit = POINTS / np.linalg.norm(POINTS.astype(np.float64), axis=1, keepdims=True)
    pairs = list(itertools.permutations(range(N), 2))
    expected = np.mean([unit[i] * unit[j] for i, j in pairs], axis=0)
    found = cosine_contributions(POINTS)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert found.sum() == pytest.approx(float(mean_cosine(POINTS)), rel=1e-6)
    assert rogue_share(POINTS) == pytest.approx(expected.max() / expected.sum(), rel=1e-12)
    rogue = POINTS - np.arange(7)
    rogue[:, 2] = 100
    assert rogue_share(rogue) > 0.999 and int(np.argmax(cosine_contributions(rogue))) == 2
    assert np.isnan(rogue_share([[1.0, 0.0], [-1.0, 0.0]]))


def test_what_cannot_be_measured_is_named() -> None:
    bad = POINTS.copy()
    bad[4] = 0
    for measure in (
        cosine_contributions,
        lambda x: self_similarity(x, WORDS, TEXTS),
        lambda x: intra_sentence_similarity(x, TEXTS),
    ):
        with pytest.raises(ValueError, match=r"points\[4\] is zero"):
            measure(bad)
        with pytest.raises(ValueError, match="NaN or infinity"):
            measure(POINTS * np.float32("inf"))
    with pytest.raises(ValueError, match="n at least 2"):
        cosine_contributions(POINTS[:1])
    with pytest.raises(ValueError, match="got dtype"):
        cosine_contributions(np.array([["a", "b"], ["a", "b"]]))
    with pytest.raises(ValueError, match=r"each of 60 points, .* got shape \(59,\)"):
        self_similarity(POINTS, WORDS[:-1], TEXTS)
