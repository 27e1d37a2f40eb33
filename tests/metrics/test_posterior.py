"""Measures of posteriors against quadrature, Monte Carlo and plain loops in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm

from jaxiso.metrics import posterior
from jaxiso.metrics.posterior import (
    active_directions,
    active_units,
    aggregated_posterior,
    gaussian_kl,
    mutual_information,
)

N, D = 12, 3


def posteriors(seed=0, n=N, d=D, width=None):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)), random.normal(size=(n, width or d)) - 1


def kl_by_quadrature(mean, logvar) -> np.ndarray:
    """∫ q·log(q / p) of each coordinate, on a fine grid; coordinates add up."""
    total = np.zeros(len(mean))
    for i, row in enumerate(mean):
        for k, m in enumerate(row):
            sd = np.exp(np.broadcast_to(logvar[i], row.shape)[k] / 2)
            z = np.linspace(m - 12 * sd, m + 12 * sd, 4001)
            q = norm.pdf(z, m, sd)
            total[i] += np.trapezoid(q * (norm.logpdf(z, m, sd) - norm.logpdf(z)), z)
    return total


@pytest.mark.parametrize("width", [1, D], ids=["isotropic", "diagonal"])
def test_kl_by_quadrature(width):
    mean, logvar = posteriors(width=width)
    kl = gaussian_kl(mean, logvar)
    assert kl.shape == (N,) and kl.dtype == jnp.float32
    np.testing.assert_allclose(kl, kl_by_quadrature(mean, logvar), rtol=1e-5)


def test_a_shared_variance_counts_for_every_dimension():
    mean, logvar = posteriors(width=1)
    np.testing.assert_allclose(
        gaussian_kl(mean, logvar), gaussian_kl(mean, np.repeat(logvar, D, axis=1)), rtol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(-8, 1.5).map(lambda power: 10**power))
def test_kl_is_never_negative(seed, size):
    mean, logvar = posteriors(seed)
    # e⁸⁰ is in float32's range, but not much above is.
    mean, logvar = mean * size, np.minimum((logvar + 1) * size, 80)
    kl = np.asarray(gaussian_kl(mean, logvar))
    expected = 0.5 * (np.expm1(logvar) - logvar + mean**2).sum(axis=1)
    assert (kl >= 0).all()
    np.testing.assert_allclose(kl, expected, rtol=1e-4, atol=1e-7)
    assert (np.asarray(gaussian_kl(mean * 0, logvar * 0)) == 0).all()


def test_active_units():
    x = np.random.default_rng(0).normal(size=(200, 5)) * [0.05, 0.09, 0.12, 1, 0] + 1000
    variances = x.var(axis=0)
    for threshold in (0.01, 0.0, 2.0, float(variances[1]) * 0.999):
        assert int(active_units(x, threshold)) == (variances > threshold).sum()
    assert int(active_units(x.astype(np.float32))) == int(active_units(x)) == 2
    assert active_units(x).dtype == jnp.int32
    # Population variance: 0.0099 is not active where the sample variance, 0.0109, would be.
    assert int(active_units(np.array([[0.0995], [-0.0995]] * 5))) == 0


@pytest.mark.parametrize("n", [3, 40])
def test_active_directions(n):
    random = np.random.default_rng(1)
    x = random.normal(size=(n, 6)) * [3, 1, 0.3, 0.05, 0.01, 0]
    variances = np.linalg.eigvalsh(np.cov(x.T, ddof=0))
    for threshold in (0.0005, 0.01, 0.5):
        assert int(active_directions(x, threshold)) == (variances > threshold).sum()
    assert int(active_directions(x + 100, 0.0)) == min(n - 1, 5)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_turning_the_axes_activates_units_and_no_directions(seed):
    random = np.random.default_rng(seed)
    line = random.normal(size=(40, 1)) * [[2.0] + [0.0] * 5]
    turned = line @ np.linalg.qr(random.normal(size=(6, 6)))[0]
    assert int(active_units(line)) == int(active_directions(line)) == 1
    assert int(active_directions(turned)) == 1 <= int(active_units(turned))
    every = np.full((6, 6), 1 / 6) - np.eye(6) / 2  # a reflection that mixes all axes
    assert int(active_units(line @ every)) == 6


def mi_by_loops(means, logvar, z) -> float:
    n, d = means.shape
    sd = np.exp(np.broadcast_to(logvar, (n, d)) / 2)
    log_q = np.array(
        [[norm.logpdf(z[i], means[j], sd[j]).sum() for j in range(n)] for i in range(n)]
    )
    return float(np.mean(np.diag(log_q) - (logsumexp(log_q, axis=1) - np.log(n))))


def sample(means, logvar, seed=9):
    return means + np.exp(logvar / 2) * np.random.default_rng(seed).normal(size=means.shape)


@pytest.mark.parametrize("width", [1, D], ids=["isotropic", "diagonal"])
@pytest.mark.parametrize("narrow", [0, 5, 10])
def test_mutual_information_by_loops(width, narrow):
    means, logvar = posteriors(width=width)
    logvar = logvar - narrow
    z = sample(means, logvar).astype(np.float32)
    found = mutual_information(means.astype(np.float32), logvar.astype(np.float32), z)
    np.testing.assert_allclose(found, mi_by_loops(means, logvar, z), rtol=1e-4)


@pytest.mark.parametrize(("rows", "n"), [(1, 13), (5, 14), (5, 15), (100, 16)])
def test_mutual_information_does_not_depend_on_blocks(monkeypatch, rows, n):
    monkeypatch.setattr(posterior, "BLOCK", rows * n * D)  # n differs, so each is compiled anew
    means, logvar = posteriors(1, n=n)
    z = sample(means, logvar)
    found = mutual_information(means, logvar, z)
    np.testing.assert_allclose(found, mi_by_loops(means, logvar, z), rtol=1e-5)


def test_mutual_information_never_holds_all_differences():
    n, d = 2048, 32
    arrays = [jax.ShapeDtypeStruct((n, d), "float32")] * 3
    memory = jax.jit(mutual_information).lower(*arrays).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * 4 * posterior.BLOCK < 4 * n * n * d / 5


def test_mutual_information_at_its_ends():
    means, logvar = posteriors()
    nothing = mutual_information(means * 0, logvar * 0, sample(means * 0, logvar * 0))
    np.testing.assert_allclose(nothing, 0, atol=1e-6)
    everything = mutual_information(means * 1000, logvar, sample(means * 1000, logvar))
    np.testing.assert_allclose(everything, np.log(N), rtol=1e-5)


@pytest.mark.parametrize("offset", [0, 50])
def test_aggregated_posterior(offset):
    x = np.random.default_rng(0).normal(size=(50, 4)) * [1, 0.1, 1e-3, 3] + offset
    found = aggregated_posterior(x @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0])
    np.testing.assert_allclose(found.mean_sq_norm, (x.mean(axis=0) ** 2).sum(), rtol=1e-5)
    # Where the mean is 5e4 times a spread, float32 holds but two digits of that.
    expected = np.linalg.slogdet(np.cov(x.T, bias=True))[1]
    np.testing.assert_allclose(found.logdet_cov, expected, atol=1e-2 if offset else 1e-4)


def test_aggregated_posterior_of_too_few_samples_or_of_a_constant():
    assert np.isneginf(aggregated_posterior(np.eye(4)).logdet_cov)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    x[:, 2] = 0.3
    assert np.isneginf(aggregated_posterior(x).logdet_cov)


def test_jit_vmap_and_grad():
    arrays = [jnp.asarray(np.stack([part] * 2), jnp.float32) for part in posteriors()]
    samples = jnp.asarray(np.stack([sample(*posteriors())] * 2), jnp.float32)
    for metric, inputs in (
        (lambda m, v: jnp.sum(gaussian_kl(m, v)), arrays),
        (mutual_information, [*arrays, samples]),
        (lambda x: aggregated_posterior(x).logdet_cov, [samples]),
        (lambda x: aggregated_posterior(x).mean_sq_norm, [samples]),
    ):
        first = [part[0] for part in inputs]
        np.testing.assert_allclose(jax.jit(jax.vmap(metric))(*inputs)[0], metric(*first), rtol=1e-5)
        assert np.isfinite(jax.grad(metric)(*first)).all()
    units = jax.jit(jax.vmap(active_units))(arrays[0])
    np.testing.assert_array_equal(units, D)


MEAN, LOGVAR = posteriors()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_kl(MEAN, LOGVAR[:, :2]), r"shape \(12, 3\) or \(12, 1\).*got \(12, 2\)"),
        (lambda: gaussian_kl(MEAN, LOGVAR[:5]), r"got \(5, 3\)"),
        (lambda: gaussian_kl(MEAN, LOGVAR[0]), r"Expected a 2D array"),
        (lambda: gaussian_kl(MEAN * np.nan, LOGVAR), r"NaN or infinity: points\[0, 0\] is nan"),
        (lambda: mutual_information(MEAN, LOGVAR, MEAN[:5]), r"shape \(12, 3\); got \(5, 3\)"),
        (lambda: active_units(MEAN, -1.0), r"threshold of at least 0; got -1.0"),
        (lambda: active_directions(MEAN, -1.0), r"threshold of at least 0; got -1.0"),
        (lambda: active_units(MEAN, float("nan")), r"threshold of at least 0; got nan"),
        (lambda: aggregated_posterior(MEAN[:0]), r"minimum of 1 point of 1 feature"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_each_row_has_its_own_kl():
    """What is not finite stays in its row, where values are traced."""
    mean, logvar = (jnp.asarray(part, jnp.float32) for part in posteriors())
    kl = jax.jit(gaussian_kl)
    expected = np.asarray(kl(mean, logvar))
    for wrong in (np.nan, np.inf):
        for found in (kl(mean.at[2, 1].set(wrong), logvar), kl(mean, logvar.at[2, 1].set(wrong))):
            assert not np.isfinite(found[2])
            np.testing.assert_array_equal(np.delete(found, 2), np.delete(expected, 2))


def test_float64():
    mean, logvar = posteriors(width=1)
    z = sample(mean, logvar)
    kl = (D * (np.expm1(logvar) - logvar)[:, 0] + (mean**2).sum(axis=1)) / 2
    with jax.enable_x64(True):
        np.testing.assert_allclose(gaussian_kl(mean, logvar), kl, rtol=1e-10)
        assert gaussian_kl(mean, logvar.astype(np.float32)).dtype == np.float64
        found = mutual_information(mean, logvar, z)
        np.testing.assert_allclose(found, mi_by_loops(mean, logvar, z), rtol=1e-10)
        norm_, logdet = aggregated_posterior(z)
        np.testing.assert_allclose(norm_, (z.mean(axis=0) ** 2).sum(), rtol=1e-10)
        np.testing.assert_allclose(logdet, np.linalg.slogdet(np.cov(z.T, bias=True))[1], rtol=1e-10)
