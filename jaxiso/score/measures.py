"""All measures of one cloud of vectors; each is a value, or nothing and why.

The values are those of the functions in `jaxiso.metrics`. Those that compare all pairs of points
(silhouette and Dunn's index) are taken on random samples where that is less work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxiso.data.labels import Labels
from jaxiso.data.vectors import LabelledVectors
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score, dunn_index
from jaxiso.metrics.dimension import (
    covariance_eigenvalues,
    effective_rank,
    effective_rank_from_eigenvalues,
)
from jaxiso.metrics.isotropy import (
    isoscore,
    isoscore_from_eigenvalues,
    isotropy_score,
    mean_cosine,
    mean_cosine_on_host,
)
from jaxiso.metrics.pairwise import TileShape, tile_shape, tile_size
from jaxiso.metrics.silhouette import silhouette_samples
from jaxiso.score.options import Options

SAME = "all vectors are the same"


class Value(NamedTuple):
    """A measured number.

    Attributes:
        value: None where the measure is not defined.
        se: standard error, where it is a mean over random samples.
        remark: why it is not defined, or what else to know.
    """

    value: float | None
    se: float | None = None
    remark: str | None = None


class Silhouettes(NamedTuple):
    """Silhouettes of single points, a row for each random sample; one row if of all points.

    Attributes:
        values: (draws, m) float32.
        codes: (draws, m) int32, their labels.
    """

    values: np.ndarray
    codes: np.ndarray


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
    """

    path: Path
    n: int
    d: int
    labels: tuple[str, ...] | None
    left_out: Mapping[str, int]
    values: Mapping[str, Value]
    silhouettes: Silhouettes | None
    rows: list[Row] | None

    @property
    def sampled(self) -> int | None:
        """Points in each random sample; None where silhouette and Dunn's index are of all."""
        if self.silhouettes is None or len(self.silhouettes.values) == 1:
            return None
        return self.silhouettes.values.shape[1]


def measure(found: LabelledVectors, options: Options) -> Scores:
    """Measures the vectors of a file, and their labels as clusters if there are any."""
    vectors, labels = found.vectors, found.labels
    values, silhouettes, rows, names = free_measures(vectors), None, None, None
    if labels is not None:
        names = labels.names
        of_clusters, silhouettes = cluster_measures(
            vectors,
            labels.codes,
            len(names),
            sample=options.sample,
            draws=options.draws,
            seed=options.seed,
        )
        values |= of_clusters
        if options.by_label:
            rows = by_label(vectors, labels, silhouettes)
    n, d = vectors.shape
    return Scores(found.path, n, d, names, found.left_out, values, silhouettes, rows)


def free_measures(points: np.ndarray) -> dict[str, Value]:
    """The measures that need no labels.

    Args:
        points: shape (n, d), finite; n and d at least 2.
    """
    placed = on_device(points)
    return {
        "isoscore": value_of(isoscore, placed, otherwise=SAME),
        "mu_viswanath": value_of(isotropy_score, placed),
        "effective_rank": value_of(effective_rank, placed, otherwise=SAME),
        "mean_cosine": mean_cosine_without_zeros(points),
    }


def on_device(points: np.ndarray) -> Any:
    """Points in single precision, placed once for all measures; others, each measure converts."""
    return jnp.asarray(points) if points.dtype == np.float32 else points


def value_of(
    metric: Callable[..., Any], *arguments: Any, otherwise: str = "not a number", **options: Any
) -> Value:
    """What a metric gives, or why it gives nothing.

    Args:
        metric: a function of `jaxiso.metrics`.
        *arguments: its arguments.
        otherwise: the reason where it gives no finite number.
        **options: its keyword arguments.
    """
    try:
        return mean_of([float(metric(*arguments, **options))], otherwise)
    except ValueError as error:  # values outside of float32's range
        return Value(None, remark=str(error))


def mean_of(draws: Sequence[float], otherwise: str = "not a number") -> Value:
    """The mean over random samples with its standard error; the number itself if there is one."""
    if not np.isfinite(draws).all():
        return Value(None, remark=otherwise)
    if len(draws) == 1:
        return Value(float(draws[0]))
    return Value(float(np.mean(draws)), float(np.std(draws, ddof=1) / np.sqrt(len(draws))))


def mean_cosine_without_zeros(points: np.ndarray) -> Value:
    """Mean cosine of the points that have a direction."""
    with np.errstate(over="ignore"):
        directed = points.astype(np.float32, copy=False).any(axis=1)
    n, others = len(points), int(directed.sum())
    if others == n:
        return value_of(mean_cosine, on_device(points))
    if others < 2:
        return Value(None, remark=f"{others} of {n:,} vectors is not zero")
    found = value_of(mean_cosine, on_device(points[directed]))
    if found.value is None:
        return found
    remark = f"of the {others:,} vectors that are not zero: a zero has no direction"
    return found._replace(remark=remark)


