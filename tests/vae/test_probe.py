"""The probe's training against a plain numpy one, and against scikit-learn's accuracy."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from jaxiso.vae import probe

N, D, CLASSES = 11, 5, 3
TINY = probe.ProbeConfig(
    classes=CLASSES,
    learning_rate=0.01,
    batch_size=4,
    epochs=6,
    initialisations=3,
    least_updates=1,
    hidden=(7, 6),
)
LARGE_BATCH = replace(TINY, batch_size=64, least_updates=200)


def tiny_problem(n: int = N, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = (scale * rng.normal(size=(n, D))).astype(np.float32)
    return features, rng.integers(0, CLASSES, n)


def blobs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three round clouds whose centres are 14 standard deviations apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    centres = 10 * np.eye(3, D)
    return (centres[labels] + rng.normal(size=(n, D))).astype(np.float32), labels


def as_layers(params) -> list[np.ndarray]:
    """Kernels and biases, layer after layer, in float64."""
    dense = params["params"]
    return [
        np.asarray(dense[f"Dense_{i}"][part], np.float64)
        for i in range(3)
        for part in ("kernel", "bias")
    ]


def numpy_gradients(params: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Of the mean cross-entropy of these items, by hand."""
    k1, b1, k2, b2, k3, b3 = params
    first = np.maximum(x @ k1 + b1, 0)
    second = np.maximum(first @ k2 + b2, 0)
    scores = second @ k3 + b3
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    d3 = (p - np.eye(CLASSES)[y]) / len(y)
    d2 = d3 @ k3.T * (second > 0)
    d1 = d2 @ k2.T * (first > 0)
    return [x.T @ d1, d1.sum(0), first.T @ d2, d2.sum(0), second.T @ d3, d3.sum(0)]


def numpy_training(key, x: np.ndarray, y: np.ndarray, config) -> list[np.ndarray]:
    """One probe, one batch of real items after the other, and Adam as Keras has it."""
    init_key, order_key = jax.random.split(key)
    params = as_layers(jax.jit(config.model().init)(init_key, x[:1]))
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    t = 0
    for epoch in range(config.epochs):
        order = np.asarray(jax.random.permutation(jax.random.fold_in(order_key, epoch), len(x)))
        for start in range(0, len(x), config.batch_size):
            rows = order[start : start + config.batch_size]
            t += 1
            for i, g in enumerate(numpy_gradients(params, x[rows], y[rows])):
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                change = first[i] / (1 - 0.9**t) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-7)
                params[i] = params[i] - config.learning_rate * change
    return params


