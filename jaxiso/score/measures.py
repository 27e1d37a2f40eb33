"""All measures of one cloud of vectors; each is a value, or nothing and why.

The values are those of the functions in `jaxiso.metrics`. Those that take linear time are summed up
over blocks of vectors, which need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.labels import Labels
from jaxiso.data.rows import ArrayRows, KeptRows, Rows
from jaxiso.data.vectors import OpenedVectors
from jaxiso.metrics.dimension import effective_rank_from_eigenvalues
from jaxiso.metrics.errors import Estimate, jackknife
from jaxiso.metrics.isotropy import isoscore_from_eigenvalues
from jaxiso.score.clusters import Groups, silhouettes
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
from jaxiso.score.streaming import Cloud, Moments, eigenvalues, log_partitions, moments

SAME = "all vectors are the same"
LOW = "low because vectors are few beside their dimensions: see the corrected one"
CLUSTERS = (
    "silhouette",
    "simplified_silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "dunn",
)
FREE = ("isoscore", "isoscore_corrected", "mu_viswanath", "effective_rank", "mean_cosine")
ERRORS = 2**25
"""Numbers of vectors that standard errors are taken of: those that fit in memory easily."""
BIASED = 0.05
"""Share by which IsoScore may be off its corrected value without a word."""
GATHERED = 2**24
"""Numbers of vectors that are gathered by label at once."""


class Value(NamedTuple):
    """A measured number.

    Attributes:
        value: None where the measure is not defined, or not known.
        se: standard error: of a random sample for all, or of these vectors for others like them.
        remark: why it is not defined, or what else to know.
        at_most: the measure is not above this, and may be below.
    """

    value: float | None
    se: float | None = None
    remark: str | None = None
    at_most: bool = False


class Row(NamedTuple):
    """The measures of the `n` points of one label."""

    name: str
    n: int
    values: dict[str, Value]


class Scores(NamedTuple):
    """All that was measured of one file.

    Attributes:
        path: the file.
        n: vectors measured.
        d: dimensions.
        labels: the distinct labels; None where none were given.
        left_out: number of vectors left out, by reason.
        values: by name; those of clusters only where there are labels.
        silhouettes: None where there are none.
        rows: by label, in label order; None where not asked for.
        eigenvalues: of the covariance, largest first; None where it was interrupted before.
        interrupted: the exit code of what ended it early; None if nothing did.
        transform: what was done to the vectors first.
        found: what that found of them, a sentence each.
        estimates: measures with the jackknife's errors, which differences of two files need.
    """

    path: Path
    n: int
    d: int
    labels: tuple[str, ...] | None
    left_out: Mapping[str, int]
    values: Mapping[str, Value]
    silhouettes: Silhouettes | None = None
    rows: list[Row] | None = None
    eigenvalues: np.ndarray | None = None
    interrupted: int | None = None
    transform: str = "none"
    found: tuple[str, ...] = ()
    estimates: Mapping[str, Estimate] = {}

    @property
    def sampled(self) -> int | None:
        """Vectors that silhouettes were taken of; None where it is all of them."""
        found = self.silhouettes
        return None if found is None or found.sampled is None else len(found.values)


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
            scores = scores._replace(estimates=_errors(found.rows, options.seed, values))
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


def number(value: float, otherwise: str = "not a number") -> Value:
    """A number; or nothing where it is not finite, and why."""
    return Value(float(value)) if np.isfinite(value) else Value(None, remark=otherwise)


def free_measures(cloud: Cloud, sums: Moments, variances: np.ndarray) -> dict[str, Value]:
    """The measures that need no labels, from the cloud's moments and its eigenvalues."""
    partitions = log_partitions(cloud, sums)
    return {
        **_isoscores(variances, cloud),
        "mu_viswanath": number(float(np.exp(partitions.min() - partitions.max()))),
        "effective_rank": number(effective_rank_from_eigenvalues(variances), SAME),
        "mean_cosine": _mean_cosine(cloud.n, sums),
    }


def _isoscores(variances: np.ndarray, cloud: Cloud) -> dict[str, Value]:
    """IsoScore as it is, and corrected for the number of vectors."""
    plain = number(isoscore_from_eigenvalues(variances, cloud.d), SAME)
    if cloud.n < 4:
        return {"isoscore": plain, "isoscore_corrected": Value(None, remark="of 4 vectors or more")}
    corrected = number(isoscore_from_eigenvalues(variances, cloud.d, n=cloud.n), SAME)
    if plain.value is not None and corrected.value is not None:
        off = abs(plain.value - corrected.value) > BIASED * abs(corrected.value)
        plain = plain._replace(remark=LOW if off else None)
    return {"isoscore": plain, "isoscore_corrected": corrected}


def _errors(rows: Rows, seed: int, values: dict[str, Value]) -> dict[str, Estimate]:
    """Puts standard errors to the values, and returns what they were taken from."""
    found = jackknife(rows.load(), seed=seed)
    for name, estimate in found.items():
        if values[name].value is not None and np.isfinite(estimate.se):
            values[name] = values[name]._replace(se=estimate.se)
    return found


def _mean_cosine(n: int, sums: Moments) -> Value:
    """Mean cosine of the vectors that have a direction."""
    m = sums.nonzero
    if m < 2:
        return Value(None, remark=f"{m} of {n:,} vectors is not zero")
    value = Value(float(((sums.directions**2).sum() - m) / m / (m - 1)))
    return value if m == n else value._replace(remark=_of_nonzero(m))


def _of_nonzero(m: int) -> str:
    return f"of the {m:,} vectors that are not zero: a zero has no direction"


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
    if not 1 < k < cloud.n:
        why = "there is only one label" if k == 1 else "every vector has a label of its own"
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
    why = _no_clusters(groups.counts, cloud.n)
    if why is not None:
        nothing = Value(None, remark=why)
        yield {"silhouette": nothing, "simplified_silhouette": nothing}, None
    else:
        linear = silhouettes(cloud, codes, groups, options.metric)
        remark = None
        if groups.counts.sum() < cloud.n:
            remark = _of_nonzero(int(groups.counts.sum()))
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


def _no_clusters(counts: np.ndarray, n: int) -> str | None:
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


def by_label(rows: Rows, labels: Labels, of: Silhouettes | None) -> list[Row]:
    """The measures of each label's vectors by themselves, in label order.

    Several small labels at once are gathered in memory; a large one is read on its own.

    Args:
        rows: the vectors; every process reads all of them.
        labels: of the vectors.
        of: silhouettes as from `cluster_measures`, if there are any.
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
    variances = eigenvalues(cloud, sums)
    return {
        **_isoscores(variances, cloud),
        "effective_rank": number(effective_rank_from_eigenvalues(variances), SAME),
        "mean_cosine": _mean_cosine(cloud.n, sums),
    }


def mean_silhouette(of: Silhouettes | None, code: int) -> Value:
    """Mean silhouette of the vectors of one label; with a standard error where only some are."""
    if of is None:
        return Value(None, remark="no silhouettes")
    mine, n = of.values[of.codes == code], int(of.counts[code])
    if of.sampled is None or n == 1:
        # A vector alone with its label has 0, and is not drawn.
        return number(mine.mean() if len(mine) else 0.0)
    if len(mine) < 2:
        return Value(None, remark="fewer than two of the sample")
    se = np.sqrt((1 - len(mine) / n) * mine.var(ddof=1) / len(mine))
    return Value(float(mine.mean()), float(se))
