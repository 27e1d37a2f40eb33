"""Sentences that lost words, as paper B gives them to its encoders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxiso.data.vocabulary import EOS_ID


def delete_words(
    sentences: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Deletes words at random; those that are left keep their order.

    Args:
        sentences: ids with eos.
        share: of the words to delete, 0 to 1: of n words int((1 - share)·n) are kept, at least 1.
        rng: draws them.

    Reference: paper B, Section 3.2, with 0.3.
    """
    kept = []
    for ids in sentences:
        words = ids[:-1]
        chosen = np.sort(rng.permutation(len(words))[: _left(len(words), share)])
        kept.append(np.append(words[chosen], EOS_ID).astype(ids.dtype))
    return kept


def hide_end(sentences: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """Leaves the beginning of each sentence, and ends it there.

    The authors' code leaves the eos out as well, at which their encoder reads its state, so that it
    says the same of every sentence; here the beginning is a sentence of its own.

    Args:
        sentences: ids with eos.
        share: of the words to hide, 0 to 1.

    Reference: paper B, Table 1, with 0.75.
    """
    return [
        np.append(ids[: _left(len(ids) - 1, share)], EOS_ID).astype(ids.dtype) for ids in sentences
    ]


def _left(words: int, share: float) -> int:
    # 0.7 · 10 is 6.999… in floating point.
    return min(words, max(1, int((1 - share) * words + 1e-9)))
