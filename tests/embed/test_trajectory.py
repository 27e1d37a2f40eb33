from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxiso.embed.trajectory import (
    by_step,
    correlations,
    log_normalised,
    of_isotropy,
    summarise,
)


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


def test_rows_of_one_weight_of_isotropy():
    """Weights are stored in single precision, in which 0.1 is another number."""
    one, other = (table(np.full((3, 2), x), np.zeros((3, 2))) for x in (0.25, 0.5))
    both = {name: [*one[name], *other[name]] for name in one}
    both["isotropy"] = [float(np.float32(0.1))] * 6 + [2.0] * 6
    found = of_isotropy(both, 0.1)
    assert {name: found[name] for name in one} == one
    assert of_isotropy(both, 2.0)["isoscore"] == [0.5] * 6
    assert set(by_step(found)[1]) == {"isoscore", "silhouette", "loss", "accuracy"}


def test_agreement_of_the_indices_of_clusters():
    rng = np.random.default_rng(0)
    silhouette = np.linspace(0, 1, 6)[:, None] + np.zeros((6, 2))
    columns = table(rng.random((6, 2)), silhouette)
    assert "agreement" not in summarise(columns)
    dunn = silhouette**2
    dunn[-1] = np.inf  # every cluster is a single place
    columns |= {
        "calinski_harabasz": (silhouette**3).ravel().tolist(),
        "davies_bouldin": (-silhouette).ravel().tolist(),
        "dunn": dunn.ravel().tolist(),
    }
    found = summarise(columns)
    agreement, final = found["agreement"], found["final"]
    assert isinstance(agreement, dict) and isinstance(final, dict)
    assert agreement["davies_bouldin"]["silhouette"] == {
        "pearson_r": pytest.approx(-1),
        "spearman_rho": pytest.approx(-1),
    }
    cubed = agreement["calinski_harabasz"]["silhouette"]
    assert cubed["spearman_rho"] == pytest.approx(1) and cubed["pearson_r"] < 0.95
    isoscore = np.reshape(columns["isoscore"], (6, 2)).mean(1)
    expected = stats.spearmanr(isoscore, silhouette[:, 0])[0]
    assert agreement["calinski_harabasz"]["isoscore"]["spearman_rho"] == pytest.approx(expected)
    assert agreement["dunn"]["silhouette"] == {"pearson_r": None, "spearman_rho": None}
    assert final["dunn"] == {"mean": None, "sd": None} and found["diverged_at"] is None
