"""The LSTM variational autoencoder of paper B, "On the Effect of Isotropy on VAE Representations".

An isotropic posterior is a diagonal one whose log-variance has width 1: nothing else changes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot, product_precision
from jaxiso.models.lstm import LSTM
from jaxiso.models.tokens import BOS, UNK

Posterior = Literal["diagonal", "isotropic", "none"]


class Encoded(NamedTuple):
    """Parameters of q(z|x) = N(mean, diag(exp(log_variance))) for each sentence.

    Attributes:
        mean: shape (b, latent).
        log_variance: shape (b, latent) if diagonal, (b, 1) if isotropic; None for an autoencoder,
            whose code is the mean itself.
    """

    mean: Float[Array, "b latent"]
    log_variance: Float[Array, "b width"] | None


class TextVAE(nn.Module):
    """Encoder and decoder over one embedding table (paper B, Section 3).

    Encoder: embeddings → LSTM → state at the end-of-sentence token → dense mean and log-variance.
    Decoder: begin-of-sentence and the sentence but its last token; at every step the embedding and
    the latent code; LSTM from a zero state → dense softmax over the vocabulary.

    Attributes:
        vocabulary: number of words, with the special ones.
        posterior: 'diagonal', 'isotropic', or 'none' for an autoencoder.
        embedding_dim: size of a word's vector.
        hidden_dim: size of both LSTMs.
        latent_dim: size of the code z.
        word_dropout: share of the decoder's input words that are unk in training (Bowman et al.,
            2016), so that it has to ask the code.
        dropout: share of the entries of the decoder's input vectors, and of its states before the
            softmax, that are 0 in training, the others being the larger (as in He et al., 2019).
    """

    vocabulary: int
    posterior: Posterior
    embedding_dim: int
    hidden_dim: int
    latent_dim: int
    word_dropout: float = 0.0
    dropout: float = 0.0

    def setup(self) -> None:
        """Declares the parameters, started as in the authors' Keras code."""
        glorot = nn.initializers.glorot_uniform()

        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, kernel_init=glorot, precision=product_precision())

        self.embedding = self.param(
            "embedding", _uniform_005, (self.vocabulary, self.embedding_dim)
        )
        self.encoder = LSTM(self.hidden_dim)
        self.decoder = LSTM(self.hidden_dim)
        self.drop = nn.Dropout(self.dropout, deterministic=False)
        self.mean = dense(self.latent_dim)
        if self.posterior != "none":
            self.log_variance = dense(1 if self.posterior == "isotropic" else self.latent_dim)
        self.output_kernel = self.param("output_kernel", glorot, (self.hidden_dim, self.vocabulary))
        self.output_bias = self.param("output_bias", nn.initializers.zeros, (self.vocabulary,))

    def __call__(
        self, tokens: Int[Array, "b t"], lengths: Int[Array, " b"]
    ) -> tuple[Encoded, Float[Array, " b"]]:
        """The posterior, and the token NLL of each sentence at its mean; runs every parameter."""
        encoded = self.encode(tokens, lengths)
        return encoded, self.negative_log_likelihood(tokens, lengths, encoded.mean)

    def encode(self, tokens: Int[Array, "b t"], lengths: Int[Array, " b"]) -> Encoded:
        """Parameters of the posterior.

        Args:
            tokens: sentences with their end-of-sentence token, then padding; shape (b, t).
            lengths: tokens of each sentence, the last one included; shape (b,). 0 in empty rows.
        """
        states = self.encoder(self.embedding[tokens])
        last = jnp.maximum(lengths - 1, 0)[:, None, None]
        final = jnp.take_along_axis(states, last, axis=1)[:, 0]
        mean = self.mean(final)
        return Encoded(mean, None if self.posterior == "none" else self.log_variance(final))

    def negative_log_likelihood(
        self,
        tokens: Int[Array, "b t"],
        lengths: Int[Array, " b"],
        z: Float[Array, "b latent"],
        dropping: Array | None = None,
    ) -> Float[Array, " b"]:
        """-log p(x|z) of each sentence, in nats, summed over its tokens with the last one.

        Batch × time × vocabulary is never held: see `sentence_nll`.

        Args:
            tokens: sentences with their end-of-sentence token, then padding; shape (b, t).
            lengths: tokens of each sentence, the last one included; shape (b,).
            z: their codes, shape (b, latent).
            dropping: key of what is dropped in training; None drops nothing.
        """
        states = self._decoder_states(tokens, z, dropping)
        return sentence_nll(states, self.output_kernel, self.output_bias, tokens, lengths)

    def total_nll(
        self,
        tokens: Int[Array, "b t"],
        lengths: Int[Array, " b"],
        z: Float[Array, "b latent"],
        weights: Float[Array, " b"],
        dropping: Array | None = None,
    ) -> Float[Array, ""]:
        """Σ weight · -log p(x|z) over the sentences, whose gradient is cheaper: see `total_nll`."""
        states = self._decoder_states(tokens, z, dropping)
        return total_nll(states, self.output_kernel, self.output_bias, tokens, lengths, weights)

    def _decoder_states(self, tokens, z, dropping):
        start = jnp.full((tokens.shape[0], 1), BOS, tokens.dtype)
        previous = jnp.concatenate([start, tokens[:, :-1]], axis=1)
        if dropping is None:
            return self.decoder(self.embedding[previous], z)
        words, inputs, states = jax.random.split(dropping, 3)
        embedded = self.embedding[drop_words(words, previous, self.word_dropout)]
        return self.drop(self.decoder(self.drop(embedded, rng=inputs), z), rng=states)


