"""Words → ids and back: the vocabulary of a text model, and its file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from jaxiso.cli.console import InputError, note
from jaxiso.cli.files import read_json
from jaxiso.models.tokens import BOS, EOS, PAD, UNK

MARKS = ("<pad>", "<bos>", "<eos>")
"""What the first three ids are called; no text can contain them."""
UNKNOWN = "unk"
UNKNOWN_MARKS = frozenset({UNKNOWN, "_unk", "<unk>", "[unk]"})
"""How corpora write a word that they left out, in lower case."""


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids.

    Attributes:
        words: id 0 pads, 1 begins and 2 ends a sentence, 3 is `unk`, which stands for all words
            that are not here; then words, the frequent first, equally frequent ones by alphabet.
    """

    words: tuple[str, ...]

    @staticmethod
    def build(sentences: Sequence[Sequence[str]], size: int, *, quiet: bool = False) -> Vocabulary:
        """The most frequent words of `sentences`, `size` of them if there are as many.

        `unk` counts as one, since in the authors' data it is a word like others, and the three
        marks do not: the paper's 12K are 12,003 ids.

        Raises InputError if nothing but `unk` would be left.
        """
        if size < 2:
            raise InputError(
                f"vocabulary of {size}: nothing but unk would be left; it must be at least 2, "
                "unk and one word"
            )
        counts = Counter(chain.from_iterable(sentences))
        for word in (*MARKS, *UNKNOWN_MARKS):
            del counts[word]
        if not counts:
            raise InputError(
                f"none of the {len(sentences):,} sentences for the vocabulary has a word other "
                "than unk; give sentences with words"
            )
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        there = len(ranked) + 1
        if there < size:
            note(f"vocabulary: {there:,} words are all there are, not {size:,}", quiet=quiet)
        return Vocabulary((*MARKS, UNKNOWN, *ranked[: size - 1]))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each word; the marks have none, so that no text can contain one."""
        return {word: i for i, word in enumerate(self.words) if i >= UNK}

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell vocabularies apart."""
        return hashlib.sha256(json.dumps(self.words).encode()).hexdigest()[:16]

    def encode(self, sentence: Sequence[str]) -> np.ndarray:
        """Words → their ids and eos, int32 (words + 1,)."""
        ids = self.ids
        return np.array([*(ids.get(word, UNK) for word in sentence), EOS], dtype=np.int32)

    def decode(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        """Ids → words, up to the first eos; pad and bos are passed over."""
        words = []
        for i in map(int, ids):
            if i == EOS:
                break
            if i not in (PAD, BOS):
                words.append(self.words[i])
        return words

    def encode_all(
        self, sentences: Sequence[Sequence[str]], what: str, *, quiet: bool = False
    ) -> list[np.ndarray]:
        """Encodes many sentences, and says how many of the words of `what` ("train") are unk.

        Raises InputError if nothing but unk would be left.
        """
        encoded = [self.encode(sentence) for sentence in sentences]
        total, unknown = sum(len(ids) - 1 for ids in encoded), self.unknown(encoded)
        if total and unknown == total:
            raise InputError(
                f"{what}: all {total:,} words are unk in a vocabulary of {len(self) - UNK:,} "
                f"words, such as {', '.join(self.words[UNK + 1 :][:5])}; build it from like "
                "text, or a larger one (--vocabulary)"
            )
        share = unknown / max(total, 1)
        note(
            f"{what}: {unknown:,} of {total:,} words ({share:.1%}) are unk: not among the "
            f"{len(self) - UNK:,} of the vocabulary",
            quiet=quiet,
        )
        return encoded

    @staticmethod
    def unknown(encoded: Sequence[np.ndarray]) -> int:
        """The number of words in encoded sentences that are unk."""
        return sum(int((ids == UNK).sum()) for ids in encoded)

    @staticmethod
    def load(path: Path) -> Vocabulary:
        """Reads a run's vocabulary.json; InputError if it cannot be read, or is no vocabulary."""
        found = read_json(path)
        words = found.get("words") if isinstance(found, dict) else None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise InputError(f'{path}: not a vocabulary; it must hold {{"words": [strings]}}')
        first = (*MARKS, UNKNOWN)
        if tuple(words[: len(first)]) != first or len(set(words)) < len(words) or len(words) < 5:
            raise InputError(
                f"{path}: its words must be {', '.join(first)}, then at least one other, each once"
            )
        return Vocabulary(tuple(words))
