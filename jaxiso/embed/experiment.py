"""Paper A's experiment: pretrained vectors trained directly under a linear classifier.

The vectors themselves are parameters. Each update takes the gradient of the whole data set; after
it, IsoScore and silhouette are measured ("Isotropy, Clusters, and Classifiers", Section 3.1).

The loss is a sum over items. With a mean over n of them, the gradient of a vector is of order 1/n,
at some thousands of items no longer large beside Adam's ε, 1e-8, which then slows the training the
more the larger n is. The paper's correlations are those without that effect.

Beyond the paper: a term for isotropy in the loss, a hidden layer, the triplet loss, held-out items.

`make_embed` gives pure functions of one seed; `over_seeds` puts seeds side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from optax.tree_utils import tree_get

from jaxiso.embed.arrays import EmbedData
from jaxiso.embed.measures import Measurements, accuracy, features, measure_part, read_vectors
from jaxiso.embed.options import Options
from jaxiso.embed.triplets import centroid_scores, draw_triples, triplet_loss
from jaxiso.metrics.isotropy import isoscore, isoscore_star
from jaxiso.models.heads import HiddenHead, LinearHead
from jaxiso.seeds import ONE_DEVICE, SHARED, STACKED, Spread, in_turn_on_cpu, seed_keys
from jaxiso.training import Training

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
    measure: Callable[[EmbedState, EmbedData, Array | np.integer], Measurements]


def make_embed(options: Options) -> Experiment:
    """The experiment as three pure functions of one seed; seeds by `vmap` or `lax.map` outside."""
    adam = optax.adam(options.lr)
    triplets = options.triplets if options.loss == "triplet" else None

    def head_of(data: EmbedData) -> LinearHead | HiddenHead | None:
        """The classifier; None for the triplet loss, which has none."""
        if triplets is not None:
            return None
        if options.hidden is not None:
            return HiddenHead(data.classes, options.hidden, data.bias)
        return LinearHead(data.classes, data.bias)

    def init(key, data):
        head_key, draw_key = jax.random.split(key)
        params: dict[str, Any] = {"vectors": data.vectors}
        head = head_of(data)
        if head is not None:
            width = data.train.rows.shape[1] * data.vectors.shape[1]
            params["head"] = head.init(head_key, jnp.zeros((1, width), data.vectors.dtype))
        return EmbedState(params, adam.init(params), draw_key)

    def scores_of(params, points, data) -> Any:
        """Scores of the classes; for the triplet loss, of the labels or sets of labels."""
        head = head_of(data)
        if head is not None:
            return head.apply(params["head"], points)
        known = features(params["vectors"], data.train.rows)
        return centroid_scores(points, known, data.train.clusters, data.clusters)

    def loss_of(params, data, state_key, updates_done):
        points = features(params["vectors"], data.train.rows)
        if triplets is not None:
            key = jax.random.fold_in(jax.random.fold_in(state_key, TRIPLES), updates_done)
            return triplet_loss(points, draw_triples(key, data.pool, triplets))
        scores, targets = scores_of(params, points, data), data.train.targets
        if targets.ndim == 2:
            losses = optax.sigmoid_binary_cross_entropy(scores, targets)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, targets)
        return jnp.mean(losses)

    def step(state, data, isotropy=None):
        def objective(params):
            loss = loss_of(params, data, state.key, tree_get(state.optimizer, "count"))
            if isotropy is not None:
                vectors = read_vectors(params["vectors"], data.train)
                score = isoscore(vectors)
                if options.star is not None:
                    score = isoscore_star(vectors, data.reference, options.star)
                loss = loss + isotropy * (1 - score)
            return loss

        gradients = jax.grad(objective)(state.params)
        if options.reduction == "sum":
            # Of all of the objective, so that λ weighs against the mean either way.
            terms = triplets or data.train.targets.size
            gradients = jax.tree.map(lambda g: g * float(terms), gradients)
        updates, optimizer = adam.update(gradients, state.optimizer, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        # Where squared gradients leave float32's range, Adam would stand still without a word.
        squares: Any = tree_get(optimizer, "nu")
        params = jax.tree.map(lambda p, v: jnp.where(jnp.isfinite(v), p, jnp.nan), params, squares)
        return EmbedState(params, optimizer, state.key)

    def measure(state, data, updates_done):
        params, key = state.params, jax.random.fold_in(state.key, updates_done)

        def measured(part, key, *, track=False):
            scores = scores_of(params, features(params["vectors"], part.rows), data)
            targets = part.targets if triplets is None else part.clusters
            found = measure_part(
                params["vectors"], part, key, k=data.clusters, sample=options.sample, track=track
            )
            return found | {"accuracy": accuracy(scores, targets)}

        found = measured(data.train, key, track=options.track)
        found["loss"] = loss_of(params, data, state.key, updates_done)
        if data.test is not None:
            test = measured(data.test, jax.random.fold_in(key, HELD_OUT))
            found |= {f"test_{name}": value for name, value in test.items()}
        return Measurements(**found)

    return Experiment(init, step, measure)


def over_seeds(experiment: Experiment, spread: Spread = ONE_DEVICE) -> Experiment:
    """Puts seeds side by side, and compiles: keys, states and λ are stacked along a first axis.

    `step` consumes the states that it is given.

    Args:
        experiment: of one seed.
        spread: over which devices the first axis is spread, and the data are shared.

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

    init = spread.program(jax.vmap(experiment.init, in_axes=(0, None)), STACKED, SHARED)
    together = jax.vmap(experiment.step, in_axes=(0, None, 0))

    def step(states, data, isotropy=None):
        return spread.program(together, STACKED, SHARED, STACKED)(states, data, isotropy)

    return Experiment(
        init=jax.jit(init),
        step=jax.jit(step, donate_argnums=0),
        measure=jax.jit(spread.program(measure, STACKED, SHARED, SHARED)),
    )


