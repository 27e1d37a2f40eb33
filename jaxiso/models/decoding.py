"""Greedy decoding of the LSTM-VAE as one compiled loop."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot
from jaxiso.models.lstm import lstm_cell
from jaxiso.models.tokens import BOS, EOS, PAD


@partial(jax.jit, static_argnames="longest")
def greedy_decode(params: Any, z: Float[Array, "b latent"], longest: int) -> Int[Array, "b t"]:
    """The likeliest next token at each step, fed back, until every sentence has ended.

    Args:
        params: of a `TextVAE`, as its `init` gives them.
        z: latent codes, shape (b, latent).
        longest: tokens at most, the end-of-sentence token included.

    Returns:
        Tokens up to the end-of-sentence token, then padding; shape (b, longest). A sentence that
        did not end in time has no such token. As in training, nothing keeps the model from
        predicting padding or a second beginning; it never saw them as targets.

    Reference: paper B, Section 3 ("at decoding phase, we use greedy decoding").
    """
    weights = params["params"]
    decoder, embedding = weights["decoder"], weights["embedding"]
    width = embedding.shape[1]
    same = dot(z, decoder["kernel"][width:]) + decoder["bias"][None, :]

    def step(carry):
        t, state, token, ended, out = carry
        word = dot(embedding[token], decoder["kernel"][:width])
        state, hidden = lstm_cell(state, same + word, decoder["recurrent_kernel"])
        logits = dot(hidden, weights["output_kernel"])
        token = jnp.argmax(logits + weights["output_bias"][None, :], axis=1).astype(jnp.int32)
        token = jnp.where(ended, PAD, token)
        return t + 1, state, token, ended | (token == EOS), out.at[:, t].set(token)

    def unfinished(carry):
        t, _, _, ended, _ = carry
        return (t < longest) & ~jnp.all(ended)

    b, h = z.shape[0], decoder["recurrent_kernel"].shape[0]
    zeros = jnp.zeros((b, h), z.dtype)
    out = jnp.full((b, longest), PAD, jnp.int32)
    start = (jnp.int32(0), (zeros, zeros), jnp.full(b, BOS, jnp.int32), jnp.zeros(b, bool), out)
    return jax.lax.while_loop(unfinished, step, start)[-1]
