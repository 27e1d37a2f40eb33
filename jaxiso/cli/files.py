"""Files that are there whole or not at all, JSON from strangers, and digests."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from jaxiso.cli.console import InputError, first_line

PART = ".jaxiso-"
"""How the names of our temporary files begin; nobody else's do."""
LOCK = ".jaxiso.lock"


@contextmanager
def replacing(path: Path, before: Callable[[Path], None] | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an error.

    Whoever reads `path`, or a crash at any moment, finds the old content or the new, never a part;
    of two processes that write at once, the last one wins.

    Args:
        path: the file to replace or create; its folder exists.
        before: called with the complete new file just before it takes its place.

    Raises OSError: it cannot be written; `path` is then as it was.
    """
    with _naming(path):
        # A name of its own, so that two writers do not share one. mkstemp makes files private; the
        # content is as public as any other file's.
        handle, name = tempfile.mkstemp(prefix=PART, suffix=".part", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.chmod(0o666 & ~_umask())
            if before is not None:
                before(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)  # gone already if the rename went through


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of the system in the block name this file, not a temporary one, or none at all."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(str(error.filename)).name.startswith(PART):
            reason = error.strerror or first_line(error)
            raise OSError(error.errno, reason, str(path)) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Keeps other processes of jaxiso from writing to a folder; the lock ends with the process.

    What a process that was killed had begun to write there, or to the figures in it, is deleted.

    `what` says, in the message, what another process may be doing there.

    Raises:
        InputError: another process holds it.
        OSError: the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another process is {what}; wait for it") from None
    except NotImplementedError:
        raise InputError(
            f"{folder}: its file system cannot lock files, so that two processes could write there "
            "at once; give another folder"
        ) from None
    try:
        for place in (folder, folder / "figures"):
            for part in place.glob(f"{PART}*.part"):
                part.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def write_json(path: Path, content: object) -> None:
    """Writes indented JSON, whole or not at all; errors as of `json_bytes` and `replacing`."""
    data = json_bytes(path, content)
    with replacing(path) as file:
        file.write(data)


def json_bytes(path: Path, content: object) -> bytes:
    """Indented JSON, as it is written to a file.

    Raises:
        InputError: it holds the name of a file that is not UTF-8.
        ValueError: a number is not finite: whoever measured it says None, and why.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError as error:
        line = text.split("\n")[text[: error.start].count("\n")].strip()
        raise InputError(
            f"{path}: {line!a} cannot be written as UTF-8. If it is a "
            "file's name, rename that file, or set LC_ALL=C.UTF-8 if it is your locale that is not"
        ) from None


def parse_json(text: str | bytes, where: object) -> Any:
    """What JSON text holds.

    `where` names the file, or file and line, in messages.

    Raises InputError: no JSON; or such as no program can keep: nested too deeply, numbers of
    thousands of digits, text with half a character (a lone surrogate).
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        found = json.loads(decoded)
        if "\\u" in decoded:
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: the text has half a character, {error.object[error.start]!a} (a lone "
            "surrogate), which cannot be written as UTF-8; remove it"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is not UTF-8 ({error}); save it as UTF-8") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply to be read as JSON") from None
    except ValueError as error:  # no JSON, or a number of more digits than Python reads
        raise InputError(f"{where}: is not JSON ({first_line(error)})") from None
    return found


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises InputError: it is missing, or no JSON; as `parse_json`.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return parse_json(text, path)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises InputError: it is missing, or no JSON, or no object.
    """
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def digest_of(*parts: bytes | str) -> str:
    """SHA-256 of parts, each with its length, so that moving a border changes it."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files in a folder, and in those inside of it.

    Raises OSError: one cannot be read.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest_of(*(f"{p.relative_to(folder).as_posix()} {file_digest(p)}" for p in files))


def plain_name(name: str) -> str:
    """A name, path or hub id as part of a file name, of at most 100 bytes."""
    plain = "".join(c if c.isalnum() or c in "._" else "-" for c in name).strip("-.")
    return plain.encode()[:100].decode(errors="ignore") or "unnamed"
