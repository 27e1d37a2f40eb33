"""Vectors of one's own with their labels, from a file in whatever format they are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from jaxiso.cli.console import InputError, note
from jaxiso.data.columns import LABEL_NAMES
from jaxiso.data.labels import Label, LabelColumn, Labels, number_labels, read_labels
from jaxiso.data.rows import ArrayRows, KeptRows, Rows
from jaxiso.data.tables import is_table, open_table
from jaxiso.data.tasks import TASKS, Items, labelled
from jaxiso.data.vector_files import FoundVectors, check_vectors, find_vectors, named_labels


class OpenedVectors(NamedTuple):
    """Vectors to measure or to train, which are read when they are needed.

    Attributes:
        rows: n vectors of d finite numbers; n and d at least 2.
        labels: of each vector; None where none are given.
        left_out: number of vectors left out, by reason.
    """

    path: Path
    rows: Rows
    labels: Labels | None
    left_out: dict[str, int]

    @property
    def vectors(self) -> np.ndarray:
        """All of them in memory, (n, d)."""
        return self.rows.load()


def read_vectors(
    path: Path,
    labels: str | None = None,
    *,
    label_column: str | None = None,
    array: str | None = None,
    dtype: DTypeLike | None = None,
    quiet: bool = False,
) -> OpenedVectors:
    """Reads vectors into memory, with their labels; those without one are left out, and counted.

    Args:
        path: a file of the `jaxiso.data.vector_files.FORMATS`.
        labels: a column or array of that file, or a file of labels, see `read_labels`. Files go by
            words where both have words, else row by row.
        label_column: the column of a file of labels.
        array: the array, or column of lists, that holds the vectors.
        dtype: of the vectors; by default the file's, float64 for columns of numbers.
        quiet: no notes.

    Raises InputError if the file, or its labels, cannot be used; or a number does not fit `dtype`.
    """
    found = open_vectors(
        path, labels, label_column=label_column, array=array, dtype=dtype, quiet=quiet
    )
    return found._replace(rows=ArrayRows(found.rows.load(dtype)))


def open_vectors(
    path: Path,
    labels: str | None = None,
    *,
    label_column: str | None = None,
    array: str | None = None,
    dtype: DTypeLike | None = None,
    part: tuple[int, int] = (0, 1),
    quiet: bool = False,
) -> OpenedVectors:
    """As `read_vectors`, but vectors in .npy and Arrow's formats stay in their file.

    They are read once, block by block, to see that all of them are finite (and fit `dtype`). Of
    several processes each looks at a part of them only: `part` is its number, and how many.
    """
    found = find_vectors(path, labels, label_column, array, quiet=quiet)
    check_vectors(path, found, dtype, part)
    if labels is None:
        return OpenedVectors(path, found.rows, None, {})
    column = found.labels or read_labels(Path(labels), label_column)
    aligned = _align(path, found, column, quiet)
    given = [label for label in aligned if label is not None]
    left_out = len(aligned) - len(given)
    if len(given) < 2:
        raise InputError(
            f"{path}: {len(given)} of its {len(aligned):,} vectors has a label; at least two must"
        )
    rows, dropped = found.rows, {}
    if left_out:
        rows = KeptRows(rows, np.array([label is not None for label in aligned]))
        dropped = {"no label": left_out}
        note(f"{path}: {left_out:,} of {len(aligned):,} vectors left out: no label", quiet=quiet)
    return OpenedVectors(path, rows, number_labels(given, column.classes), dropped)


def load_vectors_file(
    path: Path,
    labels: str | None = None,
    *,
    label_column: str | None = None,
    array: str | None = None,
    quiet: bool = False,
) -> tuple[np.ndarray, Items]:
    """Reads labelled vectors to train; the arguments are those of `read_vectors`.

    Without `labels`, they are the file's own, called by one of `LABEL_NAMES`, such as in one saved
    by np.savez(FILE, X=X, y=y).

    Returns:
        Vectors (n, d) float32, and the items; item i reads row i.

    Raises InputError as `read_vectors`; or if there are no labels, all of them or all vectors are
    the same.
    """
    if labels is None and path.exists():
        labels = named_labels(open_table(path)) if is_table(path) else None
        if labels is None:
            raise InputError(
                f"{path}: it has no labels of its own, in a column or array called one of "
                f"{', '.join(LABEL_NAMES)}; give them by --labels, a column, array or file, or "
                "save both by np.savez(FILE, X=X, y=y) with X (n, d) floats and y (n,) labels"
            )
    found = read_vectors(
        path, labels, label_column=label_column, array=array, dtype=np.float32, quiet=quiet
    )
    vectors, numbered = np.array(found.vectors, order="C"), found.labels  # no longer mapped
    assert numbered is not None
    if (vectors == vectors[:1]).all():
        raise InputError(f"{path}: all vectors are the same; there is nothing to measure")
    name = Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem
    targets, classes = numbered.targets(), numbered.classes
    return vectors, labelled(name, targets, classes, str(path), found.left_out)


def load_digits_task(name: str) -> tuple[np.ndarray, Items]:
    """The tasks `digits` and `parity`: 1,797 images of 8×8 pixels, part of scikit-learn.

    Each image is scaled to unit length, as the sentence encoders' vectors are: Adam's steps are
    absolute, and beside raw pixels (0 to 16, length about 55) they would be lost.

    Returns:
        Vectors (1797, 64) float32, and the items; item i reads row i.
    """
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    targets, classes = digits.target.astype(np.int32), TASKS[name].classes
    if name == "parity":
        targets = targets % 2
    items = labelled(name, targets, classes, "scikit-learn's load_digits", {})
    lengths = np.linalg.norm(digits.data, axis=1, keepdims=True)
    return (digits.data / lengths).astype(np.float32), items


def _align(path: Path, found: FoundVectors, labels: LabelColumn, quiet: bool) -> list[Label | None]:
    """A label for each vector."""
    words = None if labels.words is None else found.words()
    if words is None:
        return _row_by_row(path, found, labels)
    by_word = labels.by_word()
    missing, all_words = len(by_word.keys() - set(words)), f"words of {labels.path}"
    if missing == len(by_word):
        some = list(by_word)[:3]
        raise InputError(f"{path}: has none of the {missing:,} {all_words}, such as {some}")
    if missing:
        note(
            f"{path}: has no vector of {missing:,} of the {len(by_word):,} {all_words}", quiet=quiet
        )
    return [by_word.get(word) for word in words]


def _row_by_row(path: Path, found: FoundVectors, labels: LabelColumn) -> list[Label | None]:
    n = len(found.rows)
    given = labels.by_row(n)
    if len(given) == n:
        return given
    hint = ""
    if len(given) == n + 1:
        names = ", ".join(LABEL_NAMES)
        hint = f"; if its first line is a heading, call it by one of {names}, or by --label-column"
    elif found.words() is not None:
        hint = "; to label some of the words only, give words too: a line is a word, a tab, a label"
    raise InputError(
        f"{labels.path}: {len(given):,} labels, but {path} has {n:,} vectors; there must be a "
        f"label a vector{hint}"
    )
