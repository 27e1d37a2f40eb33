"""Rules for every test: strict promotion, shapes checked, and in CI nothing is skipped."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

# One small machine serves many tests: compiled programs are kept between runs.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jaxiso" / "xla-tests")
)
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches the network

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("jaxiso.metrics", "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

# The same examples every time; `pytest --hypothesis-profile=random` hunts for others.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("random", deadline=None, max_examples=500)
settings.load_profile("same")

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


@pytest.fixture(scope="module", autouse=True)
def drop_compiled_programs():
    """A module's programs are of no use to the next one, and all together took 5 GB."""
    yield
    jax.clear_caches()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps what was freed
    if trim is not None:
        trim(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With JAXISO_NO_SKIP=1 (as .ci/run sets it) a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("JAXISO_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
