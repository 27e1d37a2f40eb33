"""How evenly a cloud of points uses the directions of its space.

IsoScore is due to Rudman, Gillman, Rayne and Eickhoff (2022), "IsoScore: Measuring the Uniformity
of Embedding Space Utilization". Their seven steps (principal components, variances, their
normalised distance to the all-ones vector, rescaling) reduce to a ratio of two invariants of the
covariance C of the points, which needs no eigen-decomposition:

    IsoScore = (tr(C)² / ‖C‖_F² - 1) / (d - 1)

tr(C)²/‖C‖_F² is the participation ratio of the variances: how many directions are in use. The
effective rank counts them by an entropy instead. These ignore where the origin is; the mean cosine,
and the isotropy score of Mu and Viswanath, look at the directions that are seen from it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxiso.metrics.checks import as_points

# Centred data shrink the angle to the main direction by (second / first variance)² in each pass;
# the passes matter only where that ratio is below 1e-3, so three of them are plenty.
POWER_ITERATIONS = 3


def isoscore(points: ArrayLike) -> Float[Array, ""]:
    """IsoScore of a cloud of points: 1 if all directions vary alike, 0 if only one varies.

    Differentiable, and usable under `jit` and `vmap`. Costs O(n·d·min(n, d)) time and O(n·d)
    memory. In float32 it agrees with the seven published steps in float64 to 1e-4 relative, also
    for means far from the origin and for scores as low as 1e-6.

    Args:
        points: shape (n, d), one point a row; n at least 2, d at least 2.

    Returns:
        A scalar from 0 to 1; NaN if all points coincide, where no direction varies at all.

    Raises:
        ValueError: fewer than two points or dimensions, a NaN or an infinite value.

    Reference: Rudman et al. (2022), Algorithm 1.

    Example:
        >>> float(isoscore([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        1.0
    """
    checked = as_points(points, least=2)
    _check_dimensions(checked.shape[1])
    return isoscore_of_points(checked)


def isoscore_from_covariance(covariance: ArrayLike) -> Float[Array, ""]:
    """IsoScore from a covariance matrix.

    A concrete matrix is taken in float64. A traced one is limited by the rounding of its own type:
    in float32 the relative error is about 1e-7 / (score·(d - 1)), as where one direction dominates
    the others are lost in it; `isoscore` of the points has no such limit.

    Args:
        covariance: shape (d, d), symmetric, up to any positive factor.

    Returns:
        A scalar from 0 to 1; NaN for a covariance of zeros.

    Raises:
        ValueError: not a square matrix of at least 2 × 2, a NaN or an infinite value.

    Reference: Rudman et al. (2022), Algorithm 1, from its third step on.
    """
    traced = isinstance(covariance, Tracer)
    matrix = covariance if traced else np.asarray(covariance)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"Expected a square covariance matrix; got shape {matrix.shape}.")
    _check_dimensions(matrix.shape[0])
    if traced:
        return _isoscore_of_covariance(jnp, matrix)
    if not any(jnp.issubdtype(matrix.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"Expected real numbers as covariance; got dtype {matrix.dtype}.")
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("The covariance contains NaN or infinity.")
    with np.errstate(invalid="ignore"):  # of zeros: NaN, as documented
        return jnp.asarray(_isoscore_of_covariance(np, matrix), jnp.float32)


def _isoscore_of_covariance(xp, matrix):
    matrix = matrix / xp.max(xp.abs(matrix))
    ratio = xp.trace(matrix) ** 2 / xp.sum(matrix**2)
    return xp.clip((ratio - 1) / (matrix.shape[0] - 1), 0, 1)


def _check_dimensions(d: int) -> None:
    if d < 2:
        raise ValueError(f"IsoScore needs at least 2 dimensions; got {d}.")


@jax.jit
def isoscore_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """IsoScore without the checks of `isoscore`: arrays in, a number out."""
    return jnp.clip(_participation_excess(points) / (points.shape[1] - 1), 0, 1)


def participation_ratio(points: ArrayLike) -> Float[Array, ""]:
    """How many directions the points use: tr(C)² / ‖C‖_F² of their covariance C.

    IsoScore is this, mapped from 1…d to 0…1: ratio = IsoScore · (d - 1) + 1.

    Args:
        points: shape (n, d), one point a row; n at least 2.

    Returns:
        A scalar from 1 to d; NaN if all points coincide.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.

    Reference: Bell and Dean (1970), "Atomic vibrations in vitreous silica".
    """
    return participation_ratio_of_points(as_points(points, least=2))


@jax.jit
def participation_ratio_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """`participation_ratio` without its checks."""
    return 1 + jnp.clip(_participation_excess(points), 0, points.shape[1] - 1)


def _participation_excess(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """tr(C)² / ‖C‖_F² - 1, to full relative precision.

    tr(C)² and ‖C‖_F² agree in nearly all their digits when one direction dominates, so their
    difference is never taken. Splitting off any unit vector v, with s = Xv, R = X - svᵀ and
    c = Rᵀs, gives exactly (up to the common factor n²)

        tr(C)² - ‖C‖_F² = 2·‖s‖²·‖R‖_F² + ‖R‖_F⁴ - ‖RᵀR‖_F² - 2·‖c‖²

    which is free of cancellation as soon as v is near the main direction.
    """
    n, d = points.shape
    x = _centred_to_unit_size(points)
    v = jax.lax.stop_gradient(_main_direction(x))
    along = _dot(x, v)
    rest = x - along[:, None] * v[None, :]
    variance_along, variance_rest = jnp.sum(along**2), jnp.sum(rest**2)
    # RᵀR and RRᵀ have the same norm: take the smaller.
    gram = _dot(rest, rest.T) if n < d else _dot(rest.T, rest)
    gram_norm = jnp.sum(gram**2)
    cross = jnp.sum(_dot(along, rest) ** 2)
    difference = 2 * variance_along * variance_rest + variance_rest**2 - gram_norm - 2 * cross
    norm = variance_along**2 + gram_norm + 2 * cross
    return difference / norm


def _centred_to_unit_size(points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    x = points - jnp.mean(points, axis=0, keepdims=True)
    # The first mean is rounded to the precision of the data; the mean of what is left is not.
    x = x - jnp.mean(x, axis=0, keepdims=True)
    # Points in one place must not be told apart from their mean by its rounding error.
    x = jnp.where(jnp.all(points == points[:1]), 0, x)
    # Unit size keeps fourth powers inside the range of float32.
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    return x / jnp.where(size > 0, size, 1)


def _main_direction(x: Float[Array, "n d"]) -> Float[Array, " d"]:
    """A unit vector near the first principal component, by power iteration.

    It starts from the axis of largest variance. A direction that dominates has at least 1/√d of
    its length along that axis, so the start is good where accuracy is needed; elsewhere any unit
    vector will do. (The farthest point may be an outlier at right angles to it.)
    """
    largest = jnp.argmax(jnp.sum(x**2, axis=0))
    v = jax.nn.one_hot(largest, x.shape[1], dtype=x.dtype)
    for _ in range(POWER_ITERATIONS):
        v = _dot(_dot(x, v), x)
        v = v / jnp.maximum(jnp.max(jnp.abs(v)), jnp.finfo(x.dtype).tiny)
    return v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(x.dtype).tiny)


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)


def effective_rank(points: ArrayLike) -> Float[Array, ""]:
    """How many directions the points use: exp of the entropy of their normalised singular values.

    With singular values σ of the centred points and p = σ / Σσ, this is exp(-Σ p·log p). Roy and
    Vetterli take the singular values of the matrix as it is; it is centred here, so that moving
    all points changes nothing. The participation ratio weighs variances σ² instead, and is smaller.

    Args:
        points: shape (n, d), one point a row; n at least 2.

    Returns:
        A scalar from 1 to min(n - 1, d); NaN if all points coincide.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.

    Reference: Roy and Vetterli (2007), "The effective rank: A measure of effective dimensionality".

    Example:
        >>> round(float(effective_rank([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 4)
        2.0
    """
    return effective_rank_of_points(as_points(points, least=2))


@jax.jit
def effective_rank_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """`effective_rank` without its checks.

    Not from the covariance: its rounding errors would count as singular values of 3e-4 each.
    """
    x = _centred_to_unit_size(points)
    if x.shape[0] > x.shape[1]:
        x = jnp.linalg.qr(x, mode="r")  # the same singular values, in a smaller matrix
    singular = jnp.linalg.svd(x, compute_uv=False)
    share = singular / jnp.sum(singular)
    return jnp.exp(jnp.sum(jax.scipy.special.entr(share)))


def mean_cosine(points: ArrayLike) -> Float[Array, ""]:
    """Mean cosine between two different points: 0 if directions are random, 1 if all agree.

    Costs O(n·d): cosines of all pairs add up to (‖Σ u‖² - n) / 2, u being points of unit length.

    Args:
        points: shape (n, d), one point a row; n at least 2. Not centred: the origin matters.

    Returns:
        A scalar from -1 / (n - 1) to 1.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value, or a point at the origin,
            which has no direction (where points are traced, its cosines count as 0 instead).

    Reference: Ethayarajh (2019), "How Contextual are Contextualized Word Representations?".

    Example:
        >>> float(mean_cosine([[2.0, 0.0], [0.0, 1.0]]))
        0.0
    """
    checked = as_points(points, least=2, translate=False)
    if not isinstance(checked, Tracer):
        _check_directions(checked)
    return mean_cosine_of_points(checked)


def _check_directions(points: Float[Array, "n d"]) -> None:
    with jax.ensure_compile_time_eval():
        at_origin = ~jnp.any(jnp.abs(points) >= jnp.finfo(points.dtype).tiny, axis=1)
        row = int(jnp.argmax(at_origin)) if bool(jnp.any(at_origin)) else None
    if row is not None:
        raise ValueError(
            f"points[{row}] is zero (in {points.dtype}), which has no direction: leave it out."
        )


@jax.jit
def mean_cosine_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """`mean_cosine` without its checks; cosines with a point at the origin count as 0."""
    n = points.shape[0]
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points), axis=1, keepdims=True))
    x = points / jnp.where(size > 0, size, 1)
    squares = jnp.sum(x**2, axis=1, keepdims=True)
    unit = x * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))
    total = jnp.sum(jnp.sum(unit, axis=0) ** 2)
    return (total - jnp.sum(unit**2)) / n / (n - 1)


def isotropy_score(points: ArrayLike) -> Float[Array, ""]:
    """Isotropy score of Mu and Viswanath: 1 if points look the same from every direction.

    The smallest over the largest Z(m) = Σᵢ exp(mᵀvᵢ), over unit eigenvectors m of VᵀV, which is not
    centred. The sign of an eigenvector is arbitrary but changes Z, so **both signs of every
    eigenvector** are taken, 2d directions in all; the published definition leaves the sign open
    and takes d. `log_partitions` gives the values for any other rule.

    Unlike IsoScore it depends on the origin and on the scale: points times 10 score about the tenth
    power. Where eigenvalues coincide, the directions, and so the score, are not determined.

    Args:
        points: shape (n, d), one point a row.

    Returns:
        A scalar from 0 to 1; never overflows, and underflows to 0 where Z differ by e¹⁰⁰.

    Raises:
        ValueError: no points, a NaN or an infinite value.

    Reference: Mu and Viswanath (2018), "All-but-the-Top: Simple and Effective Postprocessing for
    Word Representations", Section 2; paper B, Table 3.

    Example:
        >>> float(isotropy_score([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        1.0
    """
    return isotropy_score_of_points(as_points(points, translate=False))


@jax.jit
def isotropy_score_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """`isotropy_score` without its checks."""
    partitions = log_partitions(points)
    return jnp.exp(jnp.min(partitions) - jnp.max(partitions))


def log_partitions(points: Float[Array, "n d"]) -> Float[Array, "2 d"]:
    """Log Z of `isotropy_score` for each eigenvector, by rising eigenvalue, and for its negative.

    Which eigenvector is in the first row and which in the second is arbitrary.
    """
    size = jnp.max(jnp.abs(points))
    unit = points / jnp.where(size > 0, size, 1)
    _, directions = jnp.linalg.eigh(_dot(unit.T, unit))
    along = _dot(points, directions)  # eigenvectors are the columns
    both = jnp.stack([along, -along])
    return jax.scipy.special.logsumexp(both, axis=1)
