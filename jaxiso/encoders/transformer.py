"""BERT, MPNet and RoBERTa as one Flax module: token ids in; out, sentences or every layer's states.

The three differ in four places: MPNet adds a relative position bias to the attention, MPNet and
RoBERTa number positions from the padding id + 1, MPNet has no token types, and their checkpoints
name the tensors differently. Everything is float32 with full-precision products, which on GPUs and
TPUs is not the default; vectors agree with PyTorch's to about 1e-6.

Sources: Devlin et al. 2019 (BERT), Liu et al. 2019 (RoBERTa), Song et al. 2020 (MPNet), Raffel et
al. 2020 (T5: the relative position buckets), Reimers & Gurevych 2019 (mean pooling).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from jaxiso.cli.console import InputError
from jaxiso.encoders.architecture import Architecture

PRECISION = jax.lax.Precision.HIGHEST
BUCKETS, FARTHEST = 32, 128  # of MPNet's relative positions

# Names of the tensors in published checkpoints. Those saved from a model with a head carry a prefix
# (`bert.`), and the oldest call layer norm's scale and shift gamma and beta.
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


class SentenceEncoder(nn.Module):
    """A transformer encoder, mean pooling, and normalisation if wanted.

    Attributes:
        architecture: shape of the network.
        normalise: scale the vectors to length one.
    """

    architecture: Architecture
    normalise: bool = True

    def __call__(self, ids: jax.Array, mask: jax.Array) -> jax.Array:
        """Encodes a batch.

        Args:
            ids: int32 (batch, tokens).
            mask: bool (batch, tokens), False on padding; an all-padding row gives zeros.

        Returns:
            float32 (batch, dim).
        """
        states = self.states(ids, mask)[-1]
        weights = mask.astype(jnp.float32)[:, :, None]
        # Both floors are those of sentence-transformers.
        count = jnp.maximum(weights.sum(axis=1), jnp.float32(1e-9))
        pooled = (states * weights).sum(axis=1) / count
        if not self.normalise:
            return pooled
        length = jnp.sqrt(jnp.square(pooled).sum(axis=1, keepdims=True))
        return pooled / jnp.maximum(length, jnp.float32(1e-12))

    @nn.compact
    def states(self, ids: jax.Array, mask: jax.Array) -> list[jax.Array]:
        """The vectors of all tokens, (batch, tokens, dim): embedded, and after each layer."""
        shape = self.architecture
        states = [self._embed(ids)]
        bias = None
        if shape.model_type == "mpnet":
            table = nn.Embed(BUCKETS, shape.heads, name="relative_bias")
            bias = table(relative_buckets(ids.shape[1])).transpose(2, 0, 1)[None]
        for layer in range(shape.layers):
            states.append(Layer(shape, name=f"layer_{layer}")(states[-1], mask, bias))
        return states

    def _embed(self, ids: jax.Array) -> jax.Array:
        shape = self.architecture
        words = nn.Embed(shape.vocabulary, shape.dim, name="words")(ids)
        # Sentences are single segments, so the token type is always the first.
        if shape.token_types:
            words += self.param("token_type", nn.initializers.zeros, (shape.dim,))[None, None]
        if shape.model_type == "bert":
            positions = jnp.arange(ids.shape[1], dtype=jnp.int32)[None]
        else:  # a padding token inside a text takes no position, as in fairseq
            real = (ids != shape.pad_id).astype(jnp.int32)
            positions = jnp.cumsum(real, axis=1, dtype=jnp.int32) * real + shape.pad_id
        states = words + nn.Embed(shape.positions, shape.dim, name="positions")(positions)
        return _layer_norm(shape, "norm")(states)


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each followed by add and layer norm."""

    architecture: Architecture

    @nn.compact
    def __call__(self, states: jax.Array, mask: jax.Array, bias: jax.Array | None) -> jax.Array:
        """One layer: states float32 (batch, tokens, dim) to the same shape.

        `mask` is bool (batch, tokens); `bias` is added to the scores, (1, heads, tokens, tokens).
        """
        shape = self.architecture
        batch, tokens, dim = states.shape
        per_head = dim // shape.heads

        def dense(name: str, width: int) -> nn.Dense:
            return nn.Dense(width, precision=PRECISION, name=name)

        query, key, value = (
            dense(name, dim)(states).reshape(batch, tokens, shape.heads, per_head)
            for name in ("query", "key", "value")
        )
        scores = jnp.einsum("bihd,bjhd->bhij", query, key, precision=PRECISION)
        scores = scores / jnp.float32(math.sqrt(per_head))
        if bias is not None:
            scores = scores + bias
        scores = jnp.where(mask[:, None, None, :], scores, jnp.finfo(jnp.float32).min)
        attention = jax.nn.softmax(scores, axis=-1)
        mixed = jnp.einsum("bhij,bjhd->bihd", attention, value, precision=PRECISION)
        mixed = dense("out", dim)(mixed.reshape(batch, tokens, dim))
        states = _layer_norm(shape, "norm_attention")(states + mixed)
        inner = jax.nn.gelu(dense("up", shape.inner)(states), approximate=False)
        return _layer_norm(shape, "norm_output")(states + dense("down", dim)(inner))


