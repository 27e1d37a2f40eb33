"""What the public metrics accept: checks with scikit-learn's wording, and one way to JAX arrays.

Under `jit`, `vmap` and `grad` the values of the points are not known, so there only their shape is
checked; labels always have to be concrete, since they decide the shapes of the computation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from numpy.typing import ArrayLike


def as_points(points: ArrayLike, *, least: int = 1, translate: bool = True) -> Float[Array, "n d"]:
    """Checks points and returns them as a JAX array of float32 (float64 where x64 is enabled).

    Concrete points in double precision are centred before they are rounded to single precision,
    which keeps points whose mean is far larger than their spread.

    Args:
        points: one point a row, shape (n, d), of any real type.
        least: the smallest number of points that the metric is defined for.
        translate: whether points may be moved, all alike, as most metrics ignore translations.
            False for those that see the origin: points then stay where they are.

    Raises:
        ValueError: not a 2-d array of real numbers, fewer than `least` points, no features, or a
            NaN or infinite value, or values in double precision outside of float32's range.
    """
    if not isinstance(points, jax.Array):
        points = np.asarray(points)
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
    if not any(jnp.issubdtype(points.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise ValueError(f"Expected real numbers as points; got dtype {points.dtype}.")
    if isinstance(points, Tracer):
        return _at_least_float32(points)
    _check_finite(points)
    if isinstance(points, np.ndarray) and points.dtype != np.float32:
        points = points.astype(np.float64)
        points = _in_range(_centred(points) if translate else points)
    return _at_least_float32(points)


def _at_least_float32(points: np.ndarray | Array) -> Float[Array, "n d"]:
    points = jnp.asarray(points)
    if points.dtype in (jnp.float32, jnp.float64):
        return points
    return points.astype(jnp.float32)


def _check_finite(points: jax.Array | np.ndarray) -> None:
    if not jnp.issubdtype(points.dtype, jnp.floating) or all_finite(points):
        return
    points = np.asarray(points)
    row, column = (int(i) for i in np.argwhere(~np.isfinite(points))[0])
    raise ValueError(
        f"Input contains NaN or infinity: points[{row}, {column}] is {points[row, column]}."
    )


def all_finite(values: jax.Array | np.ndarray) -> bool:
    """Whether concrete values are finite, also where `jit` is tracing a function around them."""
    if isinstance(values, np.ndarray):
        return bool(np.isfinite(values).all())
    with jax.ensure_compile_time_eval():
        return bool(jnp.isfinite(values).all())


def _centred(points: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        # From the first point on, so that points in one place become zeros, not rounding errors.
        points = points - points[0]
        return points - points.mean(axis=0)


def _in_range(points: np.ndarray) -> np.ndarray:
    size = float(np.abs(points).max())
    least, most = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    if size != 0 and not least <= size <= most and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            "Input contains values outside of float32's range: the largest (relative to the mean, "
            f"where the metric ignores it) is {size:g}; allowed are {least:g} to {most:g}. "
            "Rescale the points."
        )
    return points


def as_codes(labels: ArrayLike, n_points: int) -> tuple[np.ndarray, int]:
    """Checks labels and numbers them 0 to k - 1.

    Args:
        labels: n labels of any kind that can be sorted (ints, strings).
        n_points: the number of points the labels belong to.

    Returns:
        The code of each label, shape (n,), int32, and the number k of distinct labels.

    Raises:
        ValueError: labels are traced, not 1-d, not as many as points, or not 2 to n - 1 distinct.
    """
    if isinstance(labels, Tracer):
        raise ValueError(
            "labels must be concrete, not traced: they decide the shapes of the computation. "
            "Close over them, or use jaxiso.metrics.pairwise.plan_tiles with a fixed number of "
            "clusters."
        )
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"Expected a 1D array of labels; got an array of shape {labels.shape}.")
    if len(labels) != n_points:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{n_points} points, {len(labels)} labels."
        )
    if np.issubdtype(labels.dtype, np.floating) and not np.isfinite(labels).all():
        first = int(np.argwhere(~np.isfinite(labels))[0, 0])
        raise ValueError(f"Labels contain NaN or infinity: labels[{first}] is {labels[first]}.")
    names, codes = np.unique(labels, return_inverse=True)
    if not 1 < len(names) < n_points:
        raise ValueError(
            f"Number of labels is {len(names)}. Valid values are 2 to n_samples - 1 "
            f"({n_points - 1}) (inclusive)."
        )
    return codes.astype(np.int32), len(names)
