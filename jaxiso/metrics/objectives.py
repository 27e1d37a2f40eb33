"""The objectives by which paper A argues that clusters and isotropy exclude each other.

"Isotropy, Clusters, and Classifiers", Section 2 and Appendix B: sums over pairs or triples of
points, each to be maximised, here in closed form where Σ_{a,b} ‖a - b‖² = 2·n·Σ_a ‖a - mean‖² gives
one. Float32 is exact to about 1e-6 of the sum of the terms' sizes, within its range: the sums grow
with the points. Where the paper's text says more than its formulas, the docstrings say so.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import centred, dot, lengths, scaled
from jaxiso.metrics.clusters import Clusters
from jaxiso.metrics.dimension import participation_ratio
from jaxiso.metrics.pairwise import distance_sums
from jaxiso.metrics.points import BLOCK, Labels, Points, metric
from jaxiso.metrics.tiles import TilePlan, TileShape, as_plan, if_planned, shape_for


@metric(translate=True)
def silhouette_objective(
    points: Points, labels: Labels, *, num_labels: int | None = None
) -> Float[Array, ""]:
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
        num_labels: k, if labels are codes 0 to k - 1, which may then be traced, and of which one
            alone, or n, may occur: it is then minus or plus Eq. 2's sum.

    Returns:
        A scalar of either sign.

    Raises:
        ValueError: NaN or infinite points, lengths that differ, a missing label, 1 distinct label
            or as many as points.

    Example:
        >>> float(silhouette_objective([[0.0], [1.0], [3.0]], ["a", "a", "b"]))
        24.0
    """
    n, (x, scale) = len(points), scaled(points)
    clusters = Clusters.of(x, labels, num_labels)
    away, counts = clusters.away_from(0), clusters.counts
    from_mean = away - jnp.sum(counts[:, None] / n * away, axis=0, keepdims=True)
    between = counts * jnp.sum(from_mean**2, axis=1)
    within = jax.ops.segment_sum(jnp.sum(clusters.offsets**2, axis=1), labels, len(counts))
    return 2 * jnp.sum(n * between + (n - 2 * counts) * within) / scale / scale


@metric(least=2, translate=True, static=["exact"])
def isotropy_objective(points: Points, exact: bool = False) -> Float[Array, ""]:
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
    if exact:
        return jnp.sqrt(participation_ratio(points) / points.shape[1])
    one = jnp.zeros(len(points), jnp.int32)
    return jnp.abs(silhouette_objective(points, one, num_labels=1))


@metric(least=2, translate=True, scale=True)
def isotropy_angle(points: Points) -> Float[Array, ""]:
    """The angle α of Section 2.2, whose cosine is the exact `isotropy_objective`; low is isotropic.

    Its tangent is ‖C - t·I/d‖_F / (t/√d) for the covariance C of trace t. The paper has it from 0
    to π/4, which is so only up to d = 2, and needless there. Points, cost, errors and NaN are those
    of the exact `isotropy_objective`.

    Returns:
        Radians, from 0 to arccos(1/√d), to about 1e-6 also near 0, where the arccos of a cosine
        would be lost. Its derivative at 0 is taken as 0.
    """
    n, d = points.shape
    x = centred(points)
    # XᵀX and XXᵀ have the same eigenvalues but for zeros: take the smaller.
    gram = dot(x, x.T) if n < d else dot(x.T, x)
    share, m = gram / jnp.trace(gram), min(n, d)
    # Distance to 1/d by way of 1/m: a sum of squares, free of cancellation.
    uneven = share - jnp.eye(m, dtype=x.dtype) / m
    opposite = lengths(jnp.append(uneven, (1 / m - 1 / d) ** 0.5))
    return jnp.arctan2(opposite, jnp.trace(share) / d**0.5)  # the trace is 1, or NaN


@metric(least=2, translate=True, scale=True)
def isotropy_defect(points: Points) -> Float[Array, ""]:
    """‖ṽ - 1‖, Section 2.2: from the variances, rescaled to length √d, to the all-ones vector.

    A chord on a sphere, `defect_of_angle` of `isotropy_angle`, and otherwise as that: from 0
    (isotropic) to √(2·(d - √d)), by which IsoScore's fifth step divides it. As printed,
    defect²/(4·d) - 1 = -cos²(α/2): *half* the angle that the paper then speaks of, for which
    defect² = 2·d·(1 - cos α).
    """
    return defect_of_angle(isotropy_angle(points), points.shape[1])


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


