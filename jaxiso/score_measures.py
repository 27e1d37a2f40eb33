"""All measures of one cloud of vectors, in few compiled programs.

The values are those of the functions in `jaxiso.metrics`. Those that compare all pairs of points
(silhouette and Dunn's index) are taken on random samples where that is less work.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxiso.metrics.checks import as_points
from jaxiso.metrics.clusters import (
    calinski_harabasz_of_codes,
    davies_bouldin_of_codes,
    dunn_of_tiles,
)
from jaxiso.metrics.isotropy import (
    effective_rank_of_points,
    isoscore_of_points,
    isotropy_score_of_points,
    mean_cosine_of_points,
)
from jaxiso.metrics.pairwise import TileShape, plan_tiles, tile_shape, tile_size
from jaxiso.metrics.silhouette import silhouette_of_tiles
from jaxiso.score_spectrum import covariance_eigenvalues, mean_cosine, spectrum_measures


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
    """Silhouettes of single points: all of them, or those of the random samples, joined.

    Attributes:
        values: (m,) float32.
        codes: (m,) int32, their labels.
        draws: number of samples; 0 if of all points.
        size: points in a sample.
    """

    values: np.ndarray
    codes: np.ndarray
    draws: int
    size: int


class Row(NamedTuple):
    """The measures of the points of one label."""

    name: str
    n: int
    isoscore: Value
    effective_rank: Value
    mean_cosine: Value
    silhouette: Value


def free_measures(points: np.ndarray) -> dict[str, Value]:
    """The measures that need no labels.

    Args:
        points: shape (n, d), finite; n and d at least 2.

    Raises:
        ValueError: values outside of float32's range.
    """
    placed = as_points(points, least=2, translate=False)
    # Points in double precision lose less when they are centred before they are rounded.
    found = _free(placed, placed if points.dtype == np.float32 else as_points(points))
    isoscore, rank, cosine, isotropy, zeros = map(float, found)
    same = "all vectors are the same"
    return {
        "isoscore": _defined(isoscore, same),
        "mu_viswanath": _defined(isotropy, "not a number"),
        "effective_rank": _defined(rank, same),
        "mean_cosine": _without_zeros(cosine, len(points), int(zeros)),
    }


@jax.jit
def _free(placed: Array, movable: Array) -> tuple[Array, ...]:
    zeros = ~jnp.any(jnp.abs(placed) >= jnp.finfo(placed.dtype).tiny, axis=1)
    return (
        isoscore_of_points(movable),
        effective_rank_of_points(movable),
        mean_cosine_of_points(placed),
        isotropy_score_of_points(placed),
        jnp.sum(zeros),
    )


def _defined(value: float, otherwise: str) -> Value:
    return Value(value) if np.isfinite(value) else Value(None, remark=otherwise)


def _without_zeros(cosine: float, n: int, zeros: int) -> Value:
    """Mean cosine of the points that have a direction; those of the others counted as 0 in it."""
    others = n - zeros
    if zeros == 0:
        return Value(cosine)
    if others < 2:
        return Value(None, remark=f"{others} of {n:,} vectors is not zero")
    remark = f"of the {others:,} vectors that are not zero: a zero has no direction"
    return Value(cosine * (n / others) * ((n - 1) / (others - 1)), remark=remark)


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

    Raises:
        ValueError: values outside of float32's range.
    """
    names = ("silhouette", "calinski_harabasz", "davies_bouldin", "dunn")
    n = len(points)
    if not 1 < k < n:
        why = "there is only one label" if k == 1 else "every vector has a label of its own"
        return dict.fromkeys(names, Value(None, remark=why)), None
    placed, numbers = as_points(points), jnp.asarray(codes)
    calinski, davies = map(float, _centroids(placed, numbers, k))
    if is_sampled(n, sample, draws):
        silhouette, dunn, all_ = _of_samples(placed, codes, k, sample, draws, seed)
    else:
        found = _pairs(placed, numbers, k, tile_shape(np.bincount(codes)))
        values, index = np.asarray(found[0]), float(found[1])
        all_ = Silhouettes(values, codes, 0, n)
        silhouette, dunn = Value(float(values.mean(dtype=np.float64))), _dunn(index)
    measured = (silhouette, Value(calinski), Value(davies), dunn)
    return dict(zip(names, measured, strict=True)), all_


