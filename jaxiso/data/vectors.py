"""Vectors of one's own with their labels, from a file in whatever format they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from jaxiso.cli.console import InputError, note
from jaxiso.data.arrays import ArrayFile
from jaxiso.data.columns import LABEL_NAMES, ColumnFile, is_number
from jaxiso.data.labels import (
    Label,
    LabelColumn,
    Labels,
    column_labels,
    column_words,
    number_labels,
    pick,
    read_labels,
    word_column,
)
from jaxiso.data.rows import ArrayRows, ColumnRows, KeptRows, Rows, rows_of
from jaxiso.data.tables import ARRAYS, COLUMNS, Table, is_table, open_table, true_suffix
from jaxiso.data.tasks import TASKS, Items, labelled
from jaxiso.data.word2vec import read_word2vec

# Names that vectors are looked for under in files of several arrays, best first.
VECTOR_NAMES = ("X", "embeddings", "embedding", "vectors", "vector")
# Columns of numbers that are no dimensions.
NO_DIMENSIONS = ("label", "labels", "class", "target", "id")
PICKLES = (".kv", ".model", ".pkl", ".pickle", ".pt", ".pth", ".joblib")

FORMATS = (
    f"{', '.join((*ARRAYS, *COLUMNS))}, word2vec or GloVe (.bin, .txt, .vec; also .gz), folders by "
    "datasets.save_to_disk"
)


class LabelledVectors(NamedTuple):
    """Vectors to measure or to train.

    Attributes:
        vectors: (n, d) numbers of any type, all finite; n and d at least 2.
        labels: of each vector; None where none are given.
        left_out: number of vectors left out, by reason.
    """

    path: Path
    vectors: np.ndarray
    labels: Labels | None
    left_out: dict[str, int]


class OpenedVectors(NamedTuple):
    """Vectors to measure, which are read when they are needed; as `LabelledVectors` but for that.

    Attributes:
        rows: n vectors of d finite numbers; n and d at least 2.
        labels: of each vector; None where none are given.
        left_out: number of vectors left out, by reason.
    """

    path: Path
    rows: Rows
    labels: Labels | None
    left_out: dict[str, int]


class _Found(NamedTuple):
    """All vectors of a file, before labels choose among them."""

    rows: Rows
    words: Callable[[], list[str] | None]
    labels: LabelColumn | None
    where: Callable[[int], str]


def read_vectors(
    path: Path,
    labels: str | None = None,
    *,
    label_column: str | None = None,
    array: str | None = None,
    dtype: DTypeLike | None = None,
    quiet: bool = False,
) -> LabelledVectors:
    """Reads vectors, and gives each its label; those without one are left out, and counted.

    Args:
        path: a file of the `FORMATS`.
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
    return LabelledVectors(path, found.rows.load(dtype), found.labels, found.left_out)


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
    if not path.is_file() and not (path.is_dir() and is_table(path)):
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; vectors are read from files: {FORMATS}")
    if path.suffix.lower() in PICKLES:
        raise InputError(f"{path}: {_PICKLED}")
    if is_table(path):
        table = open_table(path, column=labels)
        found = _of_table(table, _own_column(table, labels, label_column), array, quiet)
        if labels is None and (own := _named_labels(table)):
            note(f"{path}: to use its labels, add --labels {own}", quiet=quiet)
    else:
        found = _of_words(path, array)
    _check(path, found, dtype, part)
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
        labels = _named_labels(open_table(path)) if is_table(path) else None
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
    if not Path(labels).exists():
        raise InputError(
            f"--labels {labels}: there is no such file, and {table.path} has no such column or "
            f"array; {_has(table.names)}"
        )
    if Path(labels).samefile(table.path):
        return pick(table.names, label_column, table.path)
    return None


def _has(names: Sequence[str]) -> str:
    return f"it has {', '.join(map(repr, names)) or 'none'}"


def _named_labels(table: Table) -> str | None:
    """The file's own labels, going by their name."""
    # In a table, y may well be the column after x.
    names = [n for n in LABEL_NAMES if n != "y" or isinstance(table, ArrayFile)]
    return next((name for name in names if name in table.names), None)


def _of_table(table: Table, column: str | None, array: str | None, quiet: bool) -> _Found:
    words = word_column(table, but=column)
    names = [name for name in table.names if name not in (column, words)]
    found = _vector_array(table, names, array)
    if found is not None:
        rows, first = rows_of(table, found), found
    else:
        assert isinstance(table, ColumnFile)
        rows, first = _dimensions(table, names, quiet)
    return _Found(
        rows,
        lambda: None if words is None else column_words(table, words),
        None if column is None else column_labels(table, column),
        partial(table.where, first),
    )


