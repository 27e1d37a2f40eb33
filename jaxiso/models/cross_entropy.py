"""Cross-entropy of sentences of words, without the logits of a whole batch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.arithmetic import dot


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
