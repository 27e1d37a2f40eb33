"""The LSTM-VAE against a token-by-token one in numpy float64."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_lstm import next_word_scores, numpy_lstm

from jaxiso.models.cross_entropy import sentence_nll, total_nll
from jaxiso.models.tokens import BOS, UNK
from jaxiso.models.vae import TextVAE, drop_words

V, E, H, Z, B, T = 20, 5, 7, 4, 6, 5
RNG = np.random.default_rng(0)
TOKENS = jnp.asarray(RNG.integers(3, V, (B, T)), jnp.int32)
LENGTHS = jnp.asarray([5, 3, 1, 0, 4, 2], jnp.int32)
KEY = jax.random.key(1)


@pytest.fixture(autouse=True)
def standard_promotion():
    """Flax mixes ranks inside its Dense."""
    with jax.numpy_rank_promotion("allow"):
        yield


def make(posterior: Any, **dropped: Any) -> tuple[TextVAE, Any]:
    model = TextVAE(V, posterior, E, H, Z, **dropped)
    params = jax.jit(model.init)(KEY, TOKENS, LENGTHS)
    return model, params


def encode(model: TextVAE, params: Any, tokens: Any) -> Any:
    return jax.jit(partial(model.apply, method=model.encode))(params, tokens, LENGTHS)


def test_initial_values_are_the_authors():
    model = TextVAE(1000, "diagonal", 200, 512, 32)
    params: Any = jax.jit(model.init)(jax.random.key(0), TOKENS, LENGTHS)["params"]
    embedding = np.asarray(params["embedding"])
    assert np.abs(embedding).max() <= 0.05
    assert embedding.std() == pytest.approx(0.05 / 3**0.5, rel=0.02)
    for name, fan_in in (("encoder", 200), ("decoder", 232)):
        lstm = params[name]
        assert np.asarray(lstm["kernel"]).std() == pytest.approx(fan_in**-0.5, rel=0.02)
        assert np.asarray(lstm["recurrent_kernel"]).std() == pytest.approx(512**-0.5, rel=0.02)
        bias = np.asarray(lstm["bias"]).reshape(4, 512)
        np.testing.assert_array_equal(bias, np.repeat([[0.0], [1], [0], [0]], 512, axis=1))
    output = np.asarray(params["output_kernel"])
    assert output.std() == pytest.approx((2 / (512 + 1000)) ** 0.5, rel=0.02)


def test_an_isotropic_posterior_is_a_log_variance_of_width_one():
    shapes = {}
    for name in ("diagonal", "isotropic", "none"):
        started = jax.eval_shape(TextVAE(V, name, E, H, Z).init, KEY, TOKENS, LENGTHS)
        shapes[name] = jax.tree.map(lambda array: array.shape, started)
    assert shapes["diagonal"]["params"].pop("log_variance") == {"bias": (Z,), "kernel": (H, Z)}
    assert shapes["isotropic"]["params"].pop("log_variance") == {"bias": (1,), "kernel": (H, 1)}
    assert shapes["diagonal"] == shapes["isotropic"]
    assert shapes["none"] == shapes["diagonal"]
    model = TextVAE(V, "none", E, H, Z)
    encoded = jax.eval_shape(partial(model.apply, method=model.encode), started, TOKENS, LENGTHS)
    assert encoded.log_variance is None


def test_posterior_is_read_at_the_last_token_whatever_the_padding():
    model, params = make("diagonal")
    found = encode(model, params, TOKENS)
    weights = {k: np.asarray(v, np.float64) for k, v in params["params"]["mean"].items()}
    embedding = np.asarray(params["params"]["embedding"], np.float64)
    for i in np.flatnonzero(np.asarray(LENGTHS)):
        sentence = np.asarray(TOKENS)[i, : LENGTHS[i]]
        final = numpy_lstm(params["params"]["encoder"], embedding[sentence])[-1]
        expected = final @ weights["kernel"] + weights["bias"]
        np.testing.assert_allclose(found.mean[i], expected, atol=1e-6)
    wider = jnp.pad(TOKENS, ((0, 0), (0, 3)))
    again = encode(model, params, wider)
    np.testing.assert_allclose(found.mean, again.mean, atol=1e-7)


def test_likelihood_is_that_of_a_decoder_run_token_by_token():
    model, params = make("isotropic")
    z = RNG.normal(size=(B, Z)).astype(np.float32)
    nll = jax.jit(partial(model.apply, method=model.negative_log_likelihood))
    found: Any = nll(params, TOKENS, LENGTHS, jnp.asarray(z))
    inputs = np.insert(TOKENS, 0, BOS, axis=1)
    np.testing.assert_allclose(found, by_token(params, z, inputs), atol=1e-5)
    assert found[3] == 0


def by_token(params: Any, z: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """-log p of each sentence, word by word, with what the decoder reads before each."""
    found = np.zeros(B)
    for i in np.flatnonzero(np.asarray(LENGTHS)):
        sentence = np.asarray(TOKENS)[i, : LENGTHS[i]]
        logits = next_word_scores(params, z[i], inputs[i, : LENGTHS[i]].tolist())
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        found[i] = -log_p[np.arange(len(sentence)), sentence].sum()
    return found


def test_dropped_words_are_unk_to_the_decoder():
    model, params = make("diagonal", word_dropout=0.5)
    z = RNG.normal(size=(B, Z)).astype(np.float32)
    total = jax.jit(partial(model.apply, method=model.total_nll))
    weights, key = jnp.arange(B, dtype=jnp.float32), jax.random.key(3)
    inputs = jnp.asarray(np.insert(TOKENS, 0, BOS, axis=1)[:, :-1])
    dropped = np.asarray(drop_words(jax.random.split(key, 3)[0], inputs, 0.5))
    expected = np.arange(B) @ by_token(params, z, dropped)
    assert float(total(params, TOKENS, LENGTHS, z, weights, key)) == pytest.approx(expected, 1e-6)
    as_it_is = float(total(params, TOKENS, LENGTHS, z, weights))
    whole = np.arange(B) @ by_token(params, z, np.asarray(inputs))
    assert as_it_is == pytest.approx(whole, 1e-6) and as_it_is != pytest.approx(expected, 1e-4)


def test_word_dropout_keeps_its_rate_and_the_begin():
    words = jnp.where(jnp.arange(200)[None, :] == 0, BOS, jnp.full((100, 200), 7))
    found = np.asarray(drop_words(KEY, words, 0.3))
    assert (found[:, 0] == BOS).all() and set(np.unique(found[:, 1:])) == {UNK, 7}
    assert (found[:, 1:] == UNK).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(drop_words(KEY, words, 0.0), words)


def test_dropout_is_of_training_only():
    """Where all states of the decoder are dropped, it has but its bias to go by."""
    model, params = make("diagonal", dropout=1 - 1e-7)
    plain, _ = make("diagonal")
    z = jnp.asarray(RNG.normal(size=(B, Z)), jnp.float32)

    def nll(model: TextVAE, *key: Any) -> np.ndarray:
        method = model.negative_log_likelihood
        return np.asarray(model.apply(params, TOKENS, LENGTHS, z, *key, method=method))

    np.testing.assert_allclose(nll(model, KEY), np.asarray(LENGTHS) * np.log(V), rtol=1e-6)
    np.testing.assert_array_equal(nll(model), nll(plain))


def dense_nll(states, kernel, bias):
    logits = jnp.einsum("bth,hv->btv", states, kernel, precision="highest")
    log_p = jax.nn.log_softmax(logits + bias)
    chosen = jnp.take_along_axis(log_p, TOKENS[..., None], axis=2)[..., 0]
    return -jnp.sum(jnp.where(jnp.arange(T) < LENGTHS[:, None], chosen, 0), axis=1)


@pytest.mark.parametrize("which", ["sentence", "total"])
def test_cross_entropy_and_its_gradient_equal_the_dense_ones(which):
    states = jnp.asarray(RNG.normal(size=(B, T, H)), jnp.float32)
    kernel = jnp.asarray(RNG.normal(size=(H, V)), jnp.float32)
    bias = jnp.asarray(RNG.normal(size=V), jnp.float32)
    weights = jnp.asarray(RNG.normal(size=B), jnp.float32)

    def dense(*arrays):
        return 3 * jnp.sum(dense_nll(*arrays) * weights)

    def ours(*arrays):
        if which == "total":
            return 3 * total_nll(*arrays, TOKENS, LENGTHS, weights)
        return 3 * jnp.sum(sentence_nll(*arrays, TOKENS, LENGTHS) * weights)

    def both(f):
        return jax.jit(jax.value_and_grad(f, argnums=(0, 1, 2)))(states, kernel, bias)

    assert float(ours(states, kernel, bias)) == pytest.approx(float(both(ours)[0]), rel=1e-6)
    for found, expected in zip(
        jax.tree.leaves(both(ours)), jax.tree.leaves(both(dense)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=6e-6)


@pytest.mark.parametrize("which", ["sentence", "total"])
def test_memory_never_holds_the_logits_of_a_batch(which):
    b, t, h, v = 32, 64, 16, 4000
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((b, t, h), (h, v), (v,))]
    tokens = jnp.ones((b, t), jnp.int32)
    lengths = jnp.full(b, t, jnp.int32)

    def loss(states, kernel, bias):
        if which == "total":
            return total_nll(states, kernel, bias, tokens, lengths, jnp.ones(b))
        return jnp.sum(sentence_nll(states, kernel, bias, tokens, lengths))

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*shapes).compile()
    stats: Any = compiled.memory_analysis()
    assert stats.temp_size_in_bytes < b * t * v * 4 / 8  # all logits: 33 MB; one step's: 0.5 MB
