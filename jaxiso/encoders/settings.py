"""What the files beside the weights say of texts and sentences, checked: lengths, pooling, prompts.

Anything that would silently change a sentence's vector (another pooling, a dense layer after it, a
prompt) is an error that names the file and what is allowed.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_json, read_object
from jaxiso.encoders.architecture import whole_number
from jaxiso.encoders.tokens import TextSettings, load_tokenizer

NO_LIMIT = 1_000_000_000  # transformers writes 1e30 for it


def read_text_settings(
    directory: Path, *, room: int | None, vocabulary: int, pad_id: int
) -> TextSettings:
    """How many tokens of a text a model takes, and whether texts are lower-cased.

    The folder holds sentence_bert_config.json if the model comes from sentence-transformers.

    `room` is how many tokens the model has positions for, None where it has no limit; `vocabulary`
    how many it knows.

    Raises InputError: a file is not JSON, or asks for something impossible.
    """
    path = directory / "sentence_bert_config.json"
    sentence = read_object(path) if path.is_file() else {}
    most = NO_LIMIT if room is None else room
    if sentence.get("max_seq_length") is not None:
        max_tokens = whole_number(sentence["max_seq_length"], "max_seq_length", path)
        if not 3 <= max_tokens <= most:
            raise InputError(
                f"{path}: max_seq_length is {max_tokens}, expected 3 to {most}: the model "
                f"has positions for {most} tokens"
            )
    else:
        limit = load_tokenizer(directory).model_max_length
        known = isinstance(limit, int | float) and 3 <= limit < NO_LIMIT
        max_tokens = min(most, int(limit) if known else NO_LIMIT)
    lower = sentence.get("do_lower_case", False)
    if not isinstance(lower, bool):
        raise InputError(f"{path}: do_lower_case is {lower!r}, expected true or false")
    return TextSettings(max_tokens, lower, vocabulary, pad_id)


def normalises(directory: Path) -> bool:
    """Whether a sentence's vector, its tokens' mean, is scaled to length one.

    So says modules.json, which sentence-transformers adds; without it, length one is assumed.

    Raises InputError: the files ask for another pooling, another module or a prompt.
    """
    _check_prompts(directory / "config_sentence_transformers.json")
    return not (directory / "modules.json").is_file() or _normalises(directory)


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
