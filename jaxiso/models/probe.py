"""The classifier of paper B, which asks what can be read from frozen representations."""

from __future__ import annotations

import jax
from flax import linen as nn
from jaxtyping import Array, Float


class Probe(nn.Module):
    """Class scores from features through hidden layers of ReLU (paper B, Section 3.2).

    Kernels start glorot_uniform and biases at 0, as Keras' dense layers do.

    Attributes:
        classes: number of scores.
        hidden: sizes of the hidden layers.
    """

    classes: int
    hidden: tuple[int, ...] = (128, 128)

    @nn.compact
    def __call__(self, features: Float[Array, "n d"]) -> Float[Array, "n classes"]:
        """Scores, shape (n, classes), of features of shape (n, d)."""
        for size in self.hidden:
            features = nn.relu(_dense(size)(features))
        return _dense(self.classes)(features)


def _dense(features: int) -> nn.Dense:
    return nn.Dense(
        features,
        kernel_init=nn.initializers.glorot_uniform(),
        precision=jax.lax.Precision.HIGHEST,
    )
