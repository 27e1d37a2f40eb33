"""How evenly points of unit length are spread over the sphere, by all pairs or by random ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import dot, to_unit_length
from jaxiso.metrics.mesh import ALL
from jaxiso.metrics.moments import unit_rows
from jaxiso.metrics.points import BLOCK, OnMesh, Points, metric
from jaxiso.metrics.spectrum import as_matrix


def _uniformity_on_host(points: np.ndarray, t: float) -> float:
    unit = unit_rows(points)[0]
    n, rows = len(unit), max(1, BLOCK // len(unit))
    largest, total = -np.inf, 0.0
    for start in range(0, n, rows):
        block = unit[start : start + rows]
        exponents = 2 * t * (block @ unit[start:].T - 1)
        exponents[np.tril_indices(len(block))] = -np.inf  # each pair once, and none with itself
        most = max(largest, float(exponents.max()))
        if most > -np.inf:
            new = np.exp(exponents - exponents.dtype.type(most)).sum(dtype=np.float64)
            total, largest = total * np.exp(largest - most) + float(new), most
    return float(np.log(total) + largest - np.log(n * (n - 1) / 2))


@metric(least=2, static=["t"], host=_uniformity_on_host)
def uniformity(points: Points, *, t: float = 2.0, mesh: OnMesh = None) -> Float[Array, ""]:
    """Uniformity: log of the mean of exp(-t·‖x - y‖²) over pairs of points of unit length.

    0 if all points are in one direction; the lower, the more evenly they cover the sphere. Points
    are divided by their length first. Public code takes them as they are, so that it agrees with
    this only where they have length one; and where it means over a whole n × n matrix, each point
    counts as a pair with itself, which raises the number for small n.

    Exact, over all pairs, without an n × n array: O(n²·d) time, O(n·d) memory and a block of
    `BLOCK` numbers. `sampled_uniformity` takes random pairs. Differentiable; a point at the origin
    has no direction, and counts as at right angles to all others.

    Args:
        points: shape (n, d), one point a row; n at least 2. Not centred: the origin matters.
        t: how fast the kernel falls; the authors' 2.
        mesh: devices that share the pairs, as in `jaxiso.isoscore`; each holds all points.

    Returns:
        A scalar from -4t to 0.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.

    Reference: Wang and Isola (2020), "Understanding Contrastive Representation Learning through
    Alignment and Uniformity on the Hypersphere", equation 4.

    Example:
        >>> round(float(uniformity([[1.0, 0.0], [-2.0, 0.0]])), 4)
        -8.0
    """
    rows = mesh or ALL
    unit, _ = to_unit_length(points)
    m = unit.shape[0]
    every = rows.gathered(unit).reshape(-1, unit.shape[1])
    real = jnp.ones(m, bool) if rows.real is None else rows.real
    others = rows.gathered(real.astype(jnp.int32)).reshape(-1) > 0
    before = 0 if rows.axis is None else jax.lax.axis_index(rows.axis) * m
    place = jnp.arange(m) + before

    @jax.checkpoint
    def of_row(row):
        x, number, counts = row
        exponents = 2 * t * (dot(every, x) - 1)
        pairs = others & counts & (jnp.arange(every.shape[0]) != number)
        exponents = jnp.where(pairs, exponents, -jnp.inf)
        most = jax.lax.stop_gradient(jnp.max(exponents, initial=-1e30))
        return jnp.sum(jnp.where(pairs, jnp.exp(exponents - most), 0)), most

    batch = min(m, max(1, BLOCK // every.shape[0]))
    sums, most = jax.lax.map(of_row, (unit, place, real), batch_size=batch)
    largest = rows.max(jnp.max(most))
    total = rows.everywhere(jnp.sum(sums * jnp.exp(most - largest)))
    n = rows.count(points)
    pairs = [jnp.log(jnp.asarray(count, total.dtype)) for count in (n, n - 1)]
    return jnp.log(total) + largest - pairs[0] - pairs[1]


class Uniformity(NamedTuple):
    """Uniformity by random pairs.

    Attributes:
        value: the estimate.
        standard_error: of the value; 0 where all pairs were taken.
        pairs: how many were taken.
    """

    value: float
    standard_error: float
    pairs: int


def sampled_uniformity(
    points: Any, *, pairs: int = 1_000_000, t: float = 2.0, random_state: int = 0
) -> Uniformity:
    """`uniformity` by random pairs of points, where all of them are too many.

    Args:
        points: shape (n, d), concrete.
        pairs: how many to draw, with replacement; all pairs are taken where they are fewer.
        t: as in `uniformity`.
        random_state: seed of the draws.

    Raises:
        ValueError: fewer than two points or pairs, a NaN or an infinite value.
    """
    if pairs < 2:
        raise ValueError(f"pairs is {pairs}, expected at least 2")
    x = as_matrix(points, least=2)
    n, d = x.shape
    if n * (n - 1) // 2 <= pairs:
        return Uniformity(float(uniformity(points, t=t)), 0.0, n * (n - 1) // 2)
    random = np.random.default_rng(random_state)
    first = random.integers(0, n, pairs)
    second = (first + random.integers(1, n, pairs)) % n
    values, step = np.empty(pairs), max(1, BLOCK // d)
    for start in range(0, pairs, step):
        chosen = slice(start, start + step)
        a, b = (unit_rows(x[places[chosen]])[0] for places in (first, second))
        values[chosen] = np.exp(2 * t * ((a * b).sum(axis=1, dtype=np.float64) - 1))
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(pairs) / mean)
    return Uniformity(float(np.log(mean)), error, pairs)
