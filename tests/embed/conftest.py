from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxiso.embed.__main__ import main


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes int and float inside; our own code is checked strictly by the metrics' tests."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="session")
def vectors(tmp_path_factory) -> Path:
    """A small problem of one's own: 60 vectors in 8 dimensions, three labels."""
    rng = np.random.default_rng(0)
    y = rng.permutation(["cat", "dog", "eel"] * 20)
    x = (rng.normal(size=(60, 8)) + (y == "eel")[:, None]) * np.arange(1, 9) / 10
    path = tmp_path_factory.mktemp("vectors") / "mine.npz"
    np.savez(path, X=x, y=y)
    return path


@pytest.fixture(scope="session")
def run_main() -> Callable[..., None]:
    """The command inside this process: fast, and its errors are exceptions."""

    def run(*arguments: object) -> None:
        with jax.numpy_dtype_promotion("standard"):
            main([str(argument) for argument in arguments])

    return run
