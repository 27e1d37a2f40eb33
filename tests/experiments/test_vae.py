"""The VAE's loss against its definition, and its training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.data.batches import Batch
from jaxiso.experiments import vae

CONFIG = vae.VAEConfig(
    vocabulary=30,
    posterior="diagonal",
    target=3.0,
    ramp=10,
    embedding_dim=6,
    hidden_dim=8,
    latent_dim=4,
    learning_rate=0.01,
)


@pytest.fixture(autouse=True)
def any_rank():
    """Flax's Dense adds a bias of one dimension to rows."""
    with jax.numpy_rank_promotion("allow"):
        yield


def make_batch(rows: int = 5, empty: int = 0) -> Batch:
    rng = np.random.default_rng(0)
    lengths = np.r_[rng.integers(1, 7, rows), np.ones(empty, int)].astype(np.int32)
    tokens = np.zeros((rows + empty, 7), np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = rng.integers(3, 30, length)
    weights = np.r_[np.ones(rows), np.zeros(empty)].astype(np.float32)
    indices = np.where(weights > 0, np.arange(len(lengths)), -1)
    return jax.tree.map(jnp.asarray, Batch(tokens, lengths, weights, indices))


def closed_form_kl(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    variance = np.broadcast_to(np.exp(log_variance), mean.shape)
    return 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum(1)


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic", "none"])
def test_loss_is_nll_and_distance_from_the_target(posterior):
    config = replace(CONFIG, posterior=posterior, beta=0.7)
    experiment, model, batch = vae.make_vae(config), config.model(), make_batch()
    params = experiment.init(jax.random.key(0)).params
    key = jax.random.key(9)
    found = experiment.losses(params, batch, key, 2.0)
    encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
    mean = np.asarray(encoded.mean)
    if posterior == "none":
        z, kl, distance = mean, np.zeros(len(mean)), np.zeros(len(mean))
    else:
        log_variance = np.asarray(encoded.log_variance)
        z = mean + np.exp(log_variance / 2) * np.asarray(jax.random.normal(key, mean.shape))
        kl = closed_form_kl(mean, log_variance)
        distance = np.abs(kl - 2.0)  # of each sentence, not of the batch
    rec = np.asarray(vae.negative_log_likelihood(model, params, batch, jnp.asarray(z)))
    assert float(found.rec) == pytest.approx(rec.mean(), rel=1e-5)
    assert float(found.kl) == pytest.approx(kl.mean(), rel=1e-5, abs=1e-6)
    assert float(found.loss) == pytest.approx((rec + 0.7 * distance).mean(), rel=1e-5)


def test_empty_rows_do_not_count():
    experiment = vae.make_vae(replace(CONFIG, posterior="none"))
    params = experiment.init(jax.random.key(0)).params
    key = jax.random.key(0)
    whole = experiment.losses(params, make_batch(), key, 1.0)
    padded = experiment.losses(params, make_batch(empty=3), key, 1.0)
    assert float(padded.loss) == pytest.approx(float(whole.loss), rel=1e-6)
    gradient = jax.grad(lambda p, b: experiment.losses(p, b, key, 1.0).loss)
    with_empty = gradient(params, make_batch(empty=3))
    for a, b in zip(
        jax.tree.leaves(gradient(params, make_batch())), jax.tree.leaves(with_empty), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_importance_weighted_bound():
    """One sample is the ELBO; with more it can only rise, up to log p(x)."""
    batch, key = make_batch(), jax.random.key(2)
    params = vae.make_vae(CONFIG).init(jax.random.key(0)).params

    def loss(samples: int) -> float:
        experiment = vae.make_vae(replace(CONFIG, objective="iwae", samples=samples))
        keys = jax.random.split(key, 50)
        values = jax.vmap(lambda k: experiment.losses(params, batch, k, 0.0).loss)(keys)
        return float(jnp.mean(values))

    elbo = vae.make_vae(CONFIG)
    keys = jax.random.split(jax.random.key(3), 400)
    found = jax.vmap(lambda k: elbo.losses(params, batch, k, 0.0))(keys)
    expected = float(jnp.mean(found.rec) + jnp.mean(found.kl))
    one, five, fifty = loss(1), loss(5), loss(50)
    assert one == pytest.approx(expected, abs=0.2)
    assert one > five > fifty


def test_log_weights_by_hand():
    model, batch = CONFIG.model(), make_batch()
    params = vae.make_vae(CONFIG).init(jax.random.key(0)).params
    encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
    key = jax.random.key(4)
    weights, rec = vae.log_weights(model, params, batch, encoded, key)
    z = np.asarray(vae.sample_posterior(key, encoded), np.float64)
    mean, variance = np.asarray(encoded.mean), np.exp(np.asarray(encoded.log_variance))

    def log_normal(x, mean, variance):
        return (-0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)).sum(1)

    expected = log_normal(z, 0, 1) - log_normal(z, mean, variance) - np.asarray(rec)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_training_reaches_the_target_kl():
    experiment, batch = vae.make_vae(CONFIG), make_batch(rows=12)
    step = jax.jit(experiment.step)
    state, first = step(experiment.init(jax.random.key(0)), batch)
    found = first
    for _ in range(299):
        state, found = step(state, batch)
    assert int(state.updates) == 300
    assert float(found.rec) < float(first.rec) - 5
    assert float(found.kl) == pytest.approx(3.0, abs=0.3)


def test_the_target_rises_linearly():
    """At update u of a ramp of 10 the first step sees C·u/10: told apart by the loss itself."""
    config = replace(CONFIG, learning_rate=1e-12)
    experiment, batch = vae.make_vae(config), make_batch()
    state = experiment.init(jax.random.key(0))
    for update in range(1, 15):
        key = jax.random.fold_in(state.key, state.updates)
        params = state.params
        state, found = jax.jit(experiment.step)(state, batch)
        target = 3.0 * min(1, update / 10)
        expected = jax.jit(experiment.losses)(params, batch, key, target)
        assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-6)
