"""The tasks: one table of facts, one row a task; and `load_task`, which reads its items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxiso.cli.console import InputError, note
from jaxiso.data import sources
from jaxiso.data.sources import Facts, Hub, Row


@dataclass(frozen=True, kw_only=True)
class Task(Facts):
    """What is known of a task before its data are read; see `Facts`.

    Attributes:
        kind: 'sentence' (encoded by a sentence encoder), 'word' (looked up in a file of word
            vectors) or 'vectors' (the data are vectors already).
        fields: text fields of an item, in order; their vectors are concatenated.
        multilabel: an item has a set of labels, in a field `labels`; else one, in `label`.
        bias: the paper's linear head has a bias.
        updates: number of updates in the paper.
        local: place below the data directory, `<corpus>/<split>`, or None.
    """

    kind_of_data = "task"
    kind: Literal["sentence", "word", "vectors"] = "sentence"
    fields: tuple[str, ...] = ()
    multilabel: bool = False
    bias: bool = True
    updates: int = 1000
    local: str | None = None

    @property
    def label_field(self) -> str:
        """Name of the field that holds the label or labels."""
        return "labels" if self.multilabel else "label"


_WORD: dict[str, Any] = {"kind": "word", "fields": ("word",), "multilabel": True}
_PAIR = ("sentence1", "sentence2")
_NLI = ("entailment", "neutral", "contradiction")
_RTE = ("entailment", "not_entailment")
_QQP = ("not_duplicate", "duplicate")
_GLUE = {
    "cola": (("sentence",), ("unacceptable", "acceptable"), "is a sentence grammatical"),
    "mnli": (("premise", "hypothesis"), _NLI, "does the premise entail the hypothesis"),
    "mrpc": (_PAIR, ("not_equivalent", "equivalent"), "do two news sentences mean the same"),
    "qnli": (("question", "sentence"), _RTE, "does the sentence answer the question"),
    "qqp": (("question1", "question2"), _QQP, "do two questions ask the same"),
    "rte": (_PAIR, _RTE, "does one text entail the other"),
    "sst2": (("sentence",), ("negative", "positive"), "is a phrase of a review positive"),
    "wnli": (_PAIR, _RTE[::-1], "what does a pronoun refer to"),
}
_SUPERSENSES = (
    "Tops act animal artifact attribute body cognition communication event feeling food group "
    "location motive object person phenomenon plant possession process quantity relation shape "
    "state substance time"
)

_DIGITS: dict[str, Any] = {"kind": "vectors", "page": "https://archive.ics.uci.edu/dataset/80"}

_ROWS = (
    Task(
        name="polarity",
        fields=("text",),
        classes=("neg", "pos"),
        about="is a sentence of a film review positive (Pang & Lee)",
        page="https://www.cs.cornell.edu/people/pabo/movie-review-data/",
        bias=False,
        local="polarity/train",
        # Its three splits together are the 10,662 sentences of Pang & Lee.
        hub=Hub("cornell-movie-review-data/rotten_tomatoes", None, "train+validation+test"),
    ),
    Task(
        name="snli",
        fields=("premise", "hypothesis"),
        classes=_NLI,
        about="does the premise entail the hypothesis (SNLI, development split)",
        page="https://nlp.stanford.edu/projects/snli/",
        local="snli/validation",
        hub=Hub("stanfordnlp/snli", "plain_text", "validation"),
    ),
    Task(
        name="pos",
        classes=("adjective", "adverb", "noun", "verb"),
        about="parts of speech of a word, several at once",
        page="https://codwoe.atilf.fr/",
        local="pos/words",
        **_WORD,
    ),
    Task(
        name="supersense",
        classes=tuple(f"noun.{name}" for name in _SUPERSENSES.split()),
        about="WordNet supersenses of a noun, several at once",
        page="https://wordnet.princeton.edu/documentation/lexnames5wn",
        local="supersense/words",
        **_WORD,
    ),
    *(
        Task(
            name=name,
            fields=fields,
            classes=classes,
            about=about,
            page="https://gluebenchmark.com/tasks",
            updates=250,
            local=f"glue/{name}/train",
            hub=Hub("nyu-mll/glue", name, "train"),
        )
        for name, (fields, classes, about) in _GLUE.items()
    ),
    Task(
        name="parity",
        classes=("even", "odd"),
        about="is a handwritten digit even or odd (8×8 images, from scikit-learn: no download)",
        **_DIGITS,
    ),
    Task(
        name="digits",
        classes=tuple("0123456789"),
        about="which of ten it is; ten collapsed labels leave room for isotropy",
        **_DIGITS,
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ROWS}


def find_task(name: str) -> Task:
    """The task called `name`; else InputError, with the allowed names and the nearest."""
    if name in TASKS:
        return TASKS[name]
    near = sources.did_you_mean(name, TASKS)
    raise InputError(f"unknown task {name!r}; it must be one of {', '.join(TASKS)}.{near}")


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Items:
    """Labelled items over a table of distinct texts, or of vectors.

    In the paper each distinct text has one trainable vector, so it stands in the table once.

    Attributes:
        name: the task, or the file's stem.
        texts: the table: distinct texts in order of first appearance; empty where it is of vectors.
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
        """The items where `mask` (n,) is true, over the part of the table that they still read.

        Where the table is of vectors, its remaining rows are `np.unique(items.index[mask])`. The
        others are counted by `reason` in `dropped`, and aloud unless `quiet`.

        Raises InputError if fewer than two distinct labels would be left.
        """
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != (len(self),):
            raise ValueError(f"mask has shape {mask.shape}, expected ({len(self)},)")
        left_out = int(len(self) - mask.sum())
        if left_out == 0:
            return self
        note(f"{self.name}: {left_out:,} of {len(self):,} items left out: {reason}", quiet=quiet)
        rows, index = np.unique(self.index[mask], return_inverse=True)
        index = index.reshape(-1, self.index.shape[1]).astype(np.int32)
        texts = [self.texts[row] for row in rows] if self.texts else []
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + left_out}
        targets = self.targets[mask]
        return labelled(self.name, targets, self.classes, self.source, dropped, texts, index)


