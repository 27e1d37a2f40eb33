"""A Long Short-Term Memory layer with its input projections taken out of the recurrence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jaxiso.metrics.points import dot


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
        zeros = jnp.zeros((inputs.shape[0], h), projected.dtype)

        def step(carry, x):
            return lstm_cell(carry, x, recurrent)

        _, states = jax.lax.scan(step, (zeros, zeros), projected.swapaxes(0, 1))
        return states.swapaxes(0, 1)


def lstm_cell(
    carry: tuple[Array, Array], projected: Float[Array, "b 4h"], recurrent: Float[Array, "h 4h"]
) -> tuple[tuple[Array, Array], Float[Array, "b h"]]:
    """One step: gates in the order input, forget, candidate, output, as Keras has them.

    Args:
        carry: hidden state and cell, each (b, h).
        projected: the projected input of this step.
        recurrent: kernel of the hidden state.

    Returns:
        The new carry, and the new hidden state.
    """
    hidden, cell = carry
    gates = projected + dot(hidden, recurrent)
    i, f, g, o = jnp.split(gates, 4, axis=1)
    cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
    hidden = nn.sigmoid(o) * jnp.tanh(cell)
    return (hidden, cell), hidden


def _forget_bias(key: Array, shape: tuple[int], dtype: jnp.dtype = jnp.float32) -> Array:
    del key
    h = shape[0] // 4
    return jnp.zeros(shape, dtype).at[h : 2 * h].set(1)
