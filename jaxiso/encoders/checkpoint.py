"""Published safetensors → the parameters of `transformer.SentenceEncoder`.

Published linear layers are (out, in), Flax's are (in, out). Checkpoints saved from a model with a
head carry a prefix (`bert.`), and the oldest call layer norm's scale and shift gamma and beta.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso.encoders.settings import Architecture
from jaxiso.encoders.transformer import BUCKETS
from jaxiso.errors import InputError

BERT_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "norm_attention": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm_output": "output.LayerNorm",
}
MPNET_LAYER = BERT_LAYER | {
    "query": "attention.attn.q",
    "key": "attention.attn.k",
    "value": "attention.attn.v",
    "out": "attention.attn.o",
    "norm_attention": "attention.LayerNorm",
}
WORDS = "embeddings.word_embeddings.weight"
OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

Tensor = Callable[..., np.ndarray]


def read_params(path: Path, shape: Architecture) -> dict[str, Any]:
    """Reads an encoder's weights.

    Args:
        path: the `model.safetensors`; float32, or half precision, which is widened.
        shape: the architecture that config.json describes.

    Returns:
        Nested dictionary of float32 NumPy arrays, as `SentenceEncoder` takes it. Tensors that it
        has no use for (the pooler, a language model's head) are left in the file.

    Raises:
        InputError: the file is damaged, or a tensor is missing or has another shape or type.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            heads = [name.removesuffix(WORDS) for name in names if name.endswith(WORDS)]
            if len(heads) != 1:
                raise InputError(f"{path}: expected one tensor …{WORDS}, found {len(heads)}")

            def tensor(name: str, *expected: int) -> np.ndarray:
                for new, old in OLD_NAMES.items():
                    if heads[0] + name not in names:
                        name = name.replace(new, old)
                if heads[0] + name not in names:
                    raise InputError(f"{path}: the tensor {heads[0] + name} is missing")
                return _checked(file.get_tensor(heads[0] + name), expected, heads[0] + name, path)

            return _params(tensor, shape)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from None


def _params(tensor: Tensor, shape: Architecture) -> dict[str, Any]:
    dim, inner = shape.dim, shape.inner

    def norm(name: str) -> dict[str, np.ndarray]:
        return {"scale": tensor(f"{name}.weight", dim), "bias": tensor(f"{name}.bias", dim)}

    def dense(name: str, wide: int, narrow: int) -> dict[str, np.ndarray]:
        kernel = np.ascontiguousarray(tensor(f"{name}.weight", wide, narrow).T)
        return {"kernel": kernel, "bias": tensor(f"{name}.bias", wide)}

    def table(name: str, rows: int, width: int) -> dict[str, np.ndarray]:
        return {"embedding": tensor(f"{name}.weight", rows, width)}

    params: dict[str, Any] = {
        "words": table("embeddings.word_embeddings", shape.vocabulary, dim),
        "positions": table("embeddings.position_embeddings", shape.positions, dim),
        "norm": norm("embeddings.LayerNorm"),
    }
    if shape.token_types:
        types = tensor("embeddings.token_type_embeddings.weight", shape.token_types, dim)
        params["token_type"] = types[0]
    if shape.model_type == "mpnet":
        params["relative_bias"] = table("encoder.relative_attention_bias", BUCKETS, shape.heads)
    widths = {"up": (inner, dim), "down": (dim, inner)}
    for layer in range(shape.layers):
        names = MPNET_LAYER if shape.model_type == "mpnet" else BERT_LAYER
        params[f"layer_{layer}"] = {
            ours: norm(f"encoder.layer.{layer}.{theirs}")
            if ours.startswith("norm")
            else dense(f"encoder.layer.{layer}.{theirs}", *widths.get(ours, (dim, dim)))
            for ours, theirs in names.items()
        }
    return params


def _checked(found: np.ndarray, expected: tuple[int, ...], name: str, path: Path) -> np.ndarray:
    if found.shape != expected:
        raise InputError(
            f"{path}: the tensor {name} has shape {found.shape}, but config.json makes it "
            f"{expected}"
        )
    if found.dtype.name not in ("float32", "float16", "bfloat16"):
        raise InputError(
            f"{path}: the tensor {name} is {found.dtype.name}; allowed: float32, float16, bfloat16"
        )
    return found.astype(np.float32)
