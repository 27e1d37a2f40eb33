"""How evenly a cloud of points uses the directions of its space.

IsoScore is due to Rudman, Gillman, Rayne and Eickhoff (2022), "IsoScore: Measuring the Uniformity
of Embedding Space Utilization". Their seven steps (principal components, variances, their
normalised distance to the all-ones vector, rescaling) reduce to a ratio of two invariants of the
covariance C of the points, which needs no eigen-decomposition:

    IsoScore = (tr(C)² / ‖C‖_F² - 1) / (d - 1)

tr(C)²/‖C‖_F² is the participation ratio of the variances: how many directions are in use
(`jaxiso.metrics.dimension`). IsoScore ignores where the origin is; the mean cosine, and the
isotropy score of Mu and Viswanath, look at the directions that are seen from it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxiso.metrics.dimension import participation_excess
from jaxiso.metrics.points import Points, as_points, dot, in_range, lengths, metric


@metric(least=2, translate=True, scale=True)
def isoscore(points: Points) -> Float[Array, ""]:
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
    d = points.shape[1]
    _check_dimensions(d)
    return jnp.clip(participation_excess(points) / (d - 1), 0, 1)


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
        return _from_covariance(jnp, matrix)
    if not any(jnp.issubdtype(matrix.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"Expected real numbers as covariance; got dtype {matrix.dtype}.")
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("The covariance contains NaN or infinity.")
    with np.errstate(invalid="ignore"):  # of zeros: NaN, as documented
        return jnp.asarray(_from_covariance(np, matrix), jax.dtypes.canonicalize_dtype(np.float64))


def _from_covariance(xp, matrix):
    matrix = matrix / xp.max(xp.abs(matrix))
    ratio = xp.trace(matrix) ** 2 / xp.sum(matrix**2)
    return xp.clip((ratio - 1) / (matrix.shape[0] - 1), 0, 1)


def isoscore_from_eigenvalues(eigenvalues: np.ndarray, d: int) -> float:
    """IsoScore from eigenvalues of the covariance, in float64 on the host.

    Args:
        eigenvalues: those that are not zero, as from `jaxiso.metrics.dimension`, and perhaps more.
        d: dimensions of the points, at least 2.

    Returns:
        From 0 to 1; NaN if all eigenvalues are zero.
    """
    _check_dimensions(d)
    if not eigenvalues.max() > 0:
        return float("nan")
    v = np.ldexp(eigenvalues, -np.frexp(eigenvalues.max())[1])
    return float(np.clip((v.sum() ** 2 / (v**2).sum() - 1) / (d - 1), 0, 1))


def _check_dimensions(d: int) -> None:
    if d < 2:
        raise ValueError(f"IsoScore needs at least 2 dimensions; got {d}.")


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
    return _mean_cosine(checked)


def _check_directions(points: Float[Array, "n d"]) -> None:
    with jax.ensure_compile_time_eval():
        row, at_origin = _first_at_origin(points)
    if at_origin:
        raise ValueError(
            f"points[{row}] is zero (in {points.dtype}), which has no direction: leave it out."
        )


@jax.jit
def _first_at_origin(points: Float[Array, "n d"]) -> tuple[Array, Array]:
    at_origin = ~jnp.any(in_range(points, axis=1) != 0, axis=1)
    return jnp.argmax(at_origin), jnp.any(at_origin)


@metric(least=2)
def _mean_cosine(points: Points) -> Float[Array, ""]:
    n = points.shape[0]
    points = in_range(points, axis=1)
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points), axis=1, keepdims=True))
    x = points / jnp.where(size > 0, size, 1)
    squares = jnp.sum(x**2, axis=1, keepdims=True)
    unit = x * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))
    total = jnp.sum(jnp.sum(unit, axis=0) ** 2)
    return (total - jnp.sum(unit**2)) / n / (n - 1)


def mean_cosine_on_host(points: np.ndarray) -> float:
    """`mean_cosine` in float64 without a program to compile, for tables of many clouds.

    Args:
        points: shape (n, d), finite. Those that are zero have no direction and are left out.

    Returns:
        NaN if fewer than two points are not zero.
    """
    points = points.astype(np.float64)
    size = np.linalg.norm(points, axis=1)
    unit = points[size > 0] / size[size > 0, None]
    n = len(unit)
    return float(((unit.sum(axis=0) ** 2).sum() - n) / n / (n - 1)) if n > 1 else float("nan")


def random_cosines(points: np.ndarray, pairs: int, seed: int) -> np.ndarray:
    """Cosines of random pairs of different points; of all pairs where they are fewer.

    Args:
        points: shape (n, d), finite. Pairs with a point at the origin have none, and are left out.
        pairs: number of pairs at most.
        seed: that they are drawn from.
    """
    n = len(points)
    if n * (n - 1) // 2 <= pairs:
        first, second = np.triu_indices(n, 1)
    else:
        random = np.random.default_rng(seed)
        first = random.integers(0, n, pairs)
        second = (first + random.integers(1, n, pairs)) % n
    a, b = points[first].astype(np.float64), points[second].astype(np.float64)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1)[size > 0] / size[size > 0]


@metric()
def isotropy_score(points: Points) -> Float[Array, ""]:
    """Isotropy score of Mu and Viswanath: 1 if points look the same from every direction.

    The smallest over the largest Z(m) = Σᵢ exp(mᵀvᵢ), over unit eigenvectors m of VᵀV, which is not
    centred. The sign of an eigenvector is arbitrary but changes Z, so **both signs of every
    eigenvector** are taken, 2d directions in all; the published definition leaves the sign open
    and takes d. `log_partitions` gives the values for any other rule.

    Unlike IsoScore it depends on the origin and on the scale: points times 10 score about the tenth
    power. Where eigenvalues coincide, the directions, and so the score, are not determined; its
    derivative then holds them in place.

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
    # Longer points would leave the range, and score 0 or 1 in any case.
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points)))
    partitions = log_partitions(points * jnp.where(size > 1e30, 1e-10, 1).astype(points.dtype))
    return jnp.exp(jnp.min(partitions) - jnp.max(partitions))


