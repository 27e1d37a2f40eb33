"""What the files beside the weights say, checked: shape of the network, tokens, pooling, lengths.

Configuration and tokenizer are read by the library transformers, which runs no code that comes
with a model. Anything that would silently change the vectors (another activation, another pooling,
a dense layer after it, a prompt) is an error that names the file and what is allowed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jaxiso.cli.console import InputError, first_line
from jaxiso.cli.files import read_json, read_object

MODEL_TYPES = ("bert", "mpnet", "roberta")
# Settings that may be absent, and the only value with which the network here is the same.
FIXED = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "relative_attention_num_buckets": 32,
}
# Whole numbers of a configuration: their names in `Architecture` and in transformers.
SIZES = {
    "vocabulary": "vocab_size",
    "positions": "max_position_embeddings",
    "token_types": "type_vocab_size",
    "dim": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "pad_id": "pad_token_id",
}
ONLY_FILES = {"local_files_only": True, "trust_remote_code": False}
NO_LIMIT = 1_000_000_000  # transformers writes 1e30 for it


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
    """

    architecture: Architecture
    max_tokens: int
    lower: bool
    normalise: bool


def transformers() -> Any:
    """The library of that name: imported late, as torch comes along where it is installed.

    Unless the environment says otherwise it is silent: it would advise to install torch.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        import transformers

        return transformers


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer in an encoder's folder, as sentence-transformers takes it: by AutoTokenizer.

    Raises:
        InputError: it cannot be read, or is none of the library tokenizers.
    """
    with reading_tokenizer(directory):
        found = transformers().AutoTokenizer.from_pretrained(directory, **ONLY_FILES)
    if not found.is_fast:
        raise InputError(
            f"{directory}: its tokenizer, {type(found).__name__}, is not one of the library "
            "tokenizers; save a tokenizer.json beside it"
        )
    # Without files transformers takes a vocabulary of special tokens only: every word is unknown.
    if len(found) <= len(found.all_special_tokens):
        raise InputError(f"{directory}: its tokenizer has no words; copy its files again")
    return found


@contextmanager
def reading_tokenizer(directory: Path) -> Iterator[None]:
    """Turns whatever a tokenizer's strange or damaged files lead to into one InputError."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the Rust library panics with a class of its own
        raise InputError(
            f"{directory}: its tokenizer cannot be read ({first_line(error)}); copy tokenizer.json "
            "and tokenizer_config.json again"
        ) from None


def read_settings(directory: Path) -> EncoderSettings:
    """Reads and checks the configuration of an encoder.

    Its folder holds config.json; modules.json and sentence_bert_config.json if it comes from
    sentence-transformers. Without modules.json, mean pooling and length one are assumed.

    Raises:
        InputError: a file is missing or not JSON, or asks for something unsupported.
    """
    architecture = _architecture(directory / "config.json")
    path = directory / "sentence_bert_config.json"
    sentence = read_object(path) if path.is_file() else {}
    room = architecture.positions - architecture.first_position
    if sentence.get("max_seq_length") is not None:
        max_tokens = whole_number(sentence["max_seq_length"], "max_seq_length", path)
        if not 3 <= max_tokens <= room:
            raise InputError(
                f"{path}: max_seq_length is {max_tokens}, expected 3 to {room}: the model "
                f"has positions for {room} tokens"
            )
    else:
        limit = load_tokenizer(directory).model_max_length
        known = isinstance(limit, int | float) and 3 <= limit < NO_LIMIT
        max_tokens = min(room, int(limit) if known else NO_LIMIT)
    lower = sentence.get("do_lower_case", False)
    if not isinstance(lower, bool):
        raise InputError(f"{path}: do_lower_case is {lower!r}, expected true or false")
    _check_prompts(directory / "config_sentence_transformers.json")
    normalise = not (directory / "modules.json").is_file() or _normalises(directory)
    return EncoderSettings(architecture, max_tokens, lower, normalise)


def whole_number(value: object, name: str, path: Path) -> int:
    """A whole number of a JSON file, 0 or more; InputError if it is something else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{path}: {name} is {value!r}, expected a whole number")
    return value


def _architecture(path: Path) -> Architecture:
    model_type = read_object(path).get("model_type")
    if model_type not in MODEL_TYPES:
        raise InputError(
            f"{path}: model_type {model_type!r} is not supported; allowed: {', '.join(MODEL_TYPES)}"
        )
    try:
        config = transformers().AutoConfig.from_pretrained(path.parent, **ONLY_FILES)
    except Exception as error:  # the library's checks have no common class
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no configuration of {model_type}: {reason[:300]}") from None
    for name, allowed in FIXED.items():
        if (value := getattr(config, name, allowed)) != allowed:
            raise InputError(f"{path}: {name} {value!r} is not supported; allowed: {allowed}")
    epsilon = config.layer_norm_eps
    if not isinstance(epsilon, float | int) or not 0 <= epsilon < 1:
        raise InputError(f"{path}: layer_norm_eps is {epsilon!r}, expected a number in [0, 1)")
    sizes = {
        ours: 0
        if (model_type, ours) == ("mpnet", "token_types")
        else whole_number(getattr(config, theirs, None), theirs, path)
        for ours, theirs in SIZES.items()
    }
    found = Architecture(model_type=model_type, epsilon=float(epsilon), **sizes)
    if model_type == "mpnet" and found.pad_id != 1:  # transformers counts positions from 2
        raise InputError(
            f"{path}: pad_token_id {found.pad_id} is not supported for mpnet; allowed: 1"
        )
    dim, heads = found.dim, found.heads
    if heads < 1 or dim < 1 or dim % heads:
        raise InputError(
            f"{path}: hidden_size {dim} is not a multiple of num_attention_heads {heads}"
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
    pooling_path = _inside(directory, modules[1].get("path"), path) / "config.json"
    pooling = read_object(pooling_path)
    modes = {key for key, on in pooling.items() if key.startswith("pooling_mode_") and on}
    if pooling.get("pooling_mode") is not None:
        modes = {f"pooling_mode_{pooling['pooling_mode']}_tokens"}
    if modes != {"pooling_mode_mean_tokens"}:
        raise InputError(
            f"{pooling_path}: the pooling {', '.join(sorted(modes)) or 'none'} is not supported; "
            "allowed: pooling_mode_mean_tokens alone"
        )
    return names[-1] == "Normalize"


def _inside(directory: Path, relative: object, path: Path) -> Path:
    """A folder named by a file that may come from anyone; InputError if it leads outside."""
    if isinstance(relative, str):
        found, parts = directory / relative, PurePosixPath(relative.replace("\\", "/")).parts
        if ".." not in parts and found.resolve().is_relative_to(directory.resolve()):
            return found
    raise InputError(f"{path}: the path {relative!r} is not a folder inside of {directory}")


def _check_prompts(path: Path) -> None:
    """Refuses a prompt that would be put before every text."""
    config = read_object(path) if path.is_file() else {}
    name, prompts = config.get("default_prompt_name"), config.get("prompts") or {}
    if not isinstance(prompts, dict) or not isinstance(name, str | None):
        raise InputError(
            f"{path}: prompts must be an object and default_prompt_name a string or null, found "
            f"{type(prompts).__name__} and {type(name).__name__}"
        )
    if name and prompts.get(name):
        raise InputError(f"{path}: default_prompt_name {name!r} is not supported; allowed: null")
