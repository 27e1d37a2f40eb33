"""How many directions a cloud of points uses: participation ratio, effective rank, variances.

All ignore where the points are and how large they are. For tables of many clouds of different
sizes, each of which would be a program to compile, there are the eigenvalues of the covariance in
float64 on the host, and the same numbers from them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr
from jaxtyping import Array, Float

from jaxiso.metrics.points import Points, centred, dot, metric

# Centred data shrink the angle to the main direction by (second / first variance)² in each pass;
# the passes matter only where that ratio is below 1e-3, so three of them are plenty.
POWER_ITERATIONS = 3

ROWS = 65_536  # taken to float64 at once


@metric(least=2, translate=True, scale=True)
def participation_ratio(points: Points) -> Float[Array, ""]:
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
    return 1 + jnp.clip(participation_excess(points), 0, points.shape[1] - 1)


def participation_excess(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """tr(C)² / ‖C‖_F² - 1, to full relative precision.

    tr(C)² and ‖C‖_F² agree in nearly all their digits when one direction dominates, so their
    difference is never taken. Splitting off any unit vector v, with s = Xv, R = X - svᵀ and
    c = Rᵀs, gives exactly (up to the common factor n²)

        tr(C)² - ‖C‖_F² = 2·‖s‖²·‖R‖_F² + ‖R‖_F⁴ - ‖RᵀR‖_F² - 2·‖c‖²

    which is free of cancellation as soon as v is near the main direction.
    """
    n, d = points.shape
    x = centred(points)
    v = jax.lax.stop_gradient(_main_direction(x))
    along = dot(x, v)
    rest = x - along[:, None] * v[None, :]
    variance_along, variance_rest = jnp.sum(along**2), jnp.sum(rest**2)
    # RᵀR and RRᵀ have the same norm: take the smaller.
    gram = dot(rest, rest.T) if n < d else dot(rest.T, rest)
    gram_norm = jnp.sum(gram**2)
    cross = jnp.sum(dot(along, rest) ** 2)
    difference = 2 * variance_along * variance_rest + variance_rest**2 - gram_norm - 2 * cross
    norm = variance_along**2 + gram_norm + 2 * cross
    return jnp.where(norm > 0, difference / jnp.where(norm > 0, norm, 1), jnp.nan)


def _main_direction(x: Float[Array, "n d"]) -> Float[Array, " d"]:
    """A unit vector near the first principal component, by power iteration.

    It starts from the axis of largest variance. A direction that dominates has at least 1/√d of
    its length along that axis, so the start is good where accuracy is needed; elsewhere any unit
    vector will do. (The farthest point may be an outlier at right angles to it.)
    """
    largest = jnp.argmax(jnp.sum(x**2, axis=0))
    v = jax.nn.one_hot(largest, x.shape[1], dtype=x.dtype)
    for _ in range(POWER_ITERATIONS):
        v = dot(dot(x, v), x)
        v = v / jnp.maximum(jnp.max(jnp.abs(v)), jnp.finfo(x.dtype).tiny)
    return v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(x.dtype).tiny)


@metric(least=2, translate=True, scale=True)
def effective_rank(points: Points) -> Float[Array, ""]:
    """How many directions the points use: exp of the entropy of their normalised singular values.

    With singular values σ of the centred points and p = σ / Σσ, this is exp(-Σ p·log p). Roy and
    Vetterli take the singular values of the matrix as it is; it is centred here, so that moving
    all points changes nothing. The participation ratio weighs variances σ² instead, and is smaller.
    Directions that no point takes count as constant in its derivative, which has no limit there.

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
    # Not from the covariance: its rounding errors would count as singular values of 3e-4 each.
    singular = singular_values(centred(points))
    total = jnp.sum(singular)
    share = singular / jnp.where(total > 0, total, 1)
    taken = share > 10 * jnp.finfo(share.dtype).eps * jnp.max(share)
    entropy = jnp.where(taken, entr(jnp.where(taken, share, 1)), jax.lax.stop_gradient(entr(share)))
    return jnp.where(total > 0, jnp.exp(jnp.sum(entropy)), jnp.nan)


@jax.custom_jvp
def singular_values(x: Float[Array, "n d"]) -> Float[Array, " m"]:
    """Singular values, largest first, not centred; with derivatives also where some are zero."""
    if x.shape[0] > x.shape[1]:
        x = jnp.linalg.qr(x, mode="r")  # the same singular values, in a smaller matrix
    return jnp.linalg.svd(x, compute_uv=False)


@singular_values.defjvp
def _singular_values_jvp(primals, tangents):
    # The derivative of QR divides by R, and is lost where that is singular.
    u, singular, vt = jnp.linalg.svd(*primals, full_matrices=False)
    return singular, jnp.sum(u * dot(tangents[0], vt.T), axis=0)


def covariance_eigenvalues(points: np.ndarray) -> np.ndarray:
    """Eigenvalues of the population covariance, largest first, in float64 on the host.

    Compiles nothing, and costs O(n·d·min(n, d)).

    Args:
        points: shape (n, d), finite.

    Returns:
        The largest min(n, d) of them, as all others are zero; shape (min(n, d),), at least 0.
    """
    n, d = points.shape
    first = points[0].astype(np.float64)  # so that points in one place become zeros
    blocks = [slice(start, start + ROWS) for start in range(0, n, ROWS)]
    mean = sum((points[block] - first).sum(axis=0) for block in blocks) / n
    if n <= d:
        x = points - first - mean
        gram = x @ x.T
    else:
        gram = np.zeros((d, d))
        for block in blocks:
            x = points[block] - first - mean
            gram += x.T @ x
    return np.linalg.eigvalsh(gram)[::-1].clip(0) / n


def effective_rank_from_eigenvalues(eigenvalues: np.ndarray) -> float:
    """`effective_rank` from the eigenvalues of a covariance; NaN if all of them are zero."""
    if not eigenvalues.max() > 0:
        return float("nan")
    share = np.sqrt(eigenvalues / eigenvalues.sum())
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
