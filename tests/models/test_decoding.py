"""Greedy decoding against a decoder run token by token in numpy float64."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_lstm import next_word_scores

from jaxiso.models.decoding import greedy_decode
from jaxiso.models.vae import TextVAE

V, E, H, Z, B, LONGEST = 9, 5, 7, 4, 24, 6


@pytest.fixture(scope="module")
def params() -> Any:
    """Large weights, so that sentences differ and some end early."""
    tokens = jnp.ones((1, 2), jnp.int32)
    with jax.numpy_rank_promotion("allow"):
        init = jax.jit(TextVAE(V, "isotropic", E, H, Z).init)
        start = init(jax.random.key(3), tokens, tokens[:, 0])
    return jax.tree.map(lambda x: 4 * x, start)


def greedy(params: Any, z: np.ndarray) -> list[int]:
    tokens: list[int] = []
    while len(tokens) < LONGEST and (not tokens or tokens[-1] != 2):
        tokens.append(int(next_word_scores(params, z, [1, *tokens])[-1].argmax()))
    return tokens + [0] * (LONGEST - len(tokens))


def test_greedy_decoding(params):
    z = np.random.default_rng(0).normal(size=(B, Z)).astype(np.float32)
    found = np.asarray(greedy_decode(params, jnp.asarray(z), LONGEST))
    expected = np.array([greedy(params, row) for row in z])
    np.testing.assert_array_equal(found, expected)
    ended = (expected == 2).any(axis=1)
    assert 0 < ended.sum() < B  # both kinds are there


def test_it_stops_when_every_sentence_has_ended(params):
    ends = jax.tree.map(lambda x: x, params)
    ends["params"]["output_bias"] = jnp.zeros(V).at[2].set(1e4)
    found = np.asarray(greedy_decode(ends, jnp.zeros((B, Z)), LONGEST))
    np.testing.assert_array_equal(found, np.tile([2, *[0] * (LONGEST - 1)], (B, 1)))
