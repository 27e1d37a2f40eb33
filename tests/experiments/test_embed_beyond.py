"""What the embed experiment does beyond the paper, against numpy and scikit-learn."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.tree_utils import tree_get
from scipy.spatial.distance import cdist
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.neighbors import NearestCentroid

from jaxiso.experiments import embed
from jaxiso.experiments.embed_data import parameter_count, prepare
from jaxiso.experiments.seeds import seed_keys

N, V, D, INPUTS = 60, 40, 6, 2


def problem(**options: Any):
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(V, D)) * np.arange(1, D + 1)).astype(np.float32)
    rows = rng.integers(0, V, (N, INPUTS))
    labels = rng.integers(0, 3, N)
    config, data = prepare(vectors, rows, labels, labels, classes=3, learning_rate=0.01, **options)
    return data, embed.make_embed(config), rows, labels


def trained(experiment: embed.Experiment, data, updates: int = 5):
    state = experiment.init(jax.random.key(0), data)
    step = jax.jit(experiment.step)
    for _ in range(updates):
        state = step(state, data)
    return state


def isoscore(points: np.ndarray) -> float:
    variances = np.linalg.eigvalsh(np.cov(points.T))
    ratio = variances.sum() ** 2 / (variances**2).sum()
    return (ratio - 1) / (points.shape[1] - 1)


# --- isotropy in the loss ---------------------------------------------------------------------


def test_the_term_for_isotropy_is_what_it_says():
    """The first moment after one update is a tenth of the gradient."""
    data, experiment, _, _ = problem()
    start, step = experiment.init(jax.random.key(0), data), jax.jit(experiment.step)

    def gradient(weight):
        state = step(start, data, weight)
        return 10 * np.asarray(tree_get(state.optimizer, "mu")["vectors"], np.float64)

    found = gradient(jnp.float32(3)) - gradient(None)
    vectors, h = np.asarray(data.vectors, np.float64), 1e-4
    for i, j in ((0, 0), (7, 5), (21, 3), (39, 1)):
        ends = []
        for sign in (1, -1):
            moved = vectors.copy()
            moved[i, j] += sign * h
            ends.append(3 * (1 - isoscore(moved)))
        assert found[i, j] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-3, abs=1e-6)


def test_weights_and_seeds_side_by_side_equal_each_alone():
    data, experiment, _, _ = problem()
    programs = embed.over_seeds(experiment)
    keys, weights = seed_keys(3, 2), jnp.asarray([0.0, 0.0, 5.0, 5.0])
    states = programs.init(jnp.tile(keys, 2), data)
    for _ in range(6):
        states = programs.step(states, data, weights)
    together = programs.measure(states, data, jnp.int32(6))
    step, measure = jax.jit(experiment.step), jax.jit(experiment.measure)
    for i, weight in enumerate((None, None, jnp.float32(5), jnp.float32(5))):
        state = experiment.init(keys[i % 2], data)
        for _ in range(6):
            state = step(state, data, weight)
        alone = measure(state, data, jnp.int32(6))
        for name in ("isoscore", "silhouette", "loss", "accuracy"):
            found, value = getattr(together, name)[i], getattr(alone, name)
            assert float(found) == pytest.approx(float(value), abs=1e-5), name
    assert together.isoscore[2] > together.isoscore[0] + 0.01
    assert together.loss[0] != together.loss[1]


# --- held-out items, other indices of clusters ------------------------------------------------

HELD_OUT = np.arange(N) % 4 == 0


@pytest.fixture(scope="module")
def measured():
    """Five updates, a sixth with isotropy in the loss, and the measurements after the fifth."""
    with jax.numpy_dtype_promotion("standard"):
        data, experiment, rows, labels = problem(held_out=HELD_OUT, track=True)
        state = trained(experiment, data)
        found = jax.jit(experiment.measure)(state, data, jnp.int32(5))
        later = jax.jit(experiment.step)(state, data, jnp.float32(9))
    return data, state, later, found, rows, labels


def test_vectors_of_held_out_items_stay_as_they_were(measured):
    data, state, later, _, rows, _ = measured
    read = np.isin(np.arange(V), rows[~HELD_OUT])
    assert 0 < (~read).sum() < V and np.isin(rows[HELD_OUT], np.flatnonzero(read)).any()
    for end in (state, later):
        moved = np.abs(np.asarray(end.params["vectors"] - data.vectors)).max(axis=1)
        assert (moved[~read] == 0).all() and (moved[read] > 0).all()


@pytest.mark.parametrize("prefix", ["", "test_"])
def test_both_kinds_of_items_are_measured(measured, prefix):
    _, state, _, found, rows, labels = measured
    mask = HELD_OUT if prefix else ~HELD_OUT
    vectors = np.asarray(state.params["vectors"], np.float64)
    points = vectors[rows[mask]].reshape(-1, INPUTS * D)
    dense = {k: np.asarray(v) for k, v in state.params["head"]["params"]["Dense_0"].items()}
    predicted = (points @ dense["kernel"] + dense["bias"]).argmax(1)
    expected = {
        "isoscore": isoscore(vectors[np.unique(rows[mask])]),
        "silhouette": silhouette_score(points, labels[mask]),
        "accuracy": np.mean(predicted == labels[mask]),
    }
    for name, value in expected.items():
        assert float(getattr(found, prefix + name)) == pytest.approx(value, abs=1e-5), name


def test_indices_of_clusters_are_those_of_references(measured):
    _, state, _, found, rows, labels = measured
    labels = labels[~HELD_OUT]
    vectors = np.asarray(state.params["vectors"], np.float64)
    points = vectors[rows[~HELD_OUT]].reshape(len(labels), -1)
    distances, same = cdist(points, points), labels[:, None] == labels[None, :]
    expected = {
        "calinski_harabasz": calinski_harabasz_score(points, labels),
        "davies_bouldin": davies_bouldin_score(points, labels),
        "dunn": distances[~same].min() / distances[same].max(),
    }
    for name, value in expected.items():
        assert float(getattr(found, name)) == pytest.approx(value, rel=1e-4), name


def test_held_out_items_may_be_sampled_too():
    data, experiment, _, _ = problem(held_out=np.arange(N) % 2 == 0, sample=12)
    assert data.test is not None and data.test.plan is None and data.train.plan is None
    state = experiment.init(jax.random.key(0), data)
    measure = jax.jit(experiment.measure)
    values = [float(measure(state, data, jnp.int32(t)).test_silhouette) for t in range(8)]
    assert len(set(values)) == 8
    assert float(measure(state, data, jnp.int32(3)).test_silhouette) == values[3]


# --- other classifiers, other losses ----------------------------------------------------------


def test_a_hidden_layer_learns_what_a_line_cannot_separate():
    """Exclusive or, of vectors so far apart that training moves them too little to matter."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32) * 100 - 50
    vectors = np.repeat(corners, 5, axis=0)
    labels = np.repeat([0, 1, 1, 0], 5)
    rows = np.arange(20)[:, None]
    reached = {}
    for hidden in (None, 16):
        config, data = prepare(
            vectors, rows, labels, labels, classes=2, learning_rate=0.01, hidden=hidden
        )
        experiment = embed.make_embed(config)
        state = trained(experiment, data, 150)
        found = jax.jit(experiment.measure)(state, data, jnp.int32(150))
        reached[hidden] = float(found.accuracy)
        sizes = sum(np.size(leaf) for leaf in jax.tree.leaves(state.params))
        assert parameter_count(20, 2, 1, 2, True, hidden) == sizes
    assert reached[16] == 1.0 and reached[None] <= 0.75


def test_the_triplet_loss_pulls_labels_apart_without_a_classifier():
    data, experiment, rows, labels = problem(triplets=256)
    start = experiment.init(jax.random.key(0), data)
    assert set(start.params) == {"vectors"}
    state = trained(experiment, data, 60)
    measure = jax.jit(experiment.measure)
    before, after = measure(start, data, jnp.int32(0)), measure(state, data, jnp.int32(60))
    assert after.loss < 0.95 * before.loss and after.silhouette > before.silhouette
    points = np.asarray(state.params["vectors"])[rows].reshape(N, -1)
    predicted = NearestCentroid().fit(points, labels).predict(points)
    assert float(after.accuracy) == pytest.approx(np.mean(predicted == labels), abs=1e-6)
    other = experiment.init(jax.random.key(1), data)
    losses = [float(measure(s, data, jnp.int32(t)).loss) for s, t in ((start, 1), (other, 0))]
    assert len({float(before.loss), *losses}) == 3  # other triples for each update and seed
    assert parameter_count(V, D, INPUTS, 0, True) == start.params["vectors"].size
