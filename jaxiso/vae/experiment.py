"""Paper B's training: an LSTM-VAE held at a target KL, as pure functions of one seed.

"On the Effect of Isotropy on VAE Representations of Text", Section 2: the loss of a sentence is its
token NLL plus β·|KL - C|, so that the KL ends at C, whatever the posterior's shape. In place of the
target: β·KL, of which β is annealed, or free bits are taken; see `jaxiso.vae.kl`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Wrapped
from jaxtyping import Array, Float, Int

from jaxiso import papers
from jaxiso.cli.files import digest_of
from jaxiso.data.batches import Batch
from jaxiso.metrics.posterior import gaussian_kl
from jaxiso.models.vae import Encoded, Posterior, TextVAE
from jaxiso.seeds import ONE_DEVICE, SHARED, STACKED, Spread, in_turn_on_cpu
from jaxiso.vae.kl import Annealing, annealed, kl_above_free_bits
from jaxiso.vae.options import has_target, weighs_kl

Objective = Literal["vae", "iwae"]

# Updates use keys 0, 1, 2, … of a seed; draws for evaluation come from this one.
EVALUATION = 2**31 - 1


@dataclass(frozen=True)
class VAEConfig:
    """What has to be known to compile the training, by the names that config.json has.

    Attributes:
        ids: number of words, with the special ones.
        posterior: 'diagonal', 'isotropic', or 'none' for an autoencoder.
        embedding_dim: size of a word's vector.
        hidden_dim: size of both LSTMs.
        latent_dim: size of the code z.
        objective: 'vae', or 'iwae' for the importance-weighted bound, which has no target KL.
        samples: draws of z for each sentence; 1 for 'vae'.
        ramp: updates over which the target rises linearly from 0; None where there is none.
        beta: weight of the distance from the target, or of the KL where there is none.
        lr: learning rate of Adam.
        annealing: how beta rises from 0, in place of a target; see `annealed`.
        annealing_updates: over how many updates.
        free_bits: λ of `kl_above_free_bits`, in nats a dimension, in place of a target.
        word_dropout: of `TextVAE`.
        dropout: of `TextVAE`.
    """

    ids: int
    posterior: Posterior
    embedding_dim: int
    hidden_dim: int
    latent_dim: int
    objective: Objective = "vae"
    samples: int = 1
    ramp: int | None = papers.VAE["ramp"]
    beta: float = papers.VAE["beta"]
    lr: float = papers.VAE["lr"]
    annealing: Annealing | None = None
    annealing_updates: int | None = None
    free_bits: float | None = None
    word_dropout: float = 0.0
    dropout: float = 0.0

    @staticmethod
    def of(config: Mapping[str, Any]) -> VAEConfig:
        """That of a run, from its config, which lacks what came later and was left alone."""
        names = (field.name for field in fields(VAEConfig) if field.name in config)
        return VAEConfig(**{name: config[name] for name in names})

    def model(self) -> TextVAE:
        """The network."""
        sizes = self.embedding_dim, self.hidden_dim, self.latent_dim
        return TextVAE(self.ids, self.posterior, *sizes, self.word_dropout, self.dropout)

    def target(self, C: Array | float, done: Array | int) -> Array | float:
        """The KL aimed at after so many updates, in the next one; C where nothing rises."""
        if self.ramp is None:
            return C
        return C * jnp.minimum(1.0, (jnp.asarray(done) + 1) / self.ramp)

    def weight(self, done: Array | int) -> Array | float:
        """β after so many updates, in the next one."""
        if self.annealing is None:
            return self.beta
        assert self.annealing_updates is not None
        return self.beta * annealed(self.annealing, self.annealing_updates, jnp.asarray(done))

    def operations(self) -> int:
        """Multiply-adds of one update, for each token: the measure of what a run costs."""
        e, h, z = self.embedding_dim, self.hidden_dim, self.latent_dim
        lstms = 4 * h * (e + h) * 2 + 4 * h * z
        return 3 * (lstms + h * self.ids)  # forwards, and twice that backwards


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
        step: (state, batch, C) → (state after one more update, losses of the batch before it). C is
            the KL aimed at, in nats; not used where there is no target.
        losses: (params, batch, key, target, beta) → losses in training, with what is dropped there;
            beta is that of the config by default.
        code: (params, batch, key) → posteriors, a draw of each and its likelihood.
        bound: (params, batch, key) → the negated importance-weighted bound of each sentence, (b,).
    """

    init: Callable[[Array], VAEState]
    step: Callable[[VAEState, Batch, Array | float], tuple[VAEState, Losses]]
    losses: Callable[..., Losses]
    code: Callable[[Any, Batch, Array], Coded]
    bound: Callable[[Any, Batch, Array], Float[Array, " b"]]


