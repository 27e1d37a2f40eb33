"""The measures that need no labels, from sums over all vectors, and their standard errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxiso.metrics.dimension import effective_rank_from_eigenvalues
from jaxiso.metrics.errors import Dealt, Estimate, deal, of_directions, of_variances
from jaxiso.metrics.isotropy import isoscore_from_eigenvalues
from jaxiso.metrics.moments import unit_rows
from jaxiso.score.cloud import Cloud
from jaxiso.score.streaming import Axes, Moments, eigenvalues, log_partitions, moments
from jaxiso.score.values import SAME, Found, Value, number, with_error

LOW = "low because vectors are few beside their dimensions: see the corrected one"
WHITE = "no sample of others: the vectors were whitened by themselves"
BIASED = 0.05
"""Share by which IsoScore may be off its corrected value without a word."""
WHITENED = 1e-6
"""IsoScore is as near to 1 as this only where the vectors' own variances were made alike."""


def free_measures(cloud: Cloud, seed: int | None, *, partitions: bool = True) -> Iterator[Found]:
    """Yields the measures that need no labels, as soon as each is known.

    `seed` deals rows into blocks, for standard errors, None for none; Mu & Viswanath's score is
    among them if `partitions`.
    """
    sums = moments(cloud)
    axes = None if seed is None or cloud.n < 4 else Axes.of(cloud, sums)
    variances = eigenvalues(cloud, sums) if axes is None else axes.variances
    found = of_moments(cloud, sums, variances)
    yield Found(found, eigenvalues=variances)
    if partitions:
        logs = log_partitions(cloud, sums)
        yield Found({"mu_viswanath": number(float(np.exp(logs.min() - logs.max())))})
    if axes is not None:
        estimates = jackknife(cloud, deal(cloud.n, seed=seed or 0), axes)
        found = {name: with_error(value, estimates[name]) for name, value in found.items()}
        yield Found(found, estimates)


def of_moments(cloud: Cloud, sums: Moments, variances: np.ndarray) -> dict[str, Value]:
    """Those of them that the jackknife has errors of."""
    return {
        **isoscores(cloud, sums, variances),
        "effective_rank": number(effective_rank_from_eigenvalues(variances), SAME),
        "mean_cosine": mean_cosine(cloud.n, sums),
    }


def isoscores(cloud: Cloud, sums: Moments, variances: np.ndarray) -> dict[str, Value]:
    """IsoScore as it is, and corrected for the number of vectors."""
    plain = number(isoscore_from_eigenvalues(variances, cloud.d), SAME)
    if cloud.n < 4:
        return {"isoscore": plain, "isoscore_corrected": Value(None, remark="of 4 vectors or more")}
    fourth = sums.fourth / cloud.n
    score = isoscore_from_eigenvalues(variances, cloud.d, n=cloud.n, fourth=fourth)
    corrected = number(score, SAME if np.isnan(score) else "vectors are too few for it")
    if plain.value is not None and corrected.value is not None:
        off = abs(plain.value - corrected.value) > BIASED * abs(corrected.value)
        if plain.value > 1 - WHITENED and corrected.value > 1 + 100 * WHITENED:
            corrected = Value(None, remark=WHITE)
        else:
            plain = plain._replace(remark=LOW if off else None)
    return {"isoscore": plain, "isoscore_corrected": corrected}


def jackknife(cloud: Cloud, dealt: Dealt, axes: Axes) -> dict[str, Estimate]:
    """IsoScore, plain and corrected, effective rank and the measures of directions, with errors.

    One pass, of n·d·min(n, d) work; O(B·d) memory for B blocks.
    """
    b, d = dealt.blocks, cloud.d
    along, fourths = np.zeros((3, b, len(axes.variances))), np.zeros((2, b))
    directions, directed = np.zeros((2, b, d)), np.zeros(b)
    for where, x in cloud.blocks("errors"):
        of_block = np.eye(b)[dealt.block[where]].T
        unit, some = unit_rows(x)
        directed += of_block @ some
        y = axes.along(cloud, where, x)
        squares = np.einsum("ij,ij->i", y, y)
        for found, values in ((along, y), (directions, unit)):
            found[0] += of_block @ values
            found[1] += of_block @ values**2
        along[2] += (of_block * squares) @ y
        fourths += np.stack([squares**2, (y**4).sum(axis=1)]) @ of_block.T
    along, fourths, directions, directed = map(
        cloud.part.sum, (along, fourths, directions, directed)
    )
    sizes = np.bincount(dealt.block, minlength=b)
    found = of_variances(axes.variances, along, fourths, sizes, d)
    return found | of_directions(directions, directed)


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
