"""What every metric is made with: the decorator that checks its arguments and compiles it.

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
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from jaxiso.metrics.arrays import as_array
from jaxiso.metrics.labels import as_codes, as_given_codes, refuse_masked
from jaxiso.metrics.mesh import (
    Rows,
    as_auto,
    check_mesh,
    padded,
    places,
    power_of_two,
    rows_each,
    size_class,
    spread,
)
from jaxiso.metrics.moments import ROWS, origin

if TYPE_CHECKING:
    # A caller passes anything like an array, and a mesh or None; the function gets these.
    Points = Labels = OnMesh = Any
else:
    Points, Labels = Float[Array, "_ _"], Int[Array, " _"]
    OnMesh = Rows | None

P = ParamSpec("P")
R = TypeVar("R")

# Numbers of a block of differences between some points and all others: 16 MB in float32.
BLOCK = 2**22

# Multiply-adds that take the host less time than it takes to compile a program.
HOST_WORK = 2**31


def metric(
    *,
    least: int = 1,
    translate: bool = False,
    scale: bool = False,
    also: Sequence[str] = (),
    static: Sequence[str] = (),
    plan: Callable[[Any, int, int | None], Hashable] | None = None,
    guard: bool = True,
    host: Callable[..., Any] | None = None,
    by_point: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a metric of a function of arrays: it checks concrete arguments, then compiles.

    The function's first parameter are the points. A parameter `labels` becomes codes 0 to k - 1,
    and `num_labels` (keyword-only) their number k. Callers who pass `num_labels`, or a `plan`, give
    codes, which may be traced and need not all occur; else labels are concrete, of any kind.

    A parameter `mesh` becomes the `Rows` that the function takes its sums by: over all points, or
    over those of one device, or over points with padding after them. The latter are what it gets
    of concrete arrays, so that other numbers of points need no new program.

    Args:
        least: the smallest number of points that the metric is defined for.
        translate: the metric stays the same if all points are moved alike.
        scale: likewise if all are multiplied by one positive number.
        also: further parameters that are arrays of shape (n, d).
        static: further parameters that are compiled into the program.
        plan: makes the argument `plan` where callers give none: from codes, their number, and over
            how many devices they are spread and padded, None if they are not.
        guard: the result is NaN (-1 for whole numbers) where an array is not finite, or a label is
            not a code. Without it the function itself has to see to that.
        host: the same function in NumPy and double precision, which compiles nothing. It takes the
            place of the program for concrete arrays where that is no loss: on a CPU, and elsewhere
            for few points. It gets an array of NumPy that holds all digits, and no `mesh`.
        by_point: the function has a result for each row that it gets, shape (m,). Those of padding
            are left out.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        points, *others = signature.parameters
        arrays = [points, *also, *(["labels"] if "labels" in others else [])]

        def guarded(rows: Rows, given: dict[str, Any]):
            known = {"mesh": rows} if "mesh" in others else {}
            value: Any = function(**given, **known)  # pyright: ignore[reportCallIssue]
            if not guard:
                return value
            usable = [rows.all(jnp.isfinite(given[name])) for name in (points, *also)]
            if "labels" in given:
                codes, k = given["labels"], given["num_labels"]
                usable.append(rows.all((codes >= 0) & (codes < k)))
            keep = partial(_or_nothing, jnp.all(jnp.stack(usable)))
            return jax.tree.map(keep, value)

        fixed = ["on", *(["num_labels"] if "num_labels" in others else []), *static]

        def program(on: Mesh | None, real: Any, **given: Any):
            if on is None:
                return guarded(Rows(real), given)
            axis = check_mesh(on)
            by_rows = {name: given.pop(name) for name in arrays}

            def part(real: Array, by_rows: dict[str, Array]):
                return guarded(Rows(real, axis), by_rows | given)

            spec = jax.P(axis)
            out = spec if by_point else jax.P()
            return jax.shard_map(part, mesh=on, in_specs=(spec, spec), out_specs=out)(real, by_rows)

        program.__name__ = function.__name__  # as profiles show it
        program = jax.jit(program, static_argnames=fixed)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            mesh = given.pop("mesh", None)
            traced = any(isinstance(value, Tracer) for value in given.values())
            laid_out = hasattr(given.get("plan"), "counts")
            if laid_out and mesh is not None:
                raise ValueError("A plan is of the points of one device: leave out plan= or mesh=.")
            found = checked_points(given[points], least=least)
            if host is not None and mesh is None and not traced and _fits_host(found):
                given[points] = on_host(found, translate=translate, scale=scale)
                if "labels" in given:
                    _number_labels(given, len(found))
                return placed(host(**given))
            given[points] = _on_device(found, translate=translate, scale=scale)
            for name in also:
                given[name] = _on_device(checked_points(given[name]), translate=False, scale=False)
            kind = np.result_type(*(given[name].dtype for name in (points, *also)))
            given |= {name: given[name].astype(kind, copy=False) for name in (points, *also)}
            n, real, parts = len(given[points]), None, None
            if mesh is not None:
                check_mesh(mesh, n)
                mesh, parts = as_auto(mesh), mesh.size
            elif "mesh" in others and not traced and not laid_out:
                parts = 1
            if "labels" in given:
                _number_labels(given, n)
                if parts is not None:
                    given["num_labels"] = power_of_two(given["num_labels"])
            if plan is not None and given["plan"] is None:
                given["plan"] = plan(given["labels"], given["num_labels"], parts)
            if mesh is not None:
                first = next((a for a in arrays if isinstance(given[a], Tracer)), points)
                size = rows_each(given[first], mesh)
                on_mesh = {name: spread(given[name], mesh, size=size) for name in arrays}
                real = on_mesh[points].real
                given |= {name: on_mesh[name].rows for name in arrays}
            elif parts is not None:
                size = size_class(n)
                real = np.arange(size) < n
                given |= {name: padded(given[name], size) for name in arrays}
            found = program(mesh, real, **given)
            return only_points(found, n, 1 if mesh is None else mesh.size) if by_point else found

        return checked

    return decorate


def placed(measured: Any) -> Any:
    """Numbers of the host as arrays of JAX; not by `jnp.asarray`, which compiles."""
    kind = jax.dtypes.canonicalize_dtype(np.float64)
    with jax.ensure_compile_time_eval():  # also while `jit` traces a function around it
        return jax.tree.map(lambda value: jax.device_put(np.asarray(value, kind)), measured)


def only_points(values: Array, n: int, parts: int) -> Any:
    """Of a value for each row of padded points, spread over so many devices, those of the points.

    Taken by NumPy where they are concrete, as JAX would compile a program for each n.
    """
    if len(values) == n:
        return values
    real = places(n, parts, len(values) // parts)
    if isinstance(values, Tracer):
        return values[jnp.asarray(real, jnp.int32)]
    if not values.is_fully_addressable:
        return process_allgather(values, tiled=True)[real]
    return np.asarray(values)[real]


def _fits_host(points: np.ndarray | Array) -> bool:
    """Whether concrete points are better measured on the host: they are there, or they are few."""
    if isinstance(points, jax.Array):
        if not points.is_fully_addressable:
            return False
        here = all(device.platform == "cpu" for device in points.devices())
    else:
        here = jax.default_backend() == "cpu"
    return here or points.size * min(points.shape) <= HOST_WORK


def _or_nothing(usable: Bool[Array, ""], value: Array) -> Array:
    nothing = jnp.nan if jnp.issubdtype(value.dtype, jnp.floating) else -1
    return jnp.where(usable, value, jnp.asarray(nothing, value.dtype))


def _number_labels(given: dict[str, Any], n: int) -> None:
    """Replaces labels by codes, and fills in their number."""
    k = given.get("num_labels")
    if given.get("plan") is not None and hasattr(given["plan"], "counts"):
        k = given["plan"].counts.shape[0]
    if k is None:
        codes, k = as_codes(given["labels"], n)
    else:
        codes = as_given_codes(given["labels"], n, k)
    given |= {"labels": codes, "num_labels": k}


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
            of float32's range. Arrays of which this process has a part only are not looked into.
    """
    checked = checked_points(points, least=least)
    return jnp.asarray(_on_device(checked, translate=translate, scale=scale))


