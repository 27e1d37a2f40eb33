"""A corpus's sentences → train, dev and test with class ids: drawn, split and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.sentences import SPLITS, Sentence
from jaxiso.data.sources import Facts, class_id, kind

Sizes = tuple[int, int, int]
FEWEST = 10


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Split:
    """Sentences for one use.

    Attributes:
        sentences: the words of each.
        labels: (n,) int32 class ids, or None where the corpus has none.
        cut: how many were longer than the limit and lost their end.
    """

    sentences: list[list[str]]
    labels: np.ndarray | None
    cut: int = 0

    def __len__(self) -> int:
        return len(self.sentences)


class Read(NamedTuple):
    """What was read, before labels are checked and missing splits are made.

    Attributes:
        source: where from, for people.
        parts: the sentences of each split that there is; one part, "all", where there are none.
        sized: the parts were drawn to size already.
    """

    source: str
    parts: dict[str, list[Sentence]]
    sized: bool = False


def even_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in random order, of every class one in turn, as long as it has some."""
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = labels[order] == label
        turn[mine] = np.arange(mine.sum())
    return order[np.argsort(turn, kind="stable")]


def draw(order: np.ndarray, sizes: Iterable[int], source: str) -> list[np.ndarray]:
    """The first rows of `order`, then the next, …; each sample in the corpus's own order.

    Raises InputError if there are not as many.
    """
    sizes = list(sizes)
    if sum(sizes) > len(order):
        wanted = " + ".join(f"{size:,}" for size in sizes)
        raise InputError(
            f"{source}: {wanted} sentences are wanted, and {len(order):,} are there; ask for fewer"
        )
    ends = np.cumsum(sizes)
    return [np.sort(order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def label_ids(read: Read, facts: Facts) -> tuple[dict[str, np.ndarray] | None, tuple[str, ...]]:
    """The class ids of every part, or None if there are no labels; and the names of the classes.

    The classes of `facts` may occur; where it has none, those that occur are the classes.

    Raises InputError for labels on some rows only, of two kinds, or unknown ones.
    """
    sentences = [sentence for part in read.parts.values() for sentence in part]
    labelled = [sentence for sentence in sentences if sentence.label is not None]
    without = [sentence for sentence in sentences if sentence.label is None]
    if not labelled:
        return None, ()
    if without:
        raise InputError(
            f"{without[0].where}: no label; {len(without):,} of "
            f"{len(sentences):,} sentences have none, but others have, such as "
            f"{labelled[0].where}; give a 'label' on every row, or on none"
        )
    if not facts.classes:
        _check_kinds(labelled)
    names: list[Any] = list(facts.classes) or sorted({s.label for s in labelled})  # pyright: ignore
    known: dict[Any, int] = {name: i for i, name in enumerate(names)}
    labels = {}
    for name, part in read.parts.items():
        ids = [
            class_id(label, "label", where, facts) if facts.classes else known[label]
            for where, _, label, _ in part
        ]
        labels[name] = np.array(ids, dtype=np.int32)
    return labels, tuple(map(str, names))


def _check_kinds(labelled: list[Sentence]) -> None:
    first = labelled[0]
    for where, _, label, _ in labelled:
        if type(label) not in (int, str):  # a bool is no class
            raise InputError(f"{where}: label {kind(label)}; it must be a whole number or a string")
        if type(label) is not type(first.label):
            raise InputError(
                f"{where}: label {label!r} is of another kind than {first.label!r} at "
                f"{first.where}; labels must be whole numbers or strings throughout"
            )


def three_parts(
    read: Read, labels: dict[str, np.ndarray] | None, sizes: Sizes | None, rng: np.random.Generator
) -> tuple[list[Split], str]:
    """Makes the splits that are missing, and draws `sizes` sentences if there are more.

    Returns train, dev and test; and how they came about, for people.

    Raises InputError if there are too few sentences.
    """
    found: dict[str, Split] = {}
    pools, how = _pools(list(read.parts), sizes is not None)
    for names, wanted in pools:
        sentences = [sentence for name in names for sentence in read.parts[name]]
        ids = np.concatenate([labels[name] for name in names]) if labels else None
        total, others = len(sentences), len(wanted) - 1
        if others and total < FEWEST:
            raise InputError(
                f"{read.source}: only {total} sentences to split; at least {FEWEST} are needed"
            )
        counts = [total - others * (total // 10), *[total // 10] * others]
        if sizes is not None:
            counts = [sizes[SPLITS.index(split)] for split in wanted]
        drawn = draw(rng.permutation(total), counts, read.source)
        for split, rows in zip(wanted, drawn, strict=True):
            chosen = [sentences[row] for row in rows]
            found[split] = Split(
                [sentence.words for sentence in chosen],
                None if ids is None else ids[rows],
                sum(sentence.cut for sentence in chosen),
            )
    if read.sized:
        how = "train and dev drawn from its training split, test from its test split, classes even"
    return [found[split] for split in SPLITS], how


def _pools(there: list[str], drawn: bool) -> tuple[list[tuple[list[str], list[str]]], str]:
    """Which parts that are there serve which splits; and the same in words."""
    missing = [split for split in SPLITS if split not in there]
    if "train" in there:
        others = [([split], [split]) for split in there if split != "train"]
        how = "drawn from its own splits" if drawn else "its own splits"
        if missing:
            how += f", but {' and '.join(missing)} drawn from train, which has none"
        return [(["train"], ["train", *missing]), *others], how
    how = "drawn at random" if drawn else "split 80/10/10"
    if there != ["all"]:  # nothing to train on: then the test set cannot stay apart either
        how = f"there is no train split: all sentences of {' and '.join(there)} {how}"
    return [(there, list(SPLITS))], how
