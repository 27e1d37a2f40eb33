"""A corpus's sentences → train, dev and test with class ids: drawn, split and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np

from jaxiso.data.sentences import SPLITS, CorpusFacts, Maker, Sentence, Sizes, Text, string_field
from jaxiso.data.sources import hub_table, shorten
from jaxiso.data.tasks import Hub
from jaxiso.errors import InputError

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
        classes: label names, in label order, as far as they are known beforehand.
        sized: the parts were drawn to size already.
    """

    source: str
    parts: dict[str, list[Sentence]]
    classes: tuple[str, ...]
    sized: bool = False


def hub_parts(
    facts: CorpusFacts, hub: Hub, sizes: Sizes, maker: Maker, rng: np.random.Generator
) -> dict[str, list[Sentence]]:
    """Draws train and dev from the hub's training split, test from its test split."""
    parts: dict[str, list[Sentence]] = {}
    for split, wanted in (
        ("train", {"train": sizes[0], "validation": sizes[1]}),
        ("test", {"test": sizes[2]}),
    ):
        place = replace(hub, split=split)
        fields = (facts.text_field, facts.label_field)
        data = hub_table(place, fields, facts.label_field, facts.classes, f"corpus {facts.name!r}")
        labels = np.asarray(cast("Any", data)[facts.label_field][:])
        drawn = _draw(_even_order(labels, rng), wanted.values(), str(place))
        for part, rows in zip(wanted, drawn, strict=True):
            table = cast("list[dict[str, Any]]", data.select(rows).to_list())
            texts = []
            for i, row in zip(rows + 1, table, strict=True):
                text = string_field(row, facts.text_field, f"{place}, row {i}")
                texts.append(Text(f"{place}, row {i}", text, row[facts.label_field]))
            parts[part] = maker.make(texts, facts, local=False)
    return parts


def _even_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in random order, of every class one in turn, as long as it has some."""
    order = rng.permutation(len(labels))
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        mine = labels[order] == label
        turn[mine] = np.arange(mine.sum())
    return order[np.argsort(turn, kind="stable")]


def _draw(order: np.ndarray, sizes: Iterable[int], source: str) -> list[np.ndarray]:
    """The first rows of `order`, then the next, …; each sample in the corpus's own order."""
    sizes = list(sizes)
    if sum(sizes) > len(order):
        wanted = " + ".join(f"{size:,}" for size in sizes)
        raise InputError(
            f"{source}: {wanted} sentences are wanted, and {len(order):,} are there; ask for fewer"
        )
    ends = np.cumsum(sizes)
    return [np.sort(order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def label_ids(
    read: Read, facts: CorpusFacts
) -> tuple[dict[str, np.ndarray] | None, tuple[str, ...]]:
    """The class ids of every part, or None if there are no labels; and the names of the classes."""
    sentences = [sentence for part in read.parts.values() for sentence in part]
    labelled = [sentence for sentence in sentences if sentence.label is not None]
    if not labelled:
        return None, ()
    if len(labelled) < len(sentences):
        without = next(sentence for sentence in sentences if sentence.label is None)
        raise InputError(
            f"{without.where}: no label; {len(sentences) - len(labelled):,} of "
            f"{len(sentences):,} sentences have none, but others have, such as "
            f"{labelled[0].where}; give a 'label' on every row, or on none"
        )
    for sentence in labelled:
        _check_label(sentence, labelled[0], read.classes, facts)
    found = {cast("Any", sentence.label) for sentence in labelled}
    names = read.classes or sorted(found)
    ids: dict[Any, int] = {name: i for i, name in enumerate(names)}
    if read.classes:
        ids |= {i: i for i in range(len(names))}
    labels = {
        name: np.array([ids[sentence.label] for sentence in part], dtype=np.int32)
        for name, part in read.parts.items()
    }
    return labels, tuple(map(str, names))


def _check_label(
    sentence: Sentence, first: Sentence, classes: tuple[str, ...], facts: CorpusFacts
) -> None:
    where, _, label, _ = sentence
    if type(label) not in (int, str):  # a bool is no class
        raise InputError(
            f"{where}: label {shorten(label)} ({type(label).__name__}); it must be a whole number "
            "or a string"
        )
    if not classes and type(label) is not type(first.label):
        raise InputError(
            f"{where}: label {label!r} is of another kind than {first.label!r} at {first.where}; "
            "labels must be whole numbers or strings throughout"
        )
    if classes and label not in classes and label not in range(len(classes)):
        raise InputError(
            f"{where}: {label!r} is not a label of corpus {facts.name!r}; allowed: whole numbers "
            f"0 to {len(classes) - 1}, or their names {', '.join(classes)}"
        )


def three_parts(
    read: Read,
    labels: dict[str, np.ndarray] | None,
    sizes: Sizes | None,
    rng: np.random.Generator,
) -> tuple[tuple[Split, Split, Split], str]:
    """Makes the splits that are missing, and draws `sizes` sentences if there are more."""
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
        for split, rows in zip(
            wanted, _draw(rng.permutation(total), counts, read.source), strict=True
        ):
            chosen = [sentences[row] for row in rows]
            found[split] = Split(
                [sentence.words for sentence in chosen],
                None if ids is None else ids[rows],
                sum(sentence.cut for sentence in chosen),
            )
    if read.sized:
        how = "train and dev drawn from its training split, test from its test split, classes even"
    train, validation, test = (found[split] for split in SPLITS)
    return (train, validation, test), how


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
