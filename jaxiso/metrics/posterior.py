"""What a variational autoencoder's posteriors say about its inputs.

A posterior is a normal distribution q(z|x) = N(mean, diag(exp(logvar))), with a log-variance for
every dimension, or one that all dimensions share: a column of width 1 (paper B's IGP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from jaxiso.metrics.dimension import singular_values
from jaxiso.metrics.points import BLOCK, Points, metric

if TYPE_CHECKING:
    LogVariances = Any  # a caller passes anything like an array
else:
    LogVariances = Float[Array, "n w"]  # w is d or 1


@metric(also=["logvar"], guard=False)
def gaussian_kl(mean: Points, logvar: LogVariances) -> Float[Array, " n"]:
    """KL divergence of each posterior to the standard normal prior, in nats.

    ½·Σ_k (exp(logvar_k) - 1 - logvar_k + mean_k²).

    Args:
        mean: shape (n, d).
        logvar: shape (n, d), or (n, 1) for a variance that all d dimensions share.

    Returns:
        Shape (n,), at least 0; where traced, NaN or infinite in the rows that have such a value.

    Raises:
        ValueError: shapes that do not fit, a NaN or an infinite value.

    Reference: Kingma and Welling (2014), "Auto-Encoding Variational Bayes", Appendix B.

    Example:
        >>> [float(kl) for kl in gaussian_kl([[1.0, 1.0], [0.0, 0.0]], [[0.0], [0.0]])]
        [1.0, 0.0]
    """
    _check_shapes(mean, logvar)
    shared_by = mean.shape[1] // logvar.shape[1]
    return (shared_by * jnp.sum(excess(logvar), axis=1) + jnp.sum(mean**2, axis=1)) / 2


def excess(logvar: ArrayLike) -> Array:
    """Twice what log-variances add to a KL, exp(v) - 1 - v; rounding may not take it below zero."""
    return jnp.maximum(jnp.expm1(logvar) - logvar, 0)


def _check_shapes(means: Array, logvar: Array) -> None:
    n, d = means.shape
    if logvar.shape not in ((n, d), (n, 1)):
        raise ValueError(
            f"Expected log-variances of shape {(n, d)} or {(n, 1)} for means of shape {(n, d)}; "
            f"got {logvar.shape}."
        )


@metric(translate=True, static=["threshold"])
def active_units(means: Points, threshold: float = 0.01) -> Int[Array, ""]:
    """How many latent dimensions say something about x: their posterior mean varies with it.

    Args:
        means: posterior means of n inputs, shape (n, d).
        threshold: the variance over the inputs (population variance, as `np.var`) above which a
            dimension is active.

    Returns:
        A whole number from 0 to d; -1 if traced means are not finite.

    Raises:
        ValueError: a negative threshold, no points, a NaN or an infinite value.

    Reference: Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders".

    Example:
        >>> int(active_units([[0.0, 3.0], [1.0, 3.0]]))
        1
    """
    _check_threshold(threshold)
    return jnp.sum(jnp.var(means, axis=0) > threshold).astype(jnp.int32)


@metric(translate=True, static=["threshold"])
def active_directions(means: Points, threshold: float = 0.01) -> Int[Array, ""]:
    """`active_units` along the principal axes of the means: how many directions say something of x.

    Active units count coordinate axes. A posterior with one variance for all dimensions, and its
    KL, are the same in every rotated basis, so that even a single informative direction is seen on
    all axes, and every unit is active. This count does not depend on the basis.

    Args:
        means: posterior means of n inputs, shape (n, d).
        threshold: the variance over the inputs (population variance) above which a direction is
            active.

    Returns:
        A whole number from 0 to min(n - 1, d); -1 if traced means are not finite.

    Raises:
        ValueError: a negative threshold, no points, a NaN or an infinite value.

    Example:
        >>> means = [[1.0, 1.0], [-1.0, -1.0]]
        >>> int(active_units(means)), int(active_directions(means))
        (2, 1)
    """
    _check_threshold(threshold)
    singular = singular_values(means - jnp.mean(means, axis=0, keepdims=True))
    # A direction that no point takes has a singular value of rounding errors.
    variances = jnp.where(singular > 1e-6 * singular[0], singular**2 / len(means), 0)
    return jnp.sum(variances > threshold).astype(jnp.int32)


def _check_threshold(threshold: float) -> None:
    if not threshold >= 0:
        raise ValueError(f"Expected a threshold of at least 0; got {threshold}.")


@metric(also=["logvar", "z"])
def mutual_information(means: Points, logvar: LogVariances, z: Points) -> Float[Array, ""]:
    """Mutual information of inputs and latents under the posterior, in nats, from one z an input.

    The mean of log q(z|x) - log q(z), where q(z) is the mean of the posteriors of all n inputs
    given. So it is at most log n: take n well above the exponential of what is to be measured.
    (He et al. put the exact mean in place of log q(z|x); at the same z, as here, errors in the two
    terms cancel.) Costs O(n²·d) time, and memory for a few rows of the n × n × d differences.

    Args:
        means: posterior means, shape (n, d).
        logvar: shape (n, d), or (n, 1) for a variance that all d dimensions share.
        z: a sample of each posterior, shape (n, d).

    Returns:
        A scalar, at most log n.

    Raises:
        ValueError: shapes that do not fit, a NaN or an infinite value.

    Reference: He, Spokoyny, Neubig and Berg-Kirkpatrick (2019), "Lagging Inference Networks and
    Posterior Collapse in Variational Autoencoders", Section 3; Hoffman and Johnson (2016).
    """
    _check_shapes(means, logvar)
    if z.shape != means.shape:
        raise ValueError(f"Expected samples of the means' shape {means.shape}; got {z.shape}.")
    n, d = means.shape
    precision = jnp.exp(-logvar / 2)
    log_volume = d // logvar.shape[1] * jnp.sum(logvar, axis=1)

    def information(sample):
        i, z = sample
        # Differences, not products: these would cancel where posteriors are narrow.
        squares = jnp.sum(((z[None, :] - means) * precision) ** 2, axis=1)
        log_q = -(squares + log_volume) / 2  # but for a constant that both terms share
        return log_q[i] - jax.scipy.special.logsumexp(log_q)

    rows = min(n, max(1, BLOCK // (n * d)))
    numbers = jnp.arange(n, dtype=jnp.int32)
    found = jax.lax.map(information, (numbers, z), batch_size=rows)
    return jnp.mean(found) + jnp.log(jnp.asarray(n, z.dtype))


class AggregatedPosterior(NamedTuple):
    """How near q(z) is to the prior, for which both numbers are 0.

    Attributes:
        mean_sq_norm: squared length of the mean of the samples.
        logdet_cov: log-determinant of their population covariance; negative where they keep to
            part of the space.
    """

    mean_sq_norm: Float[Array, ""]
    logdet_cov: Float[Array, ""]


@metric()
def aggregated_posterior(samples: Points) -> AggregatedPosterior:
    """Mean and covariance of samples of the posteriors of many inputs, each as one number.

    Args:
        samples: shape (n, d), samples of q(z|x) over many x; n above d.

    Returns:
        The squared norm of the mean, and log det of the covariance: minus infinity where n is not
        above d or a dimension is constant.

    Raises:
        ValueError: no points, a NaN or an infinite value.

    Reference: paper B ("On the Effect of Isotropy on VAE Representations of Text"), Table 2.
    """
    n, d = samples.shape
    mean = jnp.mean(samples, axis=0)
    norm = jnp.sum(mean**2)
    if n <= d:
        return AggregatedPosterior(norm, jnp.asarray(-jnp.inf, samples.dtype))
    x = samples - mean[None, :]
    x = x - jnp.mean(x, axis=0, keepdims=True)
    constant = jnp.all(samples == samples[:1], axis=0, keepdims=True)
    # With X = QR, the covariance RᵀR / n has log det 2·Σ log |r_ii| - d·log n, which keeps the
    # small variances that float32 loses in the covariance itself.
    diagonal = jnp.diagonal(jnp.linalg.qr(jnp.where(constant, 0, x), mode="r"))
    log_n = jnp.log(jnp.asarray(n, x.dtype))
    return AggregatedPosterior(norm, jnp.sum(2 * jnp.log(jnp.abs(diagonal)) - log_n))