@pytest.mark.parametrize("scale", [1.0, 1e-3])  # gradients so small that Adam's epsilon counts
def test_training_is_the_plain_loop(scale):
    """All at once, with filled-up batches, as one after the other with batches of real items."""
    features, labels = tiny_problem(scale=scale)
    key = jax.random.key(5)
    found = probe.train_probes(key, features, labels, TINY)
    for i in range(TINY.initialisations):
        expected = numpy_training(jax.random.fold_in(key, i), features, labels, TINY)
        alone = as_layers(jax.tree.map(lambda p, i=i: p[i], found))
        for a, b in zip(alone, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


def test_probes_that_have_items_of_their_own_are_each_the_plain_loop():
    features, labels = tiny_problem()
    rows = probe.few_shot(N, 0.6, TINY.initialisations, np.random.default_rng(1))
    assert len({tuple(mine) for mine in rows.tolist()}) == 3
    key = jax.random.key(5)
    found = probe.train_probes(key, features, labels, TINY, rows)
    for i, mine in enumerate(rows):
        start = jax.random.fold_in(key, i)
        expected = numpy_training(start, features[mine], labels[mine], TINY)
        alone = as_layers(jax.tree.map(lambda p, i=i: p[i], found))
        for a, b in zip(alone, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


def test_probes_differ():
    found = probe.train_probes(jax.random.key(0), *tiny_problem(), TINY)
    kernels = np.asarray(found["params"]["Dense_0"]["kernel"])
    assert all(np.abs(kernels[i] - kernels[i - 1]).max() > 0.1 for i in range(3))


def test_filling_has_no_part_in_the_gradient():
    model = TINY.model()
    features, labels = (part.astype(np.float32) for part in tiny_problem(4))
    params = jax.jit(model.init)(jax.random.key(0), features)
    gradient = jax.jit(jax.grad(partial(probe.batch_loss, model)))

    def of_rows(rows: list[int], weights: list[float]) -> list[np.ndarray]:
        weighted = np.array(weights, np.float32)
        found = gradient(params, features[rows], labels[rows].astype(np.int32), weighted)
        return as_layers(found)

    real = of_rows([2, 1, 3], [1, 1, 1])
    for a, b in zip(of_rows([2, 1, 3, 0, 0], [1, 1, 1, 0, 0]), real, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    # Whoever divided by the size of the batch, or counted the filling, would be far off.
    assert np.abs(real[0]).max() > 1e-2


@pytest.mark.parametrize("items, size, batches", [(11, 4, 3), (12, 4, 3), (3, 3, 1), (1, 1, 1)])
def test_an_epoch_sees_each_item_once(items, size, batches):
    rows, weights = probe.epoch_batches(jax.random.key(0), items, size)
    assert rows.shape == weights.shape == (batches, size)
    real = np.asarray(rows)[np.asarray(weights) == 1]
    assert sorted(real.tolist()) == list(range(items))
    assert float(jnp.sum(weights)) == items
    assert (np.asarray(weights).sum(1) > 0).all()
    if items > 10:
        other, _ = probe.epoch_batches(jax.random.key(1), items, size)
        assert (np.asarray(other) != np.asarray(rows)).any()


def test_few_items_get_more_epochs():
    config = probe.ProbeConfig(classes=14)
    assert config.epochs_for(13843) == 20
    assert config.epochs_for(14) == config.epochs_for(64) == 1000
    assert config.epochs_for(65) == 500
    assert config.epochs_for(1384) == 46  # 22 batches; 45 epochs would be 990 updates


def test_separable_clouds_are_told_apart_and_accuracy_is_a_percentage():
    train_x, train_y = blobs(100, seed=1)
    test_x, test_y = blobs(60, seed=2)
    key = jax.random.key(0)
    found = probe.probe_accuracies(key, train_x, train_y, test_x, test_y, LARGE_BATCH)
    assert found.shape == (3,) and found.dtype == np.float64
    assert found.min() > 95
    np.testing.assert_array_equal(found, 100)
    wrong = test_y.copy()
    wrong[:6] = (wrong[:6] + 1) % 3
    found = probe.probe_accuracies(key, train_x, train_y, test_x, wrong, LARGE_BATCH)
    np.testing.assert_allclose(found, 90)


def test_fewer_items_than_a_batch_and_classes_that_are_missing():
    train_x, train_y = blobs(8, seed=1)
    two = train_y < 2  # no item of the last class
    test_x, test_y = blobs(60, seed=2)
    found = probe.probe_accuracies(
        jax.random.key(0), train_x[two], train_y[two], test_x, test_y, LARGE_BATCH
    )
    known = 100 * np.mean(test_y < 2)
    assert known - 10 < found.min() and found.max() <= known


def test_accuracy_is_scikit_learns():
    images, digits = load_digits(return_X_y=True)
    images = images / 16
    train, test = slice(0, 500), slice(500, 1000)
    config = probe.ProbeConfig(classes=10, initialisations=3, least_updates=1)
    found = probe.probe_accuracies(
        jax.random.key(0), images[train], digits[train], images[test], digits[test], config
    )
    reference = MLPClassifier((128, 128), alpha=0, max_iter=20, random_state=0)
    reference.set_params(batch_size=64)  # stubs take its default 'auto' for its type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reference.fit(images[train], digits[train])
    expected = 100 * reference.score(images[test], digits[test])
    assert expected > 85
    assert found.mean() == pytest.approx(expected, abs=3)


@given(
    n=st.integers(0, 3000),
    fraction=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_few_shot(n, fraction, seed):
    parts = probe.few_shot(n, fraction, 3, np.random.default_rng(seed))
    assert parts.shape == (3, min(n, max(2, round(fraction * n))))
    for rows in parts:
        assert len(set(rows.tolist())) == len(rows)
        assert (np.diff(rows) > 0).all()
        assert ((rows >= 0) & (rows < n)).all()
    again = probe.few_shot(n, fraction, 3, np.random.default_rng(seed))
    np.testing.assert_array_equal(parts, again)


def test_few_shot_is_fair():
    rng = np.random.default_rng(0)
    drawn = probe.few_shot(20, 0.25, 2000, rng)
    counts = np.bincount(drawn.ravel(), minlength=20)  # of 500 each, with a deviation of 19
    assert counts.min() > 400 and counts.max() < 600


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_few_shot_refuses_what_is_no_part(fraction):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        probe.few_shot(5, fraction, 1, np.random.default_rng(0))


def bad_training(name: str) -> tuple[np.ndarray, np.ndarray]:
    features, labels = tiny_problem()
    if name == "nan":
        features[3, 2] = np.nan
    elif name == "too large":
        labels[4] = 3
    elif name == "negative":
        labels[4] = -1
    elif name == "short":
        labels = labels[:-1]
    elif name == "not whole":
        labels = labels + 0.5
    elif name == "flat":
        features = features[:, 0]
    elif name == "none":
        features, labels = features[:0], labels[:0]
    return features, labels


@pytest.mark.parametrize(
    "name, message",
    [
        ("nan", r"training features .*\[3, 2\] is nan"),
        ("too large", "training label of row 4 is 3; allowed are 0 to 2"),
        ("negative", "training label of row 4 is -1; allowed are 0 to 2"),
        ("short", r"training labels have shape \(10,\).* 11 whole numbers"),
        ("not whole", "dtype float64; 11 whole numbers"),
        ("flat", "training features .*2D"),
        ("none", "training features .*minimum of 1 point"),
    ],
)
def test_refuses_bad_items(name, message):
    features, labels = bad_training(name)
    with pytest.raises(ValueError, match=message):
        probe.train_probes(jax.random.key(0), features, labels, TINY)
    good = tiny_problem()
    with pytest.raises(ValueError, match=message.replace("training", "test")):
        probe.probe_accuracies(jax.random.key(0), *good, features, labels, TINY)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 4), int), r"shape \(2, 4\).*shape \(3, m\)"),
        (np.zeros((3, 4)), "dtype float64"),
        (np.full((3, 4), N), "rows 0 to 10"),
        (np.full((3, 4), -1), "rows 0 to 10"),
        (np.zeros((3, 0), int), "at least one"),
    ],
)
def test_refuses_rows_that_are_not_there(rows, message):
    with pytest.raises(ValueError, match=message):
        probe.train_probes(jax.random.key(0), *tiny_problem(), TINY, rows)


def test_refuses_other_features_in_the_test_set():
    features, labels = tiny_problem()
    with pytest.raises(ValueError, match="5 features, test items 4"):
        probe.probe_accuracies(jax.random.key(0), features, labels, features[:, :4], labels, TINY)


def test_a_plane_tells_two_clouds_apart_and_not_opposite_corners():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    clouds = rng.normal(size=(200, 3)) + 6 * labels[:, None]
    assert probe.linear_accuracy(clouds, labels, clouds, labels) == 100
    sides = rng.integers(0, 2, (200, 2))
    corners, odd = sides + rng.normal(0, 0.01, (200, 2)), sides.sum(axis=1) % 2
    assert probe.linear_accuracy(corners, odd, corners, odd) <= 80  # 3 of 4 corners at most
