"""Small encoders with random weights, written to disk as the published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from jaxiso.encoders.transformer import BERT_LAYER

WORDS = [
    *("the", "a", "film", "is", "not", "good", "bad", "very"),
    *("long", "and", "dull", "but", "I", "like", "it", "."),
]
SPECIAL = {"bert": ("[PAD]", "[CLS]", "[SEP]", "[UNK]"), "other": ("<s>", "<pad>", "</s>", "[UNK]")}
VOCABULARY = len(WORDS) + 4

BERT_CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
TEXTS = [
    "the film is good",
    "",
    "I like it",
    "   not very long   ",
    "the film is very very long and very very dull but not bad",
    "unknown words",
    ". . .",
    "the film is " + "very " * 60 + "long",
]


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_sentence_files(directory: Path, family: str, *, max_seq_length: int = 30) -> None:
    """The files beside the weights: tokenizer, modules.json, pooling and length."""
    special = SPECIAL["bert" if family == "bert" else "other"]
    first, last = ("[CLS]", "[SEP]") if family == "bert" else ("<s>", "</s>")
    ids = {token: index for index, token in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    # The published files have both set; they must not be obeyed.
    tokenizer.enable_truncation(max_length=6)
    tokenizer.enable_padding(length=6)
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(directory / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    write_json(directory / "modules.json", modules)
    write_json(
        directory / "1_Pooling" / "config.json",
        {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
    )
    write_json(
        directory / "sentence_bert_config.json",
        {"max_seq_length": max_seq_length, "do_lower_case": False},
    )


def random_bert(prefix: str = "") -> dict[str, np.ndarray]:
    """The tensors of a BERT with `BERT_CONFIG`, by their published names."""
    rng = np.random.default_rng(0)
    dim, inner = BERT_CONFIG["hidden_size"], BERT_CONFIG["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, dim),
        "embeddings.position_embeddings.weight": (40, dim),
        "embeddings.token_type_embeddings.weight": (2, dim),
        "embeddings.LayerNorm.weight": (dim,),
        "embeddings.LayerNorm.bias": (dim,),
    }
    for layer in range(2):
        for ours, theirs in BERT_LAYER.items():
            rows, columns = {"up": (inner, dim), "down": (dim, inner)}.get(ours, (dim, dim))
            name = f"encoder.layer.{layer}.{theirs}"
            shapes[f"{name}.bias"] = (rows,)
            shapes[f"{name}.weight"] = (rows,) if ours.startswith("norm") else (rows, columns)
    # Not larger: a network of large weights magnifies rounding, which the tests compare up to.
    return {
        prefix + name: rng.normal(scale=0.4, size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