def make_vae(config: VAEConfig) -> VAEExperiment:
    """The training as pure functions of one seed; seeds by `vmap` or `lax.map` outside."""
    model = config.model()
    adam = optax.adam(config.lr, eps=1e-7)  # Keras' epsilon

    def init(key):
        init_key, key = jax.random.split(key)
        tokens = jnp.zeros((1, 2), jnp.int32)
        params = model.init(init_key, tokens, jnp.ones(1, jnp.int32))
        return VAEState(params, adam.init(params), key, jnp.int32(0))

    def losses(params, batch, key, target, beta: Array | float = config.beta):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
        kl = divergence(encoded)
        weights = batch.rows / jnp.maximum(jnp.sum(batch.rows), 1)
        dropping = None
        if config.word_dropout or config.dropout:
            key, dropping = jax.random.split(key)
        if config.objective == "iwae":
            found = _importance_weighted(
                model, params, batch, encoded, key, config.samples, dropping
            )
            loss, rec = (jnp.sum(weights * values) for values in found)
        else:
            z = sample_posterior(key, encoded)
            rec: Any = model.apply(
                params, batch.tokens, batch.lengths, z, weights, dropping, method=model.total_nll
            )
            loss = rec
            if has_target(vars(config)):
                loss = rec + beta * jnp.sum(weights * jnp.abs(kl - target))
            elif weighs_kl(vars(config)):
                mean, log_variance, free = encoded.mean, encoded.log_variance, config.free_bits
                loss = rec + beta * kl_above_free_bits(mean, log_variance, weights, free or 0.0)
        return Losses(loss, rec, jnp.sum(weights * kl))

    def step(state, batch, C):
        key = jax.random.fold_in(state.key, state.updates)
        target, beta = config.target(C, state.updates), config.weight(state.updates)

        def loss(params):
            found = losses(params, batch, key, target, beta)
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

    def bound(params, batch, key):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
        return _importance_weighted(model, params, batch, encoded, key, config.samples)[0]

    return VAEExperiment(init, step, losses, code, bound)


class SeedPrograms(NamedTuple):
    """Compiled functions of all seeds at once; states and sums are stacked along a first axis.

    Attributes:
        init: keys → states.
        step: (states, sums, batch, C of each) → both after one more update; the old ones are
            consumed. Sums are of loss, rec, kl and sentences, shape (seeds, 4).
        code: (states, batch, number) → Coded of all seeds; the number picks the random draws.
        bound: (states, batch, number) → `VAEExperiment.bound` of all seeds, shape (seeds, b).
    """

    init: Wrapped
    step: Wrapped
    code: Wrapped
    bound: Wrapped


def over_seeds(experiment: VAEExperiment, spread: Spread = ONE_DEVICE) -> SeedPrograms:
    """Puts seeds side by side, all on the same batches, and compiles."""

    def step(states, sums, batch, targets):
        def one(of_seed):
            state, sums, target = of_seed
            state, found = experiment.step(state, batch, target)
            count = jnp.sum(batch.rows)
            return state, sums + jnp.stack([*(value * count for value in found), count])

        return in_turn_on_cpu(one, (states, sums, targets))

    def measured(measure):
        def of_seeds(states, batch, number):
            def one(state):
                key = jax.random.fold_in(jax.random.fold_in(state.key, EVALUATION), number)
                return measure(state.params, batch, key)

            return in_turn_on_cpu(one, states)

        return jax.jit(spread.program(of_seeds, STACKED, SHARED, SHARED))

    return SeedPrograms(
        init=jax.jit(spread.program(jax.vmap(experiment.init), STACKED)),
        step=jax.jit(
            spread.program(step, STACKED, STACKED, SHARED, STACKED), donate_argnums=(0, 1)
        ),
        code=measured(experiment.code),
        bound=measured(experiment.bound),
    )


def model_digest(params: Any) -> str:
    """SHA-256 of the parameters of all seeds: which trained models they are."""
    parts: list[str | bytes] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        parts += [f"{jax.tree_util.keystr(path)} {array.dtype.str} {array.shape}", array.tobytes()]
    return digest_of(*parts)


@lru_cache(maxsize=8)
def seed_programs(config: VAEConfig, spread: Spread = ONE_DEVICE) -> SeedPrograms:
    """What trains and measures all seeds of a run."""
    return over_seeds(make_vae(config), spread)


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
    return gaussian_kl(encoded.mean, encoded.log_variance)


def negative_log_likelihood(
    model: TextVAE, params: Any, batch: Batch, z: Array, dropping: Array | None = None
) -> Float[Array, " b"]:
    """-log p(x|z) of each sentence, in nats; in training with the key of what is dropped."""
    found: Any = model.apply(
        params, batch.tokens, batch.lengths, z, dropping, method=model.negative_log_likelihood
    )
    return found


def log_weights(
    model: TextVAE,
    params: Any,
    batch: Batch,
    encoded: Encoded,
    key: Array,
    dropping: Array | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The log weight log p(x, z) - log q(z|x) of one draw of z a sentence, and its -log p(x|z).

    The mean of exp(log weight) over draws is an unbiased estimate of p(x) (Burda et al., 2016).
    """
    assert encoded.log_variance is not None
    z = sample_posterior(key, encoded)
    rec = negative_log_likelihood(model, params, batch, z, dropping)
    log_variance = jnp.broadcast_to(encoded.log_variance, z.shape)
    log_prior = -jnp.sum(z**2, axis=1) / 2
    away = (z - encoded.mean) ** 2 * jnp.exp(-log_variance)
    log_posterior = -jnp.sum(away + log_variance, axis=1) / 2
    # Both have the same factor (2π)^(-d/2), which cancels.
    return log_prior - log_posterior - rec, rec


def _importance_weighted(model, params, batch, encoded, key, samples, dropping=None):
    """The bound of Burda et al. (2016), negated, and the mean -log p(x|z) of its draws."""

    def draw(key):
        return log_weights(model, params, batch, encoded, key, dropping)

    weights, rec = jax.vmap(draw)(jax.random.split(key, samples))
    bound = jax.nn.logsumexp(weights, axis=0) - jnp.log(float(samples))
    return -bound, jnp.mean(rec, axis=0)
