"""Intrinsic dimension from the distances to the two nearest neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.neighbors import NearestNeighbors

from jaxiso.metrics.arrays import distinct_rows
from jaxiso.metrics.spectrum import as_matrix

LEFT_OUT = 0.1
"""The share of the largest ratios, which lie off the line: the authors'."""


class TwoNN(NamedTuple):
    """An intrinsic dimension.

    Attributes:
        dimension: the estimate; NaN where the ratios of distances do not determine it.
        points: how many different points it is of.
        duplicates: how many others were the same as one of these, and were taken out.
    """

    dimension: float
    points: int
    duplicates: int


def twonn(points: Any) -> TwoNN:
    """TwoNN: the dimension of the manifold that points lie near, from two neighbours of each.

    Locally uniform points have ratios μ = r₂/r₁ of the distances to their second and first
    neighbour with log(1 - F(μ)) = -d·log μ; d is the slope of that line through the origin, by
    least squares, the largest tenth of μ left out. It is of the smallest scale that the sample
    has, and falls short where d is large: some hundreds of points see hardly more than 20.

    Public code differs: F is i/N here, as in the paper, for the i-th smallest of N ratios
    (scikit-dimension counts i from 0); others take the maximum likelihood, (N - 1) / Σ log μ, which
    leaves no ratio out; and points that occur twice, for which r₁ is 0, make it infinite where they
    are not taken out.

    Costs O(n²·d), exact, in float64 on the host, without an n × n array.

    Args:
        points: shape (n, d), concrete; at least 3 different ones.

    Raises:
        ValueError: fewer than 3 different points, a NaN or an infinite value.

    Reference: Facco, d'Errico, Rodriguez and Laio (2017), "Estimating the intrinsic dimension of
    datasets by a minimal neighborhood information".

    Example:
        >>> line = [[float(i**2)] for i in range(50)]
        >>> round(twonn(line).dimension)
        1
    """
    given = as_matrix(points, least=3)
    kept = given[distinct_rows(given)]
    if len(kept) < 3:
        raise ValueError(f"TwoNN needs 3 different points; there are {len(kept)}.")
    neighbours = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(kept)
    nearest = neighbours.kneighbors()[0]
    return TwoNN(twonn_dimension(nearest), len(kept), len(given) - len(kept))


def twonn_dimension(nearest: Float[np.ndarray, "n 2"]) -> float:
    """TwoNN's estimate from the distances to the nearest and second nearest neighbour.

    Args:
        nearest: shape (n, 2), ascending in each row; rows that begin with 0 are left out.
    """
    nearest = np.asarray(nearest, np.float64)
    nearest = nearest[nearest[:, 0] > 0]
    logs = np.sort(np.log(nearest[:, 1] / nearest[:, 0]))
    n = len(logs)
    kept = n - max(1, round(LEFT_OUT * n))  # the last has F = 1
    x, y = logs[:kept], -np.log1p(-np.arange(1, kept + 1) / n)
    squares = float(x @ x)
    return float(x @ y) / squares if squares > 0 else float("nan")
