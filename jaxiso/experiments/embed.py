"""Paper A's experiment: pretrained vectors trained directly under a linear classifier.

The vectors themselves are parameters. Each update takes the gradient of the whole data set; after
it, IsoScore and silhouette are measured ("Isotropy, Clusters, and Classifiers", Section 3.1).

Beyond the paper: a term for isotropy in the loss, a hidden layer, the triplet loss, held-out items.

`make_embed` gives pure functions of one seed; `over_seeds` puts seeds side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.stages import Wrapped
from jaxtyping import Array, Float
from optax.tree_utils import tree_get

from jaxiso.experiments.embed_data import EmbedConfig, EmbedData
from jaxiso.experiments.embed_measures import Measurements, features, measure_part, read_vectors
from jaxiso.experiments.seeds import in_turn_on_cpu
from jaxiso.experiments.triplets import centroid_scores, draw_triples, triplet_loss
from jaxiso.metrics.isotropy import isoscore_of_points
from jaxiso.models.linear import HiddenHead, LinearHead

# Folded into keys, these are never the number of an update, which stands for its samples.
TRIPLES, HELD_OUT = 2**31 - 1, 2**31 - 2


class EmbedState(NamedTuple):
    """One seed in training: its parameters, Adam's moments, and the key of its draws."""

    params: dict[str, Any]
    optimizer: optax.OptState
    key: Array


class Experiment(NamedTuple):
    """Pure functions of one seed.

    Attributes:
        init: (key, data) → state before the first update.
        step: (state, data, λ) → state after one more update. λ is the weight of 1 - IsoScore of the
            vectors in the loss, or None for no such term, as in the paper.
        measure: (state, data, number of updates so far) → measurements.
    """

    init: Callable[[Array, EmbedData], EmbedState]
    step: Callable[..., EmbedState]
    measure: Callable[[EmbedState, EmbedData, Array], Measurements]


def make_embed(config: EmbedConfig) -> Experiment:
    """The experiment as three pure functions of one seed; seeds by `vmap` or `lax.map` outside."""
    head = make_head(config)
    adam = optax.adam(config.learning_rate)

    def init(key, data):
        head_key, draw_key = jax.random.split(key)
        params: dict[str, Any] = {"vectors": data.vectors}
        if head is not None:
            width = data.train.rows.shape[1] * data.vectors.shape[1]
            params["head"] = head.init(head_key, jnp.zeros((1, width), data.vectors.dtype))
        return EmbedState(params, adam.init(params), draw_key)

    def scores_of(params, points, data) -> Any:
        """Scores of the classes; for the triplet loss, of the labels or sets of labels."""
        if head is not None:
            return head.apply(params["head"], points)
        known = features(params["vectors"], data.train)
        return centroid_scores(points, known, data.train.clusters, config.clusters)

    def loss_of(params, data, state_key, updates_done):
        points = features(params["vectors"], data.train)
        if config.triplets is not None:
            key = jax.random.fold_in(jax.random.fold_in(state_key, TRIPLES), updates_done)
            return triplet_loss(points, draw_triples(key, data.pool, config.triplets))
        scores = scores_of(params, points, data)
        if config.multilabel:
            losses = optax.sigmoid_binary_cross_entropy(scores, data.train.targets)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, data.train.targets)
        return jnp.mean(losses)

    def step(state, data, isotropy=None):
        def objective(params):
            loss = loss_of(params, data, state.key, tree_get(state.optimizer, "count"))
            if isotropy is not None:
                vectors = read_vectors(params["vectors"], data.train)
                loss = loss + isotropy * (1 - isoscore_of_points(vectors))
            return loss

        gradients = jax.grad(objective)(state.params)
        updates, optimizer = adam.update(gradients, state.optimizer, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        return EmbedState(params, optimizer, state.key)

    def measure(state, data, updates_done):
        params, key = state.params, jax.random.fold_in(state.key, updates_done)

        def accuracy(part):
            scores = scores_of(params, features(params["vectors"], part), data)
            return _accuracy(scores, part.clusters if head is None else part.targets)

        found = Measurements(
            **measure_part(config, params["vectors"], data.train, key, track=config.track),
            loss=loss_of(params, data, state.key, updates_done),
            accuracy=accuracy(data.train),
        )
        if data.test is None:
            return found
        key = jax.random.fold_in(key, HELD_OUT)
        test = measure_part(config, params["vectors"], data.test, key)
        test = {f"test_{name}": value for name, value in test.items()}
        return found._replace(**test, test_accuracy=accuracy(data.test))

    return Experiment(init, step, measure)


def make_head(config: EmbedConfig) -> LinearHead | HiddenHead | None:
    """The classifier; None for the triplet loss, which has none."""
    if config.triplets is not None:
        return None
    if config.hidden is not None:
        return HiddenHead(config.classes, config.hidden, config.bias)
    return LinearHead(config.classes, config.bias)


def _accuracy(scores: Array, targets: Array) -> Float[Array, ""]:
    if targets.ndim == 2:
        right = jnp.all((scores > 0) == (targets > 0.5), axis=1)
    else:
        right = jnp.argmax(scores, axis=1).astype(targets.dtype) == targets
    # A mean multiplies by 1/n, which makes 0.99999994 of a perfect score.
    return jnp.sum(right).astype(jnp.float32) / right.shape[0]


class SeedPrograms(NamedTuple):
    """Compiled functions of all seeds at once; states are stacked along a first axis.

    Attributes:
        init: (keys, data) → states.
        step: (states, data, λ of each or None) → states after one more update; the old ones are
            consumed.
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

    def step(states, data, isotropy=None):
        return jax.vmap(experiment.step, in_axes=(0, None, 0))(states, data, isotropy)

    return SeedPrograms(
        init=jax.jit(jax.vmap(experiment.init, in_axes=(0, None))),
        step=jax.jit(step, donate_argnums=0),
        measure=jax.jit(measure),
    )
