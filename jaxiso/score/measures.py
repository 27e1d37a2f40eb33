"""All measures of one cloud of vectors; each is a value, or nothing and why.

The values are those of the functions in `jaxiso.metrics`. Those that take linear time are summed up
over blocks of vectors, which need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.vectors import OpenedVectors
from jaxiso.metrics.errors import BLOCKS, Dealt, Estimate, LabelMeans, deal, some_of_each
from jaxiso.score.by_label import by_label
from jaxiso.score.clusters import Groups
from jaxiso.score.free import add_errors, free_measures, of_nonzero
from jaxiso.score.linear import silhouettes
from jaxiso.score.options import Options
from jaxiso.score.pairs import (
    INTERRUPTED,
    Limits,
    Points,
    Silhouettes,
    dunn,
    euclidean_silhouettes,
    exit_code,
    without_blocks,
)
from jaxiso.score.streaming import Cloud, eigenvalues, moments
from jaxiso.score.values import CLUSTERS, FREE, Scores, Value, no_clusters, number

ERRORS = 2**25
"""Numbers that standard errors hold in memory at most: vectors, or centroids without each block."""
WORK = 2**37
"""Multiplications for the standard errors of silhouettes that need no pairs: some ten seconds."""
TOO_MANY = "no standard error: labels are too many for it"


class Found(NamedTuple):
    """Measures that have become known.

    Attributes:
        values: by name.
        estimates: those with standard errors.
        silhouettes: of single vectors, where it is they that have become known.
    """

    values: dict[str, Value]
    estimates: Mapping[str, Estimate] = {}
    silhouettes: Silhouettes | None = None


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
    estimates: dict[str, Estimate] = {}
    scores = Scores(found.path, cloud.n, cloud.d, labels and labels.names, found.left_out, values)
    scores = scores._replace(estimates=estimates)
    try:
        sums = moments(cloud)
        variances = eigenvalues(cloud, sums)
        scores = scores._replace(eigenvalues=variances)
        values.update(free_measures(cloud, sums, variances))
        small = 4 <= cloud.n <= ERRORS // cloud.d and not cloud.part.pooled
        if small and not options.no_error:
            estimates.update(add_errors(found.rows, options.seed, values))
        if labels is not None:
            for more in cluster_measures(cloud, labels.codes, len(labels.names), options):
                values.update(more.values)
                estimates.update(more.estimates)
                scores = scores._replace(silhouettes=more.silhouettes or scores.silhouettes)
            if options.by_label:
                rows = by_label(found.rows, labels, scores.silhouettes)
                scores = scores._replace(rows=rows)
    except INTERRUPTED as stopped:
        return scores._replace(interrupted=exit_code(stopped))
    return scores


def cluster_measures(cloud: Cloud, codes: np.ndarray, k: int, options: Options) -> Iterator[Found]:
    """Yields the measures of labels as clusters, as soon as each is known.

    Args:
        cloud: the vectors.
        codes: (n,) int32 labels from 0 to k - 1, each of which occurs.
        k: number of labels.
        options: of the command.
    """
    if (why := no_clusters(k, cloud.n)) is not None:
        yield Found(dict.fromkeys(CLUSTERS, Value(None, remark=why)))
        return
    dealt, remark = deal(cloud.n, 1 if options.no_error else BLOCKS, options.seed), None
    of_groups = dealt
    if k * cloud.d * dealt.blocks > ERRORS and dealt.blocks > 1:
        of_groups, remark = deal(cloud.n, 1), TOO_MANY
    groups = Groups.of(cloud, codes, k, dealt=of_groups)
    yield _found(groups.estimates(), remark)
    limits = Limits(
        options.exact, options.sample_size, options.average, options.seed, options.quiet
    )
    if options.metric == "cosine":
        groups = Groups.of(cloud, codes, k, unit=True, dealt=of_groups)
    why = _no_clusters_without_zeros(groups.counts, cloud.n)
    if why is not None:
        nothing = Value(None, remark=why)
        yield Found({"silhouette": nothing, "simplified_silhouette": nothing})
    else:
        yield from _without_pairs(cloud, codes, groups, of_groups, options)
    points = None
    if options.metric == "euclidean":
        points = Points.of(cloud)
        of = euclidean_silhouettes(points, codes, k, limits)
        yield _mean(of, options.average)
        if of.interrupted:
            raise of.interrupted
        if of.sampled is None and dealt.blocks > 1 and not points.part.pooled:
            of = of._replace(means=without_blocks(points, of, dealt, limits))
            yield _mean(of if of.means else of._replace(remark=TOO_MANY), options.average)
    found = dunn(cloud, points, codes, k, limits)
    value = number(found.value, "infinite: every label is a single place")
    if found.at_most:
        value = value._replace(remark=found.remark, at_most=value.value is not None)
    yield Found({"dunn": value})
    if found.interrupted:
        raise found.interrupted


def _without_pairs(
    cloud: Cloud, codes: np.ndarray, groups: Groups, dealt: Dealt, options: Options
) -> Iterator[Found]:
    """The silhouettes that take linear time."""
    k, remarks = len(groups.counts), []
    chosen = some_of_each(codes, k, options.seed) if groups.without else None
    if chosen is not None and len(chosen) * groups.centroids.size * dealt.blocks > WORK:
        groups, chosen, dealt = groups._replace(without=()), None, deal(cloud.n, 1)
        remarks.append(TOO_MANY)
    found = silhouettes(cloud, codes, groups, options.metric, chosen)
    if groups.counts.sum() < cloud.n:
        remarks.append(of_nonzero(int(groups.counts.sum())))
    remark = "; ".join(remarks) or None
    simplified = LabelMeans.of(found.simplified, codes, k, dealt, found.rows, found.without[1])
    yield _found({"simplified_silhouette": simplified.average(options.average)}, remark)
    if options.metric != "euclidean":
        means = LabelMeans.of(found.squared, codes, k, dealt, found.rows, found.without[0])
        kept = ~np.isnan(found.squared)
        of = Silhouettes(found.squared[kept], codes[kept], groups.counts, means, remark=remark)
        yield _mean(of, options.average)


def _no_clusters_without_zeros(counts: np.ndarray, n: int) -> str | None:
    """Why vectors that are not zero make no clusters, if they do not."""
    used, m = np.count_nonzero(counts), counts.sum()
    if 1 < used < m:
        return None
    return f"{m:,} of {n:,} vectors are not zero, and have {used:,} labels"


def _mean(of: Silhouettes, average: str) -> Found:
    if of.sampled is not None:
        value = Value(of.sampled.value, of.sampled.standard_error, of.remark)
        return Found({"silhouette": value}, {}, of)
    means = of.means
    if means is None:
        dealt = deal(len(of.values), 1)
        means = LabelMeans.of(of.values, of.codes, len(of.counts), dealt)
    return _found({"silhouette": means.average(average)}, of.remark)._replace(silhouettes=of)


def _found(estimates: dict[str, Estimate], remark: str | None) -> Found:
    """Values with their errors, where they have any."""
    values = {name: number(one.value, se=one.se) for name, one in estimates.items()}
    for name, value in values.items():
        values[name] = value._replace(remark=value.remark or remark)
    return Found(values, {name: one for name, one in estimates.items() if len(one.without) > 1})
