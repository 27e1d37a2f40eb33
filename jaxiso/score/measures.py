"""All measures of one cloud of vectors; each is a value, or nothing and why.

The values are those of the functions in `jaxiso.metrics`. Those that take linear time are summed up
over blocks of vectors, which need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.vectors import OpenedVectors
from jaxiso.score.by_label import by_label
from jaxiso.score.clusters import Groups, silhouettes
from jaxiso.score.free import add_errors, free_measures, of_nonzero
from jaxiso.score.options import Options
from jaxiso.score.pairs import (
    INTERRUPTED,
    Limits,
    Points,
    Silhouettes,
    dunn,
    euclidean_silhouettes,
    exit_code,
)
from jaxiso.score.streaming import Cloud, eigenvalues, moments
from jaxiso.score.values import CLUSTERS, FREE, Scores, Value, no_clusters, number

ERRORS = 2**25
"""Numbers of vectors that standard errors are taken of: those that fit in memory easily."""


def measure(found: OpenedVectors, options: Options) -> Scores:
    """Measures the vectors of a file, and their labels as clusters if there are any.

    Interrupted, it gives what is known.
    """
    cloud, labels, m = Cloud(found.rows, quiet=options.quiet), found.labels, options.sample_size
    if labels is not None and m is not None and m > cloud.n:
        raise InputError(
            f"--sample-size {m}: {found.path} has {cloud.n:,} vectors; at most as many"
        )
    names = FREE if labels is None else FREE + CLUSTERS
    values: dict[str, Value] = dict.fromkeys(names, Value(None, remark="interrupted"))
    scores = Scores(found.path, cloud.n, cloud.d, labels and labels.names, found.left_out, values)
    try:
        sums = moments(cloud)
        variances = eigenvalues(cloud, sums)
        scores = scores._replace(eigenvalues=variances)
        values.update(free_measures(cloud, sums, variances))
        small = 4 <= cloud.n <= ERRORS // cloud.d and not cloud.part.pooled
        if small and not options.no_error:
            scores = scores._replace(estimates=add_errors(found.rows, options.seed, values))
        if labels is not None:
            for more, of in cluster_measures(cloud, labels.codes, len(labels.names), options):
                values.update(more)
                scores = scores._replace(silhouettes=of or scores.silhouettes)
            if options.by_label:
                rows = by_label(found.rows, labels, scores.silhouettes)
                scores = scores._replace(rows=rows)
    except INTERRUPTED as stopped:
        return scores._replace(interrupted=exit_code(stopped))
    return scores


def cluster_measures(
    cloud: Cloud, codes: np.ndarray, k: int, options: Options
) -> Iterator[tuple[dict[str, Value], Silhouettes | None]]:
    """Yields the measures of labels as clusters, as soon as each is known, and silhouettes.

    Args:
        cloud: the vectors.
        codes: (n,) int32 labels from 0 to k - 1, each of which occurs.
        k: number of labels.
        options: of the command.
    """
    if (why := no_clusters(k, cloud.n)) is not None:
        yield dict.fromkeys(CLUSTERS, Value(None, remark=why)), None
        return
    groups = Groups.of(cloud, codes, k)
    yield (
        {
            "calinski_harabasz": number(groups.calinski_harabasz()),
            "davies_bouldin": number(groups.davies_bouldin()),
        },
        None,
    )
    limits = Limits(
        options.exact, options.sample_size, options.average, options.seed, options.quiet
    )
    if options.metric == "cosine":
        groups = Groups.of(cloud, codes, k, unit=True)
    why = _no_clusters_without_zeros(groups.counts, cloud.n)
    if why is not None:
        nothing = Value(None, remark=why)
        yield {"silhouette": nothing, "simplified_silhouette": nothing}, None
    else:
        linear = silhouettes(cloud, codes, groups, options.metric)
        remark = None
        if groups.counts.sum() < cloud.n:
            remark = of_nonzero(int(groups.counts.sum()))
        simplified = _average(linear.simplified, codes, groups.counts, options.average)
        yield {"simplified_silhouette": simplified._replace(remark=remark)}, None
        if options.metric != "euclidean":
            kept = ~np.isnan(linear.squared)
            of = Silhouettes(linear.squared[kept], codes[kept], groups.counts, remark=remark)
            yield {"silhouette": _mean(of, options.average)}, of
    points = None
    if options.metric == "euclidean":
        points = Points.of(cloud)
        of = euclidean_silhouettes(points, codes, k, limits)
        yield {"silhouette": _mean(of, options.average)}, of
        if of.interrupted:
            raise of.interrupted
    found = dunn(cloud, points, codes, k, limits)
    value = number(found.value, "infinite: every label is a single place")
    if found.at_most:
        value = value._replace(remark=found.remark, at_most=value.value is not None)
    yield {"dunn": value}, None
    if found.interrupted:
        raise found.interrupted


def _no_clusters_without_zeros(counts: np.ndarray, n: int) -> str | None:
    """Why vectors that are not zero make no clusters, if they do not."""
    used, m = np.count_nonzero(counts), counts.sum()
    if 1 < used < m:
        return None
    return f"{m:,} of {n:,} vectors are not zero, and have {used:,} labels"


def _mean(of: Silhouettes, average: str) -> Value:
    if of.sampled is not None:
        return Value(of.sampled.value, of.sampled.standard_error, of.remark)
    return _average(of.values, of.codes, of.counts, average)._replace(remark=of.remark)


def _average(values: np.ndarray, codes: np.ndarray, counts: np.ndarray, average: str) -> Value:
    """The mean over vectors, or over labels of theirs; NaN are left out."""
    kept = ~np.isnan(values)
    if average == "micro":
        return number(values[kept].mean(dtype=np.float64))
    sums = np.bincount(codes[kept], values[kept], minlength=len(counts))
    return number((sums[counts > 0] / counts[counts > 0]).mean())
