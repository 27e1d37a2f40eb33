"""What compares all pairs of vectors, the Euclidean silhouette and Dunn's index: exact, or not.

Both are exact where that takes under a minute on this machine, which a few batches tell. Else the
silhouettes of a sample of vectors are taken, each exact, against all vectors; and Dunn's index of a
sample, which is never below that of all.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxiso.cli.console import InputError, Progress, duration
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.errors import Dealt, LabelMeans, some_of_each
from jaxiso.metrics.host import from_sums, sums_of_rows
from jaxiso.metrics.sampling import Design, Sampled
from jaxiso.metrics.silhouette_rows import silhouettes_of_rows
from jaxiso.score.background import INTERRUPTED, in_background
from jaxiso.score.cloud import Cloud, Part

QUICK = 2**36
"""Multiplications for all pairs that take about a second; more are timed first."""
MINUTE = 60.0
"""Seconds that exact values may take unasked."""
SAMPLE = 10_000
"""Vectors in a sample of silhouettes, where none is asked for."""
BATCH = 2**33
"""Multiplications of a batch of silhouettes: about a tenth of a second to a second."""
DUNN_SAMPLE = 16_384
"""Vectors in the samples that Dunn's index is timed with, and bounded by."""
PARTS = 2**28
"""Sums of distances to parts of labels at most, for standard errors: a few seconds."""
ROUNDED = 1e-12
"""Share of a sum below which a difference to it is its rounding."""


class Silhouettes(NamedTuple):
    """Silhouettes of single vectors.

    Attributes:
        values: (m,) float64.
        codes: (m,) their labels.
        counts: (k,) vectors of each label in all.
        means: by label, and without each block of vectors; None where that is not known.
        sampled: what a sample says of the mean; None where it is of all vectors.
        remark: what to know of it; None where it is exact.
        interrupted: what ended it early, if something did.
    """

    values: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    means: LabelMeans | None = None
    sampled: Sampled | None = None
    remark: str | None = None
    interrupted: BaseException | None = None


class Dunn(NamedTuple):
    """Dunn's index, or (`at_most`) a number that it does not exceed."""

    value: float
    at_most: bool = False
    remark: str | None = None
    interrupted: BaseException | None = None


class Points(NamedTuple):
    """Vectors in memory, in single precision.

    Attributes:
        rows: (n, d); zeros where another process has the vector.
        mesh: the devices that they are spread over; None for one.
        part: the rows of this process.
    """

    rows: np.ndarray
    mesh: Mesh | None
    part: Part

    @classmethod
    def of(cls, cloud: Cloud) -> Points:
        """Of all devices of all processes; where vectors are few, of one device in each process."""
        if cloud.n**2 * cloud.d <= QUICK:
            cloud = Cloud(cloud.rows, pooled=False)
        spread = cloud.part.pooled or (jax.process_count() == 1 and cloud.n**2 * cloud.d > QUICK)
        devices = jax.devices() if spread else jax.devices()[:1]
        if len(devices) > cloud.n:
            raise InputError(
                f"{len(devices)} devices, more than the {cloud.n} vectors; start fewer processes"
            )
        mesh = Mesh(np.array(devices), ("points",)) if len(devices) > 1 else None
        return cls(cloud.load(), mesh, cloud.part)


class Limits(NamedTuple):
    """How much may be computed.

    Attributes:
        exact: all pairs, however long it takes.
        sample_size: vectors of a sample; None for `SAMPLE` where all pairs take over a minute.
        average: "micro" or "macro": what the sample estimates.
        seed: that it is drawn from.
        quiet: no progress bar.
    """

    exact: bool
    sample_size: int | None
    average: str
    seed: int
    quiet: bool


