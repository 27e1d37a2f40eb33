"""The LSTM variational autoencoder of paper B, "On the Effect of Isotropy on VAE Representations".

An isotropic posterior is a diagonal one whose log-variance has width 1: nothing else changes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import product_precision
from jaxiso.models.cross_entropy import sentence_nll, total_nll
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
