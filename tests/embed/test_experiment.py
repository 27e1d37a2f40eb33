"""The embed experiment against a plain numpy one, and against scikit-learn's measurements."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.tree_utils import tree_get
from scipy.spatial.distance import cdist
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from sklearn.neighbors import NearestCentroid

from jaxiso.data.tasks import Items
from jaxiso.embed.arrays import EmbedData, prepare
from jaxiso.embed.experiment import Experiment, make_embed, over_seeds
from jaxiso.embed.inputs import Embeddings
from jaxiso.embed.options import Options
from jaxiso.embed.result import count_parameters
from jaxiso.seeds import seed_keys

N, V, D, INPUTS = 60, 40, 6, 2


def problem(
    *, multilabel: bool = False, bias: bool = True, held_out: Any = None, scale=1.0, **options: Any
) -> tuple[EmbedData, Experiment]:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(V, D)) * np.arange(1, D + 1)).astype(np.float32)
    rows = rng.integers(0, V, (N, INPUTS)).astype(np.int32)
    targets = clusters = rng.integers(0, 3, N).astype(np.int32)
    if multilabel:
        targets = (rng.random((N, 3)) < 0.4).astype(np.float32)
        clusters = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    items = Items("made", [], rows, targets, clusters, ("a", "b", "c"), "made")
    chosen = Options(lr=0.01, scale=scale, **options)
    data = prepare(chosen, Embeddings(vectors, D, items, bias=bias), held_out)
    return data, compiled(**options)


@lru_cache
def compiled(**options: Any) -> Experiment:
    """The functions of one seed; each is compiled once for all tests."""
    init, step, measure = make_embed(Options(lr=0.01, **options))
    return Experiment(init, jax.jit(step), jax.jit(measure))


def trained(experiment: Experiment, data: EmbedData, updates: int = 5, weight=None):
    state = experiment.init(jax.random.key(0), data)
    for _ in range(updates):
        state = experiment.step(state, data, weight)
    return state


def measured(experiment: Experiment, state, data: EmbedData, *updates_done: int):
    return [experiment.measure(state, data, jnp.int32(t)) for t in updates_done]


def dense_of(state) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in state.params["head"]["params"]["Dense_0"].items()}


def isoscore(points: np.ndarray) -> float:
    variances = np.linalg.eigvalsh(np.cov(points.T))
    ratio = variances.sum() ** 2 / (variances**2).sum()
    return (ratio - 1) / (points.shape[1] - 1)


# --- as in the paper --------------------------------------------------------------------------


def numpy_training(state, data, updates: int, *, multilabel: bool, lr: float = 0.01):
    """Full-batch gradients and Adam as PyTorch defines them, in float64 and by hand."""
    dense = dense_of(state)
    x = np.asarray(data.vectors, np.float64)
    params = [x, *(np.float64(dense[k]) for k in sorted(dense, reverse=True))]
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    rows, targets = np.asarray(data.train.rows), np.asarray(data.train.targets)
    losses = []
    for t in range(1, updates + 1):
        features = params[0][rows].reshape(N, -1)
        scores = features @ params[1] + (params[2] if len(params) == 3 else 0)
        if multilabel:
            p = 1 / (1 + np.exp(-scores))
            losses.append(-np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p)))
            g = (p - targets) / targets.size
        else:
            p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
            losses.append(-np.mean(np.log(p[np.arange(N), targets])))
            g = (p - np.eye(3)[targets]) / N
        gx = np.zeros_like(params[0])
        np.add.at(gx, rows, (g @ params[1].T).reshape(N, INPUTS, D))
        gradients = [gx, features.T @ g, g.sum(0)][: len(params)]
        for i, gradient in enumerate(gradients):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            step = first[i] / (1 - 0.9**t) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
            params[i] = params[i] - lr * step
    return params, losses


@pytest.mark.parametrize(
    ("multilabel", "bias", "reduction"), [(False, True, "sum"), (True, False, "mean")]
)
def test_training_and_measurements_agree_with_references(multilabel, bias, reduction):
    # Adam's ε is far below these gradients, so the reference need not know of the reduction.
    data, experiment = problem(multilabel=multilabel, bias=bias, reduction=reduction)
    start = state = experiment.init(jax.random.key(3), data)
    losses = []
    for t in range(8):
        losses.append(float(experiment.measure(state, data, jnp.int32(t)).loss))
        state = experiment.step(state, data)
    params, expected = numpy_training(start, data, 8, multilabel=multilabel)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(state.params["vectors"], params[0], atol=2e-5)
    dense = dense_of(state)
    assert ("bias" in dense) == bias
    np.testing.assert_allclose(dense["kernel"], params[1], atol=2e-5)

    (found,) = measured(experiment, state, data, 8)
    vectors = np.asarray(state.params["vectors"], np.float64)
    features = vectors[np.asarray(data.train.rows)].reshape(N, -1)
    silhouette = silhouette_score(features, np.asarray(data.train.clusters))
    assert float(found.silhouette) == pytest.approx(silhouette, abs=1e-6)
    assert float(found.isoscore) == pytest.approx(isoscore(vectors), rel=1e-5)
    scores = features @ dense["kernel"] + dense.get("bias", 0)
    targets = np.asarray(data.train.targets)
    right = ((scores > 0) == targets).all(1) if multilabel else scores.argmax(1) == targets
    assert float(found.accuracy) == pytest.approx(np.mean(right), abs=1e-6)


@pytest.mark.parametrize(
    ("terms", "options"),
    [(N, {}), (3 * N, {"multilabel": True}), (256, {"loss": "triplet", "triplets": 256})],
)
@pytest.mark.parametrize("weight", [None, 0.5])
def test_a_sum_is_the_whole_objective_times_its_terms(terms, options, weight):
    """λ's term too, so that λ weighs against the mean of the losses either way."""
    first = {}
    for reduction in ("sum", "mean"):
        data, experiment = problem(reduction=reduction, **options)
        state = trained(experiment, data, updates=1, weight=weight)
        first[reduction] = tree_get(state.optimizer, "mu")
    for of_sum, of_mean in zip(*map(jax.tree.leaves, (first["sum"], first["mean"])), strict=True):
        np.testing.assert_allclose(of_sum, of_mean * terms, rtol=1e-6)


