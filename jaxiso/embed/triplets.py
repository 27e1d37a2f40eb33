"""The triplet loss of paper A's Appendix B, on triples of items drawn at random.

There is no classifier then. Items count as classified where the nearest centroid is that of their
own label.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot, lengths


class TriplePool(NamedTuple):
    """All triples of n items of K labels: anchor and positive of one label, negative of another.

    Attributes:
        by_label: the items, sorted by label.
        first: place in `by_label` of each label's first item.
        counts: items of each label.
        log_triples: logarithm of the number of triples that have their anchor in each label.
    """

    by_label: Int[Array, " n"]
    first: Int[Array, " k"]
    counts: Int[Array, " k"]
    log_triples: Float[Array, " k"]


class Triples(NamedTuple):
    """t triples of items: the numbers of anchors, positives and negatives."""

    anchor: Int[Array, " t"]
    positive: Int[Array, " t"]
    negative: Int[Array, " t"]


def make_pool(clusters: np.ndarray, k: int) -> TriplePool:
    """The triples of items with these labels.

    Args:
        clusters: (n,) numbers 0 to k - 1 of the labels; at least two labels occur, one of them
            more than once.
        k: number of labels; some may not occur.
    """
    counts = np.bincount(clusters, minlength=k).astype(np.int64)
    triples = counts * (counts - 1) * (len(clusters) - counts)
    with np.errstate(divide="ignore"):  # labels without a triple are never drawn
        log_triples = np.log(triples.astype(np.float64))
    return TriplePool(
        by_label=jnp.asarray(np.argsort(clusters, kind="stable"), jnp.int32),
        first=jnp.asarray(np.cumsum(counts) - counts, jnp.int32),
        counts=jnp.asarray(counts, jnp.int32),
        log_triples=jnp.asarray(log_triples, jnp.float32),
    )


def draw_triples(key: Array, pool: TriplePool, number: int) -> Triples:
    """Draws triples, each of all those of the pool with the same probability, with replacement."""
    label_key, anchor_key, positive_key, negative_key = jax.random.split(key, 4)
    label = jax.random.categorical(label_key, pool.log_triples, shape=(number,))
    first, count = pool.first[label], pool.counts[label]

    def below(key, limit):
        return jax.random.randint(key, (number,), 0, limit, jnp.int32)

    anchor = below(anchor_key, count)
    positive = below(positive_key, count - 1)
    positive = positive + (positive >= anchor)  # any but the anchor
    negative = below(negative_key, len(pool.by_label) - count)
    negative = jnp.where(negative < first, negative, negative + count)  # any of another label
    places = (first + anchor, first + positive, negative)
    return Triples(*(pool.by_label[place] for place in places))


def triplet_loss(points: Float[Array, "n d"], triples: Triples) -> Float[Array, ""]:
    """Mean of max(‖a - p‖ - ‖a - n‖, 0) over triples of anchor, positive and negative.

    As printed there is no margin: a triple whose negative is the farther one adds nothing. A
    distance of zero has a derivative of zero.

    Reference: paper A, Appendix B; its Eq. 5 is minus the sum of this over all triples.
    """
    anchor = points[triples.anchor]
    near = lengths(anchor - points[triples.positive])
    far = lengths(anchor - points[triples.negative])
    return jnp.mean(jnp.maximum(near - far, 0))


def centroid_scores(
    points: Float[Array, "m d"], known: Float[Array, "n d"], clusters: Int[Array, " n"], k: int
) -> Float[Array, "m k"]:
    """Scores of labels that are highest for the label with the nearest centroid.

    Args:
        points: what to score.
        known: points whose labels are known, which make the centroids.
        clusters: numbers 0 to k - 1 of their labels.
        k: number of labels; those that do not occur score minus infinity.
    """
    counts = jnp.bincount(clusters, length=k).astype(known.dtype)
    middle = jnp.mean(known, axis=0, keepdims=True)
    sums = jax.ops.segment_sum(known - middle, clusters, k)
    centroids = sums / jnp.maximum(counts, 1)[:, None]
    along = dot(points - middle, centroids.T)
    # ‖x‖² - 2x·c + ‖c‖² is smallest where this is largest.
    scores = 2 * along - jnp.sum(centroids**2, axis=1)[None, :]
    return jnp.where(counts[None, :] > 0, scores, -jnp.inf)
