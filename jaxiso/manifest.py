"""The manifest of a run: digests of its files, which tell whether they are as they were written.

manifest.json holds, by name, the digests that a file may have. That of a new file is there before
the file takes its place, beside that of the old one, so that whichever of the two a crash leaves is
known. Runs from before there were manifests have none, and nothing to check.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from jaxiso.cli.console import InputError
from jaxiso.cli.files import file_digest, folder_digest, read_object, write_json

MANIFEST = "manifest.json"

Digests = dict[str, list[str]]


def read_manifest(directory: Path) -> Digests:
    """The digests that each file of a run may have; empty for a run that has no manifest.

    Raises InputError: it is damaged.
    """
    path = directory / MANIFEST
    if not path.exists():
        return {}
    known = read_object(path).get("artefacts")
    if not isinstance(known, dict) or not all(isinstance(d, list) for d in known.values()):
        raise InputError(
            f"{path}: is damaged; bring it back, or give --overwrite to start the run anew"
        )
    return known


def write_manifest(directory: Path, known: Mapping[str, list[str]]) -> None:
    """Replaces a run's manifest."""
    write_json(directory / MANIFEST, {"artefacts": known})


def expect(directory: Path, name: str, part: Path) -> None:
    """Makes a new file known, which is about to take the place of another.

    `part` is the new file, complete.
    """
    known, path = read_manifest(directory), directory / name
    old = [file_digest(path)] if path.is_file() else []
    if name in known:
        old = [digest for digest in old if digest in known[name]]
    write_manifest(directory, known | {name: [*old, file_digest(part)]})


def damage(directory: Path, name: str) -> str | None:
    """What is wrong with a file or folder of a run, if it is not as it was written."""
    path = directory / name
    for _ in range(2):  # it may be replaced while this looks
        known = read_manifest(directory).get(name)
        if known is None:
            return None
        try:
            digest = folder_digest(path) if path.is_dir() else file_digest(path)
        except OSError as error:
            return "is missing" if error.errno == errno.ENOENT else f"{error.strerror}"
        if digest in known:
            return None
    return "is not as it was written: it is damaged, or was changed since"


def verify(directory: Path, name: str) -> None:
    """Refuses a file of a run that is not as the run wrote it.

    Raises InputError: names the file, and what to do.
    """
    if why := damage(directory, name):
        raise InputError(
            f"{directory / name}: {why}; bring it back, or run the same command with --overwrite"
        )