@metric(also=["class_vectors"])
def classification_objective(
    points: Points, labels: Labels, class_vectors: Points, *, num_labels: int | None = None
) -> Float[Array, ""]:
    """O_C, Eq. 3: dot products with the own class's vector minus those with the other classes'.

    High means well classified; the origin matters. Costs O((n + K)·d). It is linear in the points
    and in the class vectors, so without bounds it has no optimum, let alone one shared with Eq. 1.

    Args:
        points: shape (n, d).
        labels: the class of each point, shape (n,).
        class_vectors: shape (K, d), a row for each distinct label, in sorted order.
        num_labels: K, if labels are codes 0 to K - 1; classes may then have no points.

    Returns:
        A scalar of either sign.

    Raises:
        ValueError: as for `silhouette_objective`, or class vectors of another shape.

    Example:
        >>> float(classification_objective([[1.0], [2.0], [-4.0]], [0, 0, 1], [[1.0], [-1.0]]))
        14.0
    """
    _check_classes(points, class_vectors, num_labels)
    x, scale = scaled(points)
    clusters = Clusters.of(x, labels, num_labels)
    sums = clusters.counts[:, None] * (clusters.rounded + clusters.rest)
    own_minus_others = 2 * sums - jnp.sum(sums, axis=0, keepdims=True)
    return jnp.sum(own_minus_others * class_vectors) / scale


@metric(also=["class_vectors"])
def classification_terms(
    points: Points, labels: Labels, class_vectors: Points, *, num_labels: int | None = None
) -> ClassificationTerms:
    """O_C in three terms, which may nearly cancel, at O(n·K·d); else `classification_objective`."""
    _check_classes(points, class_vectors, num_labels)
    k = len(class_vectors)
    sign = 1 - 2 * jax.nn.one_hot(labels, k, axis=0, dtype=points.dtype)
    away = jax.lax.map(lambda w: jnp.sum((points - w[None]) ** 2, axis=1), class_vectors)
    classes = jnp.sum(sign, axis=1) * jnp.sum(class_vectors**2, axis=1)
    return ClassificationTerms(
        -(k - 2) / 2 * jnp.sum(points**2), -jnp.sum(classes) / 2, jnp.sum(sign * away) / 2
    )


def _check_classes(points: Array, class_vectors: Array, k: int | None) -> None:
    if class_vectors.shape != (k, points.shape[1]):
        raise ValueError(
            f"Expected class vectors of shape {(k, points.shape[1])}, a row for each distinct "
            "label and a column for each feature of the points; got "
            f"{class_vectors.shape}."
        )


@metric(translate=True)
def triplet_objective(
    points: Points, labels: Labels, *, num_labels: int | None = None
) -> Float[Array, ""]:
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
    n, d = points.shape
    x, scale = scaled(points)

    @jax.checkpoint  # or else its gradient would keep n × n numbers
    def losses(anchor):
        # Differences, not products: these would cancel where clusters have collapsed.
        distances = lengths(x - x[anchor][None])
        order = jnp.argsort(jax.lax.stop_gradient(distances))
        own = labels[order] == labels[anchor]
        # The anchor counts as one of its own, but at distance 0 it is never the farther one.
        nearer, farther = jnp.cumsum(~own), jnp.sum(own) - jnp.cumsum(own)
        pairs = nearer[:-1].astype(x.dtype) * farther[:-1].astype(x.dtype)
        return jnp.sum(jnp.diff(distances[order]) * pairs)

    rows = min(n, max(1, BLOCK // (n * d)))
    return -jnp.sum(jax.lax.map(losses, jnp.arange(n), batch_size=rows)) / scale


@metric(translate=True, plan=shape_for)
def triplet_bound(
    points: Points,
    labels: Labels,
    *,
    num_labels: int | None = None,
    plan: TilePlan | TileShape | None = None,
) -> Float[Array, ""]:
    """The upper bound of O_T, Eq. 5: distances, weighted by the triples that they are part of.

    An ordered pair weighs n_k - n if of the same label, n_k - 1 if not, with n_k points of the
    first one's label: high means clusters. The paper adds that this bounds Eq. 1 too. It does not:
    squared distances outgrow it, and the unsquared sum weighs pairs of the same label by -1.
    Arguments and errors are those of `silhouette_objective`; the cost is O(n²·d).

    Returns:
        A scalar of either sign, at least O_T; equal to it where strangers are nearer than fellows.
    """
    tiles, (x, scale) = as_plan(plan, labels, num_labels), scaled(points)
    sums = distance_sums(x, tiles)
    size = tiles.counts[labels].astype(sums.dtype)[:, None]
    same = labels[:, None] == jnp.arange(len(tiles.counts), dtype=labels.dtype)[None, :]
    bound = jnp.sum(jnp.where(same, size - len(points), size - 1) * sums) / scale
    return if_planned(bound, tiles, labels)