def cluster_measures(
    points: np.ndarray, codes: np.ndarray, k: int, *, sample: int, draws: int, seed: int
) -> tuple[dict[str, Value], Silhouettes | None]:
    """The measures of labels as clusters.

    Silhouette and Dunn's index are taken of `draws` random samples of `sample` points each, where
    that makes fewer pairs than all points do.

    Args:
        points: shape (n, d), finite; n and d at least 2.
        codes: (n,) int32 labels from 0 to k - 1, each of which occurs.
        k: number of labels.
        sample: points in a sample; 0 to take all points, however many.
        draws: number of samples, at least 2.
        seed: that the samples are drawn from.

    Returns:
        The measures, and the silhouettes of the points; None where there are none.
    """
    names = ("silhouette", "calinski_harabasz", "davies_bouldin", "dunn")
    n = len(points)
    if not 1 < k < n:
        why = "there is only one label" if k == 1 else "every vector has a label of its own"
        return dict.fromkeys(names, Value(None, remark=why)), None
    placed = on_device(points)
    rows: list[Any] = [slice(None)]
    if is_sampled(n, sample, draws):
        random = (np.random.default_rng([seed, draw]) for draw in range(draws))
        rows = [np.sort(one.choice(n, sample, replace=False)) for one in random]
    if all(1 < len(np.unique(codes[row])) < len(codes[row]) for row in rows):
        silhouettes, indices = compare_pairs(placed, codes, k, rows)
        silhouette = mean_of(silhouettes.values.mean(axis=1, dtype=np.float64))
        dunn = mean_of(indices, "infinite: every label is a single place")
    else:
        why = "a sample has one label only, or all different; raise --sample"
        silhouettes, silhouette = None, Value(None, remark=why)
        dunn = silhouette
    calinski = value_of(calinski_harabasz_score, placed, codes, num_labels=k)
    davies = value_of(davies_bouldin_score, placed, codes, num_labels=k)
    return dict(zip(names, (silhouette, calinski, davies, dunn), strict=True)), silhouettes


def is_sampled(n: int, sample: int, draws: int) -> bool:
    """Whether samples of n points make fewer pairs than the points themselves."""
    return sample > 0 and draws * sample**2 < n**2


def compare_pairs(
    points: Any, codes: np.ndarray, k: int, rows: Sequence[Any]
) -> tuple[Silhouettes, list[float]]:
    """Silhouettes and Dunn's indices of samples of the points, all of one size."""
    labels = [codes[row] for row in rows]
    tile = tile_size(len(labels[0]))
    # One program for all samples: as wide as the widest of them.
    width = max(tile_shape(np.bincount(mine, minlength=k), tile=tile).width for mine in labels)
    fixed: dict[str, Any] = {"num_labels": k, "plan": TileShape(tile, width)}
    values, indices = [], []
    for row, mine in zip(rows, labels, strict=True):
        values.append(np.asarray(silhouette_samples(points[row], mine, **fixed)))
        indices.append(float(dunn_index(points[row], mine, **fixed)))
    return Silhouettes(np.stack(values), np.stack(labels)), indices


def by_label(points: np.ndarray, labels: Labels, of: Silhouettes | None) -> list[Row]:
    """The measures of each label's points by themselves, in label order.

    In float64 on the host: labels have sizes of their own, and each would be a program to compile.

    Args:
        points: shape (n, d), finite.
        labels: of the points.
        of: silhouettes as from `cluster_measures`, if there are any.
    """
    order = np.argsort(labels.codes, kind="stable")
    ends = np.cumsum(np.bincount(labels.codes, minlength=len(labels.names)))
    parts = np.split(order, ends[:-1])
    return [
        Row(name, len(mine), alone(points[mine]) | {"silhouette": mean_silhouette(of, code)})
        for code, (name, mine) in enumerate(zip(labels.names, parts, strict=True))
    ]


def alone(points: np.ndarray) -> dict[str, Value]:
    """IsoScore, effective rank and mean cosine of the points of one label."""
    names = ("isoscore", "effective_rank", "mean_cosine")
    if len(points) < 2:
        return dict.fromkeys(names, Value(None, remark="a single vector"))
    variances = covariance_eigenvalues(points)
    found = (
        value_of(isoscore_from_eigenvalues, variances, points.shape[1], otherwise=SAME),
        value_of(effective_rank_from_eigenvalues, variances, otherwise=SAME),
        value_of(mean_cosine_on_host, points, otherwise="fewer than two are not zero"),
    )
    return dict(zip(names, found, strict=True))


def mean_silhouette(of: Silhouettes | None, code: int) -> Value:
    """Mean silhouette of the points of one label, over the samples that have any."""
    if of is None:
        return Value(None, remark="no silhouettes")
    samples = [values[codes == code] for values, codes in zip(*of, strict=True)]
    means = [float(mine.mean(dtype=np.float64)) for mine in samples if len(mine)]
    if len(samples) > 1 and len(means) < 2:
        return Value(None, remark="in fewer than two of the samples")
    return mean_of(means)
