"""Token ids → batches of few shapes.

XLA compiles once per shape, and padding is computed like words. So texts are sorted by length, and
each batch takes one of a few lengths; a length always comes with the same number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LENGTHS = (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512)


class Batch(NamedTuple):
    """Which texts go together, and the shape of their batch.

    Attributes:
        texts: int (m,), indices of texts; m ≤ rows, and less only in the last batch.
        rows: a power of two.
        tokens: number of columns.
    """

    texts: np.ndarray
    rows: int
    tokens: int


def plan_batches(
    lengths: np.ndarray, max_tokens: int, tokens_per_batch: int, most_rows: int | None = None
) -> list[Batch]:
    """Splits texts into batches, longest first.

    A batch that is not full of long texts takes shorter ones along, so that only the very last
    has empty rows. Longest first: the estimate of the time left errs on the safe side, and a batch
    too large for the memory fails at once.

    Args:
        lengths: int (n,), tokens of each text, at most `max_tokens`.
        max_tokens: the longest text that the encoder takes.
        tokens_per_batch: rows × columns of a batch are at most this, where one row fits.
        most_rows: texts of a batch at most, in place of `tokens_per_batch`.

    Returns:
        Batches that hold each text once.
    """
    order = np.argsort(-lengths, kind="stable")
    # A handful of texts needs no full batch; the power of two keeps the shapes few.
    enough = 1 << (max(len(order), 1) - 1).bit_length()
    batches: list[Batch] = []
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        multiple = -(-longest // LENGTHS[-1]) * LENGTHS[-1]
        tokens = min(next((n for n in LENGTHS if n >= longest), multiple), max_tokens)
        fitting = most_rows or max(tokens_per_batch // tokens, 1)
        rows = min(1 << (fitting.bit_length() - 1), enough)
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
