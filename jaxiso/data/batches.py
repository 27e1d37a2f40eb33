"""Sentences in ids: batches of few shapes, and edits that take words away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxiso.cli.console import InputError, several
from jaxiso.models.tokens import EOS, PAD


class Batch(NamedTuple):
    """Sentences of one shape.

    Attributes:
        tokens: int32 (b, t), ids with eos, then 0.
        lengths: int32 (b,), number of ids with eos.
        rows: float32 (b,), 1 for a sentence, 0 for a row that only fills the batch; that one holds
            a lone eos, so that no computation meets an empty sentence.
        indices: int32 (b,), which sentence it is; -1 for a row that only fills the batch.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    indices: np.ndarray


Batching = Literal["buckets", "faithful"]
Plan = list[tuple[np.ndarray, int]]
"""For each batch, which sentences it holds, at most `batch_size`, and its length."""


class Batches:
    """The batches of every epoch, each sentence once; the same for the same seed and epoch.

    'buckets': sentences of like length go together, padded to one of `most_lengths` lengths, chosen
    so that padding is least. A bucket's sentences that fill no batch go to the next longer bucket,
    at random anew in each epoch; so only one batch an epoch, a short one, has empty rows, and there
    are as many updates as without buckets. At which step comes which length depends on the epoch
    alone: runs of several seeds can be stacked.

    'faithful': sentences in random order, each batch padded to its longest as the authors did,
    rounded up to a multiple of 8 to bound the number of shapes.

    The sentences are ids with eos, as `Vocabulary.encode` gives; `seed` is that of the order.
    Raises InputError if there are no sentences, or the batch size is below 1.
    """

    def __init__(
        self,
        sentences: Sequence[np.ndarray],
        batch_size: int,
        *,
        seed: int = 0,
        batching: Batching = "buckets",
        most_lengths: int = 6,
    ) -> None:
        if not sentences:
            raise InputError("there are no sentences to make batches of")
        if batch_size < 1:
            raise InputError(f"batch size {batch_size}: it must be at least 1")
        self.batch_size, self.seed, self.batching = batch_size, seed, batching
        self._flat = np.concatenate(sentences)
        self._lengths = np.array([len(ids) for ids in sentences], dtype=np.int32)
        self._starts = np.cumsum(self._lengths, dtype=np.int64) - self._lengths
        # Rows that fill the last batch stand for sentences of length 0.
        self._empty = np.full(-len(sentences) % batch_size, -1)
        ascending = np.sort(np.concatenate([self._empty, self._lengths]))
        self._ladder = choose_lengths(ascending[batch_size - 1 :: batch_size], most_lengths)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self._lengths) // self.batch_size)

    @property
    def sentences(self) -> int:
        """Number of sentences in an epoch."""
        return len(self._lengths)

    @property
    def tokens(self) -> int:
        """Number of ids in an epoch, eos included, padding not."""
        return int(self._lengths.sum())

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on, where a stopped run resumes."""
        for members, length in self.plan(number)[start:]:
            yield self._fill(members, length)

    def in_order(self) -> Iterator[Batch]:
        """The batches for an evaluation: nothing at random, short sentences first if in buckets."""
        for members, length in self.plan(None):
            yield self._fill(members, length)

    def plan(self, epoch: int | None) -> Plan:
        """The batches of an epoch, not yet filled; None means those of `in_order`."""
        members = np.arange(len(self._lengths))
        if epoch is not None:
            members = np.random.default_rng((self.seed, epoch)).permutation(members)
        if self.batching == "faithful":
            most = int(self._lengths.max())
            parts = [(part, int(self._lengths[part].max())) for part in self._cut(members)]
            return [(part, min(-(-longest // 8) * 8, most)) for part, longest in parts]
        plan: Plan = []
        bucket = np.searchsorted(self._ladder, self._lengths[members])
        rest = self._empty
        for i, length in enumerate(self._ladder.tolist()):
            # The rest comes first: what could move up twice would be padded more than it need be.
            waiting = np.concatenate([rest, members[bucket == i]])
            full = len(waiting) // self.batch_size * self.batch_size
            plan += [(part[part >= 0], length) for part in self._cut(waiting[:full])]
            rest = waiting[full:]
        if epoch is None:
            return plan
        order = np.random.default_rng((epoch,)).permutation(len(plan))
        return [plan[i] for i in order]

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's ids that are padding, rows that fill a batch included."""
        held = sum(self.batch_size * length for _, length in self.plan(epoch))
        return 1 - self.tokens / held

    def describe(self) -> str:
        """The batches in words, such as `109 batches of 128 in buckets, 3 lengths 9…17, …`."""
        lengths = sorted({length for _, length in self.plan(0)})
        kind = "in buckets" if self.batching == "buckets" else "padded to their longest"
        some = f"{lengths[0]}…{lengths[-1]}" if len(lengths) > 1 else str(lengths[0])
        return (
            f"{len(self):,} batches of {self.batch_size} an epoch, {kind}: "
            f"{several(len(lengths), 'length')} ({some}), {self.padding():.1%} padding"
        )

    def _cut(self, members: np.ndarray) -> list[np.ndarray]:
        size = self.batch_size
        return [members[start : start + size] for start in range(0, len(members), size)]

    def _fill(self, members: np.ndarray, length: int) -> Batch:
        tokens = np.full((self.batch_size, length), PAD, np.int32)
        lengths = np.ones(self.batch_size, np.int32)
        indices = np.full(self.batch_size, -1, np.int32)
        indices[: len(members)] = members
        lengths[: len(members)] = self._lengths[members]
        tokens[len(members) :, 0] = EOS
        column = np.arange(length)
        here = column < self._lengths[members, None]
        source = (self._starts[members, None] + column)[here]
        tokens[: len(members)][here] = self._flat[source]
        return Batch(tokens, lengths, (indices >= 0).astype(np.float32), indices)


