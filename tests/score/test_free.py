"""Standard errors: against what samples of one distribution differ by, and against deletion."""

from __future__ import annotations

import numpy as np
import pytest

from jaxiso.data import rows
from jaxiso.data.rows import ArrayRows
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.directions import mean_cosine
from jaxiso.metrics.errors import BLOCKS, Estimate, deal
from jaxiso.metrics.isotropy import isoscore
from jaxiso.score.cloud import Cloud
from jaxiso.score.free import jackknife as jackknife_of_cloud
from jaxiso.score.streaming import Axes, moments

D = 20
SCALES = np.geomspace(1, 0.1, D)
MEASURES = {
    "isoscore": isoscore,
    "isoscore_corrected": lambda x: isoscore(x, corrected=True),
    "effective_rank": effective_rank,
    "mean_cosine": mean_cosine,
}


def jackknife(points: np.ndarray, count: int = BLOCKS) -> dict[str, Estimate]:
    cloud = Cloud(ArrayRows(points))
    found = jackknife_of_cloud(cloud, deal(cloud.n, count), Axes.of(cloud, moments(cloud)))
    return {name: found[name] for name in MEASURES}


def sample(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, D)) * SCALES + 0.2


@pytest.mark.parametrize("n", [15, 400])
def test_values_are_those_of_the_measures(n, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 64 * D)
    found = jackknife(sample(0, n))
    for name, measure in MEASURES.items():
        assert found[name].value == pytest.approx(float(measure(sample(0, n))), rel=1e-6)
        assert found[name].without.shape == (min(20, n),)
        assert found[name].se > 0


def test_errors_are_what_samples_differ_by():
    n, many = 300, [jackknife(sample(seed, 300)) for seed in range(60)]
    assert n == len(sample(0, n))
    for name in MEASURES:
        spread = np.std([found[name].value for found in many], ddof=1)
        errors = np.sqrt(np.mean([found[name].se ** 2 for found in many]))
        assert errors == pytest.approx(spread, rel=0.3), name


def test_without_a_block_is_the_measure_of_the_rest():
    """To first order; the mean cosine to the last digit."""
    points, count, n = sample(1, 2000), 10, 2000
    block = np.random.default_rng(0).permutation(np.arange(n) % count)
    found = jackknife(points, count=count)
    for name, measure in MEASURES.items():
        rest = [float(measure(points[block != b])) for b in range(count)]
        exact = Estimate(float(measure(points)), np.array(rest))
        assert found[name].se == pytest.approx(exact.se, rel=0.1), name
        if name == "mean_cosine":
            np.testing.assert_allclose(found[name].without, rest, rtol=1e-5)


@pytest.mark.parametrize("heavy", [False, True])
def test_of_the_corrected_score_also_of_few_points(heavy):
    """Where principal directions alone would make errors several times too large."""
    points, n = np.random.default_rng(6).normal(size=(2 * D, D)), 2 * D
    if heavy:
        points /= np.sqrt(np.random.default_rng(7).chisquare(4, size=(n, 1)))
    block, count = deal(n)
    rest = [float(isoscore(points[block != b], corrected=True)) for b in range(count)]
    found = jackknife(points)["isoscore_corrected"]
    assert found.se == pytest.approx(Estimate(0.0, np.array(rest)).se, rel=0.15)


def test_differences_of_the_same_rows_are_paired():
    points = sample(2, 400)
    turned = points @ np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    one, other = jackknife(points)["isoscore"], jackknife(3 * turned)["isoscore"]
    difference = one.minus(other)
    assert abs(difference.value) < 1e-9 and difference.se < 1e-9 < one.se


def test_files_sorted_by_label_have_the_errors_of_others():
    points = sample(3, 400) + np.repeat([[0.0], [1.0]], 200, axis=0)
    shuffled = np.random.default_rng(1).permutation(points)
    for name in MEASURES:
        a, b = jackknife(points)[name].se, jackknife(shuffled)[name].se
        assert a == pytest.approx(b, rel=0.7), name


def test_odd_points():
    assert all(np.isnan(found.value) for name, found in jackknife(np.zeros((9, 3))).items())
    with_zeros = np.concatenate([sample(4, 50), np.zeros((5, D))])
    assert jackknife(with_zeros)["mean_cosine"].value == pytest.approx(
        float(mean_cosine(sample(4, 50))), rel=1e-6
    )
    large = jackknife(sample(5, 50) * 1e200)["isoscore"]
    assert large.se == pytest.approx(jackknife(sample(5, 50))["isoscore"].se)
    whole = (sample(5, 50) * 100).astype(np.int16)
    assert jackknife(whole)["isoscore"].value == pytest.approx(float(isoscore(whole)), rel=1e-6)
