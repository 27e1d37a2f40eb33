"""scikit-learn's own tests of its cluster measures, run on jaxiso's in their place."""

from __future__ import annotations

from functools import wraps

import numpy as np
import pytest
from sklearn.metrics.cluster.tests import test_unsupervised

import jaxiso

NAMES = (
    "silhouette_score",
    "silhouette_samples",
    "calinski_harabasz_score",
    "davies_bouldin_score",
)
TESTS = 50  # of scikit-learn 1.9


def as_scikit_learn_returns(function, called: set[str]):
    """Floats and arrays of NumPy: `pytest.approx` takes no scalars of JAX as tolerances."""

    @wraps(function)
    def converted(*args, **kwargs):
        called.add(function.__name__)
        value = np.asarray(function(*args, **kwargs))
        return value if value.ndim else value.item()

    return converted


class InPlace:
    """Replaces the names, and counts."""

    def __init__(self):
        self.outcomes: list[str] = []
        self.failures: list[str] = []
        self.called: set[str] = set()

    def pytest_collection_modifyitems(self, items):
        for name in NAMES:
            ours = as_scikit_learn_returns(getattr(jaxiso, name), self.called)
            setattr(test_unsupervised, name, ours)
        assert all(item.module is test_unsupervised for item in items)

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.outcomes.append(report.outcome)
        if report.failed:
            self.failures.append(f"{report.nodeid}\n{report.longreprtext}")


def test_scikit_learns_own_tests(monkeypatch, tmp_path):
    for name in NAMES:  # restored afterwards
        monkeypatch.setattr(test_unsupervised, name, getattr(test_unsupervised, name))
    (tmp_path / "empty.ini").write_text("[pytest]\n")
    plugin = InPlace()
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "--rootdir",
        str(tmp_path),
    ]
    module = test_unsupervised.__file__
    pytest.main([*options, "-c", str(tmp_path / "empty.ini"), str(module)], plugins=[plugin])
    assert not plugin.failures, "\n".join(plugin.failures)
    assert plugin.called == set(NAMES)
    assert plugin.outcomes.count("passed") >= TESTS
