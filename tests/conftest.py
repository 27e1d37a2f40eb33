"""Rules for every test: strict promotion, shapes checked, and in CI nothing is skipped."""

from __future__ import annotations

import os
from pathlib import Path

# One small machine serves many tests: compiled programs are kept between runs.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jaxiso" / "xla-tests")
)
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches the network

import pytest
from jaxtyping import install_import_hook

install_import_hook("jaxiso.metrics", "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real corpora: JAXISO_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("JAXISO_DATA", SHARED / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data directory at {folder}; set JAXISO_DATA")
    return folder


@pytest.fixture(scope="session")
def targets_dir() -> Path:
    """The folder with the papers' tables as CSV files, and reference embeddings."""
    folder = Path(os.environ.get("JAXISO_TARGETS", SHARED / "targets"))
    if not folder.is_dir():
        pytest.skip(f"no targets directory at {folder}; set JAXISO_TARGETS")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With JAXISO_NO_SKIP=1 (as .ci/run sets it) a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("JAXISO_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
