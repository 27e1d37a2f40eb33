"""Files that are there whole or not at all, and JSON objects."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jaxiso.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    Whoever reads `path`, or a crash at any moment, finds the old content or the new, never a part;
    of two processes that write at once, the last one wins.

    Args:
        path: the file to replace or create; its folder exists.

    Raises:
        OSError: it cannot be written; `path` is then as it was.
    """
    # A name of its own, so that two writers do not share one. mkstemp makes files private; the
    # content is as public as any other file's.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)  # gone already if the rename went through


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, content: object) -> None:
    """Writes indented JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(f"{text}\n".encode())


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: it is missing, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise InputError(f"{path} is not a JSON file: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        InputError: it is missing, or no JSON, or no object.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found
