"""Vectors of some tokens of many texts, of every layer, in one pass over the texts.

All layers of all tokens would not fit in memory; which tokens are kept is drawn before the pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.cli.machine import cache_dir
from jaxiso.encoders.cache import Work, cached_layers
from jaxiso.encoders.encode import check_texts, layer_numbers
from jaxiso.encoders.running import open_texts, token_batches, token_places
from jaxiso.encoders.weights import find_encoder

CONTEXTS = 5  # texts that a word must be in, as in Ethayarajh (2019)
OCCURRENCES = 20  # of a word that are taken at most, each of another text


class TokenSample(NamedTuple):
    """Some tokens; special ones such as [CLS] are none. The parts may share tokens.

    Attributes:
        vectors: float32 (layers, m, dim).
        texts: int32 (m,), which text each is from.
        ids: int32 (m,), which token of the vocabulary each is.
        drawn: rows of tokens drawn at random from all texts.
        words: rows of tokens that occur in at least `CONTEXTS` texts, each from another text.
        whole: rows of all tokens of some texts.
        of: number of tokens in all texts.
    """

    vectors: np.ndarray
    texts: np.ndarray
    ids: np.ndarray
    drawn: np.ndarray
    words: np.ndarray
    whole: np.ndarray
    of: int


def sample_tokens(
    texts: Sequence[str],
    encoder: str,
    *,
    size: int,
    seed: int = 0,
    batch_size: int | None = None,
    quiet: bool = False,
) -> TokenSample:
    """Encodes texts, and keeps all layers of some of their tokens, in memory and on disk.

    Args:
        texts: at least one token in all.
        encoder: as in `encode`.
        size: tokens to draw; at most half as many again are taken of words, and of whole texts.
        seed: of all draws.
        batch_size: as in `encode`.
        quiet: no progress bar and no notes.

    Raises InputError: as `encode`, or the texts have fewer than two tokens.
    """
    files = find_encoder(encoder, quiet=quiet)
    work = Work(check_texts(texts), files, cache_dir() / "embeddings", batch_size, quiet)
    numbers = layer_numbers("all", files)
    model, found = open_texts(work.texts, files, quiet=quiet)
    ids, owners, starts = token_places(found)
    if len(ids) < 2:
        raise InputError(f"the texts have {len(ids)} tokens in all; there must be at least two")
    random = np.random.default_rng([seed, 0x70CE])
    parts = (
        np.sort(random.permutation(len(ids))[:size]),
        _of_words(ids, owners, size // 2, random),
        _of_whole_texts(starts, size // 2, random),
    )
    kept = np.unique(np.concatenate(parts))

    def make(missing: tuple[int, ...]) -> np.ndarray:
        made = np.empty((len(missing), len(kept), model.dim), np.float32)
        for batch in token_batches(model, found, files, missing, batch_size, quiet=quiet):
            for row, text in enumerate(batch.texts):
                first, last = np.searchsorted(kept, starts[text : text + 2])
                columns = np.flatnonzero(batch.mask[row])[kept[first:last] - starts[text]]
                made[:, first:last] = batch.states[:, row, columns]
        return made

    what = f"tokens, {size} drawn by {seed}"
    vectors = cached_layers(work, what, numbers, len(kept), make)
    drawn, words, whole = (np.searchsorted(kept, part) for part in parts)
    return TokenSample(vectors, owners[kept], ids[kept], drawn, words, whole, len(ids))


def _of_words(
    ids: np.ndarray, owners: np.ndarray, size: int, random: np.random.Generator
) -> np.ndarray:
    """Places of tokens that occur in many texts: of each, one place in each of some texts."""
    order = random.permutation(len(ids))
    pairs = ids[order].astype(np.int64) * (int(owners.max()) + 1) + owners[order]
    places = random.permutation(order[np.unique(pairs, return_index=True)[1]])
    places = places[np.argsort(ids[places], kind="stable")]
    _, firsts, counts = np.unique(ids[places], return_index=True, return_counts=True)
    chosen: list[np.ndarray] = []
    left = size
    for word in random.permutation(np.flatnonzero(counts >= CONTEXTS)):
        mine = places[firsts[word] : firsts[word] + min(counts[word], OCCURRENCES)]
        if len(mine) <= left:
            chosen.append(mine)
            left -= len(mine)
    return np.sort(np.concatenate([np.zeros(0, np.int64), *chosen]))


def _of_whole_texts(starts: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Places of all tokens of some texts, of at least two tokens each."""
    chosen: list[np.ndarray] = []
    left = size
    for text in random.permutation(np.flatnonzero(np.diff(starts) > 1)):
        mine = np.arange(int(starts[text]), int(starts[text + 1]))
        if chosen and len(mine) > left:
            break
        chosen.append(mine)
        left -= len(mine)
    return np.sort(np.concatenate([np.zeros(0, np.int64), *chosen]))
