"""The spectrum of a cloud of points: its principal axes, ranks, and how fast it decays."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import in_range
from jaxiso.metrics.arrays import resolution
from jaxiso.metrics.dimension import entropy_rank, entropy_rank_on_host, singular_values
from jaxiso.metrics.mesh import ALL
from jaxiso.metrics.moments import blocks, origin
from jaxiso.metrics.points import OnMesh, Points, as_points, checked_points, metric


def as_matrix(points: Any, *, least: int = 1) -> np.ndarray:
    """Concrete points, checked, as a matrix of NumPy: float32 if its numbers fit, else float64.

    Raises:
        ValueError: as `jaxiso.metrics.points.checked_points`.
    """
    x = np.asarray(checked_points(points, least=least))
    small = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize <= 4
    return x.astype(np.float32 if small else np.float64, copy=False)


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
    """
    first = origin(points).astype(np.float64)
    away = sum(x.sum(axis=0) for x in blocks(points, first)) / len(points)
    _, singular, directions = np.linalg.svd(_triangle(points, first + away), full_matrices=False)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return PrincipalAxes(first + away, singular, directions * signs[:, None], len(points))


def _triangle(points: np.ndarray, middle: np.ndarray | float = 0.0) -> np.ndarray:
    """A matrix of at most d rows, with the singular values and directions of the points'."""
    d = points.shape[1]
    triangle: Any = np.zeros((0, d))
    for x in blocks(points, middle):
        rows = np.concatenate([triangle, x])
        triangle = np.linalg.qr(rows, mode="r") if len(rows) > d else rows
    return triangle


@metric(
    scale=True,
    host=lambda points: entropy_rank_on_host(np.linalg.svd(_triangle(points), compute_uv=False)),
)
def rankme(points: Points, *, mesh: OnMesh = None) -> Float[Array, ""]:
    """RankMe: exp of the entropy of the singular values' shares, **not centred**.

    With singular values σ of the matrix as it is and p = σ / Σσ, this is exp(-Σ p·log p), which is
    Roy and Vetterli's effective rank to the letter; `effective_rank` centres the points first. The
    mean of the points is one of the directions here, often the largest.

    Public code differs: the paper adds 1e-7 to each p, so that log p is finite (it changes the
    fifth digit; 0·log 0 is taken as 0 here); some tools take the eigenvalues of a covariance in
    place of singular values, which gives a smaller number, and some centre. Compare the formula
    before numbers. Directions that no point takes count as constant in its derivative.

    Args:
        points: shape (n, d), one point a row.
        mesh: devices that share the points, as in `jaxiso.isoscore`.

    Returns:
        A scalar from 1 to min(n, d); NaN if all points are zero.

    Raises:
        ValueError: no points, a NaN or an infinite value.

    Reference: Garrido, Balestriero, Najman and LeCun (2023), "RankMe: Assessing the Downstream
    Performance of Pretrained Self-Supervised Representations by Their Rank", equation 2.

    Example:
        >>> round(float(rankme([[1.0, 0.0], [0.0, 1.0]])), 4)
        2.0
    """
    rows = mesh or ALL
    x = rows.only(in_range(points))
    size = rows.max(jnp.max(jnp.abs(x)))
    return entropy_rank(singular_values(x / jnp.where(size > 0, size, 1), rows.axis))


