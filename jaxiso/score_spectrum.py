"""Variances and cosines of points in float64 on the host: of single labels, and for figures."""

from __future__ import annotations

import numpy as np

BLOCK = 65_536  # rows taken to float64 at once


def covariance_eigenvalues(points: np.ndarray) -> np.ndarray:
    """Eigenvalues of the covariance, largest first: min(n, d) of them, in float64.

    Args:
        points: shape (n, d).
    """
    n, d = points.shape
    first = points[0].astype(np.float64)  # so that points in one place become zeros
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
    mean = sum((points[block] - first).sum(axis=0) for block in blocks) / n
    if n <= d:
        centred = points - first - mean
        gram = centred @ centred.T
    else:
        gram = np.zeros((d, d))
        for block in blocks:
            centred = points[block] - first - mean
            gram += centred.T @ centred
    return np.linalg.eigvalsh(gram)[::-1].clip(0) / n


def spectrum_measures(eigenvalues: np.ndarray, d: int) -> tuple[float, float] | None:
    """IsoScore and effective rank of points from the eigenvalues of their covariance.

    Args:
        eigenvalues: the largest min(n, d) of them.
        d: dimensions of the points.

    Returns:
        None if all eigenvalues are zero.
    """
    total = eigenvalues.sum()
    if not total > 0:
        return None
    ratio = total**2 / (eigenvalues**2).sum()
    share = np.sqrt(eigenvalues / total)
    share = share[share > 0] / share.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    return float(np.clip((ratio - 1) / (d - 1), 0, 1)), float(rank)


def mean_cosine(points: np.ndarray) -> float | None:
    """Mean cosine between two different points that are not zero; None if fewer than two are."""
    points = points.astype(np.float64)
    lengths = np.linalg.norm(points, axis=1)
    unit = points[lengths > 0] / lengths[lengths > 0, None]
    n = len(unit)
    return float(((unit.sum(axis=0) ** 2).sum() - n) / n / (n - 1)) if n > 1 else None


def random_cosines(points: np.ndarray, pairs: int, seed: int) -> np.ndarray:
    """Cosines of random pairs of different points; of all pairs where they are fewer.

    Args:
        points: shape (n, d).
        pairs: number of pairs at most.
        seed: that they are drawn from.
    """
    n = len(points)
    if n * (n - 1) // 2 <= pairs:
        first, second = np.triu_indices(n, 1)
    else:
        random = np.random.default_rng(seed)
        first = random.integers(0, n, pairs)
        second = (first + random.integers(1, n, pairs)) % n
    a, b = points[first].astype(np.float64), points[second].astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1)[lengths > 0] / lengths[lengths > 0]
