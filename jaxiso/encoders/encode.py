"""Texts → vectors: of sentences or of tokens, of the last layer or of every layer; kept on disk."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, overload

import numpy as np

from jaxiso.cli import machine
from jaxiso.cli.console import InputError, note
from jaxiso.encoders.architecture import read_size
from jaxiso.encoders.cache import Work, cache_key, cached_layers, load_vectors, save_vectors
from jaxiso.encoders.models import pooling_weights
from jaxiso.encoders.running import batches, open_texts, token_batches, token_places
from jaxiso.encoders.settings import normalises
from jaxiso.encoders.tokens import token_names
from jaxiso.encoders.weights import EncoderFiles, find_encoder, width

Layers = Literal["last", "all"] | Sequence[int]
Pooling = Literal["mean", "cls", "last"]
POOLINGS = ("mean", "cls", "last")


class TokenVectors(NamedTuple):
    """Vectors of tokens, text by text; special tokens such as [CLS] are left out.

    Attributes:
        vectors: float32 (n, dim), or (layers, n, dim).
        texts: int32 (n,), which text each is from.
        ids: int32 (n,), which token of the vocabulary each is.
        tokens: the same as the tokenizer writes them.
    """

    vectors: np.ndarray
    texts: np.ndarray
    ids: np.ndarray
    tokens: list[str]


@overload
def encode(
    texts: Sequence[str],
    encoder: str = ...,
    *,
    layers: Layers = ...,
    pooling: Pooling = ...,
    tokens: Literal[False] = ...,
    batch_size: int | None = ...,
    cache_dir: Path | None = ...,
    quiet: bool = ...,
) -> np.ndarray: ...
@overload
def encode(
    texts: Sequence[str],
    encoder: str = ...,
    *,
    layers: Layers = ...,
    pooling: Pooling = ...,
    tokens: Literal[True],
    batch_size: int | None = ...,
    cache_dir: Path | None = ...,
    quiet: bool = ...,
) -> TokenVectors: ...
def encode(
    texts: Sequence[str],
    encoder: str = "minilm",
    *,
    layers: Layers = "last",
    pooling: Pooling = "mean",
    tokens: bool = False,
    batch_size: int | None = None,
    cache_dir: Path | None = None,
    quiet: bool = False,
) -> np.ndarray | TokenVectors:
    """Encodes texts, and keeps the result on disk.

    By default (`layers="last"`, `pooling="mean"`) the vectors are those of sentence-transformers:
    with the model's own Normalize, which most have, they have length one. A model without
    modules.json is taken for one that has it. Every other choice gives the network's states as they
    are, never normalised, and what sentence-transformers would add is not looked for; so
    `layers=[-1]` is the last layer before normalisation. Layer 0 is the embedding layer.

    BERT, MPNet and RoBERTa run in Flax; other models in PyTorch, by the extra `jaxiso[torch]`.

    Args:
        texts: may be empty. Those longer than the encoder's limit are cut, and their number is
            noted on stderr.
        encoder: `minilm`, `mpnet` or `roberta`; a directory; or a hub id (`owner/name`).
        layers: "last"; or "all", from 0 to the number of layers; or numbers of them, negative ones
            from the end. All are computed in one pass.
        pooling: a text's vector is the "mean" of its tokens, special ones included; its first
            token, "cls"; or its "last".
        tokens: give the vectors of single tokens instead.
        batch_size: texts at a time, rounded down to a power of two; by default as many as suit
            their length and the device. It changes vectors by rounding only (about 1e-7), so the
            cache does not ask for it.
        cache_dir: where vectors are kept between runs (default `$JAXISO_CACHE`, else
            `~/.cache/jaxiso`).
        quiet: no progress bar and no notes.

    Returns:
        float32 (n, dim), in the order of `texts`; (layers, n, dim) unless layers is "last". With
        `tokens`, `TokenVectors`.

    Raises:
        InputError: the encoder is not found or not supported, or a text is not valid Unicode.
        TypeError: `texts` is a string, or holds something that is not one.
        ValueError: `layers`, `pooling` or `batch_size` is not allowed.
    """
    texts = check_texts(texts)
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}, expected one of {', '.join(POOLINGS)}")
    if batch_size is not None and operator.index(batch_size) < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    files = find_encoder(encoder, quiet=quiet)
    folder = (cache_dir or machine.cache_dir()) / "embeddings"
    work = Work(texts, files, folder, batch_size, quiet)
    last = isinstance(layers, str) and layers == "last"
    if last and pooling == "mean" and not tokens:
        return _sentences(work)
    numbers = layer_numbers(layers, files)
    if tokens:
        found = _of_tokens(work, numbers)
        return found._replace(vectors=found.vectors[0]) if last else found
    vectors = _pooled(work, numbers, pooling)
    return vectors[0] if last else vectors


def layer_numbers(layers: Layers, files: EncoderFiles) -> tuple[int, ...]:
    """Numbers of layers, 0 for the embedding layer; ValueError if there is no such layer."""
    last = read_size(files.directory, "num_hidden_layers")
    if isinstance(layers, str):
        if layers not in ("last", "all"):
            raise ValueError(f"layers is {layers!r}, expected 'last', 'all' or a list of numbers")
        return (last,) if layers == "last" else tuple(range(last + 1))
    numbers = tuple(operator.index(layer) for layer in layers)
    for layer in numbers:
        if not -last - 1 <= layer <= last:
            raise ValueError(f"layer {layer}: {files.name} has the layers 0 to {last}")
    if not numbers:
        raise ValueError("layers is empty, expected at least one number")
    return tuple(layer % (last + 1) for layer in numbers)


def check_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list; an error names the first that is no text."""
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


