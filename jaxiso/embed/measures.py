"""What paper A's experiment measures after an update, and the indices it has conjectures about."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.embed.arrays import Part
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.metrics.tiles import any_tile_shape, plan_tiles


class Measurements(NamedTuple):
    """What is measured after an update. None: not asked for.

    NaN: the vectors or scores are no longer finite; or of a random sample with one label only.

    Attributes:
        isoscore: of the distinct vectors ("unpaired embeddings") that the items trained on read.
        silhouette: of the features of the items trained on, by label.
        loss: the mean over items (and labels) of the cross-entropy, or the mean of the triplet loss
            over the triples that the next update draws; without the term for isotropy.
        accuracy: share of items whose label, or whole set of labels, is predicted; for the triplet
            loss, of those whose nearest centroid is that of their own label.
        calinski_harabasz: of the same items as the silhouette.
        davies_bouldin: likewise.
        dunn: likewise.
        test_isoscore: of the distinct vectors that held-out items read.
        test_silhouette: of the held-out items.
        test_accuracy: of the held-out items; centroids are those of the items trained on.
    """

    isoscore: Float[Array, ""]
    silhouette: Float[Array, ""]
    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    calinski_harabasz: Float[Array, ""] | None = None
    davies_bouldin: Float[Array, ""] | None = None
    dunn: Float[Array, ""] | None = None
    test_isoscore: Float[Array, ""] | None = None
    test_silhouette: Float[Array, ""] | None = None
    test_accuracy: Float[Array, ""] | None = None


def features(vectors: Float[Array, "v d"], rows: Int[Array, "n inputs"]) -> Array:
    """The features of items, (n, inputs·d): the vectors they read, side by side."""
    return vectors[rows].reshape(rows.shape[0], -1)


def read_vectors(vectors: Float[Array, "v d"], part: Part) -> Float[Array, "u d"]:
    """The distinct vectors that a part's items read."""
    return vectors if part.table is None else vectors[part.table]


def measure_part(
    vectors: Float[Array, "v d"],
    part: Part,
    key: Array,
    *,
    k: int,
    sample: int,
    track: bool = False,
) -> dict[str, Array]:
    """IsoScore and silhouette of a part, or of a sample of it, under their names.

    `key` draws `sample` items, where the part is not measured whole; k is the number of labels.
    With `track` the other indices of clusters too.
    """
    cloud, clusters, plan = read_vectors(vectors, part), part.clusters, part.plan
    if plan is not None:
        points = features(vectors, part.rows)
    else:
        item_key, vector_key = jax.random.split(key)
        items = _draw(item_key, part.rows.shape[0], sample)
        clusters = part.clusters[items]
        points = features(vectors, part.rows[items])
        plan = plan_tiles(clusters, k, any_tile_shape(len(items), k))
        cloud = cloud[_draw(vector_key, cloud.shape[0], sample)]
    found = {
        "isoscore": isoscore(cloud),
        "silhouette": silhouette_score(points, clusters, plan=plan),
    }
    if track:
        found["calinski_harabasz"] = calinski_harabasz_score(points, clusters, num_labels=k)
        found["davies_bouldin"] = davies_bouldin_score(points, clusters, num_labels=k)
        found["dunn"] = dunn_index(points, clusters, plan=plan)
    return found


def _draw(key: Array, n: int, sample: int) -> Int[Array, " sample"]:
    """A random sample of 0 to n - 1 without replacement; all of them where there are fewer."""
    return jax.random.permutation(key, n)[: min(sample, n)]


def accuracy(scores: Float[Array, "n k"], targets: Array) -> Float[Array, ""]:
    """Share of items whose highest score, or all of whose signs, are those of their targets.

    Args:
        scores: of each class; -inf for one that cannot be.
        targets: class ids, shape (n,), or 0 and 1 for each label, shape (n, k).

    Returns:
        NaN where scores have left float32's range, which leaves nothing to compare.
    """
    if targets.ndim == 2:
        decided, right = scores, jnp.all((scores > 0) == (targets > 0.5), axis=1)
    else:
        decided = jnp.max(scores, axis=1)
        right = jnp.argmax(scores, axis=1).astype(targets.dtype) == targets
    # A mean multiplies by 1/n, which makes 0.99999994 of a perfect score.
    share = jnp.sum(right).astype(jnp.float32) / right.shape[0]
    return jnp.where(jnp.all(jnp.isfinite(decided)), share, jnp.nan)
