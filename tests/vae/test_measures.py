"""The evaluation's measures against their definitions."""

from __future__ import annotations

import itertools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_lstm import next_word_scores
from sklearn.metrics import silhouette_score

from jaxiso.data.batches import Batches
from jaxiso.metrics.directions import isotropy_score
from jaxiso.metrics.isotropy import isoscore
from jaxiso.vae import measures as vae_measures
from jaxiso.vae.experiment import VAEConfig, make_vae

RNG = np.random.default_rng(0)
SENTENCES = [np.array([*RNG.integers(3, 12, RNG.integers(1, 6)), 2], np.int32) for _ in range(11)]


@pytest.fixture(scope="module")
def model() -> Any:
    """A model with one latent dimension, so that p(x) can be integrated."""
    config = VAEConfig(ids=12, posterior="diagonal", embedding_dim=4, hidden_dim=5, latent_dim=1)
    with jax.numpy_rank_promotion("allow"):
        params = jax.jit(make_vae(config).init)(jax.random.key(0)).params
    # Large weights: a model as it starts does not look at z.
    return vae_measures.make_evaluation(config), jax.tree.map(lambda x: 2 * x, params)


def log_p_given(params: Any, ids: np.ndarray, z: float) -> float:
    logits = next_word_scores(params, np.array([z]), [1, *ids[:-1].tolist()])
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return log_p[np.arange(len(ids)), ids].sum()


def test_codes_are_in_the_order_of_the_sentences(model):
    programs, params = model
    batches = Batches(SENTENCES, 4, most_lengths=2)
    codes = vae_measures.code_sentences(programs, params, batches, jax.random.key(1))
    means = vae_measures.encode_sentences(programs, params, batches)
    np.testing.assert_allclose(codes.mean, means, atol=1e-6)
    for i, ids in enumerate(SENTENCES):
        expected = -log_p_given(params, ids, codes.z[i, 0])
        assert codes.rec[i] == pytest.approx(expected, abs=1e-4)
        variance = np.exp(codes.log_variance[i, 0])
        kl = (variance + codes.mean[i, 0] ** 2 - 1 - np.log(variance)) / 2
        assert codes.kl[i] == pytest.approx(kl, abs=1e-5)
    assert len(np.unique(codes.z)) == len(SENTENCES)


def test_likelihood_is_the_integral_over_the_prior(model):
    programs, params = model
    grid = np.linspace(-8, 8, 321)
    width, prior = grid[1] - grid[0], np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    given = np.array([[log_p_given(params, ids, z) for z in grid] for ids in SENTENCES])
    p = width * np.exp(given) @ prior
    batches = Batches(SENTENCES, 4, most_lengths=2)
    found = vae_measures.likelihood(programs, params, batches, jax.random.key(2), samples=4000)
    assert found["nll"] == pytest.approx(float(-np.log(p).mean()), abs=0.01)
    tokens = sum(map(len, SENTENCES))
    assert found["perplexity"] == pytest.approx(float(np.exp(-np.log(p).sum() / tokens)), rel=0.003)
    expected = np.log(p).std(ddof=1) / np.sqrt(len(p))
    assert found["nll_se"] == pytest.approx(expected, rel=0.02)


def test_decoded_sentences_are_cut_at_their_end(model, monkeypatch):
    _, params = model
    monkeypatch.setattr(vae_measures, "DECODED_AT_ONCE", 4)
    z = RNG.normal(size=(10, 1)).astype(np.float32)
    found = vae_measures.decode(params, z, longest=5)
    whole = np.asarray(vae_measures.greedy_decode(params, jnp.asarray(z), 5)).tolist()
    assert found == [ids[: ids.index(2)] if 2 in ids else ids for ids in whole]


def test_likeness_is_whole_for_the_same_sentences():
    long = [np.arange(3, 10, dtype=np.int32) for _ in range(3)]
    found = vae_measures.likeness([ids[:-1].tolist() for ids in long], long)
    assert found == dict.fromkeys(("bleu2", "bleu4", "rouge2", "rouge4"), pytest.approx(100))
    nothing = vae_measures.likeness([[], [], []], long)
    assert set(nothing.values()) == {0.0}


def codes_of(mean: np.ndarray, log_variance: np.ndarray) -> vae_measures.Codes:
    zeros = np.zeros(len(mean), np.float32)
    return vae_measures.Codes(mean, log_variance, mean, zeros, zeros)


def test_posterior_shape():
    mean = RNG.normal(size=(400, 3)).astype(np.float32) * np.array([0.5, 1, 2], np.float32)
    log_variance = np.full((400, 1), np.log(0.25), np.float32)
    found = vae_measures.posterior_shape(codes_of(mean, log_variance), np.random.default_rng(1))
    # Cov[z] = Cov[mean] + variance · I, in expectation
    expected = np.linalg.slogdet(np.cov(mean.T, ddof=0) + 0.25 * np.eye(3))[1]
    assert found["logdet_cov"] == pytest.approx(expected, abs=0.1)
    assert found["mean_sq_norm"] == pytest.approx((mean.mean(0) ** 2).sum(), abs=0.05)
    assert found["isotropy_score_means"] == pytest.approx(float(isotropy_score(mean)), rel=1e-6)
    assert 0 < float(found["isotropy_score_samples"]) < 1
    codes = codes_of(mean, log_variance[:, :0])
    alone = vae_measures.posterior_shape(codes, np.random.default_rng(1))
    assert set(alone) == {"isotropy_score_means", "isotropy_score_means_random_signs"}


def test_random_signs_against_all_of_them():
    points = RNG.normal(size=(50, 3)).astype(np.float32)
    _, directions = np.linalg.eigh(points.T.astype(np.float64) @ points)
    scores = []
    for signs in itertools.product((-1, 1), repeat=3):
        z = np.exp(points @ (directions * signs)).sum(axis=0)
        scores.append(z.min() / z.max())
    found = vae_measures.random_sign_score(points, np.random.default_rng(0), draws=20_000)
    assert found == pytest.approx(np.mean(scores), rel=0.02)
    # The more directions are looked at, the lower the smallest beside the largest.
    assert float(isotropy_score(points)) <= min(scores) + 1e-6


def test_geometry():
    points = RNG.normal(size=(30, 3)).astype(np.float32)
    labels = np.repeat([0, 1, 2], 10)
    found = vae_measures.geometry(points, labels)
    assert found["silhouette_means"] == pytest.approx(silhouette_score(points, labels), abs=1e-5)
    assert found["isoscore_means"] == pytest.approx(float(isoscore(points)))
    alone = vae_measures.geometry(points, None)
    assert alone == found | dict.fromkeys(
        ("silhouette_means", "calinski_harabasz_means", "davies_bouldin_means"),
        "the corpus has no labels",
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [(2, 2.0), (-np.inf, r"not a finite number \(-inf\)"), (np.nan, "not a finite number")],
)
def test_a_measure_is_a_number_or_a_reason(value, reason):
    found = vae_measures.measured(lambda x: x, value)
    assert found == reason if isinstance(reason, float) else re.match(reason, str(found))


def test_why_a_measure_has_no_value():
    flat = np.zeros((3, 4), np.float32)
    codes = codes_of(flat, flat)
    found = vae_measures.posterior_shape(codes, np.random.default_rng(0))
    assert found["logdet_cov"] == "3 sentences do not span 4 latent dimensions: log 0"
    assert isinstance(found["mean_sq_norm"], float)
    found = vae_measures.posterior_shape(codes_of(flat + np.nan, flat), np.random.default_rng(0))
    assert all("NaN" in str(why) for why in found.values() if "span" not in str(why))
