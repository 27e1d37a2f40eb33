"""Sentences → vectors, kept on disk, so that a second run of an experiment does not encode again.

The cache has one safetensors file per (weights, tokenizer, settings, texts), named by the digest of
all four, so nothing ever needs to be invalidated. The file holds the digest of its own content as
well: what a disk or a hand has changed is noticed, and computed anew.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jaxiso.cli import machine
from jaxiso.cli.console import InputError, Progress, note
from jaxiso.cli.files import digest_of, file_digest, replacing
from jaxiso.encoders.batches import fill_batch, plan_batches, tokenize
from jaxiso.encoders.settings import Architecture, read_settings
from jaxiso.encoders.transformer import encode_batch, read_params
from jaxiso.encoders.weights import EncoderFiles, find_encoder, width

VALUES_VERSION = "2"  # raise it when the code below changes the vectors by more than rounding
# Measured with minilm on two CPU cores: 240 sentences/s at 512 and 1024 tokens, 175 at 2048 and
# 4096, 105 at 8192 (the cache). Accelerators want large products; theirs is not measured.
TOKENS_ON_CPU, TOKENS_ON_ACCELERATOR = 1024, 65_536


def encode_sentences(
    texts: Sequence[str],
    encoder: str,
    *,
    cache_dir: Path | None = None,
    quiet: bool = False,
    tokens_per_batch: int | None = None,
) -> np.ndarray:
    """Encodes sentences as the sentence-transformers library does, and caches the result.

    Args:
        texts: may be empty. Those longer than the encoder's limit are cut, and their number is
            noted on stderr.
        encoder: `minilm`, `mpnet` or `roberta`; a directory; or a hub id (`owner/name`).
        cache_dir: where vectors are kept between runs (default `$JAXISO_CACHE`, else
            `~/.cache/jaxiso`).
        quiet: no progress bar and no notes.
        tokens_per_batch: rows × columns of a batch; by default chosen for the device. It changes
            the vectors by rounding only (about 1e-7), so it is no part of the cache's key.

    Returns:
        float32 array (n, dim), in the order of `texts`. Rows have length one, unless the encoder
        is a directory or hub id whose modules.json lists no Normalize.

    Raises:
        InputError: the encoder is not found or not supported, or a text is not valid Unicode.
        TypeError: `texts` is a string, or holds something that is not one.
        ValueError: `tokens_per_batch` is below 1.
    """
    texts = _strings(texts)
    if tokens_per_batch is not None and operator.index(tokens_per_batch) < 1:
        raise ValueError(f"tokens_per_batch is {tokens_per_batch}, expected at least 1")
    files = find_encoder(encoder, quiet=quiet)
    if not (files.directory / "modules.json").is_file():
        assumed = "using mean pooling and vectors of length one"
        note(f"note: {files.directory} has no modules.json; {assumed}", quiet=quiet)
    if not texts:
        return np.zeros((0, width(files.directory)), np.float32)
    key = _cache_key(files, texts)
    stored = (cache_dir or machine.cache_dir()) / "embeddings" / f"{key}.safetensors"
    vectors = load_vectors(stored, len(texts), quiet=quiet)
    if vectors is None:
        vectors = _encode(texts, files, tokens_per_batch, quiet=quiet)
        save_vectors(stored, vectors, quiet=quiet)
    return vectors


def _cache_key(files: EncoderFiles, texts: Sequence[str]) -> str:
    """The SHA-256 of everything that the vectors depend on: weights, settings, tokenizer, texts."""
    patterns = ("*.json", "*.txt", "*/config.json")
    beside = sorted(p for pattern in patterns for p in files.directory.glob(pattern) if p.is_file())
    facts = [f"{path.relative_to(files.directory)} {file_digest(path)}" for path in beside]
    # The library makes the tokenizer from these files.
    facts += [VALUES_VERSION, version("transformers"), files.digest, str(len(facts))]
    return digest_of(*facts, *texts)


def _strings(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected a sequence of strings")
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] is {type(text).__name__}, expected str")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"text {index} is not valid Unicode: {error}") from None
    return texts


def _encode(
    texts: list[str], files: EncoderFiles, tokens_per_batch: int | None, *, quiet: bool
) -> np.ndarray:
    settings = read_settings(files.directory)
    ids, cut = tokenize(texts, files.directory, settings)
    if cut:
        note(
            f"note: {cut:,} of {len(texts):,} texts are longer than {settings.max_tokens} tokens, "
            f"all that {files.name} takes; the rest of them is left out",
            quiet=quiet,
        )
    note(f"{files.name}: weights from {files.origin}", quiet=quiet)
    shape = settings.architecture
    params = _params(files.weights, files.digest, shape)
    if tokens_per_batch is None:
        on_cpu = jax.default_backend() == "cpu"
        tokens_per_batch = TOKENS_ON_CPU if on_cpu else TOKENS_ON_ACCELERATOR
    lengths = np.array([len(one) for one in ids])
    vectors = np.empty((len(texts), shape.dim), np.float32)
    what = f"encoding with {files.name}"
    with Progress(what, len(texts), unit="sentences", quiet=quiet) as progress:
        for batch in plan_batches(lengths, settings.max_tokens, tokens_per_batch):
            tokens, mask = fill_batch(batch, ids, shape.pad_id)
            length_one = settings.normalise
            out = encode_batch(params, tokens, mask, architecture=shape, normalise=length_one)
            vectors[batch.texts] = np.asarray(out)[: len(batch.texts)]
            progress.advance(len(batch.texts))
    if not np.isfinite(vectors).all():
        raise InputError(f"{files.weights} gives vectors that are not finite: it is damaged")
    return vectors


@functools.lru_cache(maxsize=2)
def _params(weights: Path, digest: str, shape: Architecture) -> Any:
    """Parameters on the device; kept for the next call while the file's digest stays the same."""
    del digest
    return jax.device_put(read_params(weights, shape))


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