def drop_words(key: Array, words: Int[Array, "b t"], share: float) -> Int[Array, "b t"]:
    """Words of which a share, at random, is unk; the begin of a sentence stays."""
    dropped = jax.random.bernoulli(key, share, words.shape) & (words != BOS)
    return jnp.where(dropped, UNK, words)


def _uniform_005(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


# --- Cross-entropy without the logits of a whole batch ------------------------------------------


@jax.custom_vjp
def sentence_nll(
    states: Float[Array, "b t h"],
    kernel: Float[Array, "h v"],
    bias: Float[Array, " v"],
    tokens: Int[Array, "b t"],
    lengths: Int[Array, " b"],
) -> Float[Array, " b"]:
    """Summed softmax cross-entropy of each sentence, one time step's logits at a time.

    Going backwards the logits are computed again, from their log-sum-exp: a fourth product beside
    the three that cannot be saved, for memory of b·v in place of b·t·v.

    Args:
        states: decoder states, shape (b, t, h).
        kernel: of the output layer, shape (h, v).
        bias: of the output layer, shape (v,).
        tokens: what should be predicted, shape (b, t).
        lengths: how many tokens of each row count, shape (b,).

    Returns:
        Shape (b,), in nats.
    """
    return _nll_forward(states, kernel, bias, tokens, lengths)[0]


def _logits(state, kernel, bias):
    return dot(state, kernel) + bias[None, :]


def _step_nll(logits, token):
    """-log p of each row's token at one time step, and the log-sum-exp of its logits."""
    normaliser = jax.nn.logsumexp(logits, axis=1)
    chosen = jnp.take_along_axis(logits, token[:, None], axis=1)[:, 0]
    return normaliser - chosen, normaliser


def _by_time(states, tokens, lengths):
    mask = jnp.arange(tokens.shape[1])[None, :] < lengths[:, None]
    return states.swapaxes(0, 1), tokens.T, mask.T


def _nll_forward(states, kernel, bias, tokens, lengths):
    def step(total, inputs):
        state, token, real = inputs
        nll, normaliser = _step_nll(_logits(state, kernel, bias), token)
        return total + jnp.where(real, nll, 0), normaliser

    zeros = jnp.zeros(states.shape[0], states.dtype)
    total, normalisers = jax.lax.scan(step, zeros, _by_time(states, tokens, lengths))
    return total, (states, kernel, bias, tokens, lengths, normalisers)


def _nll_backward(saved, cotangent):
    states, kernel, bias, tokens, lengths, normalisers = saved

    def step(carry, inputs):
        state, token, real, normaliser = inputs
        logits = _logits(state, kernel, bias)
        weight = jnp.where(real, cotangent, 0)
        return _add_gradients(carry, state, kernel, logits, normaliser, token, weight)

    start = (jnp.zeros_like(kernel), jnp.zeros_like(bias))
    inputs = (*_by_time(states, tokens, lengths), normalisers)
    (d_kernel, d_bias), d_states = jax.lax.scan(step, start, inputs)
    return d_states.swapaxes(0, 1), d_kernel, d_bias, None, None


def _add_gradients(carry, state, kernel, logits, normaliser, token, weight):
    """Adds a time step's part to the gradients of kernel and bias; also that of the state."""
    d_kernel, d_bias = carry
    p = jnp.exp(logits - normaliser[:, None])
    error = p.at[jnp.arange(token.shape[0]), token].add(-1) * weight[:, None]
    d_kernel = d_kernel + dot(state.T, error)
    return (d_kernel, d_bias + error.sum(0)), dot(error, kernel.T)


sentence_nll.defvjp(_nll_forward, _nll_backward)


@jax.custom_vjp
def total_nll(
    states: Float[Array, "b t h"],
    kernel: Float[Array, "h v"],
    bias: Float[Array, " v"],
    tokens: Int[Array, "b t"],
    lengths: Int[Array, " b"],
    weights: Float[Array, " b"],
) -> Float[Array, ""]:
    """Σ weight · `sentence_nll`, with a gradient that computes no logits a second time.

    What weighs each sentence is known going forwards, so its gradients are computed there, while
    the logits of its tokens are at hand: three products with the vocabulary in place of four. The
    real tokens are taken together, some at a time, so that padding has no logits at all.

    Args are those of `sentence_nll`, and the weights of the sentences, shape (b,): constants, which
    get no gradient.
    """
    return jnp.sum(weights * sentence_nll(states, kernel, bias, tokens, lengths))


def _total_forward(states, kernel, bias, tokens, lengths, weights):
    b, t, h = states.shape
    # Half as many logits as the kernel has numbers, or one time step's if these are more: adding
    # to its gradient then costs little beside the products, and the last part wastes little.
    size = min(max(b, h // 2), b * t)
    real = (jnp.arange(t)[None, :] < lengths[:, None]).reshape(b * t)
    (order,) = jnp.nonzero(real, size=-(-b * t // size) * size, fill_value=b * t)
    of_token = states.reshape(b * t, h), tokens.reshape(b * t), jnp.repeat(weights, t)

    def part(number, carry):
        total, gradients, d_states = carry
        at = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        state, token, weight = (x.at[at].get(mode="fill", fill_value=0) for x in of_token)
        logits = _logits(state, kernel, bias)
        nll, normaliser = _step_nll(logits, token)
        total = total + jnp.sum(weight * nll)
        gradients, d_state = _add_gradients(
            gradients, state, kernel, logits, normaliser, token, weight
        )
        return total, gradients, d_states.at[at].set(d_state, mode="drop")

    zeros = (jnp.zeros_like(kernel), jnp.zeros_like(bias)), jnp.zeros_like(of_token[0])
    parts = (jnp.sum(real, dtype=jnp.int32) + size - 1) // size
    start = (jnp.zeros((), states.dtype), *zeros)
    total, gradients, d_states = jax.lax.fori_loop(0, parts, part, start)
    return total, (d_states.reshape(b, t, h), *gradients)


def _total_backward(gradients, cotangent):
    return *(cotangent * gradient for gradient in gradients), None, None, None


total_nll.defvjp(_total_forward, _total_backward)
