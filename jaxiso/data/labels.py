"""Labels of one's own vectors, from a file in whatever format they are at hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.data.sources import read_json_lines, read_lines, shorten
from jaxiso.data.tables import ARRAYS, COLUMNS, Table, open_table, true_suffix
from jaxiso.errors import InputError

# Names that columns, arrays and fields are looked for under, best first.
LABEL_NAMES = ("label", "labels", "y", "class", "target")
WORD_NAMES = ("word", "words", "token")

Label = tuple[str, ...]
"""A set of labels, sorted; one in most cases. As in the paper, every set is a cluster."""


class LabelFile(NamedTuple):
    """What a file of labels holds.

    Attributes:
        path: the file.
        labels: a label a row, or None where it has none.
        words: the word of each row, where rows are named by words; else None.
    """

    path: Path
    labels: list[Label | None]
    words: list[str] | None = None

    def by_word(self) -> dict[str, Label | None]:
        """The label of each word.

        Raises:
            InputError: a word is there twice, or there are no words.
        """
        assert self.words is not None
        found = dict(zip(self.words, self.labels, strict=True))
        if len(found) < len(self.words):
            seen: set[str] = set()
            word = next(word for word in self.words if word in seen or seen.add(word))
            raise InputError(
                f"{self.path}: the word {word!r} is there twice; give it all its labels at once, "
                'in a line of JSON: {"word": "…", "labels": ["…", "…"]}'
            )
        return found


class Labels(NamedTuple):
    """Labels as numbers.

    Attributes:
        codes: (n,) int32, from 0 to k - 1; each occurs.
        names: the k labels.
    """

    codes: np.ndarray
    names: tuple[str, ...]


def number_labels(labels: Sequence[Label]) -> Labels:
    """Numbers labels in order: by value where all are whole numbers, else as strings."""
    distinct = sorted(set(labels), key=_order(set(labels)))
    code = {label: i for i, label in enumerate(distinct)}
    codes = np.array([code[label] for label in labels], dtype=np.int32)
    return Labels(codes, tuple(" + ".join(label) or "(none)" for label in distinct))


def _order(labels: Iterable[Label]):
    def whole(text: str) -> bool:
        return text.removeprefix("-").isdecimal()

    if all(whole(text) for label in labels for text in label):
        return lambda label: tuple(map(int, label))
    return lambda label: label


def read_labels(path: Path, column: str | None = None) -> LabelFile:
    """Reads labels from a file.

    - .npy: (n,) whole numbers or strings, or (n, classes) of 0 and 1; .npz and .safetensors: such
      an array.
    - .csv, .tsv, .parquet: a column; the words of its rows, if it has a column called so.
    - .jsonl: a field, with one label or a list of them; and the field `word`, if there is one.
    - any other: a label a line, or a word, a tab and its label. An empty line is no label.

    All but .npy, .npz, .safetensors and .parquet may be compressed, .gz.

    Args:
        path: the file.
        column: name of the column, array or field. By default one of `LABEL_NAMES`, or the only
            one that there is.

    Raises:
        InputError: it cannot be read, or it is not clear where the labels are.
    """
    if not path.is_file():
        raise InputError(f"--labels {path}: no such file")
    suffix = true_suffix(path)
    if suffix in (".jsonl", ".ndjson"):
        return _of_json_lines(path, column)
    if suffix in ARRAYS or suffix in COLUMNS:
        return _of_table(path, column)
    if column is not None:
        raise InputError(
            f"--label-column {column}: {path} has no columns; those are in files called "
            f"{', '.join((*ARRAYS[1:], *COLUMNS, '.jsonl'))}"
        )
    return _of_lines(path)


def _of_json_lines(path: Path, column: str | None) -> LabelFile:
    labels, words, name, has_words = [], [], column, False
    for where, row in read_json_lines(path):
        if not labels:
            name = pick(list(row), column, path)
            has_words = WORD_NAMES[0] in row
        assert name is not None
        labels.append(as_label(row.get(name), where))
        word = row.get(WORD_NAMES[0])
        if has_words and not isinstance(word, str):
            raise InputError(f"{where}: field 'word' is {shorten(word)}; it must be a string")
        words.append(word)
    return LabelFile(path, labels, words if has_words else None)


def _of_table(path: Path, column: str | None) -> LabelFile:
    known = {*LABEL_NAMES, *WORD_NAMES}

    def is_heading(cells: list[str]) -> bool:
        return column in cells or any(cell.lower() in known for cell in cells)

    table = open_table(path, is_heading)
    names = list(table.names)
    words = next((name for name in names if name.lower() in WORD_NAMES), None)
    if words is None and column is None and names == ["column 1", "column 2"]:
        words = "column 1"  # two columns without names: words and labels
    name = pick([name for name in names if name != words], column, path)
    labels = column_labels(table, name)
    return LabelFile(path, labels, None if words is None else column_words(table, words))


def column_labels(table: Table, name: str) -> list[Label | None]:
    """A column or array as labels.

    Raises:
        InputError: a value cannot be one.
    """
    values = table.values(name)
    return [as_label(value, lambda i=i: table.where(name, i)) for i, value in enumerate(values)]


def column_words(table: Table, name: str) -> list[str]:
    """A column or array as words."""
    return ["" if value is None else str(value) for value in table.values(name)]


def _of_lines(path: Path) -> LabelFile:
    lines = [line.rstrip("\r\n") for _, line in read_lines(path)]
    cells = [line.split("\t") for line in lines if line.strip()]
    if cells and all(len(pair) == 2 for pair in cells):
        return LabelFile(path, [as_label(label, path) for _, label in cells], [w for w, _ in cells])
    return LabelFile(path, [as_label(line.strip(), path) for line in lines])


def pick(names: list[str], wanted: str | None, path: Path) -> str:
    """Which of a file's columns, arrays or fields holds the labels.

    Raises:
        InputError: `wanted` is none of them, or it is not clear which.
    """
    found = ", ".join(map(repr, names)) or "nothing"
    if wanted is not None:
        if wanted in names:
            return wanted
        raise InputError(f"--label-column {wanted}: {path} has no such column; it has {found}")
    by_name = {name.lower(): name for name in reversed(names)}
    for name in LABEL_NAMES:
        if name in by_name:
            return by_name[name]
    if len(names) == 1:
        return names[0]
    raise InputError(
        f"{path}: which column holds the labels? Name it by --label-column; it has {found}"
    )


def as_label(value: Any, where: Any) -> Label | None:
    """A value from a file as a label; None if it is none: null, NaN or empty.

    Args:
        value: a string, whole number or bool, or a list of them.
        where: its place for messages, or a function that tells it.

    Raises:
        InputError: it is something else.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (list, tuple)):
        return tuple(sorted({_name(one, where) for one in value}))
    return (_name(value, where),)


def _name(value: Any, where: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value))
    elif not isinstance(value, (dict, list, tuple)) and value is not None:
        return str(value)
    place = where() if callable(where) else where
    raise InputError(
        f"{place}: {shorten(value)} is no label; labels must be whole numbers or strings, or "
        "lists of them where one can have several"
    )
