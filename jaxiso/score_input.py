"""Vectors of one's own with their labels, from a file in whatever format they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxiso import console
from jaxiso.data.arrays import ArrayFile
from jaxiso.data.labels import (
    LABEL_NAMES,
    WORD_NAMES,
    Label,
    LabelFile,
    Labels,
    column_labels,
    column_words,
    number_labels,
    pick,
    read_labels,
)
from jaxiso.data.tables import (
    ARRAYS,
    COLUMNS,
    ColumnFile,
    Table,
    is_number,
    open_table,
    true_suffix,
)
from jaxiso.errors import InputError

# Names that vectors are looked for under in files of several arrays, best first.
VECTOR_NAMES = ("X", "embeddings", "embedding", "vectors", "vector")
# Columns of numbers that are no dimensions.
NO_DIMENSIONS = ("label", "labels", "class", "target", "id")
BLOCK = 65_536  # rows looked at at once

FORMATS = f"{', '.join((*ARRAYS, *COLUMNS))}, word2vec or GloVe (.bin, .txt, .vec; also .gz)"


class Scored(NamedTuple):
    """Vectors to measure.

    Attributes:
        path: the file.
        vectors: (n, d) numbers of any type, all finite; n and d at least 2.
        labels: of each vector; None where none are given.
        left_out: number of vectors left out, by reason.
    """

    path: Path
    vectors: np.ndarray
    labels: Labels | None
    left_out: dict[str, int]


class _Rows(NamedTuple):
    """All vectors of a file, before labels choose among them."""

    vectors: np.ndarray
    words: Callable[[], list[str] | None]
    labels: list[Label | None] | None
    where: Callable[[int], str]


def load(
    path: Path,
    labels: str | None = None,
    *,
    label_column: str | None = None,
    array: str | None = None,
    quiet: bool = False,
) -> Scored:
    """Reads vectors, and gives each its label; those without one are left out, and counted.

    Args:
        path: a file of the `FORMATS`.
        labels: a column or array of that file, or a file of labels, see `read_labels`. Files go by
            words where both have words, else row by row.
        label_column: the column of a file of labels.
        array: the array, or column of lists, that holds the vectors.
        quiet: no notes.

    Raises:
        InputError: the file, or its labels, cannot be used.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; vectors are read from files: {FORMATS}")
    if true_suffix(path) in (*ARRAYS, *COLUMNS):
        table = open_table(path)
        rows = _of_table(table, _own_column(table, labels, label_column), array, quiet)
        if labels is None:
            _mention_labels(table, quiet)
    else:
        rows = _of_words(path, array)
    _check(path, rows)
    given = rows.labels
    if labels is not None and given is None:
        given = _align(path, rows, read_labels(Path(labels), label_column), quiet)
    if given is None:
        return Scored(path, rows.vectors, None, {})
    keep = np.array([label is not None for label in given], dtype=bool)
    left_out = int(len(keep) - keep.sum())
    vectors = rows.vectors if not left_out else rows.vectors[keep]
    if len(vectors) < 2:
        raise InputError(
            f"{path}: {len(vectors)} of its {len(keep):,} vectors has a label; at least two must"
        )
    if left_out:
        console.note(
            f"{path}: {left_out:,} of {len(keep):,} vectors left out: no label", quiet=quiet
        )
    found = number_labels([label for label in given if label is not None])
    return Scored(path, vectors, found, {"no label": left_out} if left_out else {})


def _own_column(table: Table, labels: str | None, label_column: str | None) -> str | None:
    """The column or array of the vectors' own file that holds the labels, if one does."""
    if labels is None:
        return None
    if labels in table.names and true_suffix(table.path) != ".npy":
        if label_column is not None:
            raise InputError(
                f"--label-column {label_column}: --labels {labels} is a column of {table.path} "
                "already; give one of the two"
            )
        return labels
    if not Path(labels).is_file():
        raise InputError(
            f"--labels {labels}: there is no such file, and {table.path} has no such column or "
            f"array; it has {', '.join(map(repr, table.names)) or 'none'}"
        )
    if Path(labels).samefile(table.path):
        return pick(list(table.names), label_column, table.path)
    return None


def _mention_labels(table: Table, quiet: bool) -> None:
    # In a table, y may well be the column after x.
    names = [n for n in LABEL_NAMES if n != "y" or isinstance(table, ArrayFile)]
    found = [name for name in table.names if name in names]
    if found:
        console.note(f"{table.path}: to use its labels, add --labels {found[0]}", quiet=quiet)


def _of_table(table: Table, column: str | None, array: str | None, quiet: bool) -> _Rows:
    words = next((n for n in table.names if n.lower() in WORD_NAMES and n != column), None)
    names = [name for name in table.names if name not in (column, words)]
    found = _vector_array(table, names, array)
    if found is not None:
        vectors, first = table.numbers(found), found
    else:
        assert isinstance(table, ColumnFile)
        vectors, first = _dimensions(table, names, quiet)
    return _Rows(
        vectors,
        lambda: None if words is None else column_words(table, words),
        None if column is None else column_labels(table, column),
        partial(table.where, first),
    )


