"""Texts → token ids → batches of few shapes.

XLA compiles once per shape, and padding is computed like words. So texts are sorted by length, and
each batch takes one of a few lengths; a length always comes with the same number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxiso.encoders.settings import EncoderSettings
from jaxiso.errors import InputError

LENGTHS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512)
TEXTS_AT_ONCE = 4096  # the tokenizer's own objects are large; ours are four bytes a token


class Batch(NamedTuple):
    """Which texts go together, and the shape of their batch.

    Attributes:
        texts: int (m,), indices of texts; m ≤ rows, and less only in the last batch.
        rows: number of rows, a power of two.
        tokens: number of columns.
    """

    texts: np.ndarray
    rows: int
    tokens: int


def tokenize(
    texts: Sequence[str], directory: Path, settings: EncoderSettings
) -> tuple[list[np.ndarray], int]:
    """Token ids of every text, special tokens included.

    Args:
        texts: the texts; surrounding blanks are dropped as sentence-transformers does (to
            RoBERTa's tokenizer a leading blank is part of the word).
        directory: holds tokenizer.json.
        settings: gives the length to cut at.

    Returns:
        One int32 array per text, and the number of texts that were cut.

    Raises:
        InputError: tokenizer.json cannot be read, or knows more tokens than the model.
    """
    from tokenizers import Tokenizer

    path = directory / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises bare Exception
        raise InputError(f"{path} cannot be read as a tokenizer: {error}") from None
    tokenizer.no_padding()  # published files have both set, to 128 tokens
    tokenizer.enable_truncation(max_length=settings.max_tokens)
    ids: list[np.ndarray] = []
    cut = 0
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        chunk = [text.strip() for text in texts[start : start + TEXTS_AT_ONCE]]
        if settings.lower:
            chunk = [text.lower() for text in chunk]
        for encoding in tokenizer.encode_batch_fast(chunk):
            ids.append(np.asarray(encoding.ids, np.int32))
            cut += bool(encoding.overflowing)
    highest = max((int(one.max()) for one in ids if one.size), default=0)
    if highest >= settings.architecture.vocabulary:
        raise InputError(
            f"{path} gives the token {highest}, but the model in the same folder has only "
            f"{settings.architecture.vocabulary} tokens: they do not belong together"
        )
    return ids, cut


def plan_batches(lengths: np.ndarray, max_tokens: int, tokens_per_batch: int) -> list[Batch]:
    """Splits texts into batches, longest first.

    A batch that is not full of long texts takes shorter ones along, so that only the very last
    has empty rows. Longest first: the estimate of the time left errs on the safe side, and a batch
    too large for the memory fails at once.

    Args:
        lengths: int (n,), tokens of each text, at most `max_tokens`.
        max_tokens: the longest text that the encoder takes.
        tokens_per_batch: rows × columns of a batch are at most this, where one row fits.

    Returns:
        Batches that hold each text once.
    """
    order = np.argsort(-lengths, kind="stable")
    # A handful of texts needs no full batch; the power of two keeps the shapes few.
    enough = _power_of_two_above(len(order))
    batches = []
    start = 0
    while start < len(order):
        tokens = _columns(int(lengths[order[start]]), max_tokens)
        rows = min(_power_of_two_below(tokens_per_batch // tokens), enough)
        batches.append(Batch(order[start : start + rows], rows, tokens))
        start += rows
    return batches


def fill_batch(
    batch: Batch, ids: Sequence[np.ndarray], pad_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of a batch: ids int32 (rows, tokens) and mask bool (rows, tokens)."""
    tokens = np.full((batch.rows, batch.tokens), pad_id, np.int32)
    mask = np.zeros((batch.rows, batch.tokens), bool)
    for row, text in enumerate(batch.texts):
        tokens[row, : len(ids[text])] = ids[text]
        mask[row, : len(ids[text])] = True
    return tokens, mask


def _columns(longest: int, max_tokens: int) -> int:
    for length in LENGTHS:
        if length >= longest:
            return min(length, max_tokens)
    return min(-(-longest // LENGTHS[-1]) * LENGTHS[-1], max_tokens)


def _power_of_two_below(number: int) -> int:
    return 1 << (max(number, 1).bit_length() - 1)


def _power_of_two_above(number: int) -> int:
    return 1 << (max(number, 1) - 1).bit_length()
