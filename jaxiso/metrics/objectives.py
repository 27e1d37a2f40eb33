"""The objectives by which paper A argues that clusters and isotropy exclude each other.

"Isotropy, Clusters, and Classifiers", Section 2 and Appendix B: sums over pairs or triples of
points, each to be maximised, here in closed form where Σ_{a,b} ‖a - b‖² = 2·n·Σ_a ‖a - mean‖² gives
one. Float32 is exact to about 1e-6 of the sum of the terms' sizes, within its range: the sums grow
with the points. Where the paper's text says more than its formulas, the docstrings say so.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxiso.metrics.checks import as_codes, as_points
from jaxiso.metrics.clusters import _Clusters, _lengths
from jaxiso.metrics.isotropy import _centred_to_unit_size, _dot, participation_ratio_of_points
from jaxiso.metrics.pairwise import TilePlan, distance_sums, plan_tiles, tile_shape
from jaxiso.metrics.posterior import BLOCK
from jaxiso.metrics.silhouette import _unit_scale


def silhouette_objective(points: ArrayLike, labels: ArrayLike) -> Float[Array, ""]:
    """O_S, Eq. 1: squared distances between labels minus those within; high means clusters.

    Each pair of points counts in both orders. With n_k points and scatter S_k = Σ ‖x - c_k‖² of
    label k, and scatter B = Σ n_k·‖c_k - c‖² of the centroids, it is 2·n·B + 2·Σ (n - 2·n_k)·S_k,
    in O(n·d). So with centroids held in place, spreading out a label *raises* it, unless that has
    half of the points or more; among clouds of equal total scatter it falls by 4·n_k·S_k. And that
    roots are monotonic does not give it the optimum of the paper's sum of unsquared distances:
    they keep the order of terms, not of sums of both signs.

    Args:
        points: shape (n, d).
        labels: the cluster of each point, shape (n,): ints, strings, anything that sorts.

    Returns:
        A scalar of either sign.

    Raises:
        ValueError: NaN or infinite points, lengths that differ, 1 distinct label or as many as
            points: it is then minus or plus Eq. 2's sum, and the unchecked function takes it.

    Example:
        >>> float(silhouette_objective([[0.0], [1.0], [3.0]], ["a", "a", "b"]))
        24.0
    """
    checked = as_points(points)
    codes, k = as_codes(labels, len(checked))
    return silhouette_objective_of_codes(checked, jnp.asarray(codes), k)


@partial(jax.jit, static_argnums=2)
def silhouette_objective_of_codes(
    points: Float[Array, "n d"], codes: Int[Array, " n"], k: int
) -> Float[Array, ""]:
    """`silhouette_objective` without its checks: codes from 0 to k - 1, some perhaps unused."""
    n, scale, clusters = len(points), _unit_scale(points), _Clusters.of(points, codes, k)
    away, counts = clusters.away_from(0), clusters.counts
    from_mean = away - jnp.sum(counts[:, None] / n * away, axis=0, keepdims=True)
    between = counts * jnp.sum(from_mean**2, axis=1)
    within = jax.ops.segment_sum(jnp.sum(clusters.offsets**2, axis=1), codes, k)
    return 2 * jnp.sum(n * between + (n - 2 * counts) * within) / scale / scale


def isotropy_objective(points: ArrayLike, exact: bool = False) -> Float[Array, ""]:
    """O_I, Eq. 2: all squared distances as printed, or the cosine that they are to stand for.

    The paper writes the cosine, of the variances V along the principal axes with the all-ones
    vector, as proportional to the sum (both orders of each pair), but the factor 1 / (2·n²·√d·‖V‖)
    depends on the points: stretching a single axis raises the sum, where the cosine may fall. Only
    the cosine measures isotropy: cos² = participation ratio / d = (1 + (d - 1)·IsoScore) / d.

    Args:
        points: shape (n, d); n at least 2.
        exact: the cosine, at O(n·d·min(n, d)), instead of the sum, at O(n·d).

    Returns:
        The sum, at least 0; or the cosine, from 1/√d (one direction) to 1 (isotropic), NaN if all
        points coincide.

    Raises:
        ValueError: fewer than two points, a NaN or an infinite value.
    """
    return isotropy_objective_of_points(as_points(points, least=2), exact)


@partial(jax.jit, static_argnums=1)
def isotropy_objective_of_points(points: Float[Array, "n d"], exact: bool) -> Float[Array, ""]:
    """`isotropy_objective` without its checks."""
    if exact:
        return jnp.sqrt(participation_ratio_of_points(points) / points.shape[1])
    return jnp.abs(silhouette_objective_of_codes(points, jnp.zeros(len(points), jnp.int32), 1))


def isotropy_angle(points: ArrayLike) -> Float[Array, ""]:
    """The angle α of Section 2.2, whose cosine is the exact `isotropy_objective`; low is isotropic.

    Its tangent is ‖C - t·I/d‖_F / (t/√d) for the covariance C of trace t. The paper has it from 0
    to π/4, which is so only up to d = 2, and needless there. Points, cost, errors and NaN are those
    of the exact `isotropy_objective`.

    Returns:
        Radians, from 0 to arccos(1/√d), to about 1e-6 also near 0, where the arccos of a cosine
        would be lost. Its derivative at 0 is taken as 0.
    """
    return isotropy_angle_of_points(as_points(points, least=2))


@jax.jit
def isotropy_angle_of_points(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """`isotropy_angle` without its checks."""
    n, d = points.shape
    x = _centred_to_unit_size(points)
    # XᵀX and XXᵀ have the same eigenvalues but for zeros: take the smaller.
    gram = _dot(x, x.T) if n < d else _dot(x.T, x)
    share, m = gram / jnp.trace(gram), min(n, d)
    # Distance to 1/d by way of 1/m: a sum of squares, free of cancellation.
    uneven = share - jnp.eye(m, dtype=x.dtype) / m
    opposite = _lengths(jnp.append(uneven, (1 / m - 1 / d) ** 0.5))
    return jnp.arctan2(opposite, jnp.trace(share) / d**0.5)  # the trace is 1, or NaN


def isotropy_defect(points: ArrayLike) -> Float[Array, ""]:
    """‖ṽ - 1‖, Section 2.2: from the variances, rescaled to length √d, to the all-ones vector.

    A chord on a sphere, `defect_of_angle` of `isotropy_angle`, and otherwise as that: from 0
    (isotropic) to √(2·(d - √d)), by which IsoScore's fifth step divides it. As printed,
    defect²/(4·d) - 1 = -cos²(α/2): *half* the angle that the paper then speaks of, for which
    defect² = 2·d·(1 - cos α).
    """
    checked = as_points(points, least=2)
    return defect_of_angle(isotropy_angle_of_points(checked), checked.shape[1])


def defect_of_angle(angle: Float[Array, "*n"], d: int) -> Float[Array, "*n"]:
    """The `isotropy_defect` in d dimensions at an `isotropy_angle` α: 2·√d·sin(α/2)."""
    return 2 * d**0.5 * jnp.sin(angle / 2)


class ClassificationTerms(NamedTuple):
    """The second line of Eq. 3: three sums, with signs and weights, that add up to O_C.

    Attributes:
        points: -Σ (K - 2)/2·‖x‖², for K classes; with two it is zero.
        classes: -Σ (n - 2·n_k)/2·‖w_k‖², for n_k points of class k; zero for two of equal size.
        distances: ½·ΣΣ sign·‖x - w_k‖²: to the other classes' vectors, minus to its own's.
    """

    points: Float[Array, ""]
    classes: Float[Array, ""]
    distances: Float[Array, ""]


def classification_objective(
    points: ArrayLike, labels: ArrayLike, class_vectors: ArrayLike
) -> Float[Array, ""]:
    """O_C, Eq. 3: dot products with the own class's vector minus those with the other classes'.

    High means well classified; the origin matters. Costs O((n + K)·d). It is linear in the points
    and in the class vectors, so without bounds it has no optimum, let alone one shared with Eq. 1.

    Args:
        points: shape (n, d).
        labels: the class of each point, shape (n,).
        class_vectors: shape (K, d), a row for each distinct label, in sorted order.

    Returns:
        A scalar of either sign.

    Raises:
        ValueError: as for `silhouette_objective`, or class vectors of another shape (the unchecked
            function takes classes without points).

    Example:
        >>> float(classification_objective([[1.0], [2.0], [-4.0]], [0, 0, 1], [[1.0], [-1.0]]))
        14.0
    """
    return classification_objective_of_codes(*_as_classes(points, labels, class_vectors))


@jax.jit
def classification_objective_of_codes(
    points: Float[Array, "n d"], codes: Int[Array, " n"], class_vectors: Float[Array, "k d"]
) -> Float[Array, ""]:
    """`classification_objective` without its checks; codes are rows of the class vectors."""
    clusters = _Clusters.of(points, codes, len(class_vectors))
    sums = clusters.counts[:, None] * (clusters.rounded + clusters.rest)
    own_minus_others = 2 * sums - jnp.sum(sums, axis=0, keepdims=True)
    return jnp.sum(own_minus_others * class_vectors) / _unit_scale(points)


def classification_terms(
    points: ArrayLike, labels: ArrayLike, class_vectors: ArrayLike
) -> ClassificationTerms:
    """O_C in three terms, which may nearly cancel, at O(n·K·d); else `classification_objective`."""
    return classification_terms_of_codes(*_as_classes(points, labels, class_vectors))


@jax.jit
def classification_terms_of_codes(
    points: Float[Array, "n d"], codes: Int[Array, " n"], class_vectors: Float[Array, "k d"]
) -> ClassificationTerms:
    """`classification_terms` without its checks; codes are rows of the class vectors."""
    k = len(class_vectors)
    sign = 1 - 2 * jax.nn.one_hot(codes, k, axis=0, dtype=points.dtype)
    away = jax.lax.map(lambda w: jnp.sum((points - w[None]) ** 2, axis=1), class_vectors)
    classes = jnp.sum(sign, axis=1) * jnp.sum(class_vectors**2, axis=1)
    return ClassificationTerms(
        -(k - 2) / 2 * jnp.sum(points**2), -jnp.sum(classes) / 2, jnp.sum(sign * away) / 2
    )


def _as_classes(points: ArrayLike, labels: ArrayLike, class_vectors: ArrayLike):
    x = as_points(points, translate=False)
    w = as_points(class_vectors, translate=False).astype(x.dtype)
    codes, k = as_codes(labels, len(x))
    if w.shape != (k, x.shape[1]):
        raise ValueError(
            f"Expected class vectors of shape {(k, x.shape[1])}, a row for each distinct label and "
            f"a column for each feature of the points; got {w.shape}."
        )
    return x, jnp.asarray(codes), w


def triplet_objective(points: ArrayLike, labels: ArrayLike) -> Float[Array, ""]:
    """O_T, Appendix B: minus the triplet loss of all triples, without a margin; high is good.

    A triple is an anchor, another point of its label, and one of another label; its loss is how
    much farther the former is than the latter, or 0. With an anchor's distances sorted, its losses
    add up to gap × others nearer × own farther over the gaps between neighbours: terms of one sign
    in O(n²·(d + log n)) time, not n³, and O(n·d) memory (or 16 MB, if that is more).

    Arguments and errors are those of `silhouette_objective`.

    Returns:
        A scalar, at most 0, which it is where no point has a nearest stranger nearer than its
        farthest fellow. To 1e-5 relative in float32.
    """
    checked = as_points(points)
    codes, _ = as_codes(labels, len(checked))
    return triplet_objective_of_codes(checked, jnp.asarray(codes))


@jax.jit
def triplet_objective_of_codes(
    points: Float[Array, "n d"], codes: Int[Array, " n"]
) -> Float[Array, ""]:
    """`triplet_objective` without its checks; codes are any integers."""
    n, d = points.shape
    scale = _unit_scale(points)
    x = points * scale

    @jax.checkpoint  # or else its gradient would keep n × n numbers
    def losses(anchor):
        # Differences, not products: these would cancel where clusters have collapsed.
        distances = _lengths(x - x[anchor][None])
        order = jnp.argsort(jax.lax.stop_gradient(distances))
        own = codes[order] == codes[anchor]
        # The anchor counts as one of its own, but at distance 0 it is never the farther one.
        nearer, farther = jnp.cumsum(~own), jnp.sum(own) - jnp.cumsum(own)
        pairs = nearer[:-1].astype(x.dtype) * farther[:-1].astype(x.dtype)
        return jnp.sum(jnp.diff(distances[order]) * pairs)

    rows = min(n, max(1, BLOCK // (n * d)))
    return -jnp.sum(jax.lax.map(losses, jnp.arange(n), batch_size=rows)) / scale


def triplet_bound(points: ArrayLike, labels: ArrayLike) -> Float[Array, ""]:
    """The upper bound of O_T, Eq. 5: distances, weighted by the triples that they are part of.

    An ordered pair weighs n_k - n if of the same label, n_k - 1 if not, with n_k points of the
    first one's label: high means clusters. The paper adds that this bounds Eq. 1 too. It does not:
    squared distances outgrow it, and the unsquared sum weighs pairs of the same label by -1.
    Arguments and errors are those of `silhouette_objective`; the cost is O(n²·d).

    Returns:
        A scalar of either sign, at least O_T; equal to it where strangers are nearer than fellows.
    """
    checked = as_points(points)
    codes, k = as_codes(labels, len(checked))
    plan = plan_tiles(jnp.asarray(codes), k, tile_shape(np.bincount(codes)))
    return triplet_bound_of_tiles(checked, jnp.asarray(codes), plan)


@jax.jit
def triplet_bound_of_tiles(
    points: Float[Array, "n d"], codes: Int[Array, " n"], plan: TilePlan
) -> Float[Array, ""]:
    """`triplet_bound` for a plan as from `plan_tiles`: arrays in, a number out."""
    scale = _unit_scale(points)
    sums = distance_sums(points * scale, plan)
    size = plan.counts[codes].astype(sums.dtype)[:, None]
    same = codes[:, None] == jnp.arange(len(plan.counts), dtype=codes.dtype)[None, :]
    return jnp.sum(jnp.where(same, size - len(points), size - 1) * sums) / scale
