"""What labels may be, and the codes that stand for them in computations."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array
from numpy.typing import ArrayLike


def as_codes(labels: ArrayLike, n_points: int) -> tuple[np.ndarray, int]:
    """Checks labels and numbers them 0 to k - 1.

    Args:
        labels: n labels of any kind that can be sorted (ints, strings).
        n_points: the number of points the labels belong to.

    Returns:
        The code of each label, shape (n,), int32, and the number k of distinct labels.

    Raises:
        ValueError: labels are traced, not 1-d, not as many as points, missing (None, NaN, NaT, NA,
            masked) or infinite, of kinds that cannot be compared, or not 2 to n - 1 distinct.
    """
    if isinstance(labels, Tracer):
        raise ValueError(
            "labels must be concrete, not traced, as they decide the shapes of the computation. "
            "Close over them, or pass codes 0 to k - 1 with num_labels=k (or a plan from "
            "jaxiso.metrics.tiles.plan_tiles)."
        )
    values = _one_a_point(labels, n_points)
    _refuse_missing(labels, values)
    try:
        names, codes = np.unique(values, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"Labels cannot be sorted: {error}. Make them all text.") from None
    if not 1 < len(names) < n_points:
        raise ValueError(
            f"Number of labels is {len(names)}. Valid values are 2 to n_samples - 1 (inclusive), "
            f"here 2 to {n_points - 1}."
        )
    return codes.astype(np.int32), len(names)


def _one_a_point(labels: Any, n_points: int) -> np.ndarray:
    try:
        values = np.asarray(labels)
    except ValueError:  # lists of different lengths
        values = np.empty((0, 0))
    if values.ndim != 1:
        raise ValueError(f"Expected a 1D array of labels; got an array of shape {values.shape}.")
    if len(values) != n_points:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{n_points} points, {len(values)} labels."
        )
    return values


def _refuse_missing(labels: Any, values: np.ndarray) -> None:
    """Labels that are not there, or that NumPy has made something else of."""
    if isinstance(labels, np.ma.MaskedArray):
        refuse_masked(labels, "labels")
    if np.issubdtype(values.dtype, np.inexact):
        missing = ~np.isfinite(values)
    elif values.dtype.kind in "mM":
        missing = np.isnat(values)
    elif values.dtype.kind in "OT":
        missing = np.array([not _equal(value, value) for value in values])
    else:
        missing = np.zeros(len(values), bool)
    if missing.any():
        first = int(np.argmax(missing))
        what = "contain NaN or infinity" if values.dtype.kind in "fc" else "are missing"
        raise ValueError(f"Labels {what}: labels[{first}] is {values[first]}.")
    if hasattr(labels, "dtype") or values.dtype.kind in "mMO":
        return
    # In a list, ["1", 1] becomes two equal texts, and a whole number beside a fraction is rounded.
    for i, (ours, theirs) in enumerate(zip(values.tolist(), labels, strict=True)):
        if not _equal(ours, theirs):
            raise ValueError(
                f"Labels are of different kinds: labels[{i}], {theirs!r}, would be read as "
                f"{ours!r}. Make them all text."
            )


def _equal(first: Any, second: Any) -> bool:
    """False too for None, for NaN and its like, and where the answer is neither yes nor no."""
    try:
        return first is not None and bool(first == second)
    except (TypeError, ValueError):
        return False


def refuse_masked(values: np.ma.MaskedArray, name: str) -> None:
    """Raises a ValueError with the place of the first masked value, if there is any."""
    masked = np.argwhere(np.ma.getmaskarray(values))
    if len(masked):
        place = ", ".join(map(str, masked[0]))
        raise ValueError(f"Masked values are not allowed: {name}[{place}] is masked; leave it out.")


def as_given_codes(labels: Any, n: int, k: int) -> np.ndarray | Array:
    """Checks codes 0 to k - 1 that a caller gives; of traced ones only shape and type are known.

    Raises:
        ValueError: not n whole numbers, or (where concrete) one outside of 0 to k - 1.
    """
    codes = labels if isinstance(labels, Tracer) else _one_a_point(labels, n)
    if codes.shape != (n,) or not jnp.issubdtype(codes.dtype, jnp.integer):
        raise ValueError(
            f"Expected {n} whole numbers as labels, where num_labels or a plan is given; got "
            f"shape {codes.shape} of {codes.dtype}."
        )
    if isinstance(codes, np.ndarray) and n and not 0 <= codes.min() <= codes.max() < k:
        first = int(np.argmax((codes < 0) | (codes >= k)))
        raise ValueError(
            f"Expected labels from 0 to {k - 1}, as num_labels or the plan says; labels[{first}] "
            f"is {codes[first]}."
        )
    return codes.astype(np.int32)
