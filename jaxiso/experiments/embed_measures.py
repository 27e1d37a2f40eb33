"""What paper A's experiment measures after an update, and the indices it has conjectures about."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.experiments.embed_data import EmbedConfig, Part
from jaxiso.metrics.clusters import (
    calinski_harabasz_of_codes,
    davies_bouldin_of_codes,
    dunn_of_tiles,
)
from jaxiso.metrics.isotropy import isoscore_of_points
from jaxiso.metrics.pairwise import any_tile_shape, plan_tiles
from jaxiso.metrics.silhouette import silhouette_of_tiles


class Measurements(NamedTuple):
    """What is measured after an update. None: not asked for.

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


def features(vectors: Float[Array, "v d"], part: Part) -> Float[Array, "n width"]:
    """The features of a part's items: the vectors they read, side by side."""
    return _features(vectors, part.rows)


def _features(vectors: Float[Array, "v d"], rows: Int[Array, "n inputs"]) -> Array:
    return vectors[rows].reshape(rows.shape[0], -1)


def read_vectors(vectors: Float[Array, "v d"], part: Part) -> Float[Array, "u d"]:
    """The distinct vectors that a part's items read."""
    return vectors if part.table is None else vectors[part.table]


def measure_part(
    config: EmbedConfig,
    vectors: Float[Array, "v d"],
    part: Part,
    key: Array,
    *,
    track: bool = False,
) -> dict[str, Array]:
    """IsoScore and silhouette of a part, or of a sample of it, under their names.

    Args:
        config: of the experiment.
        vectors: in their present state.
        part: which items.
        key: of the sample.
        track: the other indices of clusters too.
    """
    cloud, clusters, plan = read_vectors(vectors, part), part.clusters, part.plan
    if plan is not None:
        points = features(vectors, part)
    else:
        assert config.sample is not None
        item_key, vector_key = jax.random.split(key)
        items = _draw(item_key, part.rows.shape[0], config.sample)
        clusters = part.clusters[items]
        points = _features(vectors, part.rows[items])
        plan = plan_tiles(clusters, config.clusters, any_tile_shape(len(items), config.clusters))
        cloud = cloud[_draw(vector_key, cloud.shape[0], config.sample)]
    found = {
        "isoscore": isoscore_of_points(cloud),
        "silhouette": jnp.mean(silhouette_of_tiles(points, clusters, plan)),
    }
    if track:
        k = config.clusters
        found["calinski_harabasz"] = calinski_harabasz_of_codes(points, clusters, k)
        found["davies_bouldin"] = davies_bouldin_of_codes(points, clusters, k)
        found["dunn"] = dunn_of_tiles(points, plan)
    return found


def _draw(key: Array, n: int, sample: int) -> Int[Array, " sample"]:
    """A random sample of 0 to n - 1 without replacement; all of them where there are fewer."""
    return jax.random.permutation(key, n)[: min(sample, n)]
