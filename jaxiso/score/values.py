"""What measuring gives: values, by label and of a whole file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxiso.metrics.errors import Estimate
from jaxiso.score.pairs import Silhouettes

SAME = "all vectors are the same"
FREE = ("isoscore", "isoscore_corrected", "mu_viswanath", "effective_rank", "mean_cosine")
CLUSTERS = ("silhouette", "simplified_silhouette", "calinski_harabasz", "davies_bouldin", "dunn")
"""Measures that need no labels, and of labels as clusters."""


class Value(NamedTuple):
    """A measured number.

    Attributes:
        value: None where the measure is not defined, or not known.
        se: standard error: of a random sample for all, or of these vectors for others like them.
        remark: why it is not defined, or what else to know.
        at_most: the measure is not above this, and may be below.
    """

    value: float | None
    se: float | None = None
    remark: str | None = None
    at_most: bool = False


class Found(NamedTuple):
    """Measures that have become known.

    Attributes:
        values: by name.
        estimates: those with standard errors.
        silhouettes: of single vectors, where it is they that have become known.
        eigenvalues: of the covariance, likewise.
    """

    values: dict[str, Value]
    estimates: Mapping[str, Estimate] = {}
    silhouettes: Silhouettes | None = None
    eigenvalues: np.ndarray | None = None


class Row(NamedTuple):
    """The measures of the `n` points of one label."""

    name: str
    n: int
    values: dict[str, Value]


class Scores(NamedTuple):
    """All that was measured of one file.

    Attributes:
        path: the file.
        n: vectors measured.
        d: dimensions.
        labels: the distinct labels; None where none were given.
        left_out: number of vectors left out, by reason.
        values: by name; those of clusters only where there are labels.
        silhouettes: None where there are none.
        rows: by label, in label order; None where not asked for.
        eigenvalues: of the covariance, largest first; None where it was interrupted before.
        interrupted: the exit code of what ended it early; None if nothing did.
        transform: what was done to the vectors first.
        found: what that found of them, a sentence each.
        estimates: measures with the jackknife's errors, which differences of two files need.
    """

    path: Path
    n: int
    d: int
    labels: tuple[str, ...] | None
    left_out: Mapping[str, int]
    values: Mapping[str, Value]
    silhouettes: Silhouettes | None = None
    rows: list[Row] | None = None
    eigenvalues: np.ndarray | None = None
    interrupted: int | None = None
    transform: str = "none"
    found: tuple[str, ...] = ()
    estimates: Mapping[str, Estimate] = {}

    @property
    def sampled(self) -> int | None:
        """Vectors that silhouettes were taken of; None where it is all of them."""
        found = self.silhouettes
        return None if found is None or found.sampled is None else len(found.values)


def number(value: float, otherwise: str = "not a number", se: float | None = None) -> Value:
    """A number, with its error where that is known; or nothing where it is not finite, and why."""
    if not np.isfinite(value):
        return Value(None, remark=otherwise)
    return Value(float(value), se if se is None or np.isfinite(se) else None)


def with_error(value: Value, estimate: Estimate) -> Value:
    """A value with its standard error, where that is known."""
    if value.value is None or not np.isfinite(estimate.se):
        return value
    return value._replace(se=estimate.se)


def no_clusters(k: int, n: int) -> str | None:
    """Why k labels of n vectors are no clusters, if they are not."""
    if 1 < k < n:
        return None
    return "there is only one label" if k == 1 else "every vector has a label of its own"
