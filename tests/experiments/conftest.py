import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes int and float inside; our own code is checked strictly by the metrics' tests."""
    with jax.numpy_dtype_promotion("standard"):
        yield
