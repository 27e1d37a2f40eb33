"""Labels of one's own vectors, from a file in whatever format they are at hand: always text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.columns import LABEL_NAMES, WORD_NAMES
from jaxiso.data.sources import read_lines, shorten
from jaxiso.data.tables import ARRAYS, COLUMNS, Table, is_table, open_table

Label = tuple[str, ...]
"""A set of labels, sorted; one in most cases. As in the paper, every set is a cluster."""


class LabelColumn(NamedTuple):
    """Labels as a file holds them, row by row.

    Attributes:
        labels: a label a row, or None where it has none.
        classes: what a row can have, where it can have several or none of them; else None.
        path: the file.
        words: the word of each row, where rows are named by words; else None.
    """

    labels: list[Label | None]
    classes: tuple[str, ...] | None
    path: Path
    words: list[str] | None = None

    def by_row(self, n: int) -> list[Label | None]:
        """The label of each of n rows, without empty lines at the end; it may be of other rows."""
        labels = self.labels
        while len(labels) > n and labels[-1] is None:
            labels = labels[:-1]
        return labels

    def by_word(self) -> dict[str, Label | None]:
        """The label of each word; InputError if one is there twice."""
        words = self.words or []
        found = dict(zip(words, self.labels, strict=True))
        if len(found) < len(words):
            word = next(word for word, count in Counter(words).items() if count > 1)
            raise InputError(
                f"{self.path}: the word {word!r} is there twice; give it all its labels at once, "
                'in a line of JSON: {"word": "…", "labels": ["…", "…"]}'
            )
        return found


class Labels(NamedTuple):
    """Labels as numbers.

    Attributes:
        codes: (n,) int32, from 0 to k - 1; each occurs.
        names: of the k labels; of a set, its members joined by " + ".
        sets: of the k labels, the classes in each.
        classes: all classes; some may not occur where an item can have several.
        multilabel: whether an item can have several.
    """

    codes: np.ndarray
    names: tuple[str, ...]
    sets: tuple[Label, ...]
    classes: tuple[str, ...]
    multilabel: bool

    def targets(self) -> np.ndarray:
        """(n,) int32 numbers of classes, or (n, classes) float32 of 0 and 1 where multi-label."""
        if not self.multilabel:
            return self.codes
        rows = np.zeros((len(self.sets), len(self.classes)), np.float32)
        column = {name: i for i, name in enumerate(self.classes)}
        for row, label in zip(rows, self.sets, strict=True):
            row[[column[name] for name in label]] = 1
        return rows[self.codes]


def number_labels(labels: Sequence[Label], classes: tuple[str, ...] | None = None) -> Labels:
    """Numbers labels, one an item: by value where all are whole numbers, else as strings.

    The `classes` are all that there are, where an item can have several.
    """
    distinct = set(labels)
    ordered = tuple(sorted(distinct, key=_order(name for label in distinct for name in label)))
    code = {label: i for i, label in enumerate(ordered)}
    codes = np.array([code[label] for label in labels], dtype=np.int32)
    names = tuple(" + ".join(label) or "(none)" for label in ordered)
    return Labels(codes, names, ordered, classes or names, classes is not None)


def _order(names: Iterable[str]) -> Callable[[Label], Any]:
    """A key to sort labels by; 01 and 1 are two labels of one value."""
    if all(re.fullmatch(r"-?[0-9]{1,1000}", name) for name in names):
        return lambda label: (tuple(map(int, label)), label)
    return lambda label: label


def read_labels(path: Path, column: str | None = None) -> LabelColumn:
    """Reads labels from a file.

    - .npy: (n,) whole numbers or strings, or (n, classes) of 0 and 1; .npz and .safetensors: such
      an array.
    - .csv, .tsv, .parquet, .arrow, .feather, .jsonl, or a folder that `datasets` saved: a column or
      field, with one label or (not in text) a list of them; the words of its rows, if there is a
      column called so.
    - any other: a label a line, or a word, a tab and its label. An empty line is no label.

    Files of text may be compressed, .gz. Without the name of a `column`, array or field, it is one
    of `LABEL_NAMES`, or the only one that there is.

    Raises InputError if the file cannot be read, or it is not clear where the labels are.
    """
    if is_table(path) and path.exists():
        return _of_table(path, column)
    if not path.is_file():
        raise InputError(f"--labels {path}: {'a folder' if path.is_dir() else 'no such file'}")
    if column is not None:
        raise InputError(
            f"--label-column {column}: {path} has no columns; those are in files called "
            f"{', '.join((*ARRAYS[1:], *COLUMNS))}"
        )
    lines = [line.rstrip("\r\n") for _, line in read_lines(path)]
    cells = [line.split("\t") for line in lines if line.strip()]
    words = None
    if cells and all(len(pair) == 2 for pair in cells):
        words, lines = [word for word, _ in cells], [label for _, label in cells]
    labels = [(line.strip(),) if line.strip() else None for line in lines]
    return LabelColumn(labels, None, path, words)


def _of_table(path: Path, column: str | None) -> LabelColumn:
    table = open_table(path, of_labels=True, column=column)
    words = word_column(table)
    if words is None and column is None and table.names == ("column 1", "column 2"):
        words = "column 1"  # two columns without names: words and labels
    name = pick([name for name in table.names if name != words], column, path)
    labels = column_labels(table, name)
    return labels if words is None else labels._replace(words=column_words(table, words))


def word_column(table: Table, but: str | None = None) -> str | None:
    """The column or array that names rows by words, if there is one beside `but`."""
    return next((n for n in table.names if n.lower() in WORD_NAMES and n != but), None)


def column_words(table: Table, name: str) -> list[str]:
    """A column or array as words; InputError if a value cannot be one."""
    return ["" if label is None else " ".join(label) for label in column_labels(table, name).labels]


def column_labels(table: Table, name: str) -> LabelColumn:
    """A column or array as labels; InputError if a value cannot be one."""
    values, width = table.values(name)
    classes = None if width is None else tuple(map(str, range(width)))
    return LabelColumn(*_as_labels(values, classes, partial(table.where, name)), table.path)


def pick(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """Which of a file's columns, arrays or fields holds the labels.

    Raises InputError if `wanted` is none of them, or it is not clear which.
    """
    found = ", ".join(map(repr, names)) or "nothing"
    if wanted is not None:
        if wanted in names:
            return wanted
        raise InputError(f"--label-column {wanted}: {path} has no such column; it has {found}")
    by_name = {name.lower(): name for name in reversed(names)}
    known = [by_name[name] for name in LABEL_NAMES if name in by_name]
    if known or len(names) == 1:
        return [*known, *names][0]
    raise InputError(
        f"{path}: which column holds the labels? Name it by --label-column; it has {found}"
    )


def _as_labels(
    values: Sequence[Any], classes: tuple[str, ...] | None, where: Callable[[int], str]
) -> tuple[list[Label | None], tuple[str, ...] | None]:
    """A file's values as labels; and all classes, if not known, where an item can have several."""
    known: dict[Any, Label | None] = {}  # most labels come often: they share one tuple
    labels = []
    for i, value in enumerate(values):
        key = (type(value), value) if isinstance(value, str | int) else None
        if key not in known or key is None:
            known[key] = as_label(value, partial(where, i))
        labels.append(known[key])
    if classes is None and any(isinstance(value, (list, tuple)) for value in values):
        names = {name for label in labels for name in label or ()}
        key = _order(names)
        classes = tuple(sorted(names, key=lambda name: key((name,))))
    return labels, classes


def as_label(value: Any, where: Callable[[], str]) -> Label | None:
    """A value from a file as a label; None if it is none: null, NaN or empty.

    Raises InputError, which tells `where`, if it is no string, whole number, bool or list of them.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (list, tuple)):
        return tuple(sorted({_name(one, where) for one in value}))
    return (_name(value, where),)


def _name(value: Any, where: Callable[[], str]) -> str:
    if isinstance(value, (str, bytes)):
        try:
            text = value.decode() if isinstance(value, bytes) else value
            text.encode()
        except UnicodeError as error:
            raise InputError(
                f"{where()}: the label {value!a} is no text in UTF-8: {error}"
            ) from None
        return text
    if isinstance(value, float):
        if value.is_integer() and abs(value) <= 2**53:
            return str(int(value))
        if value.is_integer():
            raise InputError(
                f"{where()}: {value!r} is no label; beyond 2**53 several whole numbers are one "
                "float: save labels as whole numbers or strings"
            )
    elif not isinstance(value, (dict, list, tuple)) and value is not None:
        return str(value)
    raise InputError(
        f"{where()}: {shorten(value)} is no label; labels must be whole numbers or strings, or "
        "lists of them where one can have several"
    )
