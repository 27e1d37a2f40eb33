"""Arithmetic that the metrics share: products in full precision, and sizes that stay in range."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxiso.metrics.mesh import ALL, Rows

# Ways of multiplying float32 numbers; all others round more than these metrics can bear.
PRECISIONS = ("highest", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6", "TF32_TF32_F32_X3")
_precision = "highest"


def dot(a: Array, b: Array) -> Array:
    """The matrix product: in the full precision of its arguments, unless `set_precision` says less.

    Also on accelerators, whose own default would round float32 arguments to 8 or 11 bits.
    """
    return jnp.dot(a, b, precision=product_precision(jnp.promote_types(a.dtype, b.dtype)))


def product_precision(dtype: Any = np.float32) -> Any:
    """How `dot` multiplies numbers of a type, as JAX's and Flax's own functions take it."""
    if _precision == "highest" or dtype != np.float32:
        return jax.lax.Precision.HIGHEST
    return jax.lax.DotAlgorithmPreset[_precision]


def precision() -> str:
    """How `dot` multiplies float32 numbers: one of `PRECISIONS`."""
    return _precision


def set_precision(name: str) -> None:
    """Says how `dot`, and so every metric and trained model, multiplies float32 from now on.

    It is for the whole process, and to be set once, at its start. Programs that JAX has compiled
    are thrown away, as they have the former precision in them.

    Args:
        name: "highest", or an algorithm for tensor cores, which splits each number into a sum of
            two or three of fewer bits: "BF16_BF16_F32_X3" (3 products, errors of about 2⁻¹⁶),
            "BF16_BF16_F32_X6" and "TF32_TF32_F32_X3" (6 and 3 products, about float32's own).

    Raises:
        ValueError: no such name, or one that the device does not have.
    """
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {name!r}.")
    if name.startswith("TF32") and jax.default_backend() == "cpu":
        raise ValueError(f"A CPU does not multiply in {name}; highest is as fast there.")
    if name != _precision:
        _precision = name
        jax.clear_caches()


def lengths(rows: Float[Array, "*rows d"]) -> Float[Array, "*rows"]:
    """Euclidean norms; the derivative at zero is zero."""
    squares = jnp.sum(rows**2, axis=-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def in_range(
    points: Float[Array, "n d"], axis: int | None = None, rows: Rows = ALL
) -> Float[Array, "n d"]:
    """Points near either end of the range of their type, times 2¹⁰⁰ or 2⁻¹⁰⁰; others as they are.

    Sums of them then stay in the range. XLA takes numbers below the smallest normal one for zero,
    so those are read from their bits.

    Args:
        points: shape (n, d).
        axis: 1 to decide for each point by itself, not for all together.
        rows: which points are all together; rows of padding are zero.
    """
    info = jnp.finfo(points.dtype)
    bits = jax.lax.bitcast_convert_type(points, jnp.uint32 if info.bits == 32 else jnp.uint64)
    bits = bits & (2 ** (info.bits - 1) - 1)  # without the sign; in the order of the sizes
    largest = jnp.max(bits, axis=axis, keepdims=axis is not None)
    exponent = (largest if axis is not None else rows.max(largest)) >> info.nmant
    sign = jnp.where(jnp.signbit(points), -1, 1).astype(points.dtype)
    denormal = sign * bits.astype(points.dtype) * 2.0 ** (info.minexp - info.nmant + 100)
    small = jnp.where(bits < 1 << info.nmant, jax.lax.stop_gradient(denormal), points * 2.0**100)
    points = jnp.where(exponent < info.nmant + 2, small, points)
    return jnp.where(exponent > info.maxexp - info.minexp - 28, points * 2.0**-100, points)


def to_unit_size(points: Float[Array, "n d"], rows: Rows = ALL) -> Float[Array, "n d"]:
    """Points times a power of two, so that none is farther than 1 from their mean; exact.

    It keeps squared distances inside the range of float32, and rounds nothing.
    """
    return scaled(in_range(points, rows=rows), rows)[0]


def to_unit_length(
    points: Float[Array, "n d"],
) -> tuple[Float[Array, "n d"], Bool[Array, "n 1"]]:
    """Points divided by their lengths, and which have one; those at the origin stay there."""
    points = in_range(points, axis=1)
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(points), axis=1, keepdims=True))
    x = points / jnp.where(size > 0, size, 1)
    squares = jnp.sum(x**2, axis=1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1)), size > 0


def scaled(
    points: Float[Array, "n d"], rows: Rows = ALL
) -> tuple[Float[Array, "n d"], Float[Array, ""]]:
    """As `to_unit_size`, and the power of two, for points whose squares are in range anyway."""
    size = rows.max(jnp.max(jnp.abs(rows.only(points - rows.mean(points)[None, :]))))
    limit = -jnp.finfo(points.dtype).minexp
    exponent = jnp.clip(-jnp.frexp(size)[1], -limit, limit)
    scale = jax.lax.stop_gradient(jnp.ldexp(jnp.ones((), points.dtype), exponent))
    return points * scale, scale


def centred(points: Float[Array, "n d"], rows: Rows = ALL) -> Float[Array, "n d"]:
    """Points relative to their mean, divided by the largest coordinate, if that is not zero.

    Rows of padding are zero.
    """
    points = in_range(points, rows=rows)
    x = points - rows.mean(points)[None, :]
    # The first mean is rounded to the precision of the data; the mean of what is left is not.
    x = rows.only(x - rows.mean(x)[None, :])
    # Points in one place must not be told apart from their mean by its rounding error.
    x = jnp.where(rows.all(points == rows.first(points)[None, :]), 0, x)
    # Unit size keeps fourth powers inside the range of float32.
    size = rows.max(jnp.max(jnp.abs(x)))
    return x / jnp.where(size > 0, size, 1)


def only_clusters(value: Array, counts: Array, n: int | Array) -> Array:
    """NaN where fewer than two labels have points, or each point has a label of its own."""
    used = jnp.sum(counts > 0, dtype=jnp.int32)
    return jnp.where((used > 1) & (used < n), value, jnp.nan)