def _vector_array(table: Table, names: list[str], array: str | None) -> str | None:
    """The array, or column of lists, that holds the vectors; None for columns of numbers."""
    if array is not None:
        if array in names:
            return array
        raise InputError(f"--array {array}: {table.path} has no such array; {_has(names)}")
    # An array is taken by its name, or as the only one, whatever it holds; `vectors` refuses it.
    found = _by_name(names) if isinstance(table, ArrayFile) else []
    several = [] if found else [name for name in names if table.holds_vectors(name)]
    found = found or _by_name(several)
    if found:
        return found[0]
    if not several and isinstance(table, ColumnFile):
        return None
    raise InputError(
        f"{table.path}: which array holds the vectors? Name it by --array; {_has(names)}"
    )


def _by_name(names: list[str]) -> list[str]:
    """Those called as vectors are, best first; else the only one, if there is but one."""
    return [n for n in VECTOR_NAMES if n in names] or (names if len(names) == 1 else [])


def _dimensions(table: ColumnFile, names: list[str], quiet: bool) -> tuple[Rows, str]:
    """The vectors that columns of numbers make, and the first such column."""
    columns: dict[str, np.ndarray] = {}
    for name in names:
        numbers = None if name.lower() in NO_DIMENSIONS else table.numbers(name)
        if numbers is None:
            continue
        counted = len(numbers) > 2 and np.array_equal(numbers, np.arange(len(numbers)))
        if not counted:  # as pandas does with rows
            # Those of formats that are read in batches are read again when they are needed.
            columns[name] = numbers[:0] if table.batches else numbers
    if not columns:
        raise InputError(
            f"{table.path}: no column of numbers, nor of lists of numbers; {_has(table.names)}"
        )
    used, ignored = list(columns), [name for name in names if name not in columns]
    if ignored:
        dimensions = f"{len(used)} columns, {used[0]!r} to {used[-1]!r}"
        others = ", ".join(map(repr, ignored))
        note(f"{table.path}: a vector is {dimensions}; not {others}", quiet=quiet)
    if all(map(is_number, used)):
        which = f"{used[0]!r} to {used[-1]!r}"
        note(f"{table.path}: the numbers of its first line, {which}, are names", quiet=quiet)
    if table.batches:
        return ColumnRows(table, used), used[0]
    return ArrayRows(np.column_stack(list(columns.values()))), used[0]


_PICKLED = (
    "it is a pickle, which can run any program, so it is not read; gensim's vectors are converted "
    "by KeyedVectors.load(FILE).save_word2vec_format('vectors.bin', binary=True), and arrays by "
    "numpy.save('vectors.npy', X)"
)


def _of_words(path: Path, array: str | None) -> _Found:
    """A file in word2vec's or GloVe's format."""
    if array is not None:
        raise InputError(f"--array {array}: {path} has no arrays; it is read as word vectors")
    words, vectors = read_word2vec(path, advice=f"vectors are read from {FORMATS}")
    if all(map(is_number, words)):
        raise InputError(
            f"{path}: all its words are numbers; if it holds vectors without words, save it with "
            "commas between the numbers, as .csv, or as .npy"
        )
    return _Found(
        ArrayRows(vectors), lambda: words, None, lambda row: f"{path}, word {words[row]!r}"
    )


def _check(path: Path, found: _Found, dtype: DTypeLike | None, part: tuple[int, int]) -> None:
    """Refuses vectors that are not finite (as `dtype`), of a part of them, and sizes below 2."""
    shape = found.rows.shape
    if len(shape) != 2 or min(shape) < 2:
        raise InputError(
            f"{path}: the vectors have shape {shape}; it must be (n, d), a vector a row, both at "
            "least 2"
        )
    (mine, parts), n = part, shape[0]
    start = n * mine // parts
    for given in found.rows.blocks(start, n * (mine + 1) // parts):
        with np.errstate(over="ignore"):  # what the type cannot hold is reported below
            block = given if dtype is None else given.astype(dtype, copy=False)
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            number = given[row][~np.isfinite(block[row])][0]
            what = f"{number}, which {block.dtype} cannot hold" if np.isfinite(number) else number
            raise InputError(
                f"{found.where(start + row)}: the vector has a value that is not a finite number, "
                f"{what}"
            )
        start += len(block)


def _align(path: Path, found: _Found, labels: LabelColumn, quiet: bool) -> list[Label | None]:
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


def _row_by_row(path: Path, found: _Found, labels: LabelColumn) -> list[Label | None]:
    n, given = len(found.rows), labels.labels
    while len(given) > n and given[-1] is None:  # empty lines at the end
        given = given[:-1]
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
