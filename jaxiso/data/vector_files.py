"""The vectors that a file holds, in whatever format, and the labels that it has itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from jaxiso.cli.console import InputError, note
from jaxiso.data.arrays import ArrayFile
from jaxiso.data.columns import LABEL_NAMES, ColumnFile, is_number
from jaxiso.data.labels import LabelColumn, column_labels, column_words, pick, word_column
from jaxiso.data.rows import ArrayRows, ColumnRows, Rows, rows_of
from jaxiso.data.tables import ARRAYS, COLUMNS, Table, is_table, open_table, true_suffix
from jaxiso.data.word2vec import read_word2vec

# Names that vectors are looked for under in files of several arrays, best first.
VECTOR_NAMES = ("X", "embeddings", "embedding", "vectors", "vector")
# Columns of numbers that are no dimensions.
NO_DIMENSIONS = ("label", "labels", "class", "target", "id")
PICKLES = (".kv", ".model", ".pkl", ".pickle", ".pt", ".pth", ".joblib")

PICKLED = (
    "it is a pickle, which can run any program, so it is not read; gensim's vectors are converted "
    "by KeyedVectors.load(FILE).save_word2vec_format('vectors.bin', binary=True), and arrays by "
    "numpy.save('vectors.npy', X)"
)
FORMATS = (
    f"{', '.join((*ARRAYS, *COLUMNS))}, word2vec or GloVe (.bin, .txt, .vec; also .gz), folders by "
    "datasets.save_to_disk"
)


class FoundVectors(NamedTuple):
    """All vectors of a file, before labels choose among them."""

    rows: Rows
    words: Callable[[], list[str] | None]
    labels: LabelColumn | None
    where: Callable[[int], str]


def find_vectors(
    path: Path, labels: str | None, label_column: str | None, array: str | None, *, quiet: bool
) -> FoundVectors:
    """Finds the vectors of a file, and its labels where it holds them itself.

    The arguments are those of `jaxiso.data.vectors.read_vectors`.

    Raises InputError if the file cannot be read, or it is not clear where the vectors are.
    """
    if not path.is_file() and not (path.is_dir() and is_table(path)):
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; vectors are read from files: {FORMATS}")
    if path.suffix.lower() in PICKLES:
        raise InputError(f"{path}: {PICKLED}")
    if not is_table(path):
        return _of_words(path, array)
    table = open_table(path, column=labels)
    found = _of_table(table, _own_column(table, labels, label_column), array, quiet)
    if labels is None and (own := named_labels(table)):
        note(f"{path}: to use its labels, add --labels {own}", quiet=quiet)
    return found


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


def named_labels(table: Table) -> str | None:
    """The file's own labels, going by their name."""
    # In a table, y may well be the column after x.
    names = [n for n in LABEL_NAMES if n != "y" or isinstance(table, ArrayFile)]
    return next((name for name in names if name in table.names), None)


def _of_table(table: Table, column: str | None, array: str | None, quiet: bool) -> FoundVectors:
    words = word_column(table, but=column)
    names = [name for name in table.names if name not in (column, words)]
    found = _vector_array(table, names, array)
    if found is not None:
        rows, first = rows_of(table, found), found
    else:
        assert isinstance(table, ColumnFile)
        rows, first = _dimensions(table, names, quiet)
    return FoundVectors(
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


def _of_words(path: Path, array: str | None) -> FoundVectors:
    """A file in word2vec's or GloVe's format."""
    if array is not None:
        raise InputError(f"--array {array}: {path} has no arrays; it is read as word vectors")
    words, vectors = read_word2vec(path, advice=f"vectors are read from {FORMATS}")
    if all(map(is_number, words)):
        raise InputError(
            f"{path}: all its words are numbers; if it holds vectors without words, save it with "
            "commas between the numbers, as .csv, or as .npy"
        )
    return FoundVectors(
        ArrayRows(vectors), lambda: words, None, lambda row: f"{path}, word {words[row]!r}"
    )


def check_vectors(
    path: Path, found: FoundVectors, dtype: DTypeLike | None, part: tuple[int, int]
) -> None:
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
