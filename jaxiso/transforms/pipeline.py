"""Transforms in a row, as they are written; fitted on one corpus, applied to any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxiso.cli.transforms import Step, read_steps, written
from jaxiso.metrics.arrays import as_array, resolution
from jaxiso.metrics.spectrum import as_matrix
from jaxiso.transforms.fits import FITS, Sample, root_mean_squares
from jaxiso.transforms.steps import Params, apply_on_host, apply_step, placed


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fitted:
    """Parameters of a pipeline; a pytree.

    Attributes:
        params: of each step, in order.
        dim: dimensions of the vectors that it takes.
        text: the pipeline, as it is written.
        remarks: what was found of the data, a sentence each.
    """

    params: tuple[Params, ...]
    dim: int = field(metadata={"static": True})
    text: str = field(metadata={"static": True})
    remarks: tuple[str, ...] = field(metadata={"static": True})


class Pipeline(NamedTuple):
    """Transforms in the order in which they are applied; `str(pipeline)` is what `parse` reads."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return written(self.steps)

    def fit(self, X: Any) -> Fitted:
        """Fits each step on what the steps before it make of X.

        Args:
            X: concrete, (n, d), of any kind that `jaxiso.isoscore` takes.

        Raises:
            ValueError: X is traced, no 2-d array, not finite or too small; or a step cannot be
                fitted on it, as `whiten:k` with k above the rank.
        """
        given = as_array(X)
        if isinstance(given, Tracer):
            raise ValueError("A transform is fitted on concrete arrays; under jit, apply it only.")
        x = as_matrix(given)
        sample = Sample(x, resolution(given) * root_mean_squares(x))
        params: list[Params] = []
        remarks: list[str] = []
        for step in self.steps:
            found, said = FITS[step.name](sample, *step.numbers)
            params.append(found)
            remarks += said
            if step is not self.steps[-1]:
                sample = sample.after(found)
        return Fitted(tuple(params), x.shape[1], str(self), tuple(remarks))

    def apply(self, fitted: Fitted, X: Any) -> Any:
        """`jaxiso.transforms.apply`."""
        return apply(fitted, X)

    def fit_apply(self, X: Any) -> tuple[Any, Fitted]:
        """The transformed X, and what was fitted on it.

        Raises:
            ValueError: as from `fit`.
        """
        fitted = self.fit(X)
        return apply(fitted, X), fitted


def parse(text: str) -> Pipeline:
    """The pipeline that a text such as `center,abtt:3` stands for.

    Raises:
        ValueError: an unknown name, or numbers that it does not take; says what is allowed.
    """
    return Pipeline(read_steps(text))


def apply(fitted: Fitted, X: Any) -> Any:
    """Transforms vectors by what was fitted, on these or on others.

    Args:
        fitted: as from `Pipeline.fit`.
        X: (n, d); traced arrays too.

    Returns:
        (n, d') of the type of X: an array of JAX if X is one, else of NumPy (float32 for all types
        of at most 32 bits that have fractions, else float64).

    Raises:
        ValueError: X has other dimensions than what was fitted, or is not finite.
    """
    given = as_array(X)
    x = given if isinstance(given, jax.Array) else as_matrix(given)
    if x.ndim != 2 or x.shape[1] != fitted.dim:
        raise ValueError(
            f"{fitted.text} was fitted on vectors of {fitted.dim:,} dimensions; got an array of "
            f"shape {x.shape}."
        )
    if not isinstance(x, jax.Array):
        return apply_on_host(fitted.params, x)
    if not jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.itemsize < 4:
        x = x.astype(jnp.float32)
    for params in fitted.params:
        x = apply_step(placed(params, x.dtype), x)
    return x
