"""What every metric is made with: the decorator that checks and compiles it, and shared arithmetic.

A metric is one function of JAX arrays. `metric` wraps it, so that a caller may pass anything like
an array: concrete input is checked, with scikit-learn's wording, and handed to the compiled
function. Under `jit`, `vmap` and `grad` the values are not known: there only shapes are checked,
and the result is NaN where an input turns out to be NaN or infinite.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from jaxiso.metrics.arrays import as_array
from jaxiso.metrics.labels import as_codes, as_given_codes, refuse_masked

if TYPE_CHECKING:
    # A caller passes anything like an array; the function gets a JAX array.
    Points = Labels = Any
else:
    Points, Labels = Float[Array, "_ _"], Int[Array, " _"]

P = ParamSpec("P")
R = TypeVar("R")

# Ways of multiplying float32 numbers; all others round more than these metrics can bear.
PRECISIONS = ("highest", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6", "TF32_TF32_F32_X3")
_precision = "highest"

# Numbers of a block of differences between some points and all others: 16 MB in float32.
BLOCK = 2**22


def metric(
    *,
    least: int = 1,
    translate: bool = False,
    scale: bool = False,
    also: Sequence[str] = (),
    static: Sequence[str] = (),
    plan: Callable[[Any, int], Hashable] | None = None,
    guard: bool = True,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a metric of a function of arrays: it checks concrete arguments, then compiles.

    The function's first parameter are the points. A parameter `labels` becomes codes 0 to k - 1,
    and `num_labels` (keyword-only) their number k. Callers who pass `num_labels`, or a `plan`, give
    codes, which may be traced and need not all occur; else labels are concrete, of any kind.

    Args:
        least: the smallest number of points that the metric is defined for.
        translate: the metric stays the same if all points are moved alike.
        scale: likewise if all are multiplied by one positive number.
        also: further parameters that are arrays of shape (n, d).
        static: further parameters that are compiled into the program.
        plan: makes the argument `plan` from codes and their number where callers give none.
        guard: the result is NaN (-1 for whole numbers) where an array is not finite, or a label is
            not a code. Without it the function itself has to see to that.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        points, *others = signature.parameters
        body: Callable[..., Any] = function

        @wraps(function)
        def guarded(**arguments):
            value = body(**arguments)
            if not guard:
                return value
            usable = [jnp.all(jnp.isfinite(arguments[name])) for name in (points, *also)]
            if "labels" in arguments:
                codes, k = arguments["labels"], arguments["num_labels"]
                usable.append(jnp.all((codes >= 0) & (codes < k)))
            keep = partial(_or_nothing, jnp.all(jnp.stack(usable)))
            return jax.tree.map(keep, value)

        counted = ["num_labels"] if "num_labels" in others else []
        program = jax.jit(guarded, static_argnames=[*counted, *static])

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            given[points] = as_points(given[points], least=least, translate=translate, scale=scale)
            given |= {name: as_points(given[name], translate=False) for name in also}
            kind = np.result_type(*(given[name].dtype for name in (points, *also)))
            given |= {name: given[name].astype(kind) for name in (points, *also)}
            if "labels" in given:
                _number_labels(given, len(given[points]), plan)
            return program(**given)

        return checked

    return decorate


def _or_nothing(usable: Bool[Array, ""], value: Array) -> Array:
    nothing = jnp.nan if jnp.issubdtype(value.dtype, jnp.floating) else -1
    return jnp.where(usable, value, jnp.asarray(nothing, value.dtype))


def _number_labels(given: dict[str, Any], n: int, plan: Callable[[Any, int], Any] | None) -> None:
    """Replaces labels by codes, and fills in their number and a plan."""
    k = given.get("num_labels")
    if given.get("plan") is not None and hasattr(given["plan"], "counts"):
        k = given["plan"].counts.shape[0]
    if k is None:
        codes, k = as_codes(given["labels"], n)
    else:
        codes = as_given_codes(given["labels"], n, k)
    if plan is not None and given["plan"] is None:
        given["plan"] = plan(codes, k)
    given |= {"labels": jnp.asarray(codes), "num_labels": k}


def as_points(
    points: Any, *, least: int = 1, translate: bool = True, scale: bool = False
) -> Float[Array, "n d"]:
    """Checks points and returns them as a JAX array of float32 (float64 where x64 is enabled).

    Points in double precision, and whole numbers, are centred before they are rounded to single
    precision, which keeps points whose mean, or farthest point, is much larger than their spread.

    Args:
        points: one point a row, shape (n, d), of any real type; anything that `as_array` takes.
        least: the smallest number of points that the metric is defined for.
        translate: whether points may be moved, all alike, as most metrics ignore translations.
            False for those that see the origin: points then stay where they are.
        scale: whether points in double precision may be multiplied, all alike, by a power of two.

    Raises:
        ValueError: not a 2-d array of real numbers, fewer than `least` points, no features, or a
            masked, NaN or infinite value, or (without `scale`) values in double precision outside
            of float32's range.
    """
    checked = checked_points(points, least=least)
    if isinstance(checked, Tracer):
        return _traced(checked, translate)
    if not jnp.issubdtype(checked.dtype, jnp.floating) or checked.dtype.itemsize > 4:
        checked = _in_own_precision(np.asarray(checked), translate, scale)
    elif checked.dtype != np.float32:
        checked = checked.astype(np.float32)
    return jnp.asarray(checked)


def checked_points(points: Any, *, least: int = 1) -> Any:
    """Points as an array of NumPy or JAX of their own type; errors as for `as_points`."""
    if isinstance(points, np.ma.MaskedArray):
        refuse_masked(points, "points")
    points = as_array(points)
    if points.ndim != 2:
        raise ValueError(
            f"Expected a 2D array of points, one a row; got an array of shape {points.shape}."
        )
    n, d = points.shape
    if n < least or d < 1:
        raise ValueError(
            f"Found array with {n} point(s) of {d} feature(s) (shape={points.shape}) while a "
            f"minimum of {least} point(s) and 1 feature is required."
        )
    floating = jnp.issubdtype(points.dtype, jnp.floating)
    if not floating and not jnp.issubdtype(points.dtype, jnp.integer):
        raise ValueError(f"Expected real numbers as points; got dtype {points.dtype}.")
    if floating and not isinstance(points, Tracer):
        _check_finite(points)
    return points


def _check_finite(points: jax.Array | np.ndarray) -> None:
    if isinstance(points, np.ndarray):
        finite = np.isfinite(points).all()
    else:
        with jax.ensure_compile_time_eval():  # also while `jit` traces a function around it
            finite = bool(jnp.isfinite(points).all())
    if not finite:
        points = np.asarray(points)
        row, column = (int(i) for i in np.argwhere(~np.isfinite(points))[0])
        raise ValueError(
            f"Input contains NaN or infinity: points[{row}, {column}] is {points[row, column]}."
        )


def in_double(points: np.ndarray, *, translate: bool, scale: bool) -> np.ndarray:
    """Points in double precision (or their own, if that is more), moved and scaled if they may be.

    Args:
        points: checked ones, shape (n, d).
        translate: whether they are moved so that a coordinate that occurs becomes the origin, which
            keeps points in one place together to the bit. Exact for whole numbers.
        scale: whether they are multiplied by a power of two, so that none exceeds 1.
    """
    if translate and points.dtype.kind in "iu":
        # Differences wrap around, and as unsigned numbers of the same width they are exact.
        points = (points - points.min(axis=0)).view(f"u{points.dtype.itemsize}")
    points = points.astype(np.promote_types(points.dtype, np.float64), copy=False)
    if scale:
        points = np.ldexp(points, -np.frexp(np.abs(points).max())[1])
    if translate:
        # Not the mean, which one far point would drag away from all others. A coordinate that
        # occurs, so that points in one place become zeros; of some points, as it need not be exact.
        some = points[:: -(-len(points) // 1001)]
        with np.errstate(over="ignore"):
            points = points - np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    return points


def _in_own_precision(points: np.ndarray, translate: bool, scale: bool) -> np.ndarray:
    """Numbers that float32 does not hold, centred and scaled before they are rounded to it."""
    kind = jax.dtypes.canonicalize_dtype(np.float64)
    points = in_double(points, translate=translate, scale=scale)
    size, least, most = np.abs(points).max(), np.finfo(kind).tiny, np.finfo(kind).max
    if not scale and size != 0 and not least <= size <= most:
        raise ValueError(
            f"Input contains values outside of {kind}'s range: the largest (relative to the rest, "
            f"where the metric ignores a translation) is {size:g}; allowed are {least:g} to "
            f"{most:g}. Rescale the points."
        )
    return points.astype(kind)


def _traced(points: Array, translate: bool) -> Float[Array, "n d"]:
    if jnp.issubdtype(points.dtype, jnp.floating):
        return points if points.dtype.itemsize >= 4 else points.astype(jnp.float32)
    kind = jax.dtypes.canonicalize_dtype(np.float64)
    if not translate or points.dtype.itemsize < 4:
        return points.astype(kind)
    # Both halves of a whole number are exact in float32, and so are their differences.
    high, low = points >> 16, points & 0xFFFF
    above, below = (half.astype(kind) - half[:1].astype(kind) for half in (high, low))
    return above * 2.0**16 + below


def dot(a: Array, b: Array) -> Array:
    """The matrix product: in the full precision of its arguments, unless `set_precision` says less.

    Also on accelerators, whose own default would round float32 arguments to 8 or 11 bits.
    """
    if _precision == "highest" or jnp.promote_types(a.dtype, b.dtype) != np.float32:
        return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)
    return jnp.dot(a, b, precision=jax.lax.DotAlgorithmPreset[_precision])


def precision() -> str:
    """How `dot` multiplies float32 numbers: one of `PRECISIONS`."""
    return _precision


def set_precision(name: str) -> None:
    """Says how `dot`, and so every metric, multiplies float32 numbers from now on.

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