@metric()
def log_partitions(points: Points) -> Float[Array, "2 d"]:
    """Log Z of `isotropy_score` for each eigenvector, by rising eigenvalue, and for its negative.

    Which eigenvector is in the first row and which in the second is arbitrary. Costs
    O(n·d·min(n, d)). Points and errors are those of `isotropy_score`.
    """
    n, d = points.shape
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points)))
    unit = points / jnp.where(size > 0, size, 1)
    if n < d:
        # With VVᵀu = σ²u, the eigenvector Vᵀu / σ of VᵀV has V(Vᵀu / σ) = σu; all others have 0.
        vectors = _eigenvectors(dot(unit, unit.T))
        along = vectors * (lengths(dot(vectors.T, unit)) * size)[None, :]
    else:
        along = dot(points, _eigenvectors(dot(unit.T, unit)))  # they are the columns
    both = jax.scipy.special.logsumexp(jnp.stack([along, -along]), axis=1)
    nowhere = jnp.log(jnp.asarray(n, points.dtype))
    return jnp.pad(both, ((0, 0), (d - both.shape[1], 0)), constant_values=nowhere)


@jax.custom_jvp
def _eigenvectors(gram: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """Eigenvectors as columns, by rising eigenvalue; those of one eigenvalue are held in place."""
    return jnp.linalg.eigh(gram)[1]


@_eigenvectors.defjvp
def _eigenvectors_jvp(primals, tangents):
    values, vectors = jnp.linalg.eigh(*primals)
    gaps = values[None, :] - values[:, None]
    apart = jnp.abs(gaps) > len(values) * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    turned = dot(dot(vectors.T, tangents[0]), vectors) / jnp.where(apart, gaps, jnp.inf)
    return vectors, dot(vectors, turned)
