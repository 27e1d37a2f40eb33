"""Sentences → vectors: the one function that the rest of jaxiso calls.

Importing this module is cheap; jax is loaded only when something has to be encoded.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso import backend
from jaxiso.console import Progress, note
from jaxiso.encoders.cache import cache_key, file_digest, load_vectors, save_vectors
from jaxiso.encoders.settings import Architecture, EncoderSettings, read_settings
from jaxiso.encoders.weights import EncoderFiles, find_encoder
from jaxiso.errors import InputError

VALUES_VERSION = "1"  # raise it when the code below changes the vectors by more than rounding
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
        texts: the sentences; empty ones are allowed. Those longer than the encoder's limit are
            cut, and their number is noted on stderr.
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
        InputError: the encoder cannot be found or is not supported, or a text is not valid
            Unicode.
        TypeError: `texts` is a string, or holds something that is not one.
        ValueError: `tokens_per_batch` is below 1.
    """
    texts = _checked(texts)
    if tokens_per_batch is not None and operator.index(tokens_per_batch) < 1:
        raise ValueError(f"tokens_per_batch is {tokens_per_batch}, expected at least 1")
    files = find_encoder(encoder, quiet=quiet)
    settings = read_settings(files.directory)
    dim = settings.architecture.dim
    if settings.plain:
        note(
            f"note: {files.directory} has no modules.json; using mean pooling and vectors of "
            "length one",
            quiet=quiet,
        )
    if not texts:
        return np.zeros((0, dim), np.float32)
    facts = (
        VALUES_VERSION,
        file_digest(files.weights),
        file_digest(files.directory / "tokenizer.json"),
        repr(settings),
    )
    stored = (cache_dir or backend.cache_dir()) / "embeddings" / f"{cache_key(facts, texts)}.npy"
    vectors = load_vectors(stored, (len(texts), dim), quiet=quiet)
    if vectors is None:
        vectors = _encode(texts, files, settings, tokens_per_batch, quiet=quiet)
        save_vectors(stored, vectors, quiet=quiet)
    return vectors


def _checked(texts: Sequence[str]) -> list[str]:
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
    texts: list[str],
    files: EncoderFiles,
    settings: EncoderSettings,
    tokens_per_batch: int | None,
    *,
    quiet: bool,
) -> np.ndarray:
    import jax

    from jaxiso.encoders.batches import fill_batch, plan_batches, tokenize
    from jaxiso.encoders.transformer import encode_batch

    ids, cut = tokenize(texts, files.directory, settings)
    if cut:
        note(
            f"note: {cut:,} of {len(texts):,} texts are longer than {settings.max_tokens} tokens, "
            f"all that {files.name} takes; the rest of them is left out",
            quiet=quiet,
        )
    note(f"{files.name}: weights from {files.origin}", quiet=quiet)
    shape = settings.architecture
    params = _params(files.weights, file_digest(files.weights), shape)
    if tokens_per_batch is None:
        on_cpu = jax.default_backend() == "cpu"
        tokens_per_batch = TOKENS_ON_CPU if on_cpu else TOKENS_ON_ACCELERATOR
    lengths = np.array([len(one) for one in ids])
    vectors = np.empty((len(texts), shape.dim), np.float32)
    what = f"encoding with {files.name}"
    with Progress(what, len(texts), unit="sentences", quiet=quiet) as progress:
        for batch in plan_batches(lengths, settings.max_tokens, tokens_per_batch):
            tokens, mask = fill_batch(batch, ids, shape.pad_id)
            out = encode_batch(
                params, tokens, mask, architecture=shape, normalise=settings.normalise
            )
            vectors[batch.texts] = np.asarray(out)[: len(batch.texts)]
            progress.advance(len(batch.texts))
    if not np.isfinite(vectors).all():
        raise InputError(f"{files.weights} gives vectors that are not finite: it is damaged")
    return vectors


@functools.lru_cache(maxsize=2)
def _params(weights: Path, digest: str, shape: Architecture) -> Any:
    """Parameters on the device; kept for the next call while the file's digest stays the same."""
    import jax

    from jaxiso.encoders.checkpoint import read_params

    return jax.device_put(read_params(weights, shape))
