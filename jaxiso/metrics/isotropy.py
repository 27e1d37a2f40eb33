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

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from jaxiso.metrics.dimension import excess_on_host, participation_excess
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.moments import blocks, origin, unit_rows
from jaxiso.metrics.points import OnMesh, Points, dot, in_range, lengths, metric


def _isoscore_on_host(points: np.ndarray, corrected: bool) -> float:
    n, d = points.shape
    _check_dimensions(d)
    excess = excess_on_host(points)
    return float(_corrected(np, excess, n, d)) if corrected else min(excess / (d - 1), 1.0)


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
            that samples of different sizes cannot be compared. With ν = n - 1, and t and q the
            trace and the squared norm of the covariance, tr(Σ)² and ‖Σ‖² of normal data have the
            unbiased estimates a₁ = ν·((ν + 1)·t² - 2q) and a₂ = ν·(νq - t²), up to one factor, and
            the score is (a₁/a₂ - 1) / (d - 1). Needs n at least 4.
        mesh: a `jax.sharding.Mesh` with one axis, whose devices share the points: an array of the
            host is spread over them, one that is spread by rows stays where it is. n need not
            divide.

    Returns:
        A scalar from 0 to 1; NaN if all points coincide, where no direction varies at all. With
        `corrected` it may be above 1, as an unbiased estimate of 1 has to be now and then, and is
        NaN or infinite where a₂ is zero: where a few points all vary alike.

    Raises:
        ValueError: fewer than two points (four with `corrected`) or dimensions, a NaN or an
            infinite value, a mesh of several axes, or of more devices than points.

    References: Rudman et al. (2022), Algorithm 1; for the estimates Srivastava (2005), "Some tests
    concerning the covariance matrix in high dimensional data".

    Example:
        >>> float(isoscore([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        1.0
    """
    d = points.shape[1]
    _check_dimensions(d)
    rows = mesh or ALL
    excess = participation_excess(points, rows)
    if corrected:
        return _corrected(jnp, jnp.maximum(excess, 0), rows.count(points), d)
    return jnp.clip(excess / (d - 1), 0, 1)


def _corrected(xp, excess, n, d: int):
    """The corrected score from e = t²/q - 1, in which a₁/a₂ - 1 is (ν + 2)·e / (ν - 1 - e).

    Nothing cancels where one direction dominates, as it would in a₁ and a₂ themselves.
    """
    if isinstance(n, int) and n < 4:
        raise ValueError(f"The corrected IsoScore needs at least 4 points; got {n}.")
    left = n - 2 - excess
    score = (n + 1) * excess / xp.where(left > 0, left, 1) / (d - 1)
    return xp.where(left > 0, score, xp.where(left == left, xp.inf, xp.nan))


def isoscore_from_covariance(covariance: ArrayLike, *, n: int | None = None) -> Float[Array, ""]:
    """IsoScore from a covariance matrix.

    A concrete matrix is taken in float64. A traced one is limited by the rounding of its own type:
    in float32 the relative error is about 1e-7 / (score·(d - 1)), as where one direction dominates
    the others are lost in it; `isoscore` of the points has no such limit.

    Args:
        covariance: shape (d, d), symmetric, up to any positive factor.
        n: number of points that it is the covariance of, at least 4, to get the corrected score, as
            `isoscore` has it; by default the plain one.

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
    points: Any,
    reference_covariance: Any = None,
    zeta: Any = 0.2,
    *,
    mesh: Any = None,
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


def isoscore_from_eigenvalues(eigenvalues: np.ndarray, d: int, *, n: int | None = None) -> float:
    """IsoScore from eigenvalues of the covariance, in float64 on the host.

    Args:
        eigenvalues: those that are not zero, as from `jaxiso.metrics.dimension`, and perhaps more.
        d: dimensions of the points, at least 2.
        n: number of points, to get the corrected score, as `isoscore` has it; NaN below 4.

    Returns:
        From 0 to 1 (the corrected one may be above); NaN if all eigenvalues are zero.
    """
    _check_dimensions(d)
    if not eigenvalues.max() > 0 or (n is not None and n < 4):
        return float("nan")
    v = np.ldexp(eigenvalues, -np.frexp(eigenvalues.max())[1])
    excess = max(v.sum() ** 2 / (v**2).sum() - 1, 0.0)
    return min(excess / (d - 1), 1.0) if n is None else float(_corrected(np, excess, n, d))


def _check_dimensions(d: int) -> None:
    if d < 2:
        raise ValueError(f"IsoScore needs at least 2 dimensions; got {d}.")


def mean_cosine(points: ArrayLike, *, mesh: Any = None) -> Float[Array, ""]:
    """Mean cosine between two different points: 0 if directions are random, 1 if all agree.

    Costs O(n·d): cosines of all pairs add up to (‖Σ u‖² - n) / 2, u being points of unit length.

    Args:
        points: shape (n, d), one point a row; n at least 2. Not centred: the origin matters.
        mesh: devices that share the points, as in `isoscore`.

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
    value, at_origin = _mean_cosine(points, mesh=mesh)
    known = not isinstance(points, Tracer) and not isinstance(at_origin, Tracer)
    if known and float(at_origin) > 0:
        where = ""
        if not isinstance(points, jax.Array) or points.is_fully_addressable:
            checked = np.asarray(points)
            lost = ~checked.astype(np.promote_types(checked.dtype, value.dtype)).any(axis=1)
            where = f"points[{int(np.argmax(lost))}] is zero: "
        raise ValueError(f"{where}a point at the origin has no direction: leave it out.")
    return value


def _cosine_on_host(points: np.ndarray) -> tuple[float, int]:
    total, squares, directed = np.zeros(points.shape[1]), 0.0, 0
    for x in blocks(points):
        unit, has = unit_rows(x)
        total += unit.sum(axis=0)
        squares += np.sum(unit**2)
        directed += int(has.sum())
    n = len(points)
    return float((total @ total - squares) / n / (n - 1)), n - directed


@metric(least=2, host=_cosine_on_host)
def _mean_cosine(
    points: Points, *, mesh: OnMesh = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The mean cosine, and how many points are at the origin."""
    rows = mesh or ALL
    n = rows.count(points)
    points = in_range(points, axis=1)
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points), axis=1, keepdims=True))
    x = points / jnp.where(size > 0, size, 1)
    squares = jnp.sum(x**2, axis=1, keepdims=True)
    unit = x * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))
    total = jnp.sum(rows.sum(unit) ** 2)
    zeros = rows.sum((size[:, 0] == 0).astype(points.dtype))
    return (total - jnp.sum(rows.sum(unit**2))) / n / (n - 1), zeros


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