def euclidean_silhouettes(points: Any, codes: np.ndarray, k: int, limits: Limits) -> Silhouettes:
    """Silhouettes of all vectors, or of a sample.

    Codes are (n,) labels from 0 to k - 1, at least two of which, and not all, differ.

    Raises KeyboardInterrupt or Stopped where it is stopped before there is anything to say.
    """
    (n, d), counts = points.rows.shape, np.bincount(codes, minlength=k)
    of_rows = silhouettes_of_rows(
        points.rows, codes, "euclidean", mesh=points.mesh, num_labels=k
    ).of

    def exact() -> Silhouettes:
        return Silhouettes(of_rows(None), codes, counts)

    if limits.sample_size is None and n * n * d <= QUICK:
        return exact()
    m = limits.sample_size or min(SAMPLE, n)
    first = min(m, 100)
    design = Design.of(codes, k, first, average=limits.average, random_state=limits.seed)
    batch = min(max(64, BATCH // (n * d)), 4096, -(-m // 4))
    sample = _Sampling(design, of_rows, batch, limits.quiet)
    known = sample.until(min(2 * batch, m))
    expected = points.part.agreed(n / 2 * sample.pace)
    if limits.sample_size is None and (limits.exact or expected <= MINUTE or m > n / 2):
        if expected <= MINUTE:
            return exact()
        known = sample.until(SAMPLE // 5)
        if sample.stopped is None:
            try:
                return in_background(exact, expected, _so_far(known), quiet=limits.quiet)
            except INTERRUPTED as stopped:
                sample.stopped = stopped
    else:
        known = sample.until(m)
    text = f"exact against all, of {len(known.rows):,} of {n:,} vectors, drawn by label"
    if sample.stopped is not None:
        text = f"interrupted: {text}"
    text += f"; all (--exact) take about {duration(expected)}"
    values = known.silhouettes
    return Silhouettes(values, codes[known.rows], counts, None, known, text, sample.stopped)


def without_blocks(
    points: Points, of: Silhouettes, dealt: Dealt, limits: Limits
) -> LabelMeans | None:
    """Means of exact Euclidean silhouettes without each block of vectors.

    Of m vectors that stand for all, from the sums of their distances to each label's part of each
    block: m·n·d multiplications.

    All points are in this process.

    Returns None where labels are too many for it.
    """
    k, b, codes = len(of.counts), dealt.blocks, of.codes
    rows = some_of_each(codes, k, limits.seed)
    if len(rows) * k * b > PARTS:
        return None
    cells = codes.astype(np.int64) * b + dealt.block
    left = of.counts[:, None] - np.bincount(cells, minlength=k * b).reshape(k, b)
    sums_of, moved = sums_of_rows(points.rows, cells, k * b), np.empty((b, len(rows)))
    step = max(1, PARTS // 64 // (k * b))
    quiet = limits.quiet or len(rows) * points.rows.size <= QUICK
    with Progress("errors", len(rows), unit="vectors", quiet=quiet) as progress:
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            sums = sums_of(some).reshape(-1, k, b)
            every = sums.sum(axis=2)
            for j in range(b):
                rest = every - sums[:, :, j]
                rest[rest < ROUNDED * every] = 0
                moved[j, start : start + step] = from_sums(rest, codes[some], left[:, j])
            progress.advance(len(some))
    return LabelMeans.of(of.values, codes, k, dealt, rows, moved)


def _so_far(known: Sampled) -> str:
    return f"{known.value:.4f} ± {known.standard_error:.1g}"


class _Sampling:
    """The silhouettes of a design's rows, batch by batch, and how long one takes.

    Attributes:
        pace: seconds a row, of the last batch.
        stopped: what interrupted it, if something did.
    """

    def __init__(self, design: Design, of_rows: Any, batch: int, quiet: bool) -> None:
        self._design, self._of_rows, self._batch, self._quiet = design, of_rows, batch, quiet
        self._found, self.pace = np.zeros(0), 0.0
        self.stopped: BaseException | None = None

    def until(self, m: int) -> Sampled:
        """Measures rows until there are m, or as many as there are; what is known then."""
        m = min(m, len(self._design.rows))
        more, known = m - len(self._found), None
        with Progress("silhouettes", max(more, 0), unit="vectors", quiet=self._quiet) as progress:
            try:
                while len(self._found) < m and self.stopped is None:
                    known = self._one_batch(m)
                    progress.advance(min(self._batch, more), info=_so_far(known))
            except INTERRUPTED as stopped:
                if not len(self._found):
                    raise
                self.stopped = stopped
        return known or self._design.estimate(self._found)

    def _one_batch(self, m: int) -> Sampled:
        done, start = len(self._found), time.perf_counter()
        rows = self._design.rows[done : min(done + self._batch, m)]
        found = np.asarray(self._of_rows(rows), np.float64)
        self.pace = (time.perf_counter() - start) / len(rows)  # the first batch compiles too
        self._found = np.concatenate([self._found, found])
        return self._design.estimate(self._found)


def dunn(cloud: Cloud, points: Points | None, codes: np.ndarray, k: int, limits: Limits) -> Dunn:
    """Dunn's index, or a bound.

    `points` are the vectors in memory, if they are there already.
    """
    n, d = cloud.n, cloud.d

    def exact() -> Dunn:
        rows, mesh, _ = points or Points.of(cloud)
        return Dunn(float(dunn_index(rows, codes, num_labels=k, mesh=mesh)))

    def of_some() -> tuple[float, float]:
        """Of a sample, NaN if its labels are no clusters; and the seconds that it takes."""
        rows = np.sort(random.permutation(n)[:m])
        some = cloud.take(rows)
        start = time.perf_counter()
        return float(dunn_index(some, codes[rows], num_labels=k)), time.perf_counter() - start

    m = DUNN_SAMPLE
    if n * n * d <= QUICK or n <= m:
        return exact()
    random = np.random.default_rng([limits.seed, 1])
    first, _ = of_some()  # compiles
    second, seconds = of_some()
    expected = cloud.part.agreed(seconds * (n / m) ** 2)
    if expected <= MINUTE:
        return exact()
    bound = float(np.fmin(first, second))
    text = f"that of {m:,} of {n:,} vectors; all (--exact) take about {duration(expected)}"
    stopped = None
    if limits.exact:
        try:
            return in_background(exact, expected, "Dunn's index", quiet=limits.quiet)
        except INTERRUPTED as error:
            text, stopped = f"interrupted: {text}", error
    return Dunn(bound, True, f"Dunn is at most this, {text}", stopped)
