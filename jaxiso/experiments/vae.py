"""Paper B's training: an LSTM-VAE held at a target KL, as pure functions of one seed.

"On the Effect of Isotropy on VAE Representations of Text", Section 2: the loss of a sentence is its
token NLL plus β·|KL - C|, so that the KL ends at C, whatever the posterior's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.stages import Wrapped
from jaxtyping import Array, Float, Int

from jaxiso.data.batches import Batch
from jaxiso.experiments.seeds import in_turn_on_cpu
from jaxiso.metrics.posterior import gaussian_kl_of_arrays
from jaxiso.models.vae import Encoded, Posterior, TextVAE

Objective = Literal["vae", "iwae"]

# Updates use keys 0, 1, 2, … of a seed; draws for evaluation come from this one.
EVALUATION = 2**31 - 1


@dataclass(frozen=True)
class VAEConfig:
    """What has to be known to compile the training.

    Attributes:
        vocabulary: number of words, with the special ones.
        posterior: 'diagonal', 'isotropic', or 'none' for an autoencoder.
        objective: 'vae', or 'iwae' for the importance-weighted bound, which has no target KL.
        samples: draws of z for each sentence; 1 for 'vae'.
        target: C, the KL aimed at, in nats.
        ramp: updates over which the target rises linearly from 0.
        beta: weight of the distance from the target.
        embedding_dim: size of a word's vector.
        hidden_dim: size of both LSTMs.
        latent_dim: size of the code z.
        learning_rate: of Adam.
    """

    vocabulary: int
    posterior: Posterior
    objective: Objective = "vae"
    samples: int = 1
    target: float = 15.0
    ramp: int = 5000
    beta: float = 1.0
    embedding_dim: int = 200
    hidden_dim: int = 512
    latent_dim: int = 32
    learning_rate: float = 5e-4

    def model(self) -> TextVAE:
        """The network."""
        return TextVAE(
            self.vocabulary, self.posterior, self.embedding_dim, self.hidden_dim, self.latent_dim
        )


class VAEState(NamedTuple):
    """One seed in training. `updates` counts those done; `key` is never used twice with one."""

    params: Any
    optimizer: optax.OptState
    key: Array
    updates: Int[Array, ""]


class Losses(NamedTuple):
    """Means over the sentences of a batch, in nats.

    Attributes:
        loss: what is minimised.
        rec: -log p(x|z) for the sampled z, summed over a sentence's tokens.
        kl: KL(q(z|x) ‖ p(z)); 0 for an autoencoder.
    """

    loss: Float[Array, ""]
    rec: Float[Array, ""]
    kl: Float[Array, ""]


class Coded(NamedTuple):
    """What evaluation needs of each sentence of a batch.

    Attributes:
        mean: of the posterior, shape (b, latent).
        log_variance: shape (b, latent), (b, 1) if isotropic, (b, 0) for an autoencoder.
        z: one draw of the posterior, shape (b, latent).
        rec: -log p(x|z), in nats, shape (b,).
        kl: of the posterior from the prior, in nats, shape (b,).
    """

    mean: Float[Array, "b latent"]
    log_variance: Float[Array, "b width"]
    z: Float[Array, "b latent"]
    rec: Float[Array, " b"]
    kl: Float[Array, " b"]


class VAEExperiment(NamedTuple):
    """Pure functions of one seed.

    Attributes:
        init: key → state before the first update.
        step: (state, batch) → (state after one more update, losses of the batch before it).
        losses: (params, batch, key, target) → losses.
        code: (params, batch, key) → posteriors, a draw of each and its likelihood.
    """

    init: Callable[[Array], VAEState]
    step: Callable[[VAEState, Batch], tuple[VAEState, Losses]]
    losses: Callable[[Any, Batch, Array, Array | float], Losses]
    code: Callable[[Any, Batch, Array], Coded]


def make_vae(config: VAEConfig) -> VAEExperiment:
    """The training as pure functions of one seed; seeds by `vmap` or `lax.map` outside."""
    model = config.model()
    adam = optax.adam(config.learning_rate, eps=1e-7)  # Keras' epsilon

    def init(key):
        init_key, key = jax.random.split(key)
        tokens = jnp.zeros((1, 2), jnp.int32)
        params = model.init(init_key, tokens, jnp.ones(1, jnp.int32))
        return VAEState(params, adam.init(params), key, jnp.int32(0))

    def losses(params, batch, key, target):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
        kl = divergence(encoded)
        weights = batch.rows / jnp.maximum(jnp.sum(batch.rows), 1)
        if config.objective == "iwae":
            found = _importance_weighted(model, params, batch, encoded, key, config.samples)
            loss, rec = (jnp.sum(weights * values) for values in found)
        else:
            z = sample_posterior(key, encoded)
            rec: Any = model.apply(
                params, batch.tokens, batch.lengths, z, weights, method=model.total_nll
            )
            loss = rec
            if encoded.log_variance is not None:
                loss = rec + config.beta * jnp.sum(weights * jnp.abs(kl - target))
        return Losses(loss, rec, jnp.sum(weights * kl))

    def step(state, batch):
        key = jax.random.fold_in(state.key, state.updates)
        target = config.target * jnp.minimum(1.0, (state.updates + 1) / config.ramp)

        def loss(params):
            found = losses(params, batch, key, target)
            return found.loss, found

        gradients, found = jax.grad(loss, has_aux=True)(state.params)
        changes, optimizer = adam.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, changes)
        return VAEState(params, optimizer, state.key, state.updates + 1), found

    def code(params, batch, key):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
        z = sample_posterior(key, encoded)
        rec = negative_log_likelihood(model, params, batch, z)
        none = encoded.mean[:, :0]
        log_variance = none if encoded.log_variance is None else encoded.log_variance
        return Coded(encoded.mean, log_variance, z, rec, divergence(encoded))

    return VAEExperiment(init, step, losses, code)


class SeedPrograms(NamedTuple):
    """Compiled functions of all seeds at once; states and sums are stacked along a first axis.

    Attributes:
        init: keys → states.
        step: (states, sums, batch) → both after one more update; the old ones are consumed. Sums
            are of loss, rec, kl and sentences, shape (seeds, 4).
        code: (states, batch, number) → Coded of all seeds; the number picks the random draws.
    """

    init: Wrapped
    step: Wrapped
    code: Wrapped


def over_seeds(experiment: VAEExperiment) -> SeedPrograms:
    """Puts seeds side by side, all on the same batches, and compiles."""

    def step(states, sums, batch):
        def one(state_and_sums):
            state, sums = state_and_sums
            state, found = experiment.step(state, batch)
            count = jnp.sum(batch.rows)
            return state, sums + jnp.stack([*(value * count for value in found), count])

        return in_turn_on_cpu(one, (states, sums))

    def code(states, batch, number):
        def one(state):
            key = jax.random.fold_in(jax.random.fold_in(state.key, EVALUATION), number)
            return experiment.code(state.params, batch, key)

        return in_turn_on_cpu(one, states)

    return SeedPrograms(
        init=jax.jit(jax.vmap(experiment.init)),
        step=jax.jit(step, donate_argnums=(0, 1)),
        code=jax.jit(code),
    )


def sample_posterior(key: Array, encoded: Encoded) -> Float[Array, "b latent"]:
    """One draw of z for each sentence; the mean itself for an autoencoder."""
    if encoded.log_variance is None:
        return encoded.mean
    noise = jax.random.normal(key, encoded.mean.shape, encoded.mean.dtype)
    return encoded.mean + jnp.exp(encoded.log_variance / 2) * noise


def divergence(encoded: Encoded) -> Float[Array, " b"]:
    """KL(q(z|x) ‖ p(z)) of each sentence, in nats; 0 for an autoencoder."""
    if encoded.log_variance is None:
        return jnp.zeros(encoded.mean.shape[0], encoded.mean.dtype)
    return gaussian_kl_of_arrays(encoded.mean, encoded.log_variance)


def negative_log_likelihood(
    model: TextVAE, params: Any, batch: Batch, z: Array
) -> Float[Array, " b"]:
    """-log p(x|z) of each sentence, in nats."""
    found: Any = model.apply(
        params, batch.tokens, batch.lengths, z, method=model.negative_log_likelihood
    )
    return found


def log_weights(
    model: TextVAE, params: Any, batch: Batch, encoded: Encoded, key: Array
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The log weight log p(x, z) - log q(z|x) of one draw of z a sentence, and its -log p(x|z).

    The mean of exp(log weight) over draws is an unbiased estimate of p(x) (Burda et al., 2016).
    """
    assert encoded.log_variance is not None
    z = sample_posterior(key, encoded)
    rec = negative_log_likelihood(model, params, batch, z)
    log_variance = jnp.broadcast_to(encoded.log_variance, z.shape)
    log_prior = -jnp.sum(z**2, axis=1) / 2
    away = (z - encoded.mean) ** 2 * jnp.exp(-log_variance)
    log_posterior = -jnp.sum(away + log_variance, axis=1) / 2
    # Both have the same factor (2π)^(-d/2), which cancels.
    return log_prior - log_posterior - rec, rec


def _importance_weighted(model, params, batch, encoded, key, samples):
    """The bound of Burda et al. (2016), negated, and the mean -log p(x|z) of its draws."""

    def draw(key):
        return log_weights(model, params, batch, encoded, key)

    weights, rec = jax.vmap(draw)(jax.random.split(key, samples))
    bound = jax.nn.logsumexp(weights, axis=0) - jnp.log(float(samples))
    return -bound, jnp.mean(rec, axis=0)