def _isotropy_on_host(points: np.ndarray) -> float:
    logs = _partitions_on_host(points)
    return float(np.exp(logs.min() - logs.max()))


@metric(host=_isotropy_on_host)
def isotropy_score(points: Points, *, mesh: OnMesh = None) -> Float[Array, ""]:
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
        mesh: devices that share the points, as in `isoscore`.

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
    rows = mesh or ALL
    size = rows.max(jnp.max(jnp.abs(points)))
    points = points * jnp.where(size > 1e30, 1e-10, 1).astype(points.dtype)
    partitions = _log_partitions(points, rows)
    return jnp.exp(jnp.min(partitions) - jnp.max(partitions))


def _partitions_on_host(points: np.ndarray) -> np.ndarray:
    n, d = points.shape
    size = max(float(np.abs(x).max()) for x in blocks(points)) or 1.0
    if n < d:
        unit = points.astype(np.float64) / size
        vectors = np.linalg.eigh(unit @ unit.T)[1]
        along = [vectors * (np.linalg.norm(vectors.T @ unit, axis=1) * size)]
    else:
        gram = np.zeros((d, d))
        for x in blocks(points):
            gram += (x / size).T @ (x / size)
        vectors = np.linalg.eigh(gram)[1]
        along = (x @ vectors for x in blocks(points))
    both = np.full((2, vectors.shape[1]), -np.inf)
    for x in along:
        both = np.logaddexp(both, logsumexp(np.stack([x, -x]), axis=1))
    return np.pad(both, ((0, 0), (d - both.shape[1], 0)), constant_values=np.log(n))


@metric(host=_partitions_on_host)
def log_partitions(points: Points, *, mesh: OnMesh = None) -> Float[Array, "2 d"]:
    """Log Z of `isotropy_score` for each eigenvector, by rising eigenvalue, and for its negative.

    Which eigenvector is in the first row and which in the second is arbitrary. Costs
    O(n·d·min(n, d)). Points, mesh and errors are those of `isotropy_score`.
    """
    return _log_partitions(points, mesh or ALL)


def _log_partitions(points: Float[Array, "n d"], rows: Rows) -> Float[Array, "2 d"]:
    n, d = points.shape
    size = rows.max(jnp.max(jnp.abs(points)))
    unit = points / jnp.where(size > 0, size, 1)
    if n < d and rows.axis is None and rows.real is None:
        # With VVᵀu = σ²u, the eigenvector Vᵀu / σ of VᵀV has V(Vᵀu / σ) = σu; all others have 0.
        vectors = _eigenvectors(dot(unit, unit.T))
        along = vectors * (lengths(dot(vectors.T, unit)) * size)[None, :]
    else:
        vectors = _eigenvectors(rows.everywhere(dot(unit.T, unit)))  # they are the columns
        along = dot(points, vectors)
    both = jnp.stack([along, -along], axis=1)
    largest = rows.max(jnp.max(rows.only(both, fill=-jnp.inf), axis=0))
    both = jnp.log(rows.sum(jnp.exp(both - largest[None]))) + largest
    nowhere = jnp.log(jnp.asarray(rows.count(points), points.dtype))
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
