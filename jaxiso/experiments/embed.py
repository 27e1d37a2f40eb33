"""Paper A's experiment: pretrained vectors trained directly under a linear classifier.

The vectors themselves are parameters. Each update takes the gradient of the whole data set; after
it, IsoScore and silhouette are measured ("Isotropy, Clusters, and Classifiers", Section 3.1).

`make_embed` gives pure functions of one seed; `over_seeds` puts seeds side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Wrapped
from jaxtyping import Array, Float, Int

from jaxiso.experiments.seeds import in_turn_on_cpu
from jaxiso.metrics.isotropy import isoscore_of_points
from jaxiso.metrics.pairwise import TilePlan, TileShape, any_tile_shape, plan_tiles, tile_shape
from jaxiso.metrics.silhouette import silhouette_of_tiles
from jaxiso.models.linear import LinearHead


@dataclass(frozen=True)
class EmbedConfig:
    """What has to be known to compile the experiment.

    Attributes:
        classes: number of classes.
        multilabel: an item has a set of labels; binary cross-entropy for each.
        clusters: number of distinct labels, or sets of labels.
        sample: items to measure after each update, drawn anew each time; None for all.
        tiles: how the measured items are cut into tiles.
        bias: whether the linear head has one.
        learning_rate: of Adam.
    """

    classes: int
    multilabel: bool
    clusters: int
    sample: int | None
    tiles: TileShape
    bias: bool = True
    learning_rate: float = 1e-3


class EmbedData(NamedTuple):
    """The task as arrays: v vectors of d dimensions, n items that read `inputs` vectors each.

    Attributes:
        vectors: pretrained vectors, the same start for every seed.
        rows: rows of `vectors` that an item reads; its features are their concatenation.
        targets: class ids, shape (n,), or 0 and 1 for each label, shape (n, classes).
        clusters: number of the item's label, or set of labels.
        plan: tiles for the silhouette of all items; None where samples are measured.
    """

    vectors: Float[Array, "v d"]
    rows: Int[Array, "n inputs"]
    targets: Array
    clusters: Int[Array, " n"]
    plan: TilePlan | None


class EmbedState(NamedTuple):
    """One seed in training: its parameters, Adam's moments, and the key of its samples."""

    params: dict[str, Any]
    optimizer: optax.OptState
    key: Array


class Measurements(NamedTuple):
    """What is measured after an update.

    Attributes:
        isoscore: of the distinct vectors ("unpaired embeddings").
        silhouette: of the items' features, by label.
        loss: cross-entropy, the mean over items (and labels).
        accuracy: share of items whose label, or whole set of labels, is predicted.
    """

    isoscore: Float[Array, ""]
    silhouette: Float[Array, ""]
    loss: Float[Array, ""]
    accuracy: Float[Array, ""]


class Experiment(NamedTuple):
    """Pure functions of one seed.

    Attributes:
        init: (key, data) → state before the first update.
        step: (state, data) → state after one more update.
        measure: (state, data, number of updates so far) → measurements.
    """

    init: Callable[[Array, EmbedData], EmbedState]
    step: Callable[[EmbedState, EmbedData], EmbedState]
    measure: Callable[[EmbedState, EmbedData, Array], Measurements]


def prepare(
    vectors: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    clusters: np.ndarray,
    *,
    classes: int,
    bias: bool = True,
    sample: int | None = None,
    learning_rate: float = 1e-3,
) -> tuple[EmbedConfig, EmbedData]:
    """Turns a task in numpy arrays (see `EmbedData`) into what `make_embed` and its parts take.

    Args:
        vectors: (v, d) pretrained vectors.
        rows: (n, inputs) rows of `vectors`.
        targets: (n,) class ids, or (n, classes) of 0 and 1.
        clusters: (n,) numbers 0 to K - 1 of the distinct labels.
        classes: number of classes.
        bias: whether the head has a bias.
        sample: measure this many items, drawn anew after each update, where there are more.
        learning_rate: of Adam.
    """
    counts = np.bincount(clusters)
    if sample is not None and sample >= len(rows):
        sample = None
    tiles = tile_shape(counts) if sample is None else any_tile_shape(sample, len(counts))
    config = EmbedConfig(
        classes=classes,
        multilabel=targets.ndim == 2,
        clusters=len(counts),
        sample=sample,
        tiles=tiles,
        bias=bias,
        learning_rate=learning_rate,
    )
    codes = jnp.asarray(clusters, jnp.int32)
    # Labels never change, so the points of a task that is measured whole are sorted only here.
    plan = plan_tiles(codes, len(counts), tiles) if sample is None else None
    kind = jnp.float32 if targets.ndim == 2 else jnp.int32
    data = EmbedData(
        vectors=jnp.asarray(vectors, jnp.float32),
        rows=jnp.asarray(rows, jnp.int32),
        targets=jnp.asarray(targets, kind),
        clusters=codes,
        plan=plan,
    )
    return config, data


