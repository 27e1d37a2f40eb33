"""Embeddings kept on disk, so that a second run of an experiment does not encode again.

One `.npy` file per (weights, tokenizer, settings, texts); the name holds the digest of all four,
so nothing ever needs to be invalidated. Files are written to a temporary name and renamed: a run
that is interrupted, or two that write at once, leave a whole file or none.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from jaxiso.console import note
from jaxiso.files import replacing


def file_digest(path: Path) -> str:
    """The SHA-256 of a file in hex; remembered while its size and time of change stay the same."""
    seen = path.stat()
    return _file_digest(path, seen.st_size, seen.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_key(facts: Iterable[str], texts: Sequence[str]) -> str:
    """The SHA-256 in hex of everything that the embeddings depend on.

    Args:
        facts: digests and settings, in a fixed order.
        texts: the texts, in order.
    """
    digest = hashlib.sha256()
    # The lengths go in too: ["ab", "c"] and ["a", "bc"] are different inputs.
    for part in (*facts, str(len(texts)), *texts):
        data = part.encode("utf-8")
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def load_vectors(path: Path, shape: tuple[int, int], *, quiet: bool = False) -> np.ndarray | None:
    """Reads a cached array, or returns None where there is none that can be used.

    Args:
        path: the `.npy` file.
        shape: (n, dim) that it must have.
        quiet: say nothing about a damaged file.

    Returns:
        float32 array (n, dim), or None. A file that is cut short, has another shape or type or
        holds a value that is not finite is named on stderr and taken as absent.
    """
    try:
        with path.open("rb") as file:
            vectors = np.lib.format.read_array(file, allow_pickle=False)
        if vectors.shape != shape or vectors.dtype != np.float32:
            raise ValueError(f"it holds {vectors.dtype} {vectors.shape}, not float32 {shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("it holds values that are not finite")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, MemoryError) as error:
        note(f"note: cached embeddings {path} are damaged ({error}); encoding again", quiet=quiet)
        return None
    return vectors


def save_vectors(path: Path, vectors: np.ndarray, *, quiet: bool = False) -> None:
    """Writes an array so that it is there whole or not at all.

    A cache that cannot be written (read-only home, full disk) costs time, not the result: it is
    noted on stderr and the run goes on.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.save(file, vectors, allow_pickle=False)
    except OSError as error:
        note(f"note: embeddings could not be cached in {path.parent}: {error}", quiet=quiet)
