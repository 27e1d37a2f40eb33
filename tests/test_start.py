"""What a command does before anything is computed."""

from __future__ import annotations

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.cli.console import InputError
from jaxiso.cli.options import ProcessOptions, fields_of
from jaxiso.metrics.arithmetic import PRECISIONS, precision, set_precision
from jaxiso.models.heads import LinearHead
from jaxiso.start import start


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)  # where programs are kept
    yield
    set_precision("highest")


def test_options_are_what_the_metrics_know():
    assert get_args(fields_of(ProcessOptions)["precision"][0]) == PRECISIONS


def test_models_and_metrics_multiply_as_asked():
    start(ProcessOptions(precision="BF16_BF16_F32_X3"))
    assert precision() == "BF16_BF16_F32_X3"
    x, head = jnp.ones((3, 4)), LinearHead(2)
    params = head.init(jax.random.key(0), x)
    assert "num_primitive_operations = 3" in jax.jit(head.apply).lower(params, x).as_text()
    rough = np.asarray(head.apply(params, x))
    start(ProcessOptions())
    exact = np.asarray(head.apply(params, x))
    np.testing.assert_allclose(rough, exact, atol=1e-4)


def test_a_precision_that_the_device_lacks():
    with pytest.raises(InputError, match=r"--precision TF32_TF32_F32_X3: A CPU does not multiply"):
        start(ProcessOptions(precision="TF32_TF32_F32_X3"))
