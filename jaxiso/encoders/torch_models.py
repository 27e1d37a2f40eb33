"""Models of any other family, in PyTorch: the optional extra `torch`.

Only safetensors are read and no code that comes with a model is run. Weights and products are
float32, whatever the file holds. Texts are padded at the end: causal models do not see what comes
after a token, the others are told by the mask, and positions count from each text's first token.
Of models with an encoder and a decoder (T5, BART), the encoder is run.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jaxiso.cli.console import InputError, first_line
from jaxiso.encoders.architecture import ONLY_FILES, read_config, transformers
from jaxiso.encoders.settings import read_text_settings
from jaxiso.encoders.weights import EncoderFiles

TOKENS_ON_CPU, TOKENS_ON_GPU = 1024, 16_384


class TorchModel:
    """A model in PyTorch, on its GPU if there is one; see `jaxiso.encoders.models.Model`.

    `states` are transformers' `hidden_states`: of most decoders (GPT-2, Llama) those of the last
    layer come after the final norm.
    """

    def __init__(self, files: EncoderFiles) -> None:
        config = read_config(files.directory).get_text_config(encoder=True)
        room = getattr(config, "max_position_embeddings", None)
        pad = config.pad_token_id  # decoders have none; the mask hides whatever is there
        self.text = read_text_settings(
            files.directory,
            room=room if isinstance(room, int) and room > 0 else None,
            vocabulary=config.vocab_size,
            pad_id=pad if isinstance(pad, int) and 0 <= pad < config.vocab_size else 0,
        )
        self.dim, self.layers = config.hidden_size, config.num_hidden_layers
        on_gpu = torch.cuda.is_available()
        self.tokens_per_batch = TOKENS_ON_GPU if on_gpu else TOKENS_ON_CPU
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._files = files

    def sentences(self, ids: np.ndarray, mask: np.ndarray, *, normalise: bool) -> np.ndarray:
        """Mean of each text's tokens after the last layer, scaled to length one if wanted."""
        weights = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        pooled = self.states(ids, mask, (self.layers,), weights.astype(np.float32))[0]
        if not normalise:
            return pooled
        return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), np.float32(1e-12))

    def states(
        self, ids: np.ndarray, mask: np.ndarray, layers: tuple[int, ...], weights: np.ndarray | None
    ) -> np.ndarray:
        """States of some layers: of every token, or their weighted sums."""
        seen = mask.copy()
        seen[:, 0] = True  # attention over nothing at all, in an empty row, would be NaN
        with torch.inference_mode():
            found = self._run(ids, seen)
            if len(found) != self.layers + 1:
                raise InputError(
                    f"{self._files.directory}: the model has {len(found)} hidden states, where "
                    f"its configuration has {self.layers} layers; it is not supported"
                )
            chosen = [found[layer] for layer in layers]
            if weights is not None:
                shares = torch.from_numpy(weights).to(self._device)
                chosen = [torch.einsum("btd,bt->bd", one, shares) for one in chosen]
            return torch.stack(chosen).cpu().numpy()

    def _run(self, ids: np.ndarray, seen: np.ndarray) -> tuple[torch.Tensor, ...]:
        model = _model(self._files.directory, self._files.digest).to(self._device)
        try:
            return model(
                torch.from_numpy(ids.astype(np.int64)).to(self._device),
                attention_mask=torch.from_numpy(seen.astype(np.int64)).to(self._device),
                output_hidden_states=True,
            ).hidden_states
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # what a model asks for beyond tokens has no common form
            raise InputError(
                f"{self._files.directory}: the model does not run on token ids alone: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error


@functools.lru_cache(maxsize=1)
def _model(directory: Path, digest: str) -> Any:
    """The network; kept for the next call while the digest of its files stays the same."""
    del digest
    library = transformers()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library.utils.logging.disable_progress_bar()  # over tensors, which takes no time
            model, said = library.AutoModel.from_pretrained(
                directory,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **ONLY_FILES,
            )
    except Exception as error:  # the library's errors have no common class
        raise InputError(
            f"{directory}: the model cannot be loaded: {type(error).__name__}: {first_line(error)}"
        ) from error
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    there = {name for name, _ in model.named_parameters()}
    if missing := sorted(name for name in said["missing_keys"] if name in there):
        unused = [name for name in missing if not name.startswith("pooler.")]
        if unused:  # transformers would fill them with random numbers
            raise InputError(
                f"{directory}: its weights lack {len(unused)} tensors, such as {unused[0]}"
            )
    return model.eval()
