"""The KL in the loss of a VAE that is not held at a target: its weight, and free bits."""

from __future__ import annotations

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxiso.metrics.posterior import excess

Annealing = Literal["linear", "cyclical"]

CYCLES = 4
"""Of cyclical annealing; each rises over its first half (Fu et al., 2019, Section 4)."""


def annealed(kind: Annealing, over: int, done: Int[Array, ""]) -> Float[Array, ""]:
    """The share of its weight that the KL has in an update; 1 once annealing is over.

    linear: rises from 0 to 1. cyclical: four times from 0 to 1 in half a cycle, and stays there for
    the other half; of a number that four does not divide, the last cycle is the shorter one.

    Args:
        kind: of annealing.
        over: how many updates it takes.
        done: how many there were before this one.

    Reference: Bowman et al. (2016), "Generating Sentences from a Continuous Space", Section 3.1;
    Fu et al. (2019), "Cyclical Annealing Schedule", Equation 6.
    """
    if kind == "linear":
        return jnp.minimum(1.0, done / over)
    in_cycle = CYCLES * (done % -(-over // CYCLES)) / over
    return jnp.where(done < over, jnp.minimum(1.0, 2 * in_cycle), 1.0)


def kl_by_dimension(
    mean: Float[Array, "b d"], log_variance: Float[Array, "b w"]
) -> Float[Array, "b d"]:
    """What each latent dimension adds to `gaussian_kl`, in nats.

    A variance that all dimensions share adds the same to each of them: they differ by their means.

    Args:
        mean: of the posteriors.
        log_variance: of them, (b, d), or (b, 1) where it is shared.
    """
    return (excess(log_variance) + mean**2) / 2


def kl_above_free_bits(
    mean: Float[Array, "b d"],
    log_variance: Float[Array, "b w"],
    weights: Float[Array, " b"],
    free: float,
) -> Float[Array, ""]:
    """Σ_i max(λ, KL_i): no dimension gains by a KL below λ, so none has to collapse.

    KL_i is the mean over the sentences of `kl_by_dimension`: that of an isotropic posterior has the
    same share of the common variance in every dimension. At λ = 0 it is the mean KL.

    Args:
        mean: of the posteriors.
        log_variance: of them, (b, d), or (b, 1) where it is shared.
        weights: of the sentences in the mean; they sum to 1.
        free: λ, in nats a dimension.

    Reference: Kingma et al. (2016), "Improving Variational Inference with Inverse Autoregressive
    Flow", Equation 15.
    """
    each = jnp.sum(weights[:, None] * kl_by_dimension(mean, log_variance), axis=0)
    return jnp.sum(jnp.maximum(free, each))