def test_heads_start_as_pytorch_linear():
    data, experiment = problem()
    states = over_seeds(experiment).init(seed_keys(0, 400), data)
    limit = (INPUTS * D) ** -0.5
    for name, values in dense_of(states).items():
        assert np.abs(values).max() <= limit, name
        # a uniform variable on ±limit has standard deviation limit / √3
        assert values.std() == pytest.approx(limit / 3**0.5, rel=0.05), name


@pytest.mark.parametrize("options", [{}, {"hidden": 5}, {"loss": "triplet"}])
def test_parameters_are_counted(options):
    data, experiment = problem(**options)
    params = jax.eval_shape(experiment.init, jax.random.key(0), data).params
    config = {"vectors": V, "dim": D, "inputs": INPUTS, "classes": ["a", "b", "c"], "bias": True}
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count_parameters(config | options) == total


def test_weights_and_seeds_side_by_side_equal_each_alone():
    data, experiment = problem()
    programs = over_seeds(experiment)
    keys, weights = seed_keys(3, 2), jnp.asarray([0.0, 0.0, 5.0, 5.0])
    states = programs.init(jnp.tile(keys, 2), data)
    for _ in range(6):
        states = programs.step(states, data, weights)
    together = np.asarray(states.params["vectors"])
    for i in range(2):
        state = experiment.init(seed_keys(3, 5)[i], data)  # whatever the number of seeds
        for _ in range(6):
            state = experiment.step(state, data)  # a weight of 0 is as good as none
        np.testing.assert_allclose(together[i], state.params["vectors"], atol=1e-6)
    scores = [isoscore(vectors) for vectors in together]
    assert min(scores[2:]) > max(scores[:2]) + 0.01 and len(set(scores)) == 4


