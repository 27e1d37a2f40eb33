"""An LSTM in numpy float64, one sentence and one token at a time: the oracle of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_lstm(params: Mapping[str, Any], inputs: np.ndarray) -> np.ndarray:
    """Hidden states (t, h) of one sentence (t, d); gates in Keras' order i, f, g, o."""
    kernel, recurrent, bias = (
        np.asarray(params[name], np.float64) for name in ("kernel", "recurrent_kernel", "bias")
    )
    n = recurrent.shape[0]
    hidden, cell, states = np.zeros(n), np.zeros(n), []
    for x in inputs:
        gates = x @ kernel + hidden @ recurrent + bias
        i, f, g, o = (gates[k * n : (k + 1) * n] for k in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def next_word_scores(params: Any, z: np.ndarray, previous: list[int]) -> np.ndarray:
    """Logits (t, v) after each of the previous tokens, the first of which is bos."""
    weights = params["params"]
    embedding = np.asarray(weights["embedding"], np.float64)
    inputs = np.array([[*embedding[token], *z] for token in previous])
    states = numpy_lstm(weights["decoder"], inputs)
    kernel, bias = (np.asarray(weights[f"output_{k}"], np.float64) for k in ("kernel", "bias"))
    return states @ kernel + bias