def labelled(
    name: str,
    targets: np.ndarray,
    classes: tuple[str, ...],
    source: str,
    dropped: dict[str, int],
    texts: Sequence[str] = (),
    index: np.ndarray | None = None,
) -> Items:
    """`Items`, by default one a vector, with the clusters that their targets make.

    Raises InputError if there are fewer than two: one cluster alone has no silhouette.
    """
    if index is None:
        index = np.arange(len(targets), dtype=np.int32)[:, None]
    axis = 0 if targets.ndim == 2 else None
    _, clusters = np.unique(targets, axis=axis, return_inverse=True)
    clusters = clusters.reshape(-1).astype(np.int32)
    if len(clusters) and clusters.max() > 0:
        return Items(name, list(texts), index, targets, clusters, classes, source, dropped)
    kept = f"all {len(index):,} items have the same label" if len(index) else "no item is left"
    out = ", ".join(f"{count:,} left out: {why}" for why, count in dropped.items())
    raise InputError(
        f"{source}: {kept}{f' ({out})' if out else ''}; at least two different labels must occur"
    )


def load_task(name: str, *, data_dir: Path | None, quiet: bool = False) -> Items:
    """Reads a task of sentences or words.

    Args:
        name: a key of `TASKS`, not of the kind 'vectors'.
        data_dir: folder with `<corpus>/<split>.jsonl[.gz]`; None means the environment's
            JAXISO_DATA. What is not there comes from the Hugging Face hub.
        quiet: no notes about the source and about rows left out.

    Raises InputError for an unknown task, data not found, or a row that cannot be used.
    """
    task = find_task(name)
    if task.kind == "vectors":
        raise ValueError(f"task {name!r} is vectors, not texts: call load_digits_task")
    items = build_items(task, *_find_rows(task, data_dir, quiet))
    for reason, count in items.dropped.items():
        note(f"{name}: {count:,} rows left out: {reason}", quiet=quiet)
    texts = f"{len(items.texts):,} {'words' if task.kind == 'word' else 'distinct texts'}"
    note(f"{name}: {len(items):,} items, {texts}, from {items.source}", quiet=quiet)
    return items