def _layer_norm(shape: Architecture, name: str) -> nn.LayerNorm:
    # The fast variance, E[x²] − E[x]², loses digits that PyTorch keeps.
    return nn.LayerNorm(epsilon=shape.epsilon, use_fast_variance=False, name=name)


def relative_buckets(tokens: int) -> np.ndarray:
    """Which of 32 buckets the distance from token i to token j falls in.

    Half of the buckets are for each direction; of each half, the first 8 are single distances, the
    rest grow geometrically up to 128.

    Returns:
        int32 (tokens, tokens): row i, column j.
    """
    places = np.arange(tokens)
    distance = places[:, None] - places[None, :]
    half = BUCKETS // 2
    exact = half // 2
    far = np.abs(distance)
    # float32 as in the original: a rounding at a bucket's edge would move a whole bucket.
    ratio = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact))
    grown = exact + (ratio / np.float32(math.log(FARTHEST / exact)) * (half - exact)).astype(int)
    bucket = np.where(far < exact, far, np.minimum(grown, half - 1))
    return (bucket + np.where(distance < 0, half, 0)).astype(np.int32)


@functools.partial(jax.jit, static_argnames=("architecture", "normalise"))
def encode_batch(
    params: Any, ids: jax.Array, mask: jax.Array, *, architecture: Architecture, normalise: bool
) -> jax.Array:
    """`SentenceEncoder` compiled: once per architecture and shape of the batch.

    Takes `params` as `read_params` returns them, and the rest as the module does.
    """
    encoder = SentenceEncoder(architecture, normalise)
    out = encoder.apply({"params": params}, ids, mask)
    assert isinstance(out, jax.Array)
    return out


@functools.partial(jax.jit, static_argnames=("architecture", "layers"))
def encode_layers(
    params: Any,
    ids: jax.Array,
    mask: jax.Array,
    weights: jax.Array | None,
    *,
    architecture: Architecture,
    layers: tuple[int, ...],
) -> jax.Array:
    """States of some layers in one pass: of every token, or their weighted sums.

    Args:
        params: as `read_params` returns them.
        ids: int32 (batch, tokens).
        mask: bool (batch, tokens), False on padding.
        weights: float32 (batch, tokens), of the tokens in each text's sum; None for all tokens.
        architecture: of the network.
        layers: numbers of layers; 0 is the embedding layer.

    Returns:
        float32 (layers, batch, dim); without weights (layers, batch, tokens, dim).
    """
    network = SentenceEncoder(architecture)
    states: Any = network.apply({"params": params}, ids, mask, method="states")
    chosen = [states[layer] for layer in layers]
    if weights is not None:
        chosen = [jnp.einsum("btd,bt->bd", one, weights, precision=PRECISION) for one in chosen]
    return jnp.stack(chosen)


def read_params(path: Path, shape: Architecture) -> dict[str, Any]:
    """Reads an encoder's weights from its `model.safetensors`; half precision is widened.

    Published linear layers are (out, in), Flax's are (in, out).

    Returns:
        Nested dictionary of float32 NumPy arrays, as `SentenceEncoder` takes it. Tensors that it
        has no use for (the pooler, a language model's head) are left in the file.

    Raises InputError: the file is damaged, or a tensor is missing or has another shape or type.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            heads = [name.removesuffix(WORDS) for name in names if name.endswith(WORDS)]
            if len(heads) != 1:
                raise InputError(f"{path}: expected one tensor …{WORDS}, found {len(heads)}")

            def tensor(name: str, *expected: int) -> np.ndarray:
                name = heads[0] + name
                for new, old in OLD_NAMES.items():
                    if name not in names:
                        name = name.replace(new, old)
                if name not in names:
                    raise InputError(f"{path}: the tensor {name} is missing")
                return _checked(file.get_tensor(name), expected, f"{path}: the tensor {name}")

            return _params(tensor, shape)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from None


def _params(tensor: Callable[..., np.ndarray], shape: Architecture) -> dict[str, Any]:
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
    names = MPNET_LAYER if shape.model_type == "mpnet" else BERT_LAYER
    widths = {"up": (inner, dim), "down": (dim, inner)}
    for layer in range(shape.layers):
        params[f"layer_{layer}"] = {
            ours: norm(f"encoder.layer.{layer}.{theirs}")
            if ours.startswith("norm")
            else dense(f"encoder.layer.{layer}.{theirs}", *widths.get(ours, (dim, dim)))
            for ours, theirs in names.items()
        }
    return params


def _checked(found: np.ndarray, expected: tuple[int, ...], what: str) -> np.ndarray:
    if found.shape != expected:
        raise InputError(f"{what} has shape {found.shape}, but config.json makes it {expected}")
    if found.dtype.name not in ("float32", "float16", "bfloat16"):
        raise InputError(f"{what} is {found.dtype.name}; allowed: float32, float16, bfloat16")
    return found.astype(np.float32)
