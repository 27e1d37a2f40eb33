"""Which points to measure where all are too many, and what is then known of the mean of all.

Cochran (1977), "Sampling Techniques", chapters 5 and 5A: points are drawn within strata, which are
labels or several small ones together, and each stratum counts with its share of all points. The
mean is unbiased, and its standard error has the finite-population correction, so that it is 0 once
every point is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

# Labels with fewer draws than this are pooled.
LEAST = 2


class Sampled(NamedTuple):
    """What a sample says of the mean silhouette of all points.

    Attributes:
        value: the estimate, unbiased.
        standard_error: its standard error; 0 if all points are in the sample.
        degrees_of_freedom: those of the standard error, by Satterthwaite's approximation.
        rows: the points of the sample, in the order they were drawn, shape (m,).
        silhouettes: theirs, each exact against all points, shape (m,).
        n: how many points there are.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float
    rows: Int[np.ndarray, " m"]
    silhouettes: Float[np.ndarray, " m"]
    n: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval, from Student's t."""
        wide = self.standard_error
        if wide > 0:
            wide *= float(stdtrit(self.degrees_of_freedom, (1 + level) / 2))
        return self.value - wide, self.value + wide


class Design(NamedTuple):
    """In which order points are drawn, so that any number of the first is a stratified sample.

    Attributes:
        rows: the points in the order that they are drawn.
        stratum: the stratum of each label; -1 for labels of one point, whose silhouette is 0.
        sizes: the points of each stratum.
        weights: of each label, what a silhouette of it counts in the mean of all points.
        codes: the label of each point.
    """

    rows: Int[np.ndarray, " drawn"]
    stratum: Int[np.ndarray, " k"]
    sizes: Int[np.ndarray, " h"]
    weights: Float[np.ndarray, " k"]
    codes: Int[np.ndarray, " n"]

    @classmethod
    def of(
        cls, codes: Int[np.ndarray, " n"], k: int, first: int, *, average: str, random_state: Any
    ) -> Design:
        """Draws points.

        In proportion to the points of a stratum, or (macro) to its labels; two of each come first.

        Args:
            codes: labels from 0 to k - 1, of which some may not occur.
            k: their number.
            first: the fewest points that an estimate will be made from.
            average: "micro", the mean over points, or "macro", the mean over labels of theirs.
            random_state: as for `numpy.random.default_rng`.
        """
        random = np.random.default_rng(random_state)
        counts = np.bincount(codes, minlength=k)
        weights = np.ones(k)
        if average == "macro":
            weights = len(codes) / np.maximum(counts, 1) / np.count_nonzero(counts)
        stratum = strata(counts, counts * weights, first)
        drawn = stratum >= 0
        sizes = np.bincount(stratum[drawn], counts[drawn]).astype(np.int64)
        share = np.bincount(stratum[drawn], (counts * weights)[drawn])

        rows = random.permutation(np.flatnonzero(drawn[codes]))
        mine = stratum[codes[rows]]
        by_stratum = np.argsort(mine, kind="stable")
        rank = np.empty(len(rows))
        rank[by_stratum] = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        # The next draw goes to the stratum that lacks most of its share (Webster's method).
        turn = np.where(rank < LEAST, -1, (rank + 0.5) / share[mine])
        return cls(rows[np.argsort(turn, kind="stable")], stratum, sizes, weights, codes)

    def estimate(self, silhouettes: Float[np.ndarray, " m"]) -> Sampled:
        """What the silhouettes of the first m rows say."""
        rows = self.rows[: len(silhouettes)]
        labels = self.codes[rows]
        values, of = silhouettes * self.weights[labels], self.stratum[labels]
        strata = len(self.sizes)
        drawn = np.bincount(of, minlength=strata)
        means = np.bincount(of, values, minlength=strata) / np.maximum(drawn, 1)
        squares = np.bincount(of, (values - means[of]) ** 2, minlength=strata)
        share = self.sizes / len(self.codes)
        left = 1 - drawn / self.sizes
        freedom = np.maximum(drawn - 1, 1)
        parts = share**2 * left * squares / freedom / np.maximum(drawn, 1)
        variance = float(parts.sum())
        degrees = variance**2 / (parts**2 / freedom).sum() if variance > 0 else float("inf")
        value = float(share @ means)
        return Sampled(value, variance**0.5, float(degrees), rows, silhouettes, len(self.codes))


def strata(
    counts: Int[np.ndarray, " k"], share: Float[np.ndarray, " k"], draws: int
) -> Int[np.ndarray, " k"]:
    """The stratum of each label, so that `draws` suffice for two draws of each stratum.

    A label is a stratum of its own if it can expect two draws, or if there are enough for two of
    every label. Others are pooled with those of about their size (within a factor of two), as their
    silhouettes are alike, and (macro) their weights.

    Args:
        counts: points of each label.
        share: what each label's points weigh together.
        draws: how many points will be drawn at least.

    Returns:
        -1 for labels of fewer than two points, which need no draw.
    """
    found = np.full(len(counts), -1)
    labels = np.flatnonzero(counts > 1)
    draws -= draws % 2
    if LEAST * len(labels) <= draws:
        found[labels] = np.arange(len(labels))
        return found
    expected = draws * share / share[labels].sum()
    alone = labels[expected[labels] >= LEAST]
    found[alone] = np.arange(len(alone))
    pooled = labels[expected[labels] < LEAST]
    octave = np.log2(counts[pooled]).astype(int)
    pools: list[np.ndarray] = []
    for size in np.unique(octave):  # small labels first
        pool = pooled[octave == size]
        if pools and (expected[pools[-1]].sum() < 4 * LEAST or expected[pool].sum() < 4 * LEAST):
            pools[-1] = np.concatenate([pools[-1], pool])
        else:
            pools.append(pool)
    for number, pool in enumerate(pools):
        found[pool] = len(alone) + number
    return found


def in_batches(
    design: Design,
    silhouettes: Callable[[np.ndarray | None], np.ndarray],
    sample_size: int,
    batch_size: int,
) -> Iterator[Sampled]:
    """Measures the design's rows, some at a time, and gives the estimate so far after each.

    `silhouettes` gives those of rows, exact.
    """
    m = min(sample_size, len(design.rows))
    found = np.zeros(0)
    for start in range(0, m, batch_size):
        rows = design.rows[start : min(start + batch_size, m)]
        found = np.concatenate([found, silhouettes(rows)])
        yield design.estimate(found)