def size_class(n: int) -> int:
    """The size that n rows are padded to, so that few sizes are compiled.

    Powers of two from 64 to 4096, then steps of an eighth of the power of two below, so that at
    most an eighth of the rows is padding.
    """
    power = 1 << max(n - 1, 1).bit_length() - 1  # the largest power of two below n
    if power < 4096:
        return max(2 * power, 64)
    step = power // 8
    return -(-n // step) * step


def padded(array: Any, size: int, fill: Any = 0) -> Any:
    """Rows of `fill` appended to an array of NumPy or JAX, so that it has `size` of them."""
    xp = np if isinstance(array, np.ndarray) else jnp
    widths = ((0, size - len(array)), *((0, 0),) * (array.ndim - 1))
    return xp.pad(array, widths, constant_values=fill)


def lengths(rows: Float[Array, "*rows d"]) -> Float[Array, "*rows"]:
    """Euclidean norms; the derivative at zero is zero."""
    squares = jnp.sum(rows**2, axis=-1)
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def in_range(points: Float[Array, "n d"], axis: int | None = None) -> Float[Array, "n d"]:
    """Points near either end of the range of their type, times 2¹⁰⁰ or 2⁻¹⁰⁰; others as they are.

    Sums of them then stay in the range. XLA takes numbers below the smallest normal one for zero,
    so those are read from their bits.

    Args:
        points: shape (n, d).
        axis: 1 to decide for each point by itself, not for all together.
    """
    info = jnp.finfo(points.dtype)
    bits = jax.lax.bitcast_convert_type(points, jnp.uint32 if info.bits == 32 else jnp.uint64)
    bits = bits & (2 ** (info.bits - 1) - 1)  # without the sign; in the order of the sizes
    exponent = jnp.max(bits, axis=axis, keepdims=axis is not None) >> info.nmant
    sign = jnp.where(jnp.signbit(points), -1, 1).astype(points.dtype)
    denormal = sign * bits.astype(points.dtype) * 2.0 ** (info.minexp - info.nmant + 100)
    small = jnp.where(bits < 1 << info.nmant, jax.lax.stop_gradient(denormal), points * 2.0**100)
    points = jnp.where(exponent < info.nmant + 2, small, points)
    return jnp.where(exponent > info.maxexp - info.minexp - 28, points * 2.0**-100, points)


def to_unit_size(points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Points times a power of two, so that none is farther than 1 from their mean; exact.

    It keeps squared distances inside the range of float32, and rounds nothing.
    """
    return scaled(in_range(points))[0]


def scaled(points: Float[Array, "n d"]) -> tuple[Float[Array, "n d"], Float[Array, ""]]:
    """As `to_unit_size`, and the power of two, for points whose squares are in range anyway."""
    size = jnp.max(jnp.abs(points - jnp.mean(points, axis=0, keepdims=True)))
    limit = -jnp.finfo(points.dtype).minexp
    exponent = jnp.clip(-jnp.frexp(size)[1], -limit, limit)
    scale = jax.lax.stop_gradient(jnp.ldexp(jnp.ones((), points.dtype), exponent))
    return points * scale, scale


def centred(points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Points relative to their mean, divided by the largest coordinate, if that is not zero."""
    points = in_range(points)
    x = points - jnp.mean(points, axis=0, keepdims=True)
    # The first mean is rounded to the precision of the data; the mean of what is left is not.
    x = x - jnp.mean(x, axis=0, keepdims=True)
    # Points in one place must not be told apart from their mean by its rounding error.
    x = jnp.where(jnp.all(points == points[:1]), 0, x)
    # Unit size keeps fourth powers inside the range of float32.
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    return x / jnp.where(size > 0, size, 1)


def only_clusters(value: Array, counts: Array, n: int) -> Array:
    """NaN where fewer than two labels have points, or each point has a label of its own."""
    used = jnp.sum(counts > 0)
    return jnp.where((used > 1) & (used < n), value, jnp.nan)
