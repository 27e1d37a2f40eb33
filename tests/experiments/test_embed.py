"""The embed experiment against a plain numpy one, and against scikit-learn's measurements."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import silhouette_score as reference_silhouette

from jaxiso.experiments import embed
from jaxiso.experiments.embed_data import parameter_count, prepare
from jaxiso.experiments.seeds import seed_keys

N, V, D, INPUTS = 60, 40, 6, 2


def problem(*, multilabel: bool = False, bias: bool = True, sample: int | None = None):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(V, D)).astype(np.float32)
    rows = rng.integers(0, V, (N, INPUTS))
    if multilabel:
        targets = (rng.random((N, 3)) < 0.4).astype(np.float32)
        clusters = np.unique(targets, axis=0, return_inverse=True)[1].reshape(-1)
    else:
        targets = clusters = rng.integers(0, 3, N)
    config, data = prepare(
        vectors, rows, targets, clusters, classes=3, bias=bias, sample=sample, learning_rate=0.01
    )
    return config, data, embed.make_embed(config)


def numpy_training(state, data, updates: int, *, multilabel: bool, lr: float = 0.01):
    """Full-batch gradients and Adam as PyTorch defines them, in float64 and by hand."""
    dense = state.params["head"]["params"]["Dense_0"]
    x = np.asarray(data.vectors, np.float64)
    params = [x, *(np.asarray(dense[k], np.float64) for k in sorted(dense, reverse=True))]
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


@pytest.mark.parametrize(("multilabel", "bias"), [(False, True), (False, False), (True, True)])
def test_training_agrees_with_numpy(multilabel, bias):
    _, data, experiment = problem(multilabel=multilabel, bias=bias)
    start = state = experiment.init(jax.random.key(3), data)
    losses, step, measure = [], jax.jit(experiment.step), jax.jit(experiment.measure)
    for t in range(8):
        losses.append(float(measure(state, data, jnp.int32(t)).loss))
        state = step(state, data)
    params, expected = numpy_training(start, data, 8, multilabel=multilabel)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(state.params["vectors"], params[0], atol=2e-5)
    dense = state.params["head"]["params"]["Dense_0"]
    assert ("bias" in dense) == bias
    np.testing.assert_allclose(dense["kernel"], params[1], atol=2e-5)


@pytest.mark.parametrize("multilabel", [False, True])
def test_measurements_agree_with_references(multilabel):
    _, data, experiment = problem(multilabel=multilabel)
    state = experiment.init(jax.random.key(0), data)
    for _ in range(5):
        state = jax.jit(experiment.step)(state, data)
    found = experiment.measure(state, data, jnp.int32(5))
    vectors = np.asarray(state.params["vectors"], np.float64)
    features = vectors[np.asarray(data.train.rows)].reshape(N, -1)
    silhouette = reference_silhouette(features, np.asarray(data.train.clusters))
    assert float(found.silhouette) == pytest.approx(silhouette, abs=1e-6)
    variances = np.linalg.eigvalsh(np.cov(vectors.T))
    ratio = variances.sum() ** 2 / (variances**2).sum()
    assert float(found.isoscore) == pytest.approx((ratio - 1) / (D - 1), rel=1e-5)
    dense = {k: np.asarray(v) for k, v in state.params["head"]["params"]["Dense_0"].items()}
    scores = features @ dense["kernel"] + dense["bias"]
    targets = np.asarray(data.train.targets)
    right = ((scores > 0) == targets).all(1) if multilabel else scores.argmax(1) == targets
    assert float(found.accuracy) == pytest.approx(right.mean(), abs=1e-6)


def test_head_starts_as_pytorch_linear():
    _, data, experiment = problem()
    keys = seed_keys(0, 400)
    states = embed.over_seeds(experiment).init(keys, data)
    limit = (INPUTS * D) ** -0.5
    for name, values in states.params["head"]["params"]["Dense_0"].items():
        values = np.asarray(values)
        assert np.abs(values).max() <= limit, name
        # a uniform variable on ±limit has standard deviation limit / √3
        assert values.std() == pytest.approx(limit / 3**0.5, rel=0.05), name
    sizes = [np.size(values) for values in jax.tree.leaves(states.params)]
    assert parameter_count(V, D, INPUTS, 3, bias=True) == sum(sizes) // 400


def test_seeds_side_by_side_equal_seeds_alone():
    _, data, experiment = problem()
    programs = embed.over_seeds(experiment)
    states = programs.init(seed_keys(7, 3), data)
    for _ in range(4):
        states = programs.step(states, data)
    together = programs.measure(states, data, jnp.int32(4))
    for i in range(3):
        state = experiment.init(seed_keys(7, 5)[i], data)
        for _ in range(4):
            state = jax.jit(experiment.step)(state, data)
        alone = experiment.measure(state, data, jnp.int32(4))
        for name in ("isoscore", "silhouette", "loss", "accuracy"):
            found, value = getattr(together, name)[i], getattr(alone, name)
            assert float(found) == pytest.approx(float(value), abs=1e-5), name
    assert len(set(np.asarray(together.loss).tolist())) == 3


def test_samples_are_fresh_reproducible_and_near_the_whole():
    config, data, experiment = problem(sample=30)
    assert config.sample == 30 and data.train.plan is None
    state = experiment.init(jax.random.key(0), data)
    measure = jax.jit(experiment.measure)
    values = [float(measure(state, data, jnp.int32(t)).silhouette) for t in range(20)]
    assert len(set(values)) > 15
    assert float(measure(state, data, jnp.int32(3)).silhouette) == values[3]
    _, whole_data, whole = problem()
    assert np.mean(values) == pytest.approx(
        float(whole.measure(state, whole_data, jnp.int32(0)).silhouette), abs=0.03
    )


def test_a_sample_of_everything_is_the_whole():
    config, data, _ = problem(sample=N)
    assert config.sample is None and data.train.plan is not None
