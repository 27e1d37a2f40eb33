"""The measures that need no labels, from sums over all vectors, and their standard errors."""

from __future__ import annotations

import numpy as np

from jaxiso.data.rows import Rows
from jaxiso.metrics.dimension import effective_rank_from_eigenvalues
from jaxiso.metrics.errors import Estimate, jackknife
from jaxiso.metrics.isotropy import isoscore_from_eigenvalues
from jaxiso.score.streaming import Cloud, Moments, log_partitions
from jaxiso.score.values import SAME, Value, number

LOW = "low because vectors are few beside their dimensions: see the corrected one"
BIASED = 0.05
"""Share by which IsoScore may be off its corrected value without a word."""


def free_measures(cloud: Cloud, sums: Moments, variances: np.ndarray) -> dict[str, Value]:
    """The measures that need no labels, from the cloud's moments and its eigenvalues."""
    partitions = log_partitions(cloud, sums)
    return {
        **isoscores(variances, cloud),
        "mu_viswanath": number(float(np.exp(partitions.min() - partitions.max()))),
        "effective_rank": number(effective_rank_from_eigenvalues(variances), SAME),
        "mean_cosine": mean_cosine(cloud.n, sums),
    }


def isoscores(variances: np.ndarray, cloud: Cloud) -> dict[str, Value]:
    """IsoScore as it is, and corrected for the number of vectors."""
    plain = number(isoscore_from_eigenvalues(variances, cloud.d), SAME)
    if cloud.n < 4:
        return {"isoscore": plain, "isoscore_corrected": Value(None, remark="of 4 vectors or more")}
    corrected = number(isoscore_from_eigenvalues(variances, cloud.d, n=cloud.n), SAME)
    if plain.value is not None and corrected.value is not None:
        off = abs(plain.value - corrected.value) > BIASED * abs(corrected.value)
        plain = plain._replace(remark=LOW if off else None)
    return {"isoscore": plain, "isoscore_corrected": corrected}


def add_errors(rows: Rows, seed: int, values: dict[str, Value]) -> dict[str, Estimate]:
    """Puts standard errors to the values, and returns what they were taken from."""
    found = jackknife(rows.load(), seed=seed)
    for name, estimate in found.items():
        if values[name].value is not None and np.isfinite(estimate.se):
            values[name] = values[name]._replace(se=estimate.se)
    return found


def mean_cosine(n: int, sums: Moments) -> Value:
    """Mean cosine of the vectors that have a direction."""
    m = sums.nonzero
    if m < 2:
        return Value(None, remark=f"{m} of {n:,} vectors is not zero")
    value = Value(float(((sums.directions**2).sum() - m) / m / (m - 1)))
    return value if m == n else value._replace(remark=of_nonzero(m))


def of_nonzero(m: int) -> str:
    """What to know of a measure of the m vectors that have a direction."""
    return f"of the {m:,} vectors that are not zero: a zero has no direction"