def test_samples_are_fresh_reproducible_and_near_the_whole():
    held_out = np.arange(N) % 3 == 0
    whole, _ = problem(sample=40, held_out=held_out)
    assert whole.test is not None and None not in (whole.train.plan, whole.test.plan)
    data, experiment = problem(sample=15, held_out=held_out)
    assert data.test is not None and data.train.plan is None and data.test.plan is None
    state = experiment.init(jax.random.key(0), data)
    found = measured(experiment, state, data, *range(20), 3)
    for prefix, part in (("", data.train), ("test_", data.test)):
        values = [float(getattr(m, f"{prefix}silhouette")) for m in found]
        assert len(set(values)) == 20 and values[20] == values[3]
        features = np.asarray(data.vectors)[np.asarray(part.rows)].reshape(len(part.rows), -1)
        exact = silhouette_score(features, np.asarray(part.clusters))
        assert np.mean(values) == pytest.approx(exact, abs=0.03)


# --- beyond the paper -------------------------------------------------------------------------


def test_the_term_may_be_of_isoscore_star():
    """ζ = 0 is IsoScore itself; ζ = 1 is of the reference alone, which nothing can change."""

    def moment(weight, **options):
        data, experiment = problem(reduction="mean", isotropy=(3.0,), **options)
        state = experiment.step(experiment.init(jax.random.key(0), data), data, weight)
        return np.asarray(tree_get(state.optimizer, "mu")["vectors"], np.float64)

    weight = jnp.float32(3)
    plain, without = moment(weight), moment(None)
    np.testing.assert_allclose(moment(weight, star=0.0), plain, atol=2e-6)
    np.testing.assert_allclose(moment(weight, star=1.0), without, atol=2e-6)
    between = moment(weight, star=0.5)
    assert np.abs(between - plain).max() > 1e-5 < np.abs(between - without).max()


def test_the_term_for_isotropy_is_what_it_says():
    """The first moment after one update is a tenth of the gradient."""
    data, experiment = problem(reduction="mean")
    start = experiment.init(jax.random.key(0), data)

    def gradient(weight):
        state = experiment.step(start, data, weight)
        moments: Any = tree_get(state.optimizer, "mu")
        return 10 * np.asarray(moments["vectors"], np.float64)

    found = gradient(jnp.float32(3)) - gradient(None)
    vectors, h = np.asarray(data.vectors, np.float64), 1e-4
    for i, j in ((0, 0), (7, 5), (21, 3), (39, 1)):
        ends = []
        for sign in (1, -1):
            moved = vectors.copy()
            moved[i, j] += sign * h
            ends.append(3 * (1 - isoscore(moved)))
        assert found[i, j] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-3, abs=1e-6)


HELD_OUT = np.arange(N) % 4 == 0


@pytest.fixture(scope="module")
def tracked():
    """Five updates with isotropy in the loss, and the measurements after them."""
    with jax.numpy_dtype_promotion("standard"):
        data, experiment = problem(held_out=HELD_OUT, track=True)
        state = trained(experiment, data, weight=jnp.float32(9))
        (found,) = measured(experiment, state, data, 5)
    return data, state, found


def test_vectors_of_held_out_items_stay_as_they_were(tracked):
    data, state, _ = tracked
    read = np.isin(np.arange(V), data.train.rows)
    assert 0 < (~read).sum() < V and np.isin(data.test.rows, np.flatnonzero(read)).any()
    moved = np.abs(np.asarray(state.params["vectors"] - data.vectors)).max(axis=1)
    assert (moved[~read] == 0).all() and (moved[read] > 0).all()