def _vector_array(table: Table, names: list[str], array: str | None) -> str | None:
    """The array, or column of lists, that holds the vectors; None for columns of numbers."""
    has = f"it has {', '.join(map(repr, names)) or 'none'}"
    if array is not None:
        if array in names:
            return array
        raise InputError(f"--array {array}: {table.path} has no such array; {has}")
    if isinstance(table, ArrayFile):
        found = [name for name in VECTOR_NAMES if name in names]
        if found or len(names) == 1:
            return found[0] if found else names[0]
    several = [name for name in names if table.kind(name) == "vectors"]
    by_name = [name for name in VECTOR_NAMES if name in several]
    if by_name or len(several) == 1:
        return (by_name or several)[0]
    if not several and isinstance(table, ColumnFile):
        return None
    raise InputError(f"{table.path}: which array holds the vectors? Name it by --array; {has}")


def _dimensions(table: ColumnFile, names: list[str], quiet: bool) -> tuple[np.ndarray, str]:
    """The vectors that columns of numbers make, and the first such column."""
    used, columns, ignored = [], [], []
    for name in names:
        if table.kind(name) != "numbers" or name.lower() in NO_DIMENSIONS:
            if isinstance(table, ColumnFile) and true_suffix(table.path) != ".parquet":
                table.check_cells(name)
            ignored.append(name)
            continue
        numbers = table.numbers(name)
        if len(numbers) > 2 and np.array_equal(numbers, np.arange(len(numbers))):
            ignored.append(name)  # pandas numbers the rows
            continue
        used.append(name)
        columns.append(numbers)
    if not used:
        raise InputError(
            f"{table.path}: no column of numbers, nor of lists of numbers; it has "
            f"{', '.join(map(repr, table.names)) or 'none'}"
        )
    if ignored:
        console.note(
            f"{table.path}: a vector is {len(used)} columns, {used[0]!r} to {used[-1]!r}; not "
            f"{', '.join(map(repr, ignored))}",
            quiet=quiet,
        )
    return np.column_stack(columns), used[0]


def _of_words(path: Path, array: str | None) -> _Rows:
    """A file in word2vec's or GloVe's format."""
    from jaxiso.encoders.words import read_word_file

    if array is not None:
        raise InputError(f"--array {array}: {path} has no arrays; it is read as word vectors")
    try:
        found = read_word_file(path)
    except InputError as error:
        why = (str(error.__cause__).splitlines() or [""])[0]
        raise InputError(
            f"{path}: cannot be read as word vectors ({why}); vectors are read from {FORMATS}"
        ) from error
    words = [str(word) for word in found.index_to_key]
    if all(map(is_number, words)):
        raise InputError(
            f"{path}: all its words are numbers; if it holds vectors without words, save it with "
            "commas between the numbers, as .csv, or as .npy"
        )
    return _Rows(found.vectors, lambda: words, None, lambda row: f"{path}, word {words[row]!r}")


def _check(path: Path, rows: _Rows) -> None:
    shape = rows.vectors.shape
    if len(shape) != 2 or shape[0] < 2 or shape[1] < 2:
        raise InputError(
            f"{path}: the vectors have shape {shape}; it must be (n, d), a vector a row, both at "
            "least 2"
        )
    for start in range(0, shape[0], BLOCK):
        finite = np.isfinite(rows.vectors[start : start + BLOCK]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            bad = rows.vectors[row][~np.isfinite(rows.vectors[row])][0]
            raise InputError(
                f"{rows.where(row)}: the vector has a value that is not a finite number, {bad}"
            )


def _align(path: Path, rows: _Rows, labels: LabelFile, quiet: bool) -> list[Label | None]:
    """The label of each vector."""
    words = None if labels.words is None else rows.words()
    if words is None:
        return _row_by_row(path, rows, labels)
    by_word = labels.by_word()
    found = [by_word.get(word) for word in words]
    missing = len(by_word.keys() - set(words))
    if missing == len(by_word):
        raise InputError(
            f"{path}: has none of the {missing:,} words of {labels.path}, such as "
            f"{list(by_word)[:3]}"
        )
    if missing:
        console.note(
            f"{path}: has no vector of {missing:,} of the {len(by_word):,} words of {labels.path}",
            quiet=quiet,
        )
    return found


def _row_by_row(path: Path, rows: _Rows, labels: LabelFile) -> list[Label | None]:
    n, given = len(rows.vectors), labels.labels
    while len(given) > n and given[-1] is None:  # empty lines at the end
        given = given[:-1]
    if len(given) == n:
        return given
    hint = ""
    if len(given) == n + 1:
        names = ", ".join(LABEL_NAMES)
        hint = f"; if its first line is a heading, call it by one of {names}, or by --label-column"
    elif rows.words() is not None:
        hint = "; to label some of the words only, give words too: a line is a word, a tab, a label"
    raise InputError(
        f"{labels.path}: {len(given):,} labels, but {path} has {n:,} vectors; there must be a "
        f"label a vector{hint}"
    )
