"""How evenly a cloud of points uses the directions of its space.

IsoScore is due to Rudman, Gillman, Rayne and Eickhoff (2022), "IsoScore: Measuring the Uniformity
of Embedding Space Utilization". Their seven steps (principal components, variances, their
normalised distance to the all-ones vector, rescaling) reduce to a ratio of two invariants of the
covariance C of the points, which needs no eigen-decomposition:

    IsoScore = (tr(C)² / ‖C‖_F² - 1) / (d - 1)

tr(C)²/‖C‖_F² is the participation ratio of the variances: how many directions are in use
(`jaxiso.metrics.dimension`). IsoScore ignores where the origin is; `jaxiso.metrics.directions` has
the measures that look at the directions that are seen from it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxiso.metrics.arithmetic import dot
from jaxiso.metrics.dimension import excess_and_fourth, excess_and_norm_on_host
from jaxiso.metrics.mesh import ALL
from jaxiso.metrics.moments import blocks, fourth_power, origin
from jaxiso.metrics.points import OnMesh, Points, metric


def _isoscore_on_host(points: np.ndarray, corrected: bool) -> float:
    n, d = points.shape
    _check_dimensions(d)
    excess, norm = excess_and_norm_on_host(points)
    if not corrected:
        return min(excess / (d - 1), 1.0)
    fourth = fourth_power(points) / norm if norm > 0 else float("nan")
    return float(_corrected(np, excess, n, d, fourth))


@metric(least=2, translate=True, scale=True, static=["corrected"], host=_isoscore_on_host)
def isoscore(points: Points, *, corrected: bool = False, mesh: OnMesh = None) -> Float[Array, ""]:
    """IsoScore of a cloud of points: 1 if all directions vary alike, 0 if only one varies.

    Differentiable, and usable under `jit` and `vmap`. Costs O(n·d·min(n, d)) time and O(n·d)
    memory. In float32 it agrees with the seven published steps in float64 to 1e-4 relative, also
    for means far from the origin and for scores as low as 1e-6.

    Args:
        points: shape (n, d), one point a row; n at least 2, d at least 2.
        corrected: whether to estimate the score of the distribution that the points are drawn
            from. The plain score of a sample reads low, for isotropic data about n / (n + d), so
            that samples of different sizes cannot be compared. With t and q the trace and the
            squared norm of the covariance and k = Σ‖x - x̄‖⁴/(n - 1), unbiased estimates of tr(Σ)²
            and ‖Σ‖², whatever the distribution, are a₁ = 2q + (n² - 3n + 1)·t² - nk and
            a₂ = (n - 1)(n - 2)·q + t² - nk, up to one factor, and the score is (a₁/a₂ - 1)/(d - 1).
            The notebook `sample_size` shows where it can be trusted. Needs n at least 4.
        mesh: a `jax.sharding.Mesh` with one axis, whose devices share the points: an array of the
            host is spread over them, one that is spread by rows stays where it is. n need not
            divide.

    Returns:
        A scalar from 0 to 1; NaN if all points coincide, where no direction varies at all. With
        `corrected` it may be above 1, as an unbiased estimate of 1 has to be now and then, and is
        infinite where a₂ is not above zero: where a few points all vary alike.

    Raises:
        ValueError: fewer than two points (four with `corrected`) or dimensions, a NaN or an
            infinite value, a mesh of several axes, or of more devices than points.

    References: Rudman et al. (2022), Algorithm 1; for the estimates Himeno and Yamada (2014),
    "Estimations for some functions of covariance matrix in high dimension under non-normality".

    Example:
        >>> float(isoscore([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        1.0
    """
    d = points.shape[1]
    _check_dimensions(d)
    rows = mesh or ALL
    excess, fourth = excess_and_fourth(points, rows)
    if corrected:
        return _corrected(jnp, jnp.maximum(excess, 0), rows.count(points), d, fourth)
    return jnp.clip(excess / (d - 1), 0, 1)


def _corrected(xp, excess, n, d: int, fourth=None):
    """The corrected score from e = t²/q - 1 and, where it is known, Σ‖x‖⁴ / ‖XᵀX‖_F².

    With the latter times n - 1, which is k/q, a₁/a₂ - 1 is (n - 3)·e over
    n - 3 + (3 + e)/n - k/q. For normal data, where k follows from t and q, it is (n + 1)·e over
    n - 2 - e (Srivastava 2005). Nothing cancels where one direction dominates, as it would in a₁
    and a₂ themselves.
    """
    if isinstance(n, int) and n < 4:
        raise ValueError(f"The corrected IsoScore needs at least 4 points; got {n}.")
    if fourth is None:
        gain, left = n + 1, n - 2 - excess
    else:
        gain, left = n - 3, n - 3 + (3 + excess) / n - (n - 1) * fourth
        rounding = 16 * xp.finfo(xp.result_type(excess)).eps * n
        left = xp.where(left > rounding, left, xp.where(left == left, 0, left))
    score = gain * excess / xp.where(left > 0, left, 1) / (d - 1)
    return xp.where(left > 0, score, xp.where(left == left, xp.inf, xp.nan))


def isoscore_from_covariance(covariance: ArrayLike, *, n: int | None = None) -> Float[Array, ""]:
    """IsoScore from a covariance matrix.

    A concrete matrix is taken in float64. A traced one is limited by the rounding of its own type:
    in float32 the relative error is about 1e-7 / (score·(d - 1)), as where one direction dominates
    the others are lost in it; `isoscore` of the points has no such limit.

    Args:
        covariance: shape (d, d), symmetric, up to any positive factor.
        n: number of points that it is the covariance of, at least 4, to get the score corrected as
            for normal data (`isoscore`, which sees the points, needs no such assumption); by
            default the plain one.

    Returns:
        A scalar from 0 to 1 (the corrected one may be above); NaN for a covariance of zeros.

    Raises:
        ValueError: not a square matrix of at least 2 × 2, a NaN or an infinite value.

    Reference: Rudman et al. (2022), Algorithm 1, from its third step on.
    """
    matrix = _covariance(covariance, "covariance")
    if isinstance(matrix, Tracer):
        return _from_covariance(jnp, matrix, n)
    with np.errstate(invalid="ignore"):  # of zeros: NaN, as documented
        score = _from_covariance(np, matrix, n)
    return jnp.asarray(score, jax.dtypes.canonicalize_dtype(np.float64))


def _covariance(matrix: ArrayLike, name: str) -> Any:
    """A checked matrix in float64; a traced one as it is."""
    traced = isinstance(matrix, Tracer)
    matrix = matrix if traced else np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"Expected a square {name} matrix; got shape {matrix.shape}.")
    _check_dimensions(matrix.shape[0])
    if traced:
        return matrix
    if not any(jnp.issubdtype(matrix.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"Expected real numbers as {name}; got dtype {matrix.dtype}.")
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError(f"The {name} contains NaN or infinity.")
    return matrix


def _from_covariance(xp, matrix, n: int | None = None):
    matrix = matrix / xp.max(xp.abs(matrix))
    excess = xp.trace(matrix) ** 2 / xp.sum(matrix**2) - 1
    d = matrix.shape[0]
    return xp.clip(excess / (d - 1), 0, 1) if n is None else _corrected(xp, excess, n, d)


def isoscore_star(
    points: Any, reference_covariance: Any = None, zeta: Any = 0.2, *, mesh: Any = None
) -> Float[Array, ""]:
    """IsoScore* of a batch: IsoScore of its covariance, shrunk towards one of a larger sample.

    The covariance of few points is always far from isotropic. So IsoScore* takes
    (1 - ζ)·C + ζ·C₀, C being the batch's covariance (with n - 1) and C₀ the reference's, on the
    same scale. As a regulariser it is made of 1 - IsoScore*, in their work with ζ = 0.2 in training
    and 0.75 in evaluation, and C₀ renewed every epoch from up to 250,000 vectors. Differentiable,
    in float32 with the limits of `isoscore_from_covariance`. Costs O(n·d²).

    Args:
        points: shape (n, d), one point a row; n and d at least 2.
        reference_covariance: C₀, shape (d, d); by default the identity.
        zeta: ζ, the weight of the reference, from 0 (the batch alone) to 1 (the reference alone).
        mesh: devices that share the points, as in `isoscore`.

    Returns:
        A scalar from 0 to 1; NaN if nothing varies.

    Raises:
        ValueError: as `isoscore`; a reference of another size than d × d, or with a NaN; a ζ
            outside of 0 to 1.

    Reference: Rudman and Eickhoff (2023), "Stable Anisotropic Regularization".

    Example:
        >>> float(isoscore_star([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        1.0
    """
    shape = getattr(points, "shape", None) or np.shape(points)
    d = shape[1] if len(shape) == 2 else 2  # what is wrong with it is said below
    given = np.eye(d) if reference_covariance is None else reference_covariance
    reference = _covariance(given, "reference covariance")
    if reference.shape != (d, d):
        raise ValueError(
            f"Expected a reference covariance of shape ({d}, {d}), as the points have {d} "
            f"dimensions; got {reference.shape}."
        )
    if not isinstance(zeta, Tracer) and not 0 <= zeta <= 1:
        raise ValueError(f"zeta must be from 0 to 1; got {zeta}.")
    return _isoscore_star(points, reference, zeta, mesh=mesh)


def _star_on_host(points: np.ndarray, reference: np.ndarray, zeta: Any) -> float:
    n, d = points.shape
    first = origin(points)
    total, gram = np.zeros(d), np.zeros((d, d))
    for x in blocks(points, first):
        total += x.sum(axis=0)
        gram += x.T @ x
    covariance = (gram - np.outer(total, total / n)) / (n - 1)
    with np.errstate(invalid="ignore"):
        return float(_from_covariance(np, (1 - zeta) * covariance + zeta * reference))


@metric(least=2, translate=True, host=_star_on_host)
def _isoscore_star(
    points: Points, reference: Array, zeta: Any, *, mesh: OnMesh = None
) -> Float[Array, ""]:
    rows = mesh or ALL
    x = points - rows.mean(points)[None, :]
    x = rows.only(x - rows.mean(x)[None, :])
    covariance = rows.everywhere(dot(x.T, x)) / (rows.count(points) - 1)
    share = jnp.asarray(zeta, x.dtype)
    return _from_covariance(jnp, (1 - share) * covariance + share * reference.astype(x.dtype))


def isoscore_from_eigenvalues(
    eigenvalues: np.ndarray,
    d: int,
    *,
    n: int | None = None,
    fourth: float | None = None,
    beside: float = 0.0,
) -> float:
    """IsoScore from eigenvalues of the covariance, in float64 on the host.

    Args:
        eigenvalues: those that are not zero, as from `jaxiso.metrics.dimension`, and perhaps more.
        d: dimensions of the points, at least 2.
        n: number of points, to get the corrected score; NaN below 4.
        fourth: the mean of the fourth powers of their distances from their mean, for the score as
            `isoscore` corrects it; else it is corrected as for normal data.
        beside: sum of the squares of covariances, where what is given are variances along
            directions that have some between them.

    Returns:
        From 0 to 1 (the corrected one may be above); NaN if all eigenvalues are zero.
    """
    _check_dimensions(d)
    if not eigenvalues.max() > 0 or (n is not None and n < 4):
        return float("nan")
    exponent = -int(np.frexp(eigenvalues.max())[1])
    v = np.ldexp(eigenvalues, exponent)
    squares = (v**2).sum() + np.ldexp(beside, 2 * exponent)
    excess = max(float(v.sum() ** 2 / squares - 1), 0.0)
    if n is None:
        return min(excess / (d - 1), 1.0)
    if fourth is not None:
        fourth = float(np.ldexp(fourth, 2 * exponent) / squares / n)
    return float(_corrected(np, excess, n, d, fourth))


def _check_dimensions(d: int) -> None:
    if d < 2:
        raise ValueError(f"IsoScore needs at least 2 dimensions; got {d}.")
