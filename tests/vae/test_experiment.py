"""The VAE's loss against its definition, and its training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.data.batches import Batch
from jaxiso.vae import experiment as vae

CONFIG = vae.VAEConfig(
    ids=30,
    posterior="diagonal",
    ramp=10,
    embedding_dim=6,
    hidden_dim=8,
    latent_dim=4,
    lr=0.01,
)


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


def started(config: vae.VAEConfig) -> tuple[vae.VAEExperiment, Any]:
    """The experiment, and the parameters it starts from."""
    experiment = vae.make_vae(config)
    return experiment, jax.jit(experiment.init)(jax.random.key(0)).params


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic", "none"])
def test_loss_is_nll_and_distance_from_the_target(posterior):
    config = replace(CONFIG, posterior=posterior, beta=0.7)
    model, batch = config.model(), make_batch()
    experiment, params = started(config)
    key = jax.random.key(9)
    found = jax.jit(experiment.losses)(params, batch, key, 2.0)
    coded = jax.jit(experiment.code)(params, batch, key)
    mean = np.asarray(coded.mean)
    if posterior == "none":
        z, kl, distance = mean, np.zeros(len(mean)), np.zeros(len(mean))
    else:
        log_variance = np.asarray(coded.log_variance)
        z = mean + np.exp(log_variance / 2) * np.asarray(jax.random.normal(key, mean.shape))
        kl = closed_form_kl(mean, log_variance)
        distance = np.abs(kl - 2.0)  # of each sentence, not of the batch
    nll = jax.jit(partial(vae.negative_log_likelihood, model))
    rec = np.asarray(nll(params, batch, jnp.asarray(z)))
    np.testing.assert_allclose(coded.rec, rec, rtol=1e-5)
    assert float(found.rec) == pytest.approx(rec.mean(), rel=1e-5)
    assert float(found.kl) == pytest.approx(kl.mean(), rel=1e-5, abs=1e-6)
    assert float(found.loss) == pytest.approx((rec + 0.7 * distance).mean(), rel=1e-5)


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic"])
def test_loss_without_a_target(posterior):
    """Free bits of the batch's mean KL in each dimension, and the weight that annealing gives."""
    config = replace(CONFIG, posterior=posterior, beta=0.7, ramp=None, free_bits=0.3)
    batch, key = make_batch(empty=2), jax.random.key(9)
    experiment, params = started(config)
    coded = jax.jit(experiment.code)(params, batch, key)
    mean, log_variance = (np.asarray(x, np.float64)[:5] for x in (coded.mean, coded.log_variance))
    each = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance)
    free = np.maximum(0.3, each.mean(0)).sum()
    found = jax.jit(experiment.losses)(params, batch, key, 99.0)
    assert float(found.loss) == pytest.approx(float(found.rec) + 0.7 * free, rel=1e-5)
    assert float(found.kl) == pytest.approx(each.sum(1).mean(), rel=1e-4)
    annealing = replace(config, free_bits=None, annealing="linear", annealing_updates=4, lr=1e-12)
    annealed = vae.make_vae(annealing)
    state, step = jax.jit(annealed.init)(jax.random.key(0)), jax.jit(annealed.step)
    for share in (0, 0.25, 0.5, 0.75, 1, 1):
        state, found = step(state, batch, np.nan)
        expected = float(found.rec) + 0.7 * share * float(found.kl)
        assert float(found.loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("objective", ["vae", "iwae"])
def test_what_is_dropped_is_drawn_anew_in_every_update(objective):
    config = replace(CONFIG, objective=objective, word_dropout=0.4, dropout=0.1, lr=1e-12)
    experiment, batch = vae.make_vae(config), make_batch()
    state = jax.jit(experiment.init)(jax.random.key(0))
    plain = jax.jit(vae.make_vae(replace(config, word_dropout=0.0, dropout=0.0)).losses)
    step, recs = jax.jit(experiment.step), []
    for _ in range(3):
        key = jax.random.fold_in(state.key, state.updates)
        as_it_is = float(plain(state.params, batch, key, 1.0).rec)
        state, found = step(state, batch, 1.0)
        recs.append(float(found.rec))
        assert recs[-1] != pytest.approx(as_it_is, rel=1e-5)
    assert len(set(recs)) == 3


def test_empty_rows_do_not_count():
    experiment, params = started(replace(CONFIG, posterior="none"))
    key = jax.random.key(0)
    both = jax.jit(jax.value_and_grad(lambda p, b: experiment.losses(p, b, key, 1.0).loss))
    loss, gradient = both(params, make_batch())
    padded_loss, padded_gradient = both(params, make_batch(empty=3))
    assert float(padded_loss) == pytest.approx(float(loss), rel=1e-6)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(padded_gradient), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_importance_weighted_bound():
    """One sample is the ELBO; with more it can only rise, up to log p(x)."""
    elbo, params = started(CONFIG)
    batch = make_batch()

    def losses(experiment: vae.VAEExperiment, draws: int) -> vae.Losses:
        keys = jax.random.split(jax.random.key(2), draws)
        found = jax.jit(jax.vmap(lambda k: experiment.losses(params, batch, k, 0.0)))(keys)
        return jax.tree.map(lambda values: float(jnp.mean(values)), found)

    plain = losses(elbo, 400)
    one, five, fifty = (
        losses(vae.make_vae(replace(CONFIG, objective="iwae", samples=samples)), 50).loss
        for samples in (1, 5, 50)
    )
    assert one == pytest.approx(plain.rec + plain.kl, abs=0.2)
    assert one > five > fifty


def test_log_weights_by_hand():
    model, batch = CONFIG.model(), make_batch()
    experiment, params = started(CONFIG)
    key = jax.random.key(4)
    coded = jax.jit(experiment.code)(params, batch, key)
    encoded = vae.Encoded(coded.mean, coded.log_variance)
    weights, rec = jax.jit(partial(vae.log_weights, model))(params, batch, encoded, key)
    z = np.asarray(vae.sample_posterior(key, encoded), np.float64)
    mean, variance = np.asarray(encoded.mean), np.exp(np.asarray(encoded.log_variance))

    def log_normal(x, mean, variance):
        return (-0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)).sum(1)

    expected = log_normal(z, 0, 1) - log_normal(z, mean, variance) - np.asarray(rec)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_training_reaches_the_target_kl():
    experiment, batch = vae.make_vae(CONFIG), make_batch(rows=12)
    step = jax.jit(experiment.step)
    state, first = step(jax.jit(experiment.init)(jax.random.key(0)), batch, 3.0)
    found = first
    for _ in range(299):
        state, found = step(state, batch, 3.0)
    assert int(state.updates) == 300
    assert float(found.rec) < float(first.rec) - 5
    assert float(found.kl) == pytest.approx(3.0, abs=0.3)


def test_the_target_rises_linearly():
    """At update u of a ramp of 10 the first step sees C·u/10: told apart by the loss itself."""
    experiment, batch = vae.make_vae(replace(CONFIG, lr=1e-12)), make_batch()
    state = jax.jit(experiment.init)(jax.random.key(0))
    step, losses = jax.jit(experiment.step), jax.jit(experiment.losses)
    for update in range(1, 15):
        key, params = jax.random.fold_in(state.key, state.updates), state.params
        state, found = step(state, batch, 3.0)
        expected = losses(params, batch, key, 3.0 * min(1, update / 10))
        assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-6)


def test_a_digest_tells_models_apart():
    _, params = started(CONFIG)
    digest = vae.model_digest(params)
    assert digest == vae.model_digest(jax.tree.map(np.asarray, params))
    changed = jax.tree.map(lambda x: x, params)
    kernel = np.array(params["params"]["output_kernel"])
    kernel[0, 0] = np.nextafter(kernel[0, 0], np.float32(1))
    changed["params"]["output_kernel"] = kernel
    assert vae.model_digest(changed) != digest
