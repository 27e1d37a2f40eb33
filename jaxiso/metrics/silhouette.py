"""Silhouettes: exact, sampled without bias, or simplified.

Rousseeuw (1987), "Silhouettes: A graphical aid to the interpretation and validation of cluster
analysis", with scikit-learn's conventions: a point alone in its cluster scores 0. Names and order
of arguments are scikit-learn's too. In memory that does not grow with the square of the points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxiso.metrics.points import placed
from jaxiso.metrics.sampling import Design, Sampled, in_batches
from jaxiso.metrics.silhouette_programs import (
    from_centroids,
    from_directions,
    from_distances,
    from_pairs,
)
from jaxiso.metrics.silhouette_rows import (
    AVERAGES,
    METRICS,
    check_choice,
    codes_of,
    silhouettes_of_rows,
)
from jaxiso.metrics.tiles import TilePlan, TileShape

# Points of a sample that are measured between two reports of the estimate.
BATCH = 512


def silhouette_score(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    average: str = "micro",
    sample_size: int | None = None,
    random_state: Any = 0,
    mesh: Any = None,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, ""]:
    """Mean silhouette of all points, from -1 (wrong clusters) to 1 (dense, well apart).

    Exact, and differentiable in X; usable under `jit`, `vmap` and `grad`. Euclidean distances cost
    n²·d/2 multiply-adds and O(n·(d + K)) memory for K clusters, no n × n array; cosine and squared
    Euclidean ones O(n·d·K), without pairs. A sample of m points costs m·n·d, or n·d + m·d·K.

    Args:
        X: points, shape (n, d), dense or scipy.sparse; or distances, shape (n, n).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.
        metric: the distance: "euclidean", "cosine" or "sqeuclidean"; "precomputed" if X has them.
        average: "micro", the mean over points, or "macro", the mean over clusters of their means,
            in which small clusters count as much as large ones.
        sample_size: how many points to take the mean of, drawn as `sampled_silhouette` has it. Each
            is compared with all points, so the estimate is unbiased, other than scikit-learn's.
        random_state: of the draw, as for `numpy.random.default_rng`.
        mesh: a `jax.sharding.Mesh` with one axis, whose devices share the work. X is an array of
            the host, or spread over it by rows; n need not divide.
        num_labels: K, if labels are codes 0 to K - 1, which may then be traced and need not all
            occur.
        plan: likewise, how to lay points out in tiles, as from `jaxiso.metrics.tiles`, for
            labels that are measured many times under Euclidean distance.

    Returns:
        A scalar. Up to about 2000 points (under cosine and squared Euclidean distance, any number)
        it is computed in float64 on the host; else to 2e-6 of that, and to 2e-4 where points have
        collapsed to a few places or one is far away. NaN for codes of which fewer than two occur,
        or all are different; and for a zero vector that is traced, under cosine.

    Raises:
        ValueError: as scikit-learn does: NaN or infinite points, lengths that differ, 1 distinct
            label or as many as points, distances of points to themselves that are not zero; or an
            unknown metric or average, a label that is missing, a zero vector under cosine, a sample
            of fewer than 2 points or more than all, a mesh that cannot be used.

    Reference: Rousseeuw (1987); paper A ("Isotropy, Clusters, and Classifiers"), Section 2.1.

    Example:
        >>> round(float(silhouette_score([[0.0], [1.0], [10.0], [11.0]], ["a", "a", "b", "b"])), 4)
        0.8997
    """
    check_choice("average", average, AVERAGES)
    if sample_size is not None:
        given = {"metric": metric, "average": average, "random_state": random_state}
        found = sampled_silhouette(
            X, labels, sample_size, **given, mesh=mesh, num_labels=num_labels
        )
        return placed(found.value)
    return _mean(X, labels, metric, average, mesh, num_labels, plan=plan)


def silhouette_samples(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    mesh: Any = None,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, " n"]:
    """Silhouette of each point; arguments, cost and errors as for `silhouette_score`.

    Returns:
        Shape (n,), in the order of X; 0 for a point that is alone in its cluster.
    """
    check_choice("metric", metric, METRICS)
    found, _, _ = _all(X, labels, metric, mesh, num_labels, plan=plan)
    return found if isinstance(found, jax.Array) else placed(found)


def simplified_silhouette_score(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    average: str = "micro",
    mesh: Any = None,
    num_labels: int | None = None,
) -> Float[Array, ""]:
    """Mean simplified silhouette: distances to centroids take the place of mean distances.

    O(n·d·K) under every metric. Arguments and errors are those of `silhouette_score`, but that
    points are dense, of shape (n, d). Under "cosine" the centroid is the direction of the mean of
    the points at unit length (at distance 1 of all if that mean is zero).

    Returns:
        A scalar from -1 to 1. A point that is alone in its cluster scores 0.

    Reference: Hruschka, de Castro and Campello (2004), "Evolutionary algorithms for clustering
    gene-expression data" (ICDM); Vendramin, Campello and Hruschka (2010), "Relative clustering
    validity criteria: A comparative overview", Section 3.

    Example:
        >>> float(simplified_silhouette_score([[0.0], [2.0], [8.0], [10.0]], ["a", "a", "b", "b"]))
        0.8730159401893616
    """
    check_choice("average", average, AVERAGES)
    return _mean(X, labels, metric, average, mesh, num_labels, simplified=True)


def simplified_silhouette_samples(
    X: Any,
    labels: Any,
    *,
    metric: str = "euclidean",
    mesh: Any = None,
    num_labels: int | None = None,
) -> Float[Array, " n"]:
    """Simplified silhouette of each point, shape (n,); as `simplified_silhouette_score`."""
    check_choice("metric", metric, METRICS[:3])
    found, _, _ = _all(X, labels, metric, mesh, num_labels, simplified=True)
    return found if isinstance(found, jax.Array) else placed(found)


def sampled_silhouette(
    X: Any,
    labels: Any,
    sample_size: int,
    *,
    metric: str = "euclidean",
    average: str = "micro",
    random_state: Any = 0,
    mesh: Any = None,
    num_labels: int | None = None,
) -> Sampled:
    """An unbiased estimate of `silhouette_score`, with its standard error, from some points.

    Points are drawn by label, in proportion to its size (macro: the same number of each), at least
    two a label; labels too small for that are pooled with others of about their size, and those of
    one point need no draw, as they score 0. Each point drawn is compared with *all* points. (A mean
    within a sub-sample, as scikit-learn's `sample_size` takes it, is biased: with many labels the
    other points of one's own are missing.)

    `sample_size` is m, from 2 to n; all other arguments and the errors are those of
    `silhouette_score`.

    Returns:
        The estimate, its standard error, and the points it is of.

    Reference: Cochran (1977), "Sampling Techniques", chapter 5.
    """
    given = {"metric": metric, "average": average, "random_state": random_state}
    *_, last = silhouette_in_batches(
        X, labels, sample_size, batch_size=sample_size, **given, mesh=mesh, num_labels=num_labels
    )
    return last


def silhouette_in_batches(
    X: Any,
    labels: Any,
    sample_size: int,
    *,
    batch_size: int = BATCH,
    metric: str = "euclidean",
    average: str = "micro",
    random_state: Any = 0,
    mesh: Any = None,
    num_labels: int | None = None,
) -> Iterator[Sampled]:
    """`sampled_silhouette` step by step: the estimate so far after each batch of points.

    Every one is unbiased, so that a caller may stop when it likes, but for one thing: to stop as
    soon as the value pleases is to choose the value. Labels are pooled so that the first batch
    suffices for an estimate; `batch_size`, at least 2, is how many points are between two.
    """
    check_choice("metric", metric, METRICS)
    check_choice("average", average, AVERAGES)
    if isinstance(X, Tracer) or isinstance(labels, Tracer):
        raise ValueError("A sample is of concrete points and labels; got traced ones.")
    known = silhouettes_of_rows(X, labels, metric, mesh=mesh, num_labels=num_labels)
    n = len(known.codes)
    if not 2 <= sample_size <= n:
        raise ValueError(
            f"sample_size must be from 2 to the number of points, {n}; got {sample_size}."
        )
    if batch_size < 2:
        raise ValueError(f"batch_size must be at least 2; got {batch_size}.")
    first = min(batch_size, sample_size)
    design = Design.of(known.codes, known.k, first, average=average, random_state=random_state)
    return in_batches(design, known.of, sample_size, batch_size)


def _mean(
    X: Any,
    labels: Any,
    metric: str,
    average: str,
    mesh: Any,
    num_labels: int | None,
    *,
    simplified: bool = False,
    plan: TilePlan | TileShape | None = None,
) -> Array:
    check_choice("metric", metric, METRICS[:3] if simplified else METRICS)
    found, codes, k = _all(X, labels, metric, mesh, num_labels, simplified=simplified, plan=plan)
    if isinstance(found, np.ndarray):
        if average == "micro":
            return placed(found.mean(dtype=np.float64))
        counts = np.bincount(codes, minlength=k)
        used = counts > 0
        return placed((np.bincount(codes, found, minlength=k)[used] / counts[used]).mean())
    if average == "micro":
        return jnp.mean(found)
    counts = jnp.bincount(codes, length=k).astype(found.dtype)
    means = jax.ops.segment_sum(found, codes, k) / jnp.maximum(counts, 1)
    return jnp.sum(means) / jnp.sum(counts > 0).astype(found.dtype)


def _all(
    X: Any,
    labels: Any,
    metric: str,
    mesh: Any,
    num_labels: int | None,
    *,
    simplified: bool = False,
    plan: TilePlan | TileShape | None = None,
) -> tuple[np.ndarray | Array, Any, int]:
    """All silhouettes, codes and their number: of NumPy on the host, of JAX where traced."""
    traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((X, labels, plan)))
    if not traced and not (plan is not None and metric == "euclidean"):
        known = silhouettes_of_rows(
            X, labels, metric, simplified=simplified, mesh=mesh, num_labels=num_labels
        )
        return known.of(None), known.codes, known.k
    if num_labels is None and isinstance(plan, TilePlan):
        num_labels = plan.counts.shape[0]
    codes, k = codes_of(labels, len(X), num_labels)
    if metric == "precomputed":
        return from_distances(X, codes, num_labels=k), codes, k
    given = {"simplified": simplified, "num_labels": k, "mesh": mesh}
    if metric == "cosine":
        return from_directions(X, codes, **given), codes, k
    if metric != "euclidean" or simplified:
        return from_centroids(X, codes, kind=metric, **given), codes, k
    return from_pairs(X, codes, num_labels=k, plan=plan, mesh=mesh), codes, k
