"""All measures of one cloud of vectors; each is a value, or nothing and why.

The values are those of the functions in `jaxiso.metrics`. Those that take linear time are summed up
over blocks of vectors, which need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.labels import Labels
from jaxiso.data.vectors import OpenedVectors
from jaxiso.metrics.errors import Dealt, Estimate, LabelMeans, deal, some_of_each
from jaxiso.score.background import INTERRUPTED, exit_code
from jaxiso.score.by_label import by_label
from jaxiso.score.cloud import Cloud
from jaxiso.score.clusters import Groups
from jaxiso.score.free import free_measures, of_nonzero
from jaxiso.score.linear import silhouettes
from jaxiso.score.options import Options
from jaxiso.score.pairs import (
    Limits,
    Points,
    Silhouettes,
    dunn,
    euclidean_silhouettes,
    without_blocks,
)
from jaxiso.score.values import CLUSTERS, FREE, Found, Scores, Value, no_clusters, number

ERRORS = 2**25
"""Numbers at most of the centroids of labels without each block, which are held in memory."""
WORK = 2**37
"""Multiplications for the standard errors of silhouettes that need no pairs: some ten seconds."""
TOO_MANY = "no standard error: labels are too many for it"


def measure(
    found: OpenedVectors, options: Options, wanted: Collection[str] = FREE + CLUSTERS
) -> Scores:
    """Measures the vectors of a file, and their labels as clusters if there are any.

    Interrupted, it gives what is known.

    Other measures than those `wanted` may come with them.
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
        for known in _known(cloud, labels, options, wanted):
            values.update(known.values)
            estimates.update({n: one for n, one in known.estimates.items() if n in values})
            scores = scores._replace(
                silhouettes=known.silhouettes or scores.silhouettes,
                eigenvalues=scores.eigenvalues if known.eigenvalues is None else known.eigenvalues,
            )
        if labels is not None and options.by_label:
            rows = by_label(found.rows, labels, scores.silhouettes)
            scores = scores._replace(rows=rows)
    except INTERRUPTED as stopped:
        return scores._replace(interrupted=exit_code(stopped))
    return scores


def _known(
    cloud: Cloud, labels: Labels | None, options: Options, wanted: Collection[str]
) -> Iterator[Found]:
    if not set(FREE).isdisjoint(wanted):
        seed = None if options.no_error else options.seed
        yield from free_measures(cloud, seed, partitions="mu_viswanath" in wanted)
    if labels is not None:
        yield from cluster_measures(cloud, labels.codes, len(labels.names), options, wanted)


def cluster_measures(
    cloud: Cloud, codes: np.ndarray, k: int, options: Options, wanted: Collection[str] = CLUSTERS
) -> Iterator[Found]:
    """Yields the measures of labels as clusters, as soon as each is known.

    Codes are (n,) int32 labels from 0 to k - 1, each of which occurs. Other measures than those
    `wanted` may come with them.
    """
    if (why := no_clusters(k, cloud.n)) is not None:
        yield Found(dict.fromkeys(CLUSTERS, Value(None, remark=why)))
        return
    dealt, few, remark = deal(cloud.n, seed=options.seed), deal(cloud.n, 1), None
    if options.no_error:
        dealt = few
    elif k * cloud.d * dealt.blocks > ERRORS:
        remark = TOO_MANY
    of_groups = dealt if remark is None else few
    groups = None
    if not {"calinski_harabasz", "davies_bouldin"}.isdisjoint(wanted):
        groups = Groups.of(cloud, codes, k, dealt=of_groups)
        yield _found(groups.estimates(), remark)
    pairs = options.metric == "euclidean"
    if "simplified_silhouette" in wanted or ("silhouette" in wanted and not pairs):
        if groups is None or options.metric == "cosine":
            unit = options.metric == "cosine"
            groups = Groups.of(cloud, codes, k, unit=unit, dealt=of_groups)
        yield from _without_pairs(cloud, codes, groups, of_groups, options, remark)
    limits = Limits(
        options.exact, options.sample_size, options.average, options.seed, options.quiet
    )
    points = None
    if "silhouette" in wanted and pairs:
        points = Points.of(cloud)
        of = euclidean_silhouettes(points, codes, k, limits)
        yield _mean(of, options.average)
        if of.interrupted:
            raise of.interrupted
        if of.sampled is None and dealt.blocks > 1 and not points.part.pooled:
            of = of._replace(means=without_blocks(points, of, dealt, limits))
            yield _mean(of if of.means else of._replace(remark=TOO_MANY), options.average)
    if "dunn" not in wanted:
        return
    found = dunn(cloud, points, codes, k, limits)
    value = number(found.value, "infinite: every label is a single place")
    if found.at_most:
        value = value._replace(remark=found.remark, at_most=value.value is not None)
    yield Found({"dunn": value})
    if found.interrupted:
        raise found.interrupted


def _without_pairs(
    cloud: Cloud,
    codes: np.ndarray,
    groups: Groups,
    dealt: Dealt,
    options: Options,
    remark: str | None,
) -> Iterator[Found]:
    """The silhouettes that take linear time, with what there is to remark about their errors."""
    why = _no_clusters_without_zeros(groups.counts, cloud.n)
    if why is not None:
        nothing = Value(None, remark=why)
        names = ("silhouette", "simplified_silhouette")[options.metric == "euclidean" :]
        yield Found(dict.fromkeys(names, nothing))
        return
    k, remarks = len(groups.counts), [remark] if remark else []
    chosen = some_of_each(codes, k, options.seed) if groups.without else None
    if chosen is not None and len(chosen) * groups.centroids.size * dealt.blocks > WORK:
        groups, chosen, dealt = replace(groups, without=()), None, deal(cloud.n, 1)
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
