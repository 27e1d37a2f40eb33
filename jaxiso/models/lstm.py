"""A Long Short-Term Memory layer with its input projections taken out of the recurrence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import dot


class LSTM(nn.Module):
    """Hochreiter and Schmidhuber's LSTM, one layer, left to right, from a zero state.

    Inputs that stay the same at every step (the latent code of a decoder) are given apart: their
    projection is one product a sentence instead of one a token. The projections of all tokens are
    one product before the recurrence, in which only the hidden state is multiplied.

    Both kernels start lecun_normal, biases at 0 but those of the forget gate, which start at 1, as
    in the authors' Keras code of paper B.

    Attributes:
        features: size of the hidden state and of the cell.
    """

    features: int

    @nn.compact
    def __call__(
        self, inputs: Float[Array, "b t d"], constant: Float[Array, "b c"] | None = None
    ) -> Float[Array, "b t h"]:
        """Hidden states after each input.

        Args:
            inputs: shape (b, t, d).
            constant: shape (b, c), taken as appended to every input.
        """
        h = self.features
        width = inputs.shape[2] + (0 if constant is None else constant.shape[1])
        lecun = nn.initializers.lecun_normal()
        kernel = self.param("kernel", lecun, (width, 4 * h))
        recurrent = self.param("recurrent_kernel", lecun, (h, 4 * h))
        bias = self.param("bias", _forget_bias, (4 * h,))
        projected = dot(inputs, kernel[: inputs.shape[2]])
        projected = projected + bias[None, None, :]
        if constant is not None:
            same = dot(constant, kernel[inputs.shape[2] :])
            projected = projected + same[:, None, :]
        return recurrence(projected.swapaxes(0, 1), recurrent).swapaxes(0, 1)


def lstm_cell(
    carry: tuple[Array, Array], projected: Float[Array, "b 4h"], recurrent: Float[Array, "h 4h"]
) -> tuple[tuple[Array, Array], Float[Array, "b h"]]:
    """One step: gates in the order input, forget, candidate, output, as Keras has them.

    Hidden state and cell are (b, h) each.

    Returns:
        The new carry, and the new hidden state.
    """
    carry, _ = _step(carry, projected, recurrent)
    return carry, carry[0]


def _step(carry, projected, recurrent):
    """The new carry, and the gates that made it."""
    hidden, cell = carry
    i, f, g, o = jnp.split(projected + dot(hidden, recurrent), 4, axis=1)
    gates = nn.sigmoid(i), nn.sigmoid(f), jnp.tanh(g), nn.sigmoid(o)
    i, f, g, o = gates
    cell = f * cell + i * g
    return (o * jnp.tanh(cell), cell), gates


@jax.custom_vjp
def recurrence(
    projected: Float[Array, "t b 4h"], recurrent: Float[Array, "h 4h"]
) -> Float[Array, "t b h"]:
    """Hidden states after each step of `lstm_cell`, from a zero state.

    Going backwards only what one step passes to the one before is computed in turn; the gradient of
    the kernel is one product over all steps, in place of one a step that is added up.
    """
    return _recur_forward(projected, recurrent)[0]


def _recur_forward(projected, recurrent):
    zeros = jnp.zeros((projected.shape[1], recurrent.shape[0]), projected.dtype)

    def step(carry, x):
        after, gates = _step(carry, x, recurrent)
        return after, (after[0], (gates, carry[1]))

    _, (states, saved) = jax.lax.scan(step, (zeros, zeros), projected)
    return states, (recurrent, states, saved)


def _recur_backward(found, d_states):
    recurrent, states, saved = found
    zeros = jnp.zeros_like(states[0])

    def step(carry, x):
        (d_hidden, d_cell), (d_state, ((i, f, g, o), cell)) = carry, x
        d_hidden, out = d_hidden + d_state, jnp.tanh(f * cell + i * g)
        d_cell = d_cell + d_hidden * o * (1 - out**2)
        slopes = (g * i * (1 - i), cell * f * (1 - f), i * (1 - g**2))
        d_gates = [d_cell * slope for slope in slopes] + [d_hidden * out * o * (1 - o)]
        d_projected = jnp.concatenate(d_gates, axis=1)
        return (dot(d_projected, recurrent.T), d_cell * f), d_projected

    _, d_projected = jax.lax.scan(step, (zeros, zeros), (d_states, saved), reverse=True)
    before = jnp.concatenate([zeros[None], states[:-1]])
    hidden, d_rows = (x.reshape(-1, x.shape[2]) for x in (before, d_projected))
    return d_projected, dot(hidden.T, d_rows)


recurrence.defvjp(_recur_forward, _recur_backward)


def _forget_bias(key: Array, shape: tuple[int], dtype: jnp.dtype = jnp.float32) -> Array:
    del key
    h = shape[0] // 4
    return jnp.zeros(shape, dtype).at[h : 2 * h].set(1)