def choose_lengths(lengths: np.ndarray, most: int) -> np.ndarray:
    """The lengths to pad to, int (k,), k ≤ `most`, with which padding is least.

    They ascend; the last is the longest sentence's. Exact, by dynamic programming over the distinct
    ones of the sentences' `lengths`, int (n,).
    """
    distinct, counts = np.unique(lengths, return_counts=True)
    if len(distinct) <= most:
        return distinct
    below = np.concatenate([[0], np.cumsum(counts)])  # sentences shorter than distinct[i]
    # cost[i, j]: places held by the sentences of distinct[i … j] if all are padded to distinct[j].
    # The words are the same in every choice, so the fewest places have the least padding.
    cost = (below[None, 1:] - below[:-1, None]) * distinct.astype(np.float64)
    cost[np.tril_indices(len(distinct), -1)] = np.inf
    best, first = cost[0], []
    for _ in range(most - 1):
        # The last of the lengths serves distinct[i … j], the others all below i.
        options = cost + np.concatenate([[0.0], best[:-1]])[:, None]
        first.append(options.argmin(axis=0))
        best = options.min(axis=0)
    ladder, last = [], len(distinct) - 1
    for begin in reversed(first):
        ladder.append(distinct[last])
        last = begin[last] - 1
        if last < 0:
            return np.array(ladder[::-1])
    return np.array([distinct[last], *ladder[::-1]])


def delete_words(
    sentences: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Deletes words at random; those that are left keep their order.

    Of n words of a sentence (ids with eos) int((1 - share)·n) are kept, at least 1.

    Reference: paper B, Section 3.2, with 0.3.
    """
    kept = []
    for ids in sentences:
        words = ids[:-1]
        chosen = np.sort(rng.permutation(len(words))[: _left(len(words), share)])
        kept.append(np.append(words[chosen], EOS).astype(ids.dtype))
    return kept


def hide_end(sentences: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """Leaves the beginning of each sentence (ids with eos), without a `share` of its words.

    The authors' code leaves the eos out as well, at which their encoder reads its state, so that it
    says the same of every sentence; here the beginning is a sentence of its own.

    Reference: paper B, Table 1, with 0.75.
    """
    return [
        np.append(ids[: _left(len(ids) - 1, share)], EOS).astype(ids.dtype) for ids in sentences
    ]


def _left(words: int, share: float) -> int:
    # 0.7 · 10 is 6.999… in floating point.
    return min(words, max(1, int((1 - share) * words + 1e-9)))
