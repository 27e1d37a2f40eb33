"""BERT, MPNet and RoBERTa, ready to run in Flax on JAX's device."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxiso.encoders.architecture import Architecture
from jaxiso.encoders.settings import read_text_settings
from jaxiso.encoders.transformer import encode_batch, encode_layers, read_params
from jaxiso.encoders.weights import EncoderFiles

# Measured with minilm on two CPU cores: 240 sentences/s at 512 and 1024 tokens, 175 at 2048 and
# 4096, 105 at 8192 (the cache). Accelerators want large products; theirs is not measured.
TOKENS_ON_CPU, TOKENS_ON_ACCELERATOR = 1024, 65_536


class FlaxModel:
    """A model in Flax; see `jaxiso.encoders.models.Model`."""

    def __init__(self, files: EncoderFiles, architecture: Architecture) -> None:
        self.text = read_text_settings(
            files.directory,
            room=architecture.positions - architecture.first_position,
            vocabulary=architecture.vocabulary,
            pad_id=architecture.pad_id,
        )
        self.dim, self.layers = architecture.dim, architecture.layers
        on_cpu = jax.default_backend() == "cpu"
        self.tokens_per_batch = TOKENS_ON_CPU if on_cpu else TOKENS_ON_ACCELERATOR
        self._architecture, self._files = architecture, files

    def sentences(self, ids: np.ndarray, mask: np.ndarray, *, normalise: bool) -> np.ndarray:
        """Mean of each text's tokens after the last layer, scaled to length one if wanted."""
        shape = self._architecture
        return np.asarray(
            encode_batch(self._params(), ids, mask, architecture=shape, normalise=normalise)
        )

    def states(
        self, ids: np.ndarray, mask: np.ndarray, layers: tuple[int, ...], weights: np.ndarray | None
    ) -> np.ndarray:
        """States of some layers: of every token, or their weighted sums."""
        shape = self._architecture
        return np.asarray(
            encode_layers(self._params(), ids, mask, weights, architecture=shape, layers=layers)
        )

    def _params(self) -> Any:
        return _params(self._files.weights, self._files.digest, self._architecture)


@functools.lru_cache(maxsize=2)
def _params(weights: Path, digest: str, shape: Architecture) -> Any:
    """Parameters on the device; kept for the next call while the file's digest stays the same."""
    del digest
    return jax.device_put(read_params(weights, shape))
