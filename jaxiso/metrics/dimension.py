"""How many directions a cloud of points uses: participation ratio, effective rank, variances.

All ignore where the points are and how large they are. For tables of many clouds of different
sizes, each of which would be a program to compile, there are the eigenvalues of the covariance in
float64 on the host, and the same numbers from them.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import centred, dot
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.moments import centred_gram
from jaxiso.metrics.points import OnMesh, Points, metric

# Centred data shrink the angle to the main direction by (second / first variance)² in each pass;
# the passes matter only where that ratio is below 1e-3, so three of them are plenty.
POWER_ITERATIONS = 3


def _participation_on_host(points: np.ndarray) -> float:
    return 1 + min(excess_and_norm_on_host(points)[0], points.shape[1] - 1)


@metric(least=2, translate=True, scale=True, host=_participation_on_host)
def participation_ratio(points: Points, *, mesh: OnMesh = None) -> Float[Array, ""]:
    """How many directions the points use: tr(C)² / ‖C‖_F² of their covariance C.

    IsoScore is this, mapped from 1…d to 0…1: ratio = IsoScore · (d - 1) + 1.

    Args:
        points: shape (n, d), one point a row; n at least 2.
        mesh: devices that share the points, as in `jaxiso.metrics.isotropy.isoscore`.

    Returns:
        A scalar from 1 to d; NaN if all points coincide.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.

    Reference: Bell and Dean (1970), "Atomic vibrations in vitreous silica".
    """
    excess, _ = excess_and_fourth(points, mesh or ALL)
    return 1 + jnp.clip(excess, 0, points.shape[1] - 1)


def excess_and_norm_on_host(points: np.ndarray) -> tuple[float, float]:
    """tr(C)² / ‖C‖_F² - 1 in NumPy and double precision, at least 0; and ‖XᵀX‖_F²."""
    gram = centred_gram(points)
    norm = float(np.vdot(gram, gram))
    excess = max(float(np.trace(gram)) ** 2 / norm - 1, 0.0) if norm > 0 else float("nan")
    return excess, norm


def excess_and_fourth(
    points: Float[Array, "n d"], rows: Rows = ALL
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """tr(C)² / ‖C‖_F² - 1, to full relative precision, and Σ‖x‖⁴ / ‖XᵀX‖_F² of centred points.

    tr(C)² and ‖C‖_F² agree in nearly all their digits when one direction dominates, so their
    difference is never taken. Splitting off any unit vector v, with s = Xv, R = X - svᵀ and
    c = Rᵀs, gives exactly (up to the common factor n²)

        tr(C)² - ‖C‖_F² = 2·‖s‖²·‖R‖_F² + ‖R‖_F⁴ - ‖RᵀR‖_F² - 2·‖c‖²

    which is free of cancellation as soon as v is near the main direction.
    """
    n, d = points.shape
    x = centred(points, rows)
    v = jax.lax.stop_gradient(_main_direction(x, rows))
    along = dot(x, v)
    rest = x - along[:, None] * v[None, :]
    variance_along, variance_rest = rows.sum(along**2), jnp.sum(rows.sum(rest**2))
    # RᵀR and RRᵀ have the same norm: take the smaller.
    few = n < d and rows.axis is None
    gram = dot(rest, rest.T) if few else rows.everywhere(dot(rest.T, rest))
    gram_norm = jnp.sum(gram**2)
    cross = jnp.sum(rows.everywhere(dot(along, rest)) ** 2)
    difference = 2 * variance_along * variance_rest + variance_rest**2 - gram_norm - 2 * cross
    norm = variance_along**2 + gram_norm + 2 * cross
    fourth = jnp.sum(rows.sum(jnp.sum(x**2, axis=1) ** 2))
    safe = jnp.where(norm > 0, norm, 1)
    excess = jnp.where(norm > 0, difference / safe, jnp.nan)
    return excess, jnp.where(norm > 0, fourth / safe, jnp.nan)


def _main_direction(x: Float[Array, "n d"], rows: Rows) -> Float[Array, " d"]:
    """A unit vector near the first principal component, by power iteration.

    It starts from the axis of largest variance. A direction that dominates has at least 1/√d of
    its length along that axis, so the start is good where accuracy is needed; elsewhere any unit
    vector will do. (The farthest point may be an outlier at right angles to it.)
    """
    largest = jnp.argmax(rows.sum(x**2))
    v = jax.nn.one_hot(largest, x.shape[1], dtype=x.dtype)
    for _ in range(POWER_ITERATIONS):
        v = rows.everywhere(dot(dot(x, v), x))
        v = v / jnp.maximum(jnp.max(jnp.abs(v)), jnp.finfo(x.dtype).tiny)
    return v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(x.dtype).tiny)


def _effective_rank_on_host(points: np.ndarray) -> float:
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        return effective_rank_from_eigenvalues(covariance_eigenvalues(points))
    # Eigenvalues of a covariance are squares, and have half the digits that are asked for here.
    x = points.astype(np.float64) - points[0]
    x = x - x.mean(axis=0)
    singular = np.linalg.svd(x, compute_uv=False)
    return entropy_rank_on_host(singular)


def entropy_rank_on_host(singular: np.ndarray) -> float:
    """`entropy_rank` in NumPy and double precision."""
    singular = singular[singular > 10 * np.finfo(np.float64).eps * singular.max()]
    share = singular / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else float("nan")


@metric(least=2, translate=True, scale=True, host=_effective_rank_on_host)
def effective_rank(points: Points, *, mesh: OnMesh = None) -> Float[Array, ""]:
    """How many directions the points use: exp of the entropy of their normalised singular values.

    With singular values σ of the centred points and p = σ / Σσ, this is exp(-Σ p·log p). Roy and
    Vetterli take the singular values of the matrix as it is; it is centred here, so that moving
    all points changes nothing. The participation ratio weighs variances σ² instead, and is smaller.
    Directions that no point takes count as constant in its derivative, which has no limit there.

    Args:
        points: shape (n, d), one point a row; n at least 2.
        mesh: devices that share the points, as in `jaxiso.metrics.isotropy.isoscore`.

    Returns:
        A scalar from 1 to min(n - 1, d); NaN if all points coincide.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.

    Reference: Roy and Vetterli (2007), "The effective rank: A measure of effective dimensionality".

    Example:
        >>> round(float(effective_rank([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 4)
        2.0
    """
    # Not from the covariance: its rounding errors would count as singular values of 3e-4 each.
    rows = mesh or ALL
    return entropy_rank(singular_values(centred(points, rows), rows.axis))


def entropy_rank(singular: Float[Array, " m"]) -> Float[Array, ""]:
    """Exp of the entropy of singular values' shares; NaN if all are zero."""
    total = jnp.sum(singular)
    share = singular / jnp.where(total > 0, total, 1)
    taken = share > 10 * jnp.finfo(share.dtype).eps * jnp.max(share)
    entropy = jnp.where(taken, entr(jnp.where(taken, share, 1)), jax.lax.stop_gradient(entr(share)))
    return jnp.where(total > 0, jnp.exp(jnp.sum(entropy)), jnp.nan)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def singular_values(x: Float[Array, "n d"], axis: str | None = None) -> Float[Array, " m"]:
    """Singular values, largest first, not centred; with derivatives also where some are zero.

    Args:
        x: the matrix, or the rows of it that one device has; rows of zeros change nothing.
        axis: the axis of a mesh over which rows are spread, inside of `jax.shard_map`.
    """
    return jnp.linalg.svd(_triangle(x, axis), compute_uv=False)


def _triangle(x: Array, axis: str | None) -> Array:
    """A matrix of at most as many rows with the same singular values and right vectors."""
    if x.shape[0] > x.shape[1]:
        x = jnp.linalg.qr(x, mode="r")
    if axis is None:
        return x
    return jnp.linalg.qr(Rows(axis=axis).gathered(x).reshape(-1, x.shape[1]), mode="r")


@singular_values.defjvp
def _singular_values_jvp(axis, primals, tangents):
    # The derivative of QR divides by R, and is lost where that is singular.
    if axis is None:
        u, singular, vt = jnp.linalg.svd(*primals, full_matrices=False)
        return singular, jnp.sum(u * dot(tangents[0], vt.T), axis=0)
    _, singular, vt = jnp.linalg.svd(_triangle(primals[0], axis), full_matrices=False)
    # Each device has its own rows of u, which are those of xv / σ.
    turned = jnp.sum(dot(primals[0], vt.T) * dot(tangents[0], vt.T), axis=0)
    smallest = jnp.finfo(singular.dtype).eps * jnp.max(singular)
    slope = jax.lax.psum(turned, axis) / jnp.where(singular > smallest, singular, jnp.inf)
    return singular, slope


def covariance_eigenvalues(points: np.ndarray) -> np.ndarray:
    """Eigenvalues of the population covariance, largest first, in float64 on the host.

    Compiles nothing, and costs O(n·d·min(n, d)).

    Returns:
        The largest min(n, d) of them, as all others are zero; shape (min(n, d),), at least 0.
    """
    gram = centred_gram(points)
    return np.linalg.eigvalsh(gram)[::-1].clip(0) / len(points)


def effective_rank_from_eigenvalues(eigenvalues: np.ndarray) -> float:
    """`effective_rank` from the eigenvalues of a covariance; NaN if all of them are zero."""
    if not eigenvalues.max() > 0:
        return float("nan")
    # Smaller ones are rounding errors, of which each would count as a direction of 1e-8.
    taken = eigenvalues > len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues.max()
    return entropy_rank_on_host(np.sqrt(eigenvalues[taken] / eigenvalues.max()))
