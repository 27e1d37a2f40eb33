"""Labelled items over a table of distinct texts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso import console
from jaxiso.data.sources import Rows, read_rows, shorten
from jaxiso.data.tasks import Task, find_task
from jaxiso.errors import InputError


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Items:
    """Labelled items over a table of distinct texts, or of vectors.

    A text that occurs in several items stands in the table once, since in the paper each distinct
    text has one trainable vector.

    Attributes:
        name: the task, or the file's stem.
        texts: the table: distinct texts in order of first appearance, item by item and field by
            field. Empty where the table consists of vectors.
        index: (n, inputs) int32, the rows of the table that each item reads.
        targets: (n,) int32 class ids, or (n, classes) float32 of 0 and 1 when multi-label.
        clusters: (n,) int32, ids 0 … k-1 of the distinct labels (label sets when multi-label).
        classes: label names, in label order; some may not occur.
        source: where the items were read from, for people.
        dropped: number of rows left out, by reason.
    """

    name: str
    texts: list[str]
    index: np.ndarray
    targets: np.ndarray
    clusters: np.ndarray
    classes: tuple[str, ...]
    source: str
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def multilabel(self) -> bool:
        """Whether an item can have several labels at once."""
        return self.targets.ndim == 2

    def keep(self, mask: np.ndarray, *, reason: str = "no vector", quiet: bool = False) -> Items:
        """The items where `mask` is true, over the part of the table that they still read.

        Where the table is of vectors, its remaining rows are `np.unique(items.index[mask])`.

        Args:
            mask: (n,) bool.
            reason: why the others go; counted aloud and in `dropped`.
            quiet: count in `dropped` only.

        Raises:
            InputError: fewer than two distinct labels would be left.
        """
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != (len(self),):
            raise ValueError(f"mask has shape {mask.shape}, expected ({len(self)},)")
        left_out = int(len(self) - mask.sum())
        if left_out == 0:
            return self
        console.note(
            f"{self.name}: {left_out:,} of {len(self):,} items left out: {reason}", quiet=quiet
        )
        rows, index = np.unique(self.index[mask], return_inverse=True)
        kept = replace(
            self,
            texts=[self.texts[row] for row in rows] if self.texts else [],
            index=index.reshape(-1, self.index.shape[1]).astype(np.int32),
            targets=self.targets[mask],
            clusters=cluster_ids(self.targets[mask]),
            dropped={**self.dropped, reason: self.dropped.get(reason, 0) + left_out},
        )
        return require_two_labels(kept)


def load_task(name: str, *, data_dir: Path | None, quiet: bool = False) -> Items:
    """Reads a task of sentences or words.

    Args:
        name: a key of `TASKS`, not of the kind 'vectors'.
        data_dir: folder with `<corpus>/<split>.jsonl[.gz]`; None means the environment's
            JAXISO_DATA. What is not there comes from the Hugging Face hub.
        quiet: no notes about the source and about rows left out.

    Raises:
        InputError: no such task, data not found, or a row that cannot be used.
    """
    task = find_task(name)
    if task.kind == "vectors":
        raise ValueError(f"task {name!r} is vectors, not texts: call load_digits_task")
    items = build_items(task, read_rows(task, data_dir, quiet=quiet))
    for reason, count in items.dropped.items():
        console.note(f"{name}: {count:,} rows left out: {reason}", quiet=quiet)
    what = "words" if task.kind == "word" else "distinct texts"
    console.note(
        f"{name}: {len(items):,} items, {len(items.texts):,} {what}, from {items.source}",
        quiet=quiet,
    )
    return items


def build_items(task: Task, source: Rows) -> Items:
    """Checks the rows of a task and gathers them into `Items`.

    Raises:
        InputError: a bad row, no labelled row, a word given twice, or fewer than two labels.
    """
    ids: dict[str, int] = {}
    first_seen: dict[str, str] = {}
    index: list[list[int]] = []
    labels: list[list[int]] = []
    unlabelled = 0
    for where, row in source.rows:
        texts = [_text(row, name, where, task) for name in task.fields]
        found = _labels(row, where, task)
        if found is None:
            unlabelled += 1
            continue
        if task.kind == "word" and first_seen.setdefault(texts[0], where) != where:
            raise InputError(
                f"{where}: the word {texts[0]!r} was given before, at {first_seen[texts[0]]}; "
                "put all labels of a word on one line"
            )
        index.append([ids.setdefault(text, len(ids)) for text in texts])
        labels.append(found)
    if not index:
        raise InputError(
            f"{source.source}: none of its {unlabelled:,} rows has a label; task {task.name!r} "
            f"needs a field {task.label_field!r} that is not null and not -1"
        )
    targets = _targets(labels, task)
    items = Items(
        name=task.name,
        texts=list(ids),
        index=np.array(index, dtype=np.int32),
        targets=targets,
        clusters=cluster_ids(targets),
        classes=task.classes,
        source=source.source,
        dropped={"no label": unlabelled} if unlabelled else {},
    )
    return require_two_labels(items)


def cluster_ids(targets: np.ndarray) -> np.ndarray:
    """Numbers the distinct labels, or label vectors: (n,) or (n, classes) → (n,) int32."""
    axis = 0 if targets.ndim == 2 else None
    _, ids = np.unique(targets, axis=axis, return_inverse=True)
    return ids.reshape(-1).astype(np.int32)


def require_two_labels(items: Items) -> Items:
    """Returns `items`, in which at least two labels occur: one cluster alone has no silhouette.

    Raises:
        InputError: fewer occur.
    """
    if len(items) and items.clusters.max() > 0:
        return items
    kept = f"all {len(items):,} items have the same label" if len(items) else "no item is left"
    out = ", ".join(f"{count:,} left out: {why}" for why, count in items.dropped.items())
    raise InputError(
        f"{items.source}: {kept}{f' ({out})' if out else ''}; at least two different labels "
        "must occur"
    )


def _text(row: dict[str, Any], name: str, where: str, task: Task) -> str:
    if name not in row:
        raise InputError(
            f"{where}: no field {name!r}; task {task.name!r} needs "
            f"{', '.join((*task.fields, task.label_field))}; found {', '.join(row) or 'none'}"
        )
    text = row[name]
    if not isinstance(text, str):
        raise InputError(
            f"{where}: field {name!r} is {shorten(text)} ({type(text).__name__}); "
            "it must be a string"
        )
    if task.kind == "word" and not text:
        raise InputError(f"{where}: field {name!r} is empty; it must be a word")
    return text


def _labels(row: dict[str, Any], where: str, task: Task) -> list[int] | None:
    """The class ids of a row, or None where it has no label."""
    value = row.get(task.label_field)
    if not task.multilabel:
        # -1 marks GLUE's hidden test labels, "-" the pairs of SNLI without a majority.
        if value is None or value == "-" or (value == -1 and not isinstance(value, bool)):
            return None
        return [_class_id(value, where, task)]
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        what = "an empty list" if value == [] else f"{shorten(value)} ({type(value).__name__})"
        raise InputError(
            f"{where}: field 'labels' is {what}; it must be a list with at least one of "
            f"{', '.join(task.classes)}; leave the field out where the labels are not known"
        )
    return [_class_id(label, where, task) for label in value]


def _class_id(value: object, where: str, task: Task) -> int:
    if isinstance(value, str) and value in task.classes:
        return task.classes.index(value)
    if type(value) is int and 0 <= value < len(task.classes):  # a bool is no class id
        return value
    shown = repr(value) if isinstance(value, str) else f"{shorten(value)} ({type(value).__name__})"
    names = ", ".join(task.classes)
    raise InputError(
        f"{where}: field {task.label_field!r}: {shown} is not a label of task {task.name!r}; "
        f"allowed: whole numbers 0 to {len(task.classes) - 1}, or their names {names}"
    )


def _targets(labels: list[list[int]], task: Task) -> np.ndarray:
    if not task.multilabel:
        return np.array([label for (label,) in labels], dtype=np.int32)
    targets = np.zeros((len(labels), len(task.classes)), dtype=np.float32)
    for row, label in zip(targets, labels, strict=True):
        row[label] = 1.0
    return targets
