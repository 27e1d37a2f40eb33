"""A model that is ready to run, whichever library runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.encoders.architecture import NotInFlax, read_architecture
from jaxiso.encoders.flax_models import FlaxModel
from jaxiso.encoders.tokens import TextSettings
from jaxiso.encoders.weights import EncoderFiles

EXTRA = 'pip install "jaxiso[torch]"'


class Model(Protocol):
    """What a model can do.

    Attributes:
        text: how texts become tokens.
        dim: width of a vector.
        layers: number of layers above the embedding layer.
        tokens_per_batch: rows × columns of a batch that its device is fast with.
    """

    text: TextSettings
    dim: int
    layers: int
    tokens_per_batch: int

    def sentences(self, ids: np.ndarray, mask: np.ndarray, *, normalise: bool) -> np.ndarray:
        """Mean of each text's tokens after the last layer, scaled to length one if wanted.

        Args:
            ids: int32 (batch, tokens), padded at the end.
            mask: bool (batch, tokens), False on padding.
            normalise: scale to length one.

        Returns:
            float32 (batch, dim).
        """
        ...

    def states(
        self, ids: np.ndarray, mask: np.ndarray, layers: tuple[int, ...], weights: np.ndarray | None
    ) -> np.ndarray:
        """States of some layers: of every token, or their weighted sums.

        Args:
            ids: int32 (batch, tokens), padded at the end.
            mask: bool (batch, tokens), False on padding.
            layers: numbers of layers; 0 is the embedding layer.
            weights: float32 (batch, tokens), of the tokens in each text's sum; None for all tokens.

        Returns:
            float32 (layers, batch, dim); without weights (layers, batch, tokens, dim).
        """
        ...


def open_model(files: EncoderFiles) -> Model:
    """Opens a model in Flax, or in PyTorch where Flax does not have it.

    Raises InputError: the model's files cannot be used, or PyTorch is needed and not installed.
    """
    try:
        architecture = read_architecture(files.directory)
        if not files.weights.is_file():
            raise NotInFlax(f"{files.directory}: its weights are in several files")
    except NotInFlax as error:
        try:
            from jaxiso.encoders.torch_models import TorchModel  # PyTorch is an optional extra
        except ImportError:
            raise InputError(
                f"{error}.\nOther models run in PyTorch, which is not installed: {EXTRA}"
            ) from None
        return TorchModel(files)
    return FlaxModel(files, architecture)


def pooling_weights(mask: np.ndarray, pooling: str) -> np.ndarray:
    """What each token counts in its text's vector: float32, of the mask's shape.

    Args:
        mask: bool (batch, tokens), False on padding, which is at the end.
        pooling: "mean" of all tokens, "cls", the first one, or "last", the last one.
    """
    counts = mask.sum(axis=1, keepdims=True)
    if pooling == "mean":
        return (mask / np.maximum(counts, 1)).astype(np.float32)
    place = 0 if pooling == "cls" else counts - 1
    return ((np.arange(mask.shape[1]) == place) & mask).astype(np.float32)
