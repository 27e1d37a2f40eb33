"""Vectors kept on disk, so that a second run of an experiment does not encode again.

The cache has one safetensors file per (weights, tokenizer, settings, texts) and layer, named by the
digest of all of them, so nothing ever needs to be invalidated. The file holds the digest of its own
content as well: what a disk or a hand has changed is noticed, and computed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxiso.cli.console import note
from jaxiso.cli.files import digest_of, file_digest, replacing
from jaxiso.encoders.weights import EncoderFiles

VALUES_VERSION = "2"  # raise it when vectors change by more than rounding


class Work(NamedTuple):
    """What is to be encoded, and where the result is kept.

    Attributes:
        texts: none is blank where the model has no special tokens.
        files: the encoder.
        folder: of the cache.
        batch_size: texts at a time; None for what suits the device.
        quiet: no progress bar and no notes.
    """

    texts: list[str]
    files: EncoderFiles
    folder: Path
    batch_size: int | None
    quiet: bool


def cached_layers(
    work: Work,
    what: str,
    numbers: tuple[int, ...],
    rows: int,
    make: Callable[[tuple[int, ...]], np.ndarray],
) -> np.ndarray:
    """Vectors of some layers, each of which is a file of its own.

    `what` tells apart what is made of the same texts: a pooling, say. `make` gives the layers that
    are not there, (layers, rows, dim), in one pass.

    Returns:
        float32 (layers, rows, dim).

    Raises InputError: what was made is not finite.
    """
    key = cache_key(work.files, work.texts)
    entries = {
        number: work.folder / f"{digest_of(key, what, f'layer {number}')}.safetensors"
        for number in numbers
    }
    there: dict[int, np.ndarray] = {}
    for number, path in entries.items():
        vectors = load_vectors(path, rows, quiet=work.quiet)
        if vectors is not None:
            there[number] = vectors
    missing = tuple(number for number in entries if number not in there)
    if missing:
        made = make(missing)
        work.files.check_finite(made)
        for number, vectors in zip(missing, made, strict=True):
            save_vectors(entries[number], vectors, quiet=work.quiet)
        if missing == numbers:
            return made
        there |= zip(missing, made, strict=True)
    return np.stack([there[number] for number in numbers])


def cache_key(files: EncoderFiles, texts: Sequence[str]) -> str:
    """The SHA-256 of everything that the vectors depend on: weights, settings, tokenizer, texts."""
    patterns = ("*.json", "*.txt", "*/config.json")
    beside = sorted(p for pattern in patterns for p in files.directory.glob(pattern) if p.is_file())
    facts = [f"{path.relative_to(files.directory)} {file_digest(path)}" for path in beside]
    # The library makes the tokenizer from these files.
    facts += [VALUES_VERSION, version("transformers"), files.digest, str(len(facts))]
    return digest_of(*facts, *texts)


def load_vectors(path: Path, rows: int, *, quiet: bool = False) -> np.ndarray | None:
    """Reads cached vectors; float32 (rows, dim), or None where there are none that can be used.

    A file that is damaged or was changed is named on stderr (unless `quiet`) and deleted.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            said, vectors = file.metadata() or {}, file.get_tensor("vectors")
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(vectors) != rows:
            raise ValueError(f"it holds {vectors.dtype} {vectors.shape}")
        if said.get("sha256") != _vectors_digest(path, vectors):
            raise ValueError("its content is not what was written")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, MemoryError, SafetensorError) as error:
        note(f"note: cached embeddings {path} are damaged ({error}); encoding again", quiet=quiet)
        with suppress(OSError):
            path.unlink()
        return None
    return vectors


def save_vectors(path: Path, vectors: np.ndarray, *, quiet: bool = False) -> None:
    """Writes vectors (n, dim) so that they are there whole or not at all.

    A cache that cannot be written (read-only home, full disk) costs time, not the result: it is
    noted on stderr and the run goes on.
    """
    content = save({"vectors": vectors}, metadata={"sha256": _vectors_digest(path, vectors)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        note(f"note: embeddings could not be cached in {path.parent}: {error}", quiet=quiet)


def _vectors_digest(path: Path, vectors: np.ndarray) -> str:
    """Of an entry's name, which tells encoder and texts apart, and of shape and values."""
    return digest_of(path.stem, str(vectors.shape), vectors.tobytes())
