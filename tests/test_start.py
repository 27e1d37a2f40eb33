"""What a command does before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.cli.console import InputError
from jaxiso.cli.options import Precision
from jaxiso.metrics.points import PRECISIONS, precision, set_precision
from jaxiso.models.heads import LinearHead
from jaxiso.start import start


@dataclass(frozen=True)
class Options:
    precision: str = "highest"
    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    timeout: float = 1.0


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)  # where programs are kept
    yield
    set_precision("highest")


def test_options_are_what_the_metrics_know():
    assert get_args(get_args(Precision)[0]) == PRECISIONS


def test_models_and_metrics_multiply_as_asked():
    start(Options(precision="BF16_BF16_F32_X3"))
    assert precision() == "BF16_BF16_F32_X3"
    x, head = jnp.ones((3, 4)), LinearHead(2)
    params = head.init(jax.random.key(0), x)
    assert "num_primitive_operations = 3" in jax.jit(head.apply).lower(params, x).as_text()
    rough = np.asarray(head.apply(params, x))
    start(Options())
    exact = np.asarray(head.apply(params, x))
    np.testing.assert_allclose(rough, exact, atol=1e-4)


def test_a_precision_that_the_device_lacks():
    with pytest.raises(InputError, match=r"--precision TF32_TF32_F32_X3: A CPU does not multiply"):
        start(Options(precision="TF32_TF32_F32_X3"))
