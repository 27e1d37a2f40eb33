"""The measures of each label's vectors by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxiso.data.labels import Labels
from jaxiso.data.rows import ArrayRows, KeptRows, Rows
from jaxiso.score.cloud import Cloud
from jaxiso.score.free import of_moments
from jaxiso.score.pairs import Silhouettes
from jaxiso.score.streaming import eigenvalues, moments
from jaxiso.score.values import Row, Value, number

GATHERED = 2**24
"""Numbers of vectors that are gathered by label at once."""


def by_label(rows: Rows, labels: Labels, of: Silhouettes | None) -> list[Row]:
    """The measures of each label's vectors by themselves, in label order.

    Several small labels at once are gathered in memory; a large one is read on its own.

    Every process reads all of the vectors. Silhouettes are as from `cluster_measures`.
    """
    counts = np.bincount(labels.codes, minlength=len(labels.names))
    found: list[Row] = []
    for first, last in _runs(counts * rows.shape[1], GATHERED):
        mine = (labels.codes >= first) & (labels.codes < last)
        for code, part in enumerate(_apart(KeptRows(rows, mine), labels.codes[mine], last), first):
            values = alone(part) | {"silhouette": mean_silhouette(of, code)}
            found.append(Row(labels.names[code], len(part), values))
    return found


def _apart(rows: Rows, codes: np.ndarray, stop: int) -> list[Rows]:
    """The rows of each label before `stop`, in memory unless they are of one label."""
    labels = np.unique(codes)
    if len(labels) == 1:
        return [rows]
    loaded = rows.load()[np.argsort(codes, kind="stable")]
    return [
        ArrayRows(part) for part in np.split(loaded, np.cumsum(np.bincount(codes))[labels[:-1]])
    ]


def _runs(sizes: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of labels whose sizes add up to `most`, or that are but one label."""
    first, total = 0, 0
    for label, size in enumerate(sizes.tolist()):
        if total and total + size > most:
            yield first, label
            first, total = label, 0
        total += size
    yield first, len(sizes)


def alone(rows: Rows) -> dict[str, Value]:
    """IsoScore, effective rank and mean cosine of the vectors of one label."""
    names = ("isoscore", "isoscore_corrected", "effective_rank", "mean_cosine")
    if len(rows) < 2:
        return dict.fromkeys(names, Value(None, remark="a single vector"))
    cloud = Cloud(rows, pooled=False)
    sums = moments(cloud)
    return of_moments(cloud, sums, eigenvalues(cloud, sums))


def mean_silhouette(of: Silhouettes | None, code: int) -> Value:
    """Mean silhouette of the vectors of one label; with its standard error where that is known."""
    if of is None:
        return Value(None, remark="no silhouettes")
    mine, n = of.values[of.codes == code], int(of.counts[code])
    if of.sampled is None or n == 1:
        # A vector alone with its label has 0, and is not drawn.
        se = None if of.means is None else of.means.of_label(code).se
        return number(mine.mean() if len(mine) else 0.0, se=se)
    if len(mine) < 2:
        return Value(None, remark="fewer than two of the sample")
    se = np.sqrt((1 - len(mine) / n) * mine.var(ddof=1) / len(mine))
    return Value(float(mine.mean()), float(se))
