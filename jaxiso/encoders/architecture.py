"""The network that a model's config.json describes, and whether it is one of those in Flax.

The configuration is read by the library transformers, which runs no code that comes with a model.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_object

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


class NotInFlax(InputError):
    """The network is none of those that are written in Flax here; PyTorch may have it."""


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


def read_architecture(directory: Path) -> Architecture:
    """Reads and checks the config.json of a network that runs in Flax.

    Raises:
        NotInFlax: it is another network.
        InputError: the file is missing, or no configuration.
    """
    path = directory / "config.json"
    model_type = read_object(path).get("model_type")
    if model_type not in MODEL_TYPES:
        raise NotInFlax(
            f"{path}: model_type {model_type!r} does not run in Flax; those that do: "
            f"{', '.join(MODEL_TYPES)}"
        )
    config = read_config(directory)
    for name, allowed in FIXED.items():
        if (value := getattr(config, name, allowed)) != allowed:
            raise NotInFlax(f"{path}: {name} {value!r} does not run in Flax; only {allowed} does")
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


def read_config(directory: Path) -> Any:
    """A model's configuration, as transformers has it.

    Raises InputError: the file is missing, or no configuration of a model that transformers knows.
    """
    path = directory / "config.json"
    model_type = read_object(path).get("model_type")
    try:
        return transformers().AutoConfig.from_pretrained(directory, **ONLY_FILES)
    except Exception as error:  # the library's checks have no common class
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no configuration of {model_type}: {reason[:300]}") from None


def read_size(directory: Path, name: str) -> int:
    """`hidden_size` or `num_hidden_layers` of a model, from its config.json alone if it is there.

    Raises InputError: the file is missing, or does not give it.
    """
    path = directory / "config.json"
    given = read_object(path)
    if given.get("model_type") in MODEL_TYPES or name in given:
        return whole_number(given.get(name), name, path)
    # Some families have names of their own, which transformers knows, or a part for text.
    config = read_config(directory)
    return whole_number(getattr(config.get_text_config(), name, None), name, path)


def whole_number(value: object, name: str, path: Path) -> int:
    """A whole number of a JSON file, 0 or more; InputError if it is something else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{path}: {name} is {value!r}, expected a whole number")
    return value