@pytest.mark.parametrize("prefix", ["", "test_"])
def test_both_kinds_of_items_are_measured(tracked, prefix):
    data, state, found = tracked
    part = data.test if prefix else data.train
    rows, labels = np.asarray(part.rows), np.asarray(part.clusters)
    vectors = np.asarray(state.params["vectors"], np.float64)
    points, dense = vectors[rows].reshape(-1, INPUTS * D), dense_of(state)
    predicted = (points @ dense["kernel"] + dense["bias"]).argmax(1)
    expected = {
        "isoscore": isoscore(vectors[np.unique(rows)]),
        "silhouette": silhouette_score(points, labels),
        "accuracy": np.mean(predicted == labels),
    }
    for name, value in expected.items():
        assert float(getattr(found, prefix + name)) == pytest.approx(value, abs=1e-5), name


def test_indices_of_clusters_are_those_of_references(tracked):
    data, state, found = tracked
    labels = np.asarray(data.train.clusters)
    vectors = np.asarray(state.params["vectors"], np.float64)
    points = vectors[np.asarray(data.train.rows)].reshape(len(labels), -1)
    distances, same = cdist(points, points), labels[:, None] == labels[None, :]
    expected = {
        "calinski_harabasz": calinski_harabasz_score(points, labels),
        "davies_bouldin": davies_bouldin_score(points, labels),
        "dunn": distances[~same].min() / distances[same].max(),
    }
    for name, value in expected.items():
        assert float(getattr(found, name)) == pytest.approx(value, rel=1e-4), name


def test_a_hidden_layer_learns_what_a_line_cannot_separate():
    """Exclusive or, of vectors so far apart that training moves them too little to matter."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32) * 100 - 50
    labels = np.repeat([0, 1, 1, 0], 5).astype(np.int32)
    rows = np.arange(20, dtype=np.int32)[:, None]
    items = Items("xor", [], rows, labels, labels, ("0", "1"), "made")
    data = prepare(Options(), Embeddings(np.repeat(corners, 5, axis=0), 2, items))
    experiment = compiled(hidden=16)
    params = trained(experiment, data, 150).params
    params = jax.tree.map(np.asarray, params)
    layers = [params["head"]["params"][f"LinearHead_{i}"]["Dense_0"] for i in range(2)]
    hidden = np.maximum(params["vectors"] @ layers[0]["kernel"] + layers[0]["bias"], 0)
    scores = hidden @ layers[1]["kernel"] + layers[1]["bias"]
    np.testing.assert_array_equal(np.argmax(scores, axis=1), labels)


def test_the_triplet_loss_pulls_labels_apart_without_a_classifier():
    data, experiment = problem(loss="triplet", triplets=256)
    start = experiment.init(jax.random.key(0), data)
    assert set(start.params) == {"vectors"}
    state = trained(experiment, data, 60)
    before, other_update = measured(experiment, start, data, 0, 1)
    (after,) = measured(experiment, state, data, 60)
    assert after.loss < 0.95 * before.loss and after.silhouette > before.silhouette
    labels = np.asarray(data.train.clusters)
    points = np.asarray(state.params["vectors"])[np.asarray(data.train.rows)].reshape(N, -1)
    predicted = NearestCentroid().fit(points, labels).predict(points)
    assert float(after.accuracy) == pytest.approx(np.mean(predicted == labels), abs=1e-6)
    other_seed = experiment.init(jax.random.key(1), data)
    (other,) = measured(experiment, other_seed, data, 0)
    assert len({float(m.loss) for m in (before, other_update, other)}) == 3


# --- what leaves float32's range --------------------------------------------------------------


@pytest.mark.parametrize(("scale", "weight"), [(1e25, None), (1e28, 1.0), (1.0, 1e30)])
def test_what_leaves_the_range_is_nan_from_then_on(scale, weight):
    """Squares of such gradients are infinite, and Adam would make steps of zero of them."""
    data, experiment = problem(scale=scale)
    state = experiment.init(jax.random.key(0), data)
    for _ in range(3):
        state = experiment.step(state, data, None if weight is None else jnp.float32(weight))
    (found,) = measured(experiment, state, data, 3)
    assert np.isnan([found.isoscore, found.silhouette, found.loss, found.accuracy]).all()