def _find_rows(task: Task, data_dir: Path | None, quiet: bool) -> tuple[str, Iterable[Row]]:
    """The source of a task, for people, and its rows: a local file always wins over the hub."""
    folder = sources.resolve_data_dir(data_dir)
    paths = sources.json_lines_paths(folder, task.local or "") if folder else []
    for path in paths:
        if path.exists():
            return str(path), sources.read_json_lines(path)
    looked_for = "\n              ".join(map(str, paths)) or f"no file: {sources.NO_DATA_DIR}"
    write = f"write {paths[0] if paths else f'DATA-DIR/{task.local}.jsonl'}"
    label = f'"labels": ["{task.classes[0]}"]' if task.multilabel else '"label": 0'
    line = ", ".join([*(f'"{name}": "…"' for name in task.fields), label])
    labels = ", ".join(task.classes) if task.multilabel else ""
    hubs = [task.hub] if task.hub else []
    write = write if task.hub else f"these words are not on the hub; {write}"
    nowhere = partial(sources.not_found, task, looked_for, hubs, write, f"{{{line}}}", labels)
    if task.hub is None:
        raise InputError(nowhere(""))
    fields = [*task.fields, task.label_field]
    data = sources.hub_table(task, task.hub, fields, nowhere, quiet=quiet)
    rows = ((f"{task.hub}, row {i}", row) for i, row in enumerate(data.to_list(), start=1))
    return f"the Hugging Face hub ({task.hub})", rows


def build_items(task: Task, source: str, rows: Iterable[Row]) -> Items:
    """Checks the rows of a task, read once and in order, and gathers them into `Items`.

    Raises InputError for a bad row, no labelled row, a word given twice, or fewer than two labels.
    """
    ids: dict[str, int] = {}
    first_seen: dict[str, str] = {}
    index: list[list[int]] = []
    labels: list[list[int]] = []
    unlabelled = 0
    wanted = f"{task} needs {', '.join((*task.fields, task.label_field))}; "
    for where, row in rows:
        texts = [sources.text_field(row, name, where, wanted) for name in task.fields]
        if task.kind == "word" and not texts[0]:
            raise InputError(f"{where}: field 'word' is empty; it must be a word")
        found = _labels(row.get(task.label_field), where, task)
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
            f"{source}: none of its {unlabelled:,} rows has a label; {task} needs a field "
            f" {task.label_field!r} that is not null and not -1"
        )
    targets = np.array([found[0] for found in labels], dtype=np.int32)
    if task.multilabel:
        targets = np.zeros((len(labels), len(task.classes)), dtype=np.float32)
        for target, found in zip(targets, labels, strict=True):
            target[found] = 1.0
    dropped = {"no label": unlabelled} if unlabelled else {}
    table_rows = np.array(index, dtype=np.int32)
    return labelled(task.name, targets, task.classes, source, dropped, list(ids), table_rows)


def _labels(value: Any, where: str, task: Task) -> list[int] | None:
    """The class ids of a row's label or labels, or None where it has none."""
    # -1 marks GLUE's hidden test labels, "-" the pairs of SNLI without a majority.
    if value is None or (not task.multilabel and value in (-1, "-")):
        return None
    if not task.multilabel:
        value = [value]
    elif not isinstance(value, list) or not value:
        what = "an empty list" if value == [] else sources.kind(value)
        raise InputError(
            f"{where}: field 'labels' is {what}; it must be a list with at least one of "
            f"{', '.join(task.classes)}; leave the field out where the labels are not known"
        )
    return [sources.class_id(label, task.label_field, where, task) for label in value]
