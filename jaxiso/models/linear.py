"""The linear classifier of paper A, and one with a hidden layer before it."""

from __future__ import annotations

import jax
from flax import linen as nn
from jaxtyping import Array, Float


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
        init = _symmetric_uniform(features.shape[-1] ** -0.5)
        return nn.Dense(
            self.classes,
            use_bias=self.bias,
            kernel_init=init,
            bias_init=init,
            precision=jax.lax.Precision.HIGHEST,
        )(features)


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


def _symmetric_uniform(limit: float):
    def init(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init
