"""How contextual the vectors of words are, and which dimensions make up their cosines.

The definitions are those of Ethayarajh (2019), "How Contextual are Contextualized Word
Representations?", and of Timkey and van Schijndel (2021), "All Bark and No Bite: Rogue Dimensions
in Transformer Language Models Obscure Representational Quality". All look at directions seen from
the origin: vectors are not centred.

Everything is computed in float64 on the host, since words occur in numbers of their own, each of
which would be a program to compile.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxiso.metrics.moments import unit_rows

ROWS = 65_536  # taken to float64 at once


def cosine_contributions(points: ArrayLike) -> np.ndarray:
    """What each dimension contributes to the mean cosine between two different points.

    Of points of unit length u, it is the mean of u_i·v_i over all pairs: (Σu_i)² - Σu_i² over
    n(n - 1). They add up to the mean cosine. Costs O(n·d).

    Args:
        points: shape (n, d), one point a row; n at least 2. Not centred: the origin matters.

    Returns:
        Shape (d,), float64; negative where a dimension keeps points apart.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value, or a point at the origin.

    Reference: Timkey and van Schijndel (2021), section 3.

    Example:
        >>> cosine_contributions([[3.0, 4.0], [3.0, -4.0]]).round(2).tolist()
        [0.36, -0.64]
    """
    points = _as_points(points, least=2)
    n, d = points.shape
    total, squares = np.zeros(d), np.zeros(d)
    for start in range(0, n, ROWS):
        unit = _unit(points[start : start + ROWS], start)
        total += unit.sum(axis=0)
        squares += (unit**2).sum(axis=0)
    return (total**2 - squares) / (n * (n - 1))


def rogue_share(points: ArrayLike) -> float:
    """The largest share of the mean cosine that one dimension holds.

    1/d where all dimensions contribute alike; near 1 where a single (rogue) dimension makes nearly
    all points look alike. It may exceed 1, where others contribute less than nothing.

    Args:
        points: shape (n, d), one point a row; n at least 2.

    Returns:
        The share; NaN where the mean cosine is not above zero, which has no shares.

    Raises:
        ValueError: as `cosine_contributions`, which says which dimension it is.

    Reference: Timkey and van Schijndel (2021), section 3.

    Example:
        >>> round(rogue_share([[9.0, 1.0], [9.0, -1.0]]), 3)
        1.012
    """
    contributions = cosine_contributions(points)
    total = contributions.sum()
    return float(contributions.max() / total) if total > 0 else float("nan")


def self_similarity(points: ArrayLike, words: Any, texts: Any) -> np.ndarray:
    """Mean cosine between a word's vectors in two different texts, of each word.

    1 where a word has one vector whatever its context, as in static embeddings. Adjusted for
    anisotropy, it is this less the `mean_cosine` of tokens drawn at random. Costs O(n·d).

    Args:
        points: shape (n, d), the vectors of n tokens.
        words: shape (n,), which word each is: whole numbers or strings.
        texts: shape (n,), which text each is from.

    Returns:
        Float64, one value for each distinct word, in sorted order; NaN where a word is in one text
        only.

    Raises:
        ValueError: a NaN or an infinite value, a vector of zeros, or lengths that differ.

    Reference: Ethayarajh (2019), definition 1.
    """
    points = _as_points(points)
    unit = _unit(points)
    codes, k = _codes(words, len(points))
    sources, m = _codes(texts, len(points))
    # Pairs of one text are in the sum over a word's pairs, and are taken out again.
    both, place = np.unique(codes * m + sources, return_inverse=True)
    of_both, counts = _sums(unit, place, len(both)), np.bincount(place)
    of_word = _sums(unit, codes, k)
    word = both // m
    same = np.bincount(word, (of_both**2).sum(axis=1), minlength=k)
    pairs = np.bincount(codes, minlength=k) ** 2 - np.bincount(word, counts**2, minlength=k)
    sums = (of_word**2).sum(axis=1) - same
    return np.divide(sums, pairs, out=np.full(k, np.nan), where=pairs > 0)


def intra_sentence_similarity(points: ArrayLike, texts: Any) -> np.ndarray:
    """Mean cosine between the vectors of a text's tokens and their mean, of each text.

    Adjusted for anisotropy, it is this less the `mean_cosine` of tokens drawn at random. Costs
    O(n·d).

    Args:
        points: shape (n, d), the vectors of n tokens.
        texts: shape (n,), which text each is from: whole numbers or strings.

    Returns:
        Float64, one value for each distinct text, in sorted order; NaN where a text has one token
        only, or its tokens' mean is zero.

    Raises:
        ValueError: a NaN or an infinite value, a vector of zeros, or lengths that differ.

    Reference: Ethayarajh (2019), definition 2.
    """
    points = _as_points(points)
    codes, k = _codes(texts, len(points))
    counts = np.bincount(codes, minlength=k)
    unit = _unit(points)
    means = _sums(points.astype(np.float64), codes, k) / counts[:, None]
    lengths = np.linalg.norm(means, axis=1)
    sums = (_sums(unit, codes, k) * means).sum(axis=1)
    defined = (counts > 1) & (lengths > 0)
    return np.divide(sums, counts * lengths, out=np.full(k, np.nan), where=defined)


def maximum_explainable_variance(points: ArrayLike, words: Any) -> np.ndarray:
    """How much of a word's vectors one static vector could explain, of each word.

    It is the share σ₁² / Σσ² of the singular values of the word's vectors, which are not centred:
    1 where they all lie on one line through the origin. Of m vectors it is at least 1/m, so adjust
    it for anisotropy by that of as many tokens drawn at random. Costs O(n·m·d) for words that occur
    m times.

    Args:
        points: shape (n, d), the vectors of n tokens.
        words: shape (n,), which word each is: whole numbers or strings.

    Returns:
        Float64, one value for each distinct word, in sorted order; NaN where a word occurs once, or
        all its vectors are zero.

    Raises:
        ValueError: a NaN or an infinite value, or lengths that differ.

    Reference: Ethayarajh (2019), definition 3.
    """
    points = _as_points(points)
    codes, k = _codes(words, len(points))
    order = np.argsort(codes, kind="stable")
    found = np.full(k, np.nan)
    groups = np.split(order, np.cumsum(np.bincount(codes, minlength=k))[:-1])
    for word, rows in enumerate(groups):
        vectors = points[rows].astype(np.float64)
        size = np.abs(vectors).max()
        if len(rows) < 2 or size == 0:
            continue
        vectors = vectors / size
        gram = vectors @ vectors.T if len(rows) < vectors.shape[1] else vectors.T @ vectors
        found[word] = np.linalg.eigvalsh(gram)[-1] / np.trace(gram)
    return found


def _as_points(points: ArrayLike, least: int = 1) -> np.ndarray:
    found = np.asarray(points)
    if found.ndim != 2 or min(found.shape) < 1 or len(found) < least:
        raise ValueError(
            f"Expected points of shape (n, d), n at least {least}; got shape {found.shape}."
        )
    if found.dtype.kind not in "fiu":
        raise ValueError(f"Expected real numbers as points; got dtype {found.dtype}.")
    if not np.isfinite(found).all():
        raise ValueError("The points contain NaN or infinity.")
    return found


def _codes(groups: Any, n: int) -> tuple[np.ndarray, int]:
    """Groups as numbers in sorted order, and how many there are."""
    found = np.asarray(groups)
    if found.shape != (n,) or found.dtype.kind not in "iuUS":
        raise ValueError(
            f"Expected a whole number or string for each of {n} points, of shape ({n},); got shape "
            f"{found.shape} and dtype {found.dtype}."
        )
    distinct, codes = np.unique(found, return_inverse=True)
    return codes, len(distinct)


def _unit(points: np.ndarray, first: int = 0) -> np.ndarray:
    """Points of length one, float64; ValueError, which counts from `first`, for one at zero."""
    unit, directed = unit_rows(points.astype(np.float64))
    if not directed.all():
        number = first + int(np.argmin(directed))
        raise ValueError(f"points[{number}] is zero, which has no direction: leave it out.")
    return unit


def _sums(points: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Sums of the points of each code, (k, d)."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(k))
    return np.add.reduceat(points[order], starts, axis=0)
