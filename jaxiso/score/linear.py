"""Silhouettes that need no pairs, of vectors that need not fit in memory: one pass over them.

The formulas are those of `jaxiso.metrics.host_labels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxiso.metrics.host_labels import SIMPLIFIED, SQUARED, scorer
from jaxiso.score.cloud import Cloud
from jaxiso.score.clusters import Groups, labelled


class OfPoints(NamedTuple):
    """Silhouettes of single vectors; NaN of one that has no direction, under cosine.

    Attributes:
        squared: (n,) under squared Euclidean distance, or of unit vectors cosine distance.
        simplified: (n,) from distances to centroids.
        rows: (m,) the vectors that were chosen, without those that have no direction.
        without: (2, B, m) the squared and the simplified ones of these, without each block.
    """

    squared: np.ndarray
    simplified: np.ndarray
    rows: np.ndarray
    without: np.ndarray


def silhouettes(
    cloud: Cloud, codes: np.ndarray, of: Groups, metric: str, chosen: np.ndarray | None = None
) -> OfPoints:
    """One pass of n·d·K work: exact silhouettes, and simplified ones.

    Args:
        cloud: the vectors.
        codes: (n,) their labels.
        of: their groups, of unit vectors if the metric is cosine.
        metric: "euclidean", "sqeuclidean" or "cosine". The simplified silhouette is of this one;
            under cosine of the distances to the centroids' directions.
        chosen: numbers of vectors, rising, whose silhouettes are also taken without each of the
            blocks that the groups know: m·d·K·B work for m of them. None by default.
    """

    def scorer_of(of: Groups) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        return scorer(of.counts, of.centroids, of.spread, metric, SQUARED, SIMPLIFIED)

    first, size = cloud.part.start, cloud.part.stop - cloud.part.start
    found, scored = np.full((2, size), np.nan), scorer_of(of)
    chosen = np.zeros(0, np.int64) if chosen is None else chosen
    kept, vectors = [np.zeros(0, np.int64)], [np.zeros((0, cloud.d))]
    for numbers, x, labels in labelled(cloud, codes, of.unit, "silhouettes"):
        found[:, numbers - first] = scored(x, labels)
        some = np.isin(numbers, chosen, assume_unique=True)
        kept.append(numbers[some])
        vectors.append(x[some])
    rows, x = np.concatenate(kept), np.concatenate(vectors)
    without = np.zeros((len(of.without), 2, len(rows)))
    for j, groups in enumerate(of.without):
        without[j] = scorer_of(groups)(x, codes[rows])
    gather = cloud.part.gather
    moved = np.moveaxis(gather(np.ascontiguousarray(without.T)), 0, -1)
    squared, simplified = gather(found.T).T
    return OfPoints(squared, simplified, gather(rows), moved)
