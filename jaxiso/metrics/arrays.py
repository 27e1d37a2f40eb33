"""Anything like an array → an array of NumPy or JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def as_array(points: Any) -> np.ndarray | jax.Array:
    """Points of any kind as an array of NumPy, or as the array of JAX that they are.

    Args:
        points: an array of NumPy or JAX; a table of pandas or polars; a tensor of torch, which may
            need gradients (none flow back) and lie on a GPU; gensim's `KeyedVectors`; whatever has
            `__array__` or `__dlpack__`; or lists.

    Raises:
        ValueError: rows of different lengths, or a column whose values are lists or text; says what
            to give instead.
    """
    if isinstance(points, jax.Array):
        return points
    if hasattr(points, "key_to_index") and hasattr(points, "vectors"):  # KeyedVectors
        return np.asarray(points.vectors)
    if hasattr(points, "wv"):
        raise ValueError(f"Expected vectors; got a {type(points).__name__}: give its .wv.")
    if hasattr(points, "toarray") and hasattr(points, "nnz"):
        raise ValueError("Expected a dense array of points; got a sparse one: give X.toarray().")
    found = _converted(points)
    if not isinstance(found, np.ndarray) or found.dtype != object:
        return found
    if found.ndim == 2 and hasattr(points, "to_numpy") and _is_numeric(points):
        return points.to_numpy(np.float64, na_value=np.nan)  # pandas's own types, which know NA
    _refuse_objects(points, found)
    return found


def _is_numeric(table: Any) -> bool:
    return all(getattr(kind, "kind", "O") in "iuf" for kind in table.dtypes)


def _converted(points: Any) -> np.ndarray | jax.Array:
    if hasattr(points, "detach"):  # torch's tensor, which else refuses if it needs gradients
        points = points.detach()
    try:
        return np.asarray(points)
    except TypeError:
        # On a GPU, or of a type that NumPy does not have, such as torch's bfloat16.
        if not hasattr(points, "__dlpack__"):
            raise
        return jax.dlpack.from_dlpack(points)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(
            "Expected a 2D array of points, one a row; got rows of different lengths."
        ) from None


def _refuse_objects(points: Any, found: np.ndarray) -> None:
    """Says what to give in place of a column of lists, or of a table with a column of text."""
    first = next((value for value in found.ravel() if value is not None), None)
    if found.ndim in (1, 2) and found.size == len(found) and _is_row(first):
        column = "X" if found.ndim == 1 else f"X[{next(iter(getattr(points, 'columns', [0])))!r}]"
        raise ValueError(
            "Expected a 2D array of points, one a row; got a column whose values are lists: give "
            f"np.stack({column})."
        )
    columns = list(getattr(points, "columns", ()))
    if found.ndim != 2 or len(columns) != found.shape[1]:
        return
    for name, values in zip(columns, found.T, strict=True):
        if any(isinstance(value, str) or value is None for value in values):
            raise ValueError(
                f"Expected numbers in every column; column {name!r} has others: leave it out."
            )


def _is_row(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)


def resolution(points: np.ndarray | jax.Array) -> float:
    """The relative size of rounding errors that the numbers of an array may have.

    That of their type; of float32 also where they are stored in double precision but were rounded
    to single precision before.
    """
    if not jnp.issubdtype(points.dtype, jnp.floating) or points.dtype.itemsize > 8:
        return float(np.finfo(np.float64).eps)
    if points.dtype == np.float64:
        x = np.asarray(points)
        with np.errstate(over="ignore"):
            if (x.astype(np.float32) == x).all():
                return float(np.finfo(np.float32).eps)
    return float(jnp.finfo(points.dtype).eps)


def distinct_rows(points: np.ndarray) -> np.ndarray:
    """Numbers of the rows that equal no row before them, ascending."""
    rows = np.ascontiguousarray(points + np.zeros((), points.dtype))  # -0 becomes 0
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return np.sort(np.unique(whole, return_index=True)[1])