def numerical_rank(points: Any, *, tolerance: float | None = None) -> Int[Array, ""]:
    """In how many directions the points vary, other than by rounding errors.

    Counts the singular values of the centred points above a tolerance, by default ε·‖X‖_F with the
    points as they are: as large as the rounding of all their numbers can make one, ε being that of
    their type (2⁻²³ of float32; also of points that were rounded to float32 before they were stored
    in double precision). `numpy.linalg.matrix_rank` has max(n, d)·ε·σ₁, some hundred times as much
    for n in the thousands, and lets the mean count as a direction if points are not centred.

    Costs O(n·d·min(n, d)), in float64 on the host, unless points are traced: then in their own
    type, without a derivative.

    Args:
        points: shape (n, d), one point a row.
        tolerance: an absolute one for singular values.

    Returns:
        A whole number from 0 to min(n - 1, d), which is what to divide by for a share; -1 if
        traced points are not finite.

    Raises:
        ValueError: no points, a NaN or an infinite value, a negative tolerance.

    Example:
        >>> int(numerical_rank([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
        1
    """
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}, expected at least 0")
    checked = checked_points(points)
    if not isinstance(checked, Tracer):
        x = as_matrix(checked)
        noise = resolution(checked) * _size(x) if tolerance is None else tolerance
        return jnp.asarray(principal_axes(x).rank(noise), jnp.int32)
    x = as_points(checked)
    singular = singular_values(x - jnp.mean(x, axis=0, keepdims=True))
    default = jnp.finfo(x.dtype).eps * jnp.linalg.norm(x)
    limit = default if tolerance is None else jnp.asarray(tolerance, x.dtype)
    rank = jnp.sum(singular > limit).astype(jnp.int32)
    return jnp.where(jnp.all(jnp.isfinite(x)), rank, -1)


def alpha_req(points: Any, *, first: int = 11, last: int = 100) -> Float[Array, ""]:
    """α-ReQ: how fast the variances decay, α in λᵢ ∝ i^(-α).

    The slope of log λᵢ on -log i by least squares with weights 1/i, over the eigenvalues λ of the
    covariance, largest first, from i = `first` to `last`. As the authors have it: the first ten,
    which are task-specific, are left out. α near 1 is said to transfer best; lower is flatter.

    Public code differs: some fit all eigenvalues without weights, some a power law to the sorted
    singular values, whose slope is half of this one, and ranges count from 0 or from 1. Eigenvalues
    that rounding errors make (see `numerical_rank`) are left out here, whatever `last` is.

    Costs O(n·d·min(n, d)), in float64 on the host, unless points are traced: then in their own
    type, with derivatives.

    Args:
        points: shape (n, d), one point a row; min(n - 1, d) must be above `first`.
        first: number of the first eigenvalue, counted from 1.
        last: number of the last, if there are as many.

    Returns:
        A scalar; NaN if fewer than two eigenvalues are in the range.

    Raises:
        ValueError: a range of less than two eigenvalues, a NaN or an infinite value.

    Reference: Agrawal, Mondal, Ghosh and Richards (2022), "α-ReQ: Assessing Representation Quality
    in Self-Supervised Learning by measuring eigenspectrum decay".
    """
    checked = checked_points(points)
    most = min(checked.shape[0] - 1, checked.shape[1])
    if not 1 <= first < min(last, most):
        raise ValueError(
            f"α-ReQ over eigenvalues {first} to {last}: {checked.shape[0]:,} points of "
            f"{checked.shape[1]:,} dimensions have {max(most, 0):,}; it takes two in the range"
        )
    if not isinstance(checked, Tracer):
        x = as_matrix(checked)
        axes = principal_axes(x)
        rank = axes.rank(resolution(checked) * _size(x))
        taken = np.arange(len(axes.singular)) < rank
        with np.errstate(all="ignore"):
            return jnp.asarray(float(_decay(np, axes.singular, taken, first, last)))
    x = as_points(checked)
    x = x - jnp.mean(x, axis=0, keepdims=True)
    singular = singular_values(x)
    return _decay(
        jnp, singular, singular > jnp.finfo(x.dtype).eps * jnp.linalg.norm(x), first, last
    )


def _decay(xp: Any, singular: Any, taken: Any, first: int, last: int) -> Any:
    """The slope of 2·log σ on -log i, of those that are taken."""
    number = xp.arange(1, len(singular) + 1).astype(singular.dtype)
    taken = taken & (number >= first) & (number <= last)
    weights = xp.where(taken, 1 / number, 0)
    weights = weights / xp.sum(weights)
    x = -xp.log(number)
    y = 2 * xp.log(xp.where(taken, singular, 1))
    x = x - xp.sum(weights * x)
    slope = xp.sum(weights * x * y) / xp.sum(weights * x**2)
    return xp.where(xp.sum(taken) > 1, slope, xp.nan)


def _size(x: np.ndarray) -> float:
    return float(np.sqrt(sum((block**2).sum() for block in blocks(x))))
