"""Classifiers: paper A's linear one, one with a hidden layer before it, and paper B's probe."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from jaxiso.metrics.arithmetic import product_precision


class LinearHead(nn.Module):
    """Class scores from features, initialised as PyTorch's `nn.Linear` is.

    Weights and biases are drawn uniformly from ±1/√fan_in, which is what the authors' PyTorch did.

    Attributes:
        classes: number of scores.
        bias: whether each score has a bias (in the paper all tasks but polarity).
    """

    classes: int
    bias: bool = True

    @nn.compact
    def __call__(self, features: Float[Array, "n d"]) -> Float[Array, "n classes"]:
        """Scores, shape (n, classes), of features of shape (n, d)."""
        limit = features.shape[-1] ** -0.5

        def init(key, shape, dtype=float):
            return jax.random.uniform(key, shape, dtype, -limit, limit)

        return _dense(self.classes, use_bias=self.bias, kernel_init=init, bias_init=init)(features)


class HiddenHead(nn.Module):
    """Class scores from features through one hidden layer of rectified linear units.

    "Most modern deep-learning classification approaches rely on non-linear activation functions":
    paper A's Limitations leave these out. Both layers are initialised as `LinearHead` is.

    Attributes:
        classes: number of scores.
        hidden: number of hidden units, which always have a bias.
        bias: whether each score has a bias.
    """

    classes: int
    hidden: int
    bias: bool = True

    @nn.compact
    def __call__(self, features: Float[Array, "n d"]) -> Float[Array, "n classes"]:
        """Scores, shape (n, classes), of features of shape (n, d)."""
        hidden = nn.relu(LinearHead(self.hidden)(features))
        return LinearHead(self.classes, self.bias)(hidden)


class Probe(nn.Module):
    """Class scores from frozen features through hidden layers of ReLU (paper B, Section 3.2).

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
        init = nn.initializers.glorot_uniform()
        for size in self.hidden:
            features = nn.relu(_dense(size, kernel_init=init)(features))
        return _dense(self.classes, kernel_init=init)(features)


def _dense(size: int, **options: Any) -> nn.Dense:
    return nn.Dense(size, precision=product_precision(), **options)
