"""What the public metrics accept: checks with scikit-learn's wording, and one way to JAX arrays.

Under `jit`, `vmap` and `grad` the values of the points are not known, so there only their shape is
checked; labels always have to be concrete, since they decide the shapes of the computation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def as_points(points: ArrayLike, *, least: int = 1) -> Float[Array, "n d"]:
    """Checks points and returns them as a JAX array of float32 (float64 where x64 is enabled).

    Concrete points in double precision are centred before they are rounded to single precision:
    all of jaxiso's metrics ignore translations, and this keeps points whose mean is far larger
    than their spread.

    Args:
        points: one point a row, shape (n, d), of any real type.
        least: the smallest number of points that the metric is defined for.

    Raises:
        ValueError: not a 2-d array of real numbers, fewer than `least` points, no features, or a
            NaN or infinite value.
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
        points = points - points.mean(axis=0)
    return _at_least_float32(points)


def _at_least_float32(points: np.ndarray | Array) -> Float[Array, "n d"]:
    points = jnp.asarray(points)
    if points.dtype in (jnp.float32, jnp.float64):
        return points
    return points.astype(jnp.float32)


def _check_finite(points: jax.Array | np.ndarray) -> None:
    # The sum of finite numbers is almost always finite: one cheap pass decides the usual case.
    xp = np if isinstance(points, np.ndarray) else jnp
    if not jnp.issubdtype(points.dtype, jnp.floating) or bool(xp.isfinite(points).all()):
        return
    row, column = (int(i) for i in np.argwhere(~np.isfinite(np.asarray(points)))[0])
    raise ValueError(
        f"Input contains NaN or infinity: points[{row}, {column}] is {points[row, column]}."
    )


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
