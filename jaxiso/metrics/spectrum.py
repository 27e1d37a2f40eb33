"""Principal axes and the spectrum of a cloud of points: its rank, and how fast it decays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROWS = 8192  # taken to float64 at once


class PrincipalAxes(NamedTuple):
    """The axes along which n points of d dimensions vary, in float64; m = min(n, d) of them.

    Attributes:
        mean: (d,) mean of the points.
        singular: (m,) singular values of the centred points, largest first.
        directions: (m, d) unit vectors; of each, the largest coordinate is positive.
        n: number of points.
    """

    mean: np.ndarray
    singular: np.ndarray
    directions: np.ndarray
    n: int

    def rank(self, noise: float = 0.0) -> int:
        """How many singular values are above rounding errors.

        Args:
            noise: how large a singular value may be by errors of the points. What this computation
                adds to it is max(n, d)·ε·σ₁ at most, ε being 2⁻⁵².
        """
        computed = max(self.n, len(self.mean)) * np.finfo(np.float64).eps
        return int((self.singular > noise + computed * self.singular.max()).sum())


def principal_axes(points: np.ndarray) -> PrincipalAxes:
    """Principal axes in float64 on the host.

    From the points, not their covariance, in which singular values below 10⁻⁸ of the largest are
    lost. Costs O(n·d·min(n, d)); the points are taken to float64 in blocks of rows.

    Args:
        points: shape (n, d), finite.
    """
    n, d = points.shape
    first = points[0].astype(np.float64)  # so that points in one place become zeros
    starts = range(0, n, ROWS)
    away = sum((points[start : start + ROWS] - first).sum(axis=0) for start in starts) / n
    triangle = np.zeros((0, d))
    for start in starts:
        rows = np.concatenate([triangle, points[start : start + ROWS] - first - away])
        # A matrix of at most d rows, with the singular values and directions of all rows so far.
        triangle = np.linalg.qr(rows, mode="r") if len(rows) > d else rows
    _, singular, directions = np.linalg.svd(triangle, full_matrices=False)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return PrincipalAxes(first + away, singular, directions * signs[:, None], n)