def is_sampled(n: int, sample: int, draws: int) -> bool:
    """Whether samples of n points make fewer pairs than the points themselves."""
    return sample > 0 and draws * sample**2 < n**2


@partial(jax.jit, static_argnums=2)
def _centroids(points: Array, codes: Array, k: int) -> tuple[Array, Array]:
    return calinski_harabasz_of_codes(points, codes, k), davies_bouldin_of_codes(points, codes, k)


@partial(jax.jit, static_argnums=(2, 3))
def _pairs(points: Array, codes: Array, k: int, shape: TileShape) -> tuple[Array, Array]:
    plan = plan_tiles(codes, k, shape)
    return silhouette_of_tiles(points, codes, plan), dunn_of_tiles(points, plan)


def _of_samples(
    points: Array, codes: np.ndarray, k: int, sample: int, draws: int, seed: int
) -> tuple[Value, Value, Silhouettes | None]:
    rows = [
        np.sort(np.random.default_rng([seed, draw]).choice(len(codes), sample, replace=False))
        for draw in range(draws)
    ]
    if any(not 1 < len(np.unique(codes[row])) < sample for row in rows):
        none = Value(None, remark="a sample has one label only, or all different; raise --sample")
        return none, none, None
    # One program for all samples: as wide as the widest of them.
    tile = tile_size(sample)
    shapes = [tile_shape(np.bincount(codes[row], minlength=k), tile=tile) for row in rows]
    shape = TileShape(tile, max(shape.width for shape in shapes))
    found = [_pairs(points[row], jnp.asarray(codes[row]), k, shape) for row in rows]
    values = np.stack([np.asarray(silhouettes) for silhouettes, _ in found])
    dunn = [float(index) for _, index in found]
    all_ = Silhouettes(values.ravel(), codes[np.concatenate(rows)], draws, sample)
    infinite = _dunn(max(dunn))
    return (
        _mean(values.mean(axis=1, dtype=np.float64)),
        infinite if infinite.value is None else _mean(np.array(dunn)),
        all_,
    )


def _mean(values: np.ndarray) -> Value:
    return Value(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _dunn(value: float) -> Value:
    return _defined(value, "infinite: every label is a single place")


def by_label(
    points: np.ndarray, codes: np.ndarray, names: tuple[str, ...], of: Silhouettes | None
) -> list[Row]:
    """The measures of each label's points by themselves, in label order.

    In float64 on the host: labels have sizes of their own, and each would be a program to compile.

    Args:
        points: shape (n, d), finite.
        codes: (n,) labels from 0 to k - 1.
        names: the k labels.
        of: silhouettes as from `cluster_measures`, if there are any.
    """
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    rows = []
    for code, (name, end) in enumerate(zip(names, ends, strict=True)):
        mine = points[order[ends[code - 1] if code else 0 : end]]
        rows.append(Row(name, len(mine), *_of_one(mine), _mean_silhouette(of, code)))
    return rows


def _of_one(points: np.ndarray) -> tuple[Value, Value, Value]:
    """IsoScore, effective rank and mean cosine of the points of one label."""
    if len(points) < 2:
        single = Value(None, remark="a single vector")
        return single, single, single
    cosine = mean_cosine(points)
    directed = Value(cosine, remark="fewer than two are not zero" if cosine is None else None)
    found = spectrum_measures(covariance_eigenvalues(points), points.shape[1])
    if found is None:
        same = Value(None, remark="all vectors are the same")
        return same, same, directed
    return Value(found[0]), Value(found[1]), directed


def _mean_silhouette(of: Silhouettes | None, code: int) -> Value:
    if of is None:
        return Value(None, remark="no silhouettes")
    if of.draws == 0:
        return Value(float(of.values[of.codes == code].mean(dtype=np.float64)))
    values = of.values.reshape(of.draws, of.size)
    mine = of.codes.reshape(of.draws, of.size) == code
    pairs = zip(values, mine, strict=True)
    found = [row[its].mean(dtype=np.float64) for row, its in pairs if its.any()]
    if len(found) < 2:
        return Value(None, remark="in fewer than two of the samples")
    return _mean(np.array(found))
