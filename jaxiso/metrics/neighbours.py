"""Intrinsic dimension from the distances to the two nearest neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from sklearn.neighbors import NearestNeighbors

from jaxiso.metrics.arithmetic import scaled
from jaxiso.metrics.arrays import distinct_rows
from jaxiso.metrics.blocks import Tiles, by_point, in_places, middles, squares
from jaxiso.metrics.mesh import ALL
from jaxiso.metrics.points import OnMesh, Points, metric
from jaxiso.metrics.ring import all_pairs
from jaxiso.metrics.spectrum import as_matrix
from jaxiso.metrics.tiles import any_tile_shape, as_plan

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


def twonn(points: Any, *, mesh: Any = None) -> TwoNN:
    """TwoNN: the dimension of the manifold that points lie near, from two neighbours of each.

    Locally uniform points have ratios μ = r₂/r₁ of the distances to their second and first
    neighbour with log(1 - F(μ)) = -d·log μ; d is the slope of that line through the origin, by
    least squares, the largest tenth of μ left out. It is of the smallest scale that the sample
    has, and falls short where d is large: some hundreds of points see hardly more than 20.

    Public code differs: F is i/N here, as in the paper, for the i-th smallest of N ratios
    (scikit-dimension counts i from 0); others take the maximum likelihood, (N - 1) / Σ log μ, which
    leaves no ratio out; and points that occur twice, for which r₁ is 0, make it infinite where they
    are not taken out.

    Costs O(n²·d), exact, in float64 on the host, without an n × n array; or in float32 on devices,
    as `nearest_two` has it.

    Args:
        points: shape (n, d), concrete; at least 3 different ones.
        mesh: a `jax.sharding.Mesh` with one axis, whose devices share the work.

    Raises:
        ValueError: fewer than 3 different points, a NaN or an infinite value, a mesh that cannot be
            used.

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
    if mesh is not None:
        nearest = np.asarray(nearest_two(kept, mesh=mesh))
    else:
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


@metric(least=3, translate=True, by_point=True)
def nearest_two(points: Points, *, mesh: OnMesh = None) -> Float[Array, "n 2"]:
    """The distances from each point to the nearest and the second nearest other point.

    Costs n²·d/2 multiply-adds and O(n·d) memory, shared by the devices of a mesh. In float32,
    neighbours whose distances differ by less than 1e-3 of the spread of all points may be mistaken
    for each other; the distances of those taken are exact. Without a derivative.

    Args:
        points: shape (n, d), at least 3.
        mesh: a `jax.sharding.Mesh` with one axis, whose devices share the work.

    Returns:
        Shape (n, 2), ascending in each row.

    Raises:
        ValueError: fewer than 3 points, a NaN or an infinite value, a mesh that cannot be used.

    Example:
        >>> nearest_two([[0.0], [1.0], [3.0]]).tolist()
        [[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]]
    """
    rows = mesh or ALL
    x, scale = scaled(points, rows)
    plan = as_plan(
        any_tile_shape(len(x), 1), jnp.zeros_like(x, shape=len(x), dtype=jnp.int32), 1, rows
    )
    tiles = Tiles.of(x, plan, middles(x, plan, rows.axis)), in_places(x, plan)
    nothing = jnp.full_like(x, jnp.inf, shape=(*plan.order.shape, 2))
    found = all_pairs(tiles, plan.used, _to_others, _keep_nearest, nothing, rows.axis, merge=_two)
    return jnp.sqrt(by_point(found, plan)) / scale


def _to_others(a: tuple[Tiles, Array], b: tuple[Tiles, Array], apart: bool) -> tuple[Array, Array]:
    """Squared distances between other points; infinite to a point itself, and to padding."""
    (tile_a, _), (tile_b, _) = a, b
    others = (tile_a.labels >= 0)[:, None] & (tile_b.labels >= 0)[None, :]
    if not apart:
        others &= tile_a.order[:, None] != tile_b.order[None, :]
    found = jnp.where(others, squares(tile_a, tile_b, apart), jnp.inf)
    return found, found.T


def _keep_nearest(found, i, a, b, block):
    """Products say which two of a tile are the nearest, and differences how far they are."""
    (_, x_a), (_, x_b) = a, b
    nearest = []
    for _ in range(2):
        column = jnp.argmin(block, axis=1)
        there = jnp.isfinite(jnp.min(block, axis=1))
        nearest.append(jnp.where(there, jnp.sum((x_a - x_b[column]) ** 2, axis=1), jnp.inf))
        taken = column[:, None] == jnp.arange(block.shape[1], dtype=column.dtype)[None, :]
        block = jnp.where(taken, jnp.inf, block)
    return found.at[i].set(_two(found[i], jnp.stack(nearest, axis=1)))


def _two(some: Float[Array, "*n 2"], others: Float[Array, "*n 2"]) -> Float[Array, "*n 2"]:
    """The two smallest of each four, ascending."""
    return jnp.sort(jnp.concatenate([some, others], axis=-1), axis=-1)[..., :2]
