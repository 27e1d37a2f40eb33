"""What the JSON files beside the weights say, checked: shape of the network, pooling, lengths.

Anything that would silently change the vectors (another activation, another pooling, a dense
layer after it, a prompt) is an error that names the file and what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxiso.errors import InputError
from jaxiso.files import read_json, read_object

MODEL_TYPES = ("bert", "mpnet", "roberta")
# Settings that may be absent, and the only value with which the network here is the same.
FIXED = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "relative_attention_num_buckets": 32,
}


@dataclass(frozen=True)
class Architecture:
    """Shape of a post-layer-norm transformer encoder; hashable, a static argument of jit.

    Attributes:
        model_type: "bert", "mpnet" or "roberta".
        vocabulary: number of tokens.
        positions: rows of the position table.
        token_types: rows of the token type table (0: there is none, as in MPNet).
        dim: width of a token's vector, and of a sentence's.
        layers: number of layers.
        heads: attention heads per layer.
        inner: width of the feed-forward layer.
        epsilon: added to the variance in layer norm.
        pad_id: the padding token.
    """

    model_type: str
    vocabulary: int
    positions: int
    token_types: int
    dim: int
    layers: int
    heads: int
    inner: int
    epsilon: float
    pad_id: int

    @property
    def first_position(self) -> int:
        """Row of the position table for the first token: RoBERTa and MPNet count from pad + 1."""
        return 0 if self.model_type == "bert" else self.pad_id + 1


@dataclass(frozen=True)
class EncoderSettings:
    """An architecture, and how sentences go in and vectors come out.

    Attributes:
        architecture: the network.
        max_tokens: longer texts are cut to this many tokens, special tokens included.
        lower: texts are lower-cased before tokenisation (beyond what the tokenizer does).
        normalise: vectors are scaled to length one.
        plain: there was no modules.json, so mean pooling and normalisation were assumed.
    """

    architecture: Architecture
    max_tokens: int
    lower: bool
    normalise: bool
    plain: bool


def read_settings(directory: Path) -> EncoderSettings:
    """Reads and checks the JSON files of an encoder.

    Args:
        directory: holds config.json; modules.json and sentence_bert_config.json if it comes from
            sentence-transformers.

    Raises:
        InputError: a file is missing or not JSON, or asks for something unsupported.
    """
    architecture = _architecture(directory / "config.json")
    sentence_file = directory / "sentence_bert_config.json"
    sentence = read_object(sentence_file) if sentence_file.is_file() else {}
    room = architecture.positions - architecture.first_position
    if sentence.get("max_seq_length") is not None:
        max_tokens = whole_number(sentence, "max_seq_length", sentence_file)
        if not 3 <= max_tokens <= room:
            raise InputError(
                f"{sentence_file}: max_seq_length is {max_tokens}, expected 3 to {room}: the model "
                f"has positions for {room} tokens"
            )
    else:
        max_tokens = min(room, _tokenizer_limit(directory / "tokenizer_config.json"))
    plain = not (directory / "modules.json").is_file()
    _check_prompt(directory / "config_sentence_transformers.json")
    return EncoderSettings(
        architecture=architecture,
        max_tokens=max_tokens,
        lower=bool(sentence.get("do_lower_case", False)),
        normalise=plain or _normalises(directory),
        plain=plain,
    )


def whole_number(values: dict[str, Any], key: str, path: Path, default: int | None = None) -> int:
    """A whole number from a JSON object, 0 or more; InputError if it is something else."""
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{path}: {key} is {value!r}, expected a whole number")
    return value


def _architecture(path: Path) -> Architecture:
    config = read_object(path)
    model_type = config.get("model_type")
    if model_type not in MODEL_TYPES:
        raise InputError(
            f"{path}: model_type {model_type!r} is not supported; allowed: {', '.join(MODEL_TYPES)}"
        )
    for key, allowed in FIXED.items():
        if config.get(key, allowed) != allowed:
            raise InputError(f"{path}: {key} {config[key]!r} is not supported; allowed: {allowed}")
    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float | int) or not 0 <= epsilon < 1:
        raise InputError(f"{path}: layer_norm_eps is {epsilon!r}, expected a number in [0, 1)")
    types = 0 if model_type == "mpnet" else whole_number(config, "type_vocab_size", path, 2)
    pad_id = whole_number(config, "pad_token_id", path, 0 if model_type == "bert" else 1)
    if model_type == "mpnet" and pad_id != 1:  # transformers counts MPNet's positions from 2
        raise InputError(f"{path}: pad_token_id {pad_id} is not supported for mpnet; allowed: 1")
    found = Architecture(
        model_type=model_type,
        vocabulary=whole_number(config, "vocab_size", path),
        positions=whole_number(config, "max_position_embeddings", path),
        token_types=types,
        dim=whole_number(config, "hidden_size", path),
        layers=whole_number(config, "num_hidden_layers", path),
        heads=whole_number(config, "num_attention_heads", path),
        inner=whole_number(config, "intermediate_size", path),
        epsilon=float(epsilon),
        pad_id=pad_id,
    )
    if found.heads < 1 or found.dim < 1 or found.dim % found.heads:
        raise InputError(
            f"{path}: hidden_size {found.dim} is not a multiple of num_attention_heads "
            f"{found.heads}"
        )
    return found


def _normalises(directory: Path) -> bool:
    """Whether modules.json ends in Normalize; InputError unless it is Transformer, mean Pooling."""
    path = directory / "modules.json"
    modules = read_json(path)
    if not isinstance(modules, list) or not all(isinstance(one, dict) for one in modules):
        raise InputError(f"{path}: expected a list of modules")
    types = [str(one.get("type")) for one in modules]
    # Later releases moved the classes between modules of the same package.
    names = [one.rpartition(".")[2] if one.startswith("sentence_transf") else one for one in types]
    allowed = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    if names not in allowed or modules[0].get("path", "") != "":
        raise InputError(
            f"{path}: the modules {', '.join(types)} are not supported; allowed: Transformer (in "
            "the folder itself), Pooling and, if wanted, Normalize, of sentence_transformers"
        )
    pooling_path = directory / str(modules[1].get("path")) / "config.json"
    pooling = read_object(pooling_path)
    modes = {key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True}
    if pooling.get("pooling_mode") is not None:
        modes = {f"pooling_mode_{pooling['pooling_mode']}_tokens"}
    if modes != {"pooling_mode_mean_tokens"}:
        raise InputError(
            f"{pooling_path}: the pooling {', '.join(sorted(modes)) or 'none'} is not supported; "
            "allowed: pooling_mode_mean_tokens alone"
        )
    return names[-1] == "Normalize"


def _tokenizer_limit(path: Path) -> int:
    limit = read_object(path).get("model_max_length") if path.is_file() else None
    # transformers writes 1e30 for "no limit".
    return int(limit) if isinstance(limit, int | float) and 3 <= limit < 1e9 else 1_000_000_000


def _check_prompt(path: Path) -> None:
    config = read_object(path) if path.is_file() else {}
    name = config.get("default_prompt_name")
    if name and (config.get("prompts") or {}).get(name):
        raise InputError(f"{path}: default_prompt_name {name!r} is not supported; allowed: null")
