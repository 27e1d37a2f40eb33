"""Paper B's classification: probes trained on frozen representations, and their accuracy.

"On the Effect of Isotropy on VAE Representations of Text", Section 3.2: an MLP reads the class of a
sentence from the mean of its posterior. Ten of them, which differ by their initial values and the
order of their minibatches, are trained on the same features; the mean of their accuracies counts.
With a part of the training sentences only, each of them learns from a part of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxiso.metrics.points import as_points
from jaxiso.models.heads import Probe


@dataclass(frozen=True)
class ProbeConfig:
    """How probes are trained.

    The paper gives the network and the number of initialisations; learning rate, batch and epochs
    are those of the authors' code. Neither says how long a probe learns from a few items only. Here
    the epochs are repeated until there are `least_updates`, since 20 epochs of 14 items would be
    20 updates, which measure the start more than the features.

    Attributes:
        classes: number of classes.
        learning_rate: of Adam.
        batch_size: items an update sees; all of them where there are fewer.
        epochs: passes through the items, at least.
        initialisations: number of probes.
        least_updates: epochs go on until there are at least this many updates.
        hidden: sizes of the hidden layers.
    """

    classes: int
    learning_rate: float = 1e-3
    batch_size: int = 64
    epochs: int = 20
    initialisations: int = 10
    least_updates: int = 1000
    hidden: tuple[int, ...] = (128, 128)

    def model(self) -> Probe:
        """The network."""
        return Probe(self.classes, self.hidden)

    def epochs_for(self, items: int) -> int:
        """Passes through this many items: `epochs`, or as many as `least_updates` takes."""
        batches = -(-items // self.batch_size)
        return max(self.epochs, -(-self.least_updates // batches))


def probe_accuracies(
    key: Array,
    train_features: ArrayLike,
    train_labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
    config: ProbeConfig,
    rows: ArrayLike | None = None,
) -> np.ndarray:
    """Trains probes on some items and tests them on others.

    Args:
        key: of all probes; probe i is the same whatever their number.
        train_features: one item a row, shape (n, d), used as they are: not standardised.
        train_labels: 0 to classes - 1, shape (n,).
        test_features: shape (m, d).
        test_labels: shape (m,).
        config: how to train.
        rows: the training items that each probe learns from, shape (initialisations, m), as from
            `few_shot`; None: all of them.

    Returns:
        Share of test items whose class is found, in percent, shape (initialisations,), float64.

    Raises ValueError: features that are not finite real numbers of shape (n, d), with one d; labels
    that are not whole numbers from 0 to classes - 1, one an item; rows that are not there.
    """
    train = _checked("training", train_features, train_labels, config.classes)
    features, labels = _checked("test", test_features, test_labels, config.classes)
    if features.shape[1] != train[0].shape[1]:
        raise ValueError(
            f"Training items have {train[0].shape[1]} features, test items {features.shape[1]}; "
            "they have to be the same."
        )
    right = _count_right(train_probes(key, *train, config, rows), features, labels, config)
    return 100 * np.asarray(right, np.float64) / len(labels)


def train_probes(
    key: Array,
    features: ArrayLike,
    labels: ArrayLike,
    config: ProbeConfig,
    rows: ArrayLike | None = None,
) -> Any:
    """Parameters of trained probes, stacked along a first axis of size initialisations.

    Compiles once for each shape of the features and of the rows. Arguments and errors are those of
    `probe_accuracies`.
    """
    points, codes = _checked("training", features, labels, config.classes)
    params, order_keys = _start(key, points.shape[1], config)
    whole = np.broadcast_to(np.arange(len(codes)), (config.initialisations, len(codes)))
    chosen = whole if rows is None else _checked_rows(rows, len(codes), config.initialisations)
    return _train(params, order_keys, points, codes, chosen.astype(np.int32), config)


def linear_accuracy(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
) -> float:
    """Accuracy of a logistic regression, in percent: how well planes tell the classes apart.

    scikit-learn's, with its L2 penalty of 1, on the features as they are. It depends on no draw.
    Arguments are those of `probe_accuracies`.

    Raises ValueError: as scikit-learn does, such as for labels that are all the same.
    """
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(max_iter=2000).fit(train_features, train_labels)
    return 100 * float(probe.score(test_features, test_labels))


def few_shot(items: int, fraction: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Random parts of a training set, for the paper's 0.1 %, 1 % and 10 % of it.

    Drawn plainly, without replacement within a part, as the paper says no more than "portion": a
    small part may have no item of some class. At least two items, where there are two.

    Args:
        items: of the whole training set.
        fraction: of the items to keep, above 0 and at most 1.
        draws: how many parts, each drawn from all items.
        rng: where chance comes from.

    Returns:
        Rows to keep, in rising order, shape (draws, m).

    Raises ValueError: the fraction is not in that range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; allowed is above 0 and at most 1.")
    size = min(items, max(2, round(fraction * items)))
    return np.sort([rng.choice(items, size, replace=False) for _ in range(draws)], axis=1)


def batch_loss(
    model: Probe,
    params: Any,
    features: Float[Array, "b d"],
    labels: Int[Array, " b"],
    weights: Float[Array, " b"],
) -> Float[Array, ""]:
    """Softmax cross-entropy, in nats: the mean over items of weight 1; those of 0 are filling."""
    scores: Any = model.apply(params, features)
    losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
    return jnp.sum(weights * losses) / jnp.sum(weights)


def epoch_batches(
    key: Array, items: int, batch_size: int
) -> tuple[Int[Array, "batches b"], Float[Array, "batches b"]]:
    """Minibatches of one pass through the items in random order; the last one is filled up.

    Returns:
        Rows of the items and their weights; filling is row 0 with weight 0.
    """
    batches = -(-items // batch_size)
    filling = batches * batch_size - items
    order = jnp.pad(jax.random.permutation(key, items), (0, filling))
    weights = jnp.pad(jnp.ones(items), (0, filling))
    return order.reshape(batches, batch_size), weights.reshape(batches, batch_size)


@partial(jax.jit, static_argnames=("width", "config"))
def _start(key, width, config):
    """Initial values of all probes, and the keys of their orders.

    Apart from `_train`, since it need not be compiled again for another number of items.
    """

    def one(number):
        init_key, order_key = jax.random.split(jax.random.fold_in(key, number))
        return config.model().init(init_key, jnp.zeros((1, width))), order_key

    # Vectorised, drawing the initial values takes three times as long to compile.
    return jax.lax.map(one, jnp.arange(config.initialisations))


@partial(jax.jit, static_argnames="config")
def _train(params, order_keys, features, labels, rows, config):
    model = config.model()
    adam = optax.adam(config.learning_rate, eps=1e-7)  # Keras' epsilon
    items = rows.shape[1]
    batch_size = min(config.batch_size, items)

    def one(params, order_key, rows):
        def update(state, batch):
            params, optimizer = state
            places, weights = batch
            chosen = rows[places]
            gradients = jax.grad(batch_loss, argnums=1)(
                model, params, features[chosen], labels[chosen], weights
            )
            changes, optimizer = adam.update(gradients, optimizer, params)
            return (optax.apply_updates(params, changes), optimizer), None

        def epoch(state, number):
            batches = epoch_batches(jax.random.fold_in(order_key, number), items, batch_size)
            return jax.lax.scan(update, state, batches)

        numbers = jnp.arange(config.epochs_for(items))
        (params, _), _ = jax.lax.scan(epoch, (params, adam.init(params)), numbers)
        return params

    return jax.vmap(one)(params, order_keys, rows)


@partial(jax.jit, static_argnames="config")
def _count_right(params, features, labels, config):
    model = config.model()

    def one(params):
        scores: Any = model.apply(params, features)
        return jnp.sum(jnp.argmax(scores, axis=1) == labels)

    # In turn, since the hidden layers of a whole test set are large.
    return jax.lax.map(one, params)


def _checked_rows(rows: ArrayLike, items: int, probes: int) -> np.ndarray:
    """Rows of the training items that each probe learns from."""
    found = np.asarray(rows)
    if found.ndim != 2 or len(found) != probes or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"The rows have shape {found.shape} and dtype {found.dtype}; whole numbers of shape "
            f"({probes}, m) are needed, for {probes} probes."
        )
    if not found.size or found.min() < 0 or found.max() >= items:
        raise ValueError(f"Each probe needs at least one of the rows 0 to {items - 1}.")
    return found


def _checked(
    what: str, features: ArrayLike, labels: ArrayLike, classes: int
) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
    """Features in float32 and labels in int32; `what` names them in messages."""
    try:
        points = as_points(features, translate=False)
    except ValueError as error:
        raise ValueError(f"The {what} features cannot be used. {error}") from error
    codes = np.asarray(labels)
    if codes.shape != points.shape[:1] or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"The {what} labels have shape {codes.shape} and dtype {codes.dtype}; {len(points)} "
            "whole numbers are needed, one for each row of the features."
        )
    wrong = np.flatnonzero((codes < 0) | (codes >= classes))
    if len(wrong):
        raise ValueError(
            f"The {what} label of row {wrong[0]} is {codes[wrong[0]]}; allowed are 0 to "
            f"{classes - 1}, as there are {classes} classes."
        )
    return points.astype(jnp.float32), jnp.asarray(codes, jnp.int32)
