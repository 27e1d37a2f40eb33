"""Sums over points in double precision on the host, block by block.

They compile nothing, take no copy of the points, and hold their digits where float32 would not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS = 4096  # taken to float64 at once


def blocks(points: np.ndarray, first: np.ndarray | float = 0.0) -> Iterator[np.ndarray]:
    """The points in float64, some thousand rows at a time, relative to `first`."""
    for start in range(0, len(points), ROWS):
        x = points[start : start + ROWS].astype(np.float64)
        x -= first  # in place: memory that is new to the process costs more than the arithmetic
        yield x


def origin(points: np.ndarray) -> np.ndarray:
    """A place in the midst of the points: the median of some of them, by coordinate.

    Not the mean, which one far point would drag away from all others. A coordinate that occurs, so
    that points in one place become zeros.
    """
    some = points[:: -(-len(points) // 101)]
    some = some.astype(np.promote_types(some.dtype, np.float64), copy=False)
    return np.partition(some, len(some) // 2, axis=0)[len(some) // 2]


def centred_gram(points: np.ndarray) -> np.ndarray:
    """XᵀX, or XXᵀ where that is smaller, of the points relative to their mean.

    Args:
        points: shape (n, d), finite, of any floating type.

    Returns:
        Float64 of shape (m, m), m = min(n, d). Points in one place have exact zeros.
    """
    n, d = points.shape
    first = origin(points)
    if n <= max(d, ROWS):
        x = points.astype(np.float64)
        x -= first
        x -= x.mean(axis=0)
        return x @ x.T if n <= d else x.T @ x
    total, gram = np.zeros(d), np.zeros((d, d))
    for x in blocks(points, first):
        total += x.sum(axis=0)
        gram += x.T @ x
    return gram - np.outer(total, total / n)


def fourth_power(points: np.ndarray) -> float:
    """The sum of the fourth powers of the points' distances from their mean; two passes."""
    first = origin(points).astype(np.float64)
    away = sum(x.sum(axis=0) for x in blocks(points, first)) / len(points)
    lengths = [np.einsum("ij,ij->i", x, x) for x in blocks(points, first + away)]
    return float(sum(squares @ squares for squares in lengths))


def unit_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows divided by their lengths, zeros where they are zero; and which are not, (n,)."""
    size = np.abs(x).max(axis=1)
    directed = size > 0
    # Divided by the largest number first, as squares of small ones are zero.
    unit = x / np.where(directed, size, 1)[:, None]
    unit /= np.where(directed, np.sqrt(np.einsum("ij,ij->i", unit, unit)), 1)[:, None]
    return unit, directed