def seeds_and_weights(options: Options) -> tuple[Array, Array | None]:
    """The key of everything that is trained side by side, and its weight of isotropy in the loss.

    All seeds are trained with each weight.

    Returns:
        Keys and weights of shape (weights · seeds,), weight by weight; no weights where none are
        asked for.
    """
    keys = seed_keys(options.seed, options.seeds)
    if options.isotropy is None:
        return keys, None
    weights = jnp.asarray(options.isotropy, jnp.float32)
    return jnp.tile(keys, len(weights)), jnp.repeat(weights, options.seeds)


def make_training(options: Options, data: EmbedData, what: str) -> Training:
    """The experiment as `jaxiso.training` drives it, spread over all devices.

    The options have the number of updates; `what` is shown before the progress bar.
    """
    updates = options.updates
    assert updates is not None
    keys, weights = seeds_and_weights(options)
    rows: dict[str, Any] = {"seed": np.tile(np.arange(options.seeds), len(keys) // options.seeds)}
    if weights is not None:
        rows["isotropy"] = np.asarray(weights)
    spread = Spread.over(len(keys))
    programs = over_seeds(make_embed(options), spread)
    keys, weights, data = spread.stack(keys), spread.stack(weights), spread.share(data)

    def measure(states, done):
        if done % options.every and done != updates:
            return None
        found = spread.whole(programs.measure(states, data, np.int32(done)))._asdict()
        return rows | {name: value for name, value in found.items() if value is not None}

    def latest(table):
        isoscores, silhouettes = (table[name][-1] for name in ("isoscore", "silhouette"))
        if not np.isfinite(isoscores + silhouettes):
            return "not finite"
        return f"IsoScore {isoscores:.4f}, silhouette {silhouettes:.4f}"

    return Training(
        updates=updates,
        state=programs.init(keys, data),
        spread=spread,
        step=lambda states, _: (programs.step(states, data, weights), 1),
        measure=measure,
        what=what,
        unit="updates",
        units=updates,
        latest=latest,
        checkpoint_every=options.checkpoint_every,
    )
