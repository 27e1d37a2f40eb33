from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxiso.experiments.trajectory import by_step, correlations, log_normalised, summarise


def table(isoscore: np.ndarray, silhouette: np.ndarray):
    steps, seeds = isoscore.shape
    return {
        "seed": list(range(seeds)) * steps,
        "step": np.repeat(np.arange(steps), seeds).tolist(),
        "isoscore": isoscore.ravel().tolist(),
        "silhouette": silhouette.ravel().tolist(),
        "loss": isoscore.ravel().tolist(),
        "accuracy": silhouette.ravel().tolist(),
    }


def test_correlations_are_those_of_the_seed_average():
    rng = np.random.default_rng(0)
    isoscore, silhouette = rng.random((20, 3)), rng.random((20, 3))
    found = summarise(table(isoscore, silhouette))
    a, b = isoscore.mean(1), silhouette.mean(1)
    assert found["pearson_r"] == pytest.approx(stats.pearsonr(a, b)[0])
    assert found["spearman_rho"] == pytest.approx(stats.spearmanr(a, b)[0])
    final = found["final"]
    assert isinstance(final, dict)
    assert final["isoscore"]["mean"] == pytest.approx(isoscore[-1].mean())
    assert final["silhouette"]["sd"] == pytest.approx(silhouette[-1].std(ddof=1))
    both = max(isoscore.std(1, ddof=1).max(), silhouette.std(1, ddof=1).max())
    assert found["largest_sd"] == pytest.approx(both)


def test_ties_share_ranks():
    a, b = np.array([1.0, 1, 2, 3, 3]), np.array([3.0, 1, 1, 0, -1])
    assert correlations(a, b)[1] == pytest.approx(stats.spearmanr(a, b)[0])


def test_one_seed_has_no_deviation_and_a_flat_line_no_correlation():
    found = summarise(table(np.ones((4, 1)), np.arange(4.0)[:, None]))
    assert found["pearson_r"] is None and found["spearman_rho"] is None
    assert found["largest_sd"] is None


def test_rows_may_come_in_any_order():
    columns = table(np.arange(12.0).reshape(4, 3), np.arange(12.0).reshape(4, 3))
    order = np.random.default_rng(1).permutation(12)
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    np.testing.assert_array_equal(by_step(columns)[1]["loss"], by_step(shuffled)[1]["loss"])


def test_log_normalised():
    np.testing.assert_allclose(log_normalised(np.array([1.0, 0.1, 0.01])), [1, 0.5, 0], atol=1e-12)
    np.testing.assert_array_equal(log_normalised(np.array([0.5, 0.5])), [0, 0])


def test_a_run_that_diverged_has_no_correlation_but_a_result():
    isoscore = np.linspace(1, 0.5, 5)[:, None] * np.ones((5, 2))
    isoscore[3:] = np.nan
    found = summarise(table(isoscore, isoscore))
    assert found["pearson_r"] is None and found["largest_sd"] is None
    assert found["diverged_at"] == 3
    final, start = found["final"], found["start"]
    assert isinstance(final, dict) and isinstance(start, dict)
    assert final["isoscore"] == {"mean": None, "sd": None}
    assert start["isoscore"] == {"mean": 1.0, "sd": 0.0}
    assert np.isfinite(log_normalised(isoscore)[:3]).all()