def _on_device(checked: Any, *, translate: bool, scale: bool) -> np.ndarray | Array:
    """Checked points in the precision of the device; what is on the host stays there."""
    if isinstance(checked, Tracer):
        return _traced(checked, translate)
    if not _in_single(checked):
        return _in_own_precision(np.asarray(checked), translate, scale)
    return checked if checked.dtype == np.float32 else checked.astype(np.float32)


def on_host(checked: Any, *, translate: bool, scale: bool) -> np.ndarray:
    """Checked points in NumPy, which may be taken to double precision block by block.

    As they are if double precision holds them and their squares; the others as `in_double` says.
    """
    checked = np.asarray(checked)
    if _in_single(checked) or (checked.dtype == np.float64 and squares_in_range(checked)):
        return checked
    return in_double(checked, translate=translate, scale=scale)


def squares_in_range(points: np.ndarray) -> bool:
    """Whether sums of squares, and products of these, neither overflow nor vanish in float64."""
    return bool(1e-60 < max(points.max(), -points.min()) < 1e60)


def _in_single(points: Any) -> bool:
    return jnp.issubdtype(points.dtype, jnp.floating) and points.dtype.itemsize <= 4


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
            f"Found array of shape {points.shape}, one point a row, while a minimum of {least} "
            f"point{'s' * (least > 1)} of 1 feature is required."
        )
    if not any(jnp.issubdtype(points.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"Expected real numbers as points; got dtype {points.dtype}.")
    if not isinstance(points, Tracer):
        _check_finite(points)
    return points


def _check_finite(points: jax.Array | np.ndarray) -> None:
    if not jnp.issubdtype(points.dtype, jnp.floating):
        return
    if isinstance(points, jax.Array):
        if not points.is_fully_addressable:
            return
        if all(device.platform == "cpu" for device in points.devices()):
            points = np.asarray(points)
    if isinstance(points, np.ndarray):
        finite = all(np.isfinite(points[i : i + ROWS]).all() for i in range(0, len(points), ROWS))
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
        with np.errstate(over="ignore"):
            points = points - origin(points)
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
