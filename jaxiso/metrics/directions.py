"""How even the directions of points are, as they are seen from the origin.

The mean cosine, and the isotropy score of Mu and Viswanath: both change where points are moved, as
IsoScore (`jaxiso.metrics.isotropy`) does not.
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

from jaxiso.metrics.arithmetic import dot, lengths, to_unit_length
from jaxiso.metrics.mesh import ALL, Rows
from jaxiso.metrics.moments import blocks, unit_rows
from jaxiso.metrics.points import OnMesh, Points, metric


def mean_cosine(points: ArrayLike, *, mesh: Any = None) -> Float[Array, ""]:
    """Mean cosine between two different points: 0 if directions are random, 1 if all agree.

    Costs O(n·d): cosines of all pairs add up to (‖Σ u‖² - n) / 2, u being points of unit length.

    Args:
        points: shape (n, d), one point a row; n at least 2. Not centred: the origin matters.
        mesh: devices that share the points, as in `jaxiso.metrics.isotropy.isoscore`.

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
    unit, directed = to_unit_length(points)
    total = jnp.sum(rows.sum(unit) ** 2)
    zeros = rows.sum((~directed[:, 0]).astype(points.dtype))
    return (total - jnp.sum(rows.sum(unit**2))) / n / (n - 1), zeros


def random_cosines(points: np.ndarray, pairs: int, seed: int) -> np.ndarray:
    """Cosines of random pairs of different points; of all pairs where they are fewer.

    Pairs with a point at the origin have none, and are left out.
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
        mesh: devices that share the points, as in `jaxiso.metrics.isotropy.isoscore`.

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