def _sentences(work: Work) -> np.ndarray:
    """What sentence-transformers gives."""
    texts, files, folder, batch_size, quiet = work
    if not (files.directory / "modules.json").is_file():
        assumed = "using mean pooling and vectors of length one"
        note(f"note: {files.directory} has no modules.json; {assumed}", quiet=quiet)
    if not texts:
        return np.zeros((0, width(files.directory)), np.float32)
    stored = folder / f"{cache_key(files, texts)}.safetensors"
    vectors = load_vectors(stored, len(texts), quiet=quiet)
    if vectors is None:
        normalise = normalises(files.directory)
        model, found = open_texts(texts, files, quiet=quiet)
        vectors = np.empty((len(texts), model.dim), np.float32)
        for mine, ids, mask in batches(model, found, files.name, batch_size, quiet=quiet):
            out = model.sentences(ids, mask, normalise=normalise)
            vectors[mine] = out[: len(mine)]
        files.check_finite(vectors)
        save_vectors(stored, vectors, quiet=quiet)
    return vectors


def _pooled(work: Work, numbers: tuple[int, ...], pooling: Pooling) -> np.ndarray:
    """Texts' vectors, (layers, n, dim)."""
    texts, files, quiet = work.texts, work.files, work.quiet
    if not texts:
        return np.zeros((len(numbers), 0, width(files.directory)), np.float32)

    def make(missing: tuple[int, ...]) -> np.ndarray:
        model, found = open_texts(texts, files, quiet=quiet)
        made = np.empty((len(missing), len(texts), model.dim), np.float32)
        for mine, ids, mask in batches(model, found, files.name, work.batch_size, quiet=quiet):
            out = model.states(ids, mask, missing, pooling_weights(mask, pooling))
            made[:, mine] = out[:, : len(mine)]
        return made

    return cached_layers(work, pooling, numbers, len(texts), make)


def _of_tokens(work: Work, numbers: tuple[int, ...]) -> TokenVectors:
    """Tokens' vectors, (layers, n, dim)."""
    texts, files, quiet = work.texts, work.files, work.quiet
    model, found = open_texts(texts, files, quiet=quiet)
    ids, owners, starts = token_places(found)

    def make(missing: tuple[int, ...]) -> np.ndarray:
        made = np.empty((len(missing), len(ids), model.dim), np.float32)
        for batch in token_batches(model, found, files, missing, work.batch_size, quiet=quiet):
            for row, text in enumerate(batch.texts):
                made[:, starts[text] : starts[text + 1]] = batch.states[:, row, batch.mask[row]]
        return made

    vectors = cached_layers(work, "tokens", numbers, len(ids), make)
    distinct, place = np.unique(ids, return_inverse=True)
    names = token_names(files.directory, distinct)
    return TokenVectors(vectors, owners, ids, [names[i] for i in place.tolist()])