def make_embed(config: EmbedConfig) -> Experiment:
    """The experiment as three pure functions of one seed; seeds by `vmap` or `lax.map` outside."""
    head = LinearHead(config.classes, config.bias)
    adam = optax.adam(config.learning_rate)

    def features(vectors, rows):
        return vectors[rows].reshape(rows.shape[0], -1)

    def loss_and_scores(params, data):
        scores: Any = head.apply(params["head"], features(params["vectors"], data.rows))
        if config.multilabel:
            losses = optax.sigmoid_binary_cross_entropy(scores, data.targets)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, data.targets)
        return jnp.mean(losses), scores

    def init(key, data):
        head_key, sample_key = jax.random.split(key)
        width = data.rows.shape[1] * data.vectors.shape[1]
        params = {
            "vectors": data.vectors,
            "head": head.init(head_key, jnp.zeros((1, width), data.vectors.dtype)),
        }
        return EmbedState(params, adam.init(params), sample_key)

    def step(state, data):
        gradients, _ = jax.grad(loss_and_scores, has_aux=True)(state.params, data)
        updates, optimizer = adam.update(gradients, state.optimizer, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        return EmbedState(params, optimizer, state.key)

    def measure(state, data, updates_done):
        loss, scores = loss_and_scores(state.params, data)
        vectors = state.params["vectors"]
        if config.sample is None:
            points, clusters, plan = features(vectors, data.rows), data.clusters, data.plan
        else:
            key = jax.random.fold_in(state.key, updates_done)
            item_key, vector_key = jax.random.split(key)
            items = _draw(item_key, data.rows.shape[0], config.sample)
            clusters = data.clusters[items]
            points = features(vectors, data.rows[items])
            plan = plan_tiles(clusters, config.clusters, config.tiles)
            vectors = vectors[_draw(vector_key, vectors.shape[0], config.sample)]
        return Measurements(
            isoscore=isoscore_of_points(vectors),
            silhouette=jnp.mean(silhouette_of_tiles(points, clusters, plan)),
            loss=loss,
            accuracy=_accuracy(scores, data.targets),
        )

    return Experiment(init, step, measure)


def _draw(key: Array, n: int, sample: int) -> Int[Array, " sample"]:
    """A random sample of 0 to n - 1 without replacement; all of them where there are fewer."""
    return jax.random.permutation(key, n)[: min(sample, n)]


def _accuracy(scores: Array, targets: Array) -> Float[Array, ""]:
    if targets.ndim == 2:
        right = jnp.all((scores > 0) == (targets > 0.5), axis=1)
    else:
        right = jnp.argmax(scores, axis=1).astype(targets.dtype) == targets
    # A mean multiplies by 1/n, which makes 0.99999994 of a perfect score.
    return jnp.sum(right).astype(jnp.float32) / right.shape[0]


def parameter_count(vectors: int, dim: int, inputs: int, classes: int, bias: bool) -> int:
    """Trainable numbers of one seed: the table of distinct vectors and the linear head.

    Paper A, Tables 1 and 2.
    """
    return vectors * dim + classes * (inputs * dim + bias)


class SeedPrograms(NamedTuple):
    """Compiled functions of all seeds at once; states are stacked along a first axis.

    Attributes:
        init: (keys, data) → states.
        step: (states, data) → states after one more update; the old ones are consumed.
        measure: (states, data, number of updates so far) → Measurements of shape (seeds,).
    """

    init: Wrapped
    step: Wrapped
    measure: Wrapped


def over_seeds(experiment: Experiment) -> SeedPrograms:
    """Puts seeds side by side, and compiles.

    The update is vectorised over seeds everywhere. Measuring takes them in turn on a CPU:
    vectorised it was up to 2.9 times slower there, since one seed's tiles no longer have the cache
    to themselves.

    One update a call, rather than a `lax.scan` of many: dispatch overlaps with computing, and the
    bits of an update cannot depend on where a run was interrupted.
    """

    def measure(states, data, updates_done):
        def one(state):
            return experiment.measure(state, data, updates_done)

        return in_turn_on_cpu(one, states)

    return SeedPrograms(
        init=jax.jit(jax.vmap(experiment.init, in_axes=(0, None))),
        step=jax.jit(jax.vmap(experiment.step, in_axes=(0, None)), donate_argnums=0),
        measure=jax.jit(measure),
    )
