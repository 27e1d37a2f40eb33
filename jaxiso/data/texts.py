"""Texts of one's own with their labels, from a file in whatever format they are at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.cli.console import InputError, note, several
from jaxiso.data.arrays import ArrayFile, reading
from jaxiso.data.columns import LABEL_NAMES
from jaxiso.data.corpora import corpus_texts
from jaxiso.data.known_corpora import CORPORA
from jaxiso.data.labels import Label, Labels, column_labels, number_labels, read_labels
from jaxiso.data.sources import did_you_mean, is_unicode, kind, read_lines
from jaxiso.data.tables import COLUMNS, Table, is_table, open_table, true_suffix

# Names that texts are looked for under, best first.
TEXT_NAMES = ("text", "sentence", "content", "document")
FORMATS = (
    f".txt (a text a line), {', '.join(COLUMNS)}, a folder by datasets.save_to_disk, or a corpus: "
    f"{', '.join(CORPORA)}"
)


class Texts(NamedTuple):
    """Texts to encode.

    Attributes:
        path: the file, or a corpus's name.
        texts: none is blank.
        labels: of each text; None where none were asked for.
        of: number of texts that these were drawn from.
    """

    path: Path
    texts: list[str]
    labels: Labels | None
    of: int


class _Found(NamedTuple):
    """All that a file holds, before it is checked and sampled."""

    texts: Sequence[object]
    labels: Sequence[Label | None] | None
    classes: tuple[str, ...] | None
    where: Callable[[int], str]


def read_texts(
    given: str,
    labels: str | None = None,
    *,
    text_field: str | None = None,
    label_column: str | None = None,
    data_dir: Path | str | None = None,
    limit: int = 0,
    seed: int = 0,
    quiet: bool = False,
) -> Texts:
    """Reads texts, and gives each its label.

    Args:
        given: a file or folder of the `FORMATS`, or a key of `CORPORA`, whose training texts are
            taken as they are.
        labels: a column or field of that file; or a file of labels, see `read_labels`, row by row.
        text_field: the column or field of the texts; by default one of `TEXT_NAMES`, or the only
            one.
        label_column: the column of a file of labels.
        data_dir: where corpora are; see `load_corpus`.
        limit: take a random sample of this many, in their order; 0 takes all.
        seed: of the sample.
        quiet: no notes.

    Raises InputError if the file or its labels cannot be used, a text is blank or missing, or some
    texts have a label and others not.
    """
    path = Path(given).expanduser()
    if given in CORPORA and not path.exists():
        found = _of_corpus(given, labels, text_field, data_dir, quiet)
    elif path.is_file() and true_suffix(path) == ".txt":
        found = _of_lines(path, labels, text_field, label_column)
    elif path.exists() and is_table(path):
        found = _of_table(path, labels, text_field, label_column, quiet)
    else:
        raise _unknown(given, path)
    n = len(found.texts)
    _check(found, path)
    rows: Sequence[int] = range(n)
    if 0 < limit < n:
        rows = sorted(np.random.default_rng([seed, 0x7E87]).permutation(n)[:limit].tolist())
        note(f"{path}: {limit:,} of {n:,} texts, drawn at random (seed {seed})", quiet=quiet)
    texts = [str(found.texts[row]) for row in rows]
    if found.labels is None:
        return Texts(path, texts, None, n)
    chosen = [label for row in rows if (label := found.labels[row]) is not None]
    return Texts(path, texts, number_labels(chosen, found.classes), n)


def _unknown(given: str, path: Path) -> InputError:
    shown = given if is_unicode(given) else ascii(given)
    if path.is_dir():
        why = "a folder, but not one by datasets.save_to_disk"
    elif path.exists():
        why = "what kind of file it is does not show in its name"
    else:
        why = "no such file"
    hint = did_you_mean(given, CORPORA) if not path.exists() else ""
    return InputError(f"texts {shown}: {why}; texts are read from {FORMATS}.{hint}")


def _of_corpus(
    name: str, labels: str | None, text_field: str | None, data_dir: Path | str | None, quiet: bool
) -> _Found:
    fields = ("label", CORPORA[name].label_field)
    if labels is not None and labels not in fields:
        raise InputError(f"--labels {labels}: the labels of the corpus {name} are called label")
    if text_field is not None:
        raise InputError(f"--text-field {text_field}: the corpus {name} has but one text a row")
    rows = corpus_texts(name, data_dir=data_dir, quiet=quiet)
    found = [None if label is None else (str(label),) for _, _, label in rows]
    return _Found(
        [text for _, text, _ in rows],
        None if labels is None else found,
        None,
        lambda row: rows[row][0],
    )


def _of_lines(
    path: Path, labels: str | None, text_field: str | None, label_column: str | None
) -> _Found:
    if text_field is not None:
        raise InputError(f"--text-field {text_field}: {path} has no fields, but a text a line")
    rows = list(read_lines(path))
    if not rows:
        raise InputError(f"{path}: the file is empty; it must hold a text a line")
    texts = [line.rstrip("\r\n") for _, line in rows]
    return _labelled(texts, path, labels, label_column, lambda row: rows[row][0])


def _of_table(
    path: Path, labels: str | None, text_field: str | None, label_column: str | None, quiet: bool
) -> _Found:
    table = open_table(path, column=text_field)
    if isinstance(table, ArrayFile):
        raise InputError(f"{path}: it holds arrays, no texts; texts are read from {FORMATS}")
    name = _text_name(table, text_field)
    texts, _ = table.values(name)
    where = partial(table.where, name)
    if labels is None:
        own = [one for one in LABEL_NAMES if one in table.names and one != name]
        if own:
            note(f"{path}: to use its labels, add --labels {own[0]}", quiet=quiet)
    elif labels in table.names:
        if label_column is not None:
            raise InputError(
                f"--label-column {label_column}: --labels {labels} is a field of {path} already; "
                "give one of the two"
            )
        column = column_labels(table, labels)
        return _Found(texts, _named(path, labels, column.labels), column.classes, where)
    return _labelled(texts, path, labels, label_column, where, table)


def _text_name(table: Table, wanted: str | None) -> str:
    found = ", ".join(map(repr, table.names)) or "none"
    if wanted is not None:
        if wanted in table.names:
            return wanted
        raise InputError(f"--text-field {wanted}: {table.path} has no such field; it has {found}")
    known = [name for name in TEXT_NAMES if name in table.names]
    if known or len(table.names) == 1:
        return [*known, *table.names][0]
    raise InputError(
        f"{table.path}: which field holds the texts? Name it by --text-field; it has {found}"
    )


def _named(folder: Path, field: str, labels: Sequence[Label | None]) -> Sequence[Label | None]:
    """Labels that `datasets` saved as numbers, by the names that are beside them."""
    path = folder / "dataset_info.json"
    if not path.is_file():
        return labels
    with reading(path):
        said: Any = json.loads(path.read_bytes()).get("features", {}).get(field, {})
    if not isinstance(said, dict) or said.get("_type") != "ClassLabel":
        return labels
    of_number = {str(number): str(name) for number, name in enumerate(said.get("names") or ())}
    return [
        None if label is None else tuple(of_number.get(one, one) for one in label)
        for label in labels
    ]


def _labelled(
    texts: Sequence[object],
    path: Path,
    labels: str | None,
    label_column: str | None,
    where: Callable[[int], str],
    table: Table | None = None,
) -> _Found:
    """The texts with the labels of another file, row by row."""
    if labels is None:
        return _Found(texts, None, None, where)
    if not Path(labels).is_file():
        names = ", ".join(map(repr, table.names)) if table else ""
        has = f"no such field; it has {names}" if table else "no fields, but a text a line"
        raise InputError(f"--labels {labels}: there is no such file, and {path} has {has}")
    column = read_labels(Path(labels), label_column)
    found = column.by_row(len(texts))
    if len(found) != len(texts):
        raise InputError(
            f"{column.path}: {len(found):,} labels, but {path} has {len(texts):,} texts; there "
            "must be a label a text"
        )
    return _Found(texts, found, column.classes, where)


def _check(found: _Found, path: Path) -> None:
    """Refuses texts that are blank or none, and labels of some texts only."""
    texts, n = found.texts, len(found.texts)
    wrong = [i for i, one in enumerate(texts) if not isinstance(one, str) or not one.strip()]
    if wrong:
        first = texts[wrong[0]]
        blank = first is None or isinstance(first, str)
        what = "the text is empty" if blank else f"the text is {kind(first)}, not a string"
        count = f"; so are {len(wrong):,} of {n:,}" if len(wrong) > 1 else ""
        raise InputError(f"{found.where(wrong[0])}: {what}{count}; leave such rows out of the file")
    odd = next((i for i, one in enumerate(texts) if not is_unicode(str(one))), None)
    if odd is not None:
        raise InputError(f"{found.where(odd)}: the text is not valid Unicode; save it as UTF-8")
    if n < 2:
        raise InputError(f"{path}: {several(n, 'text')}; there must be at least two")
    bare = [i for i, label in enumerate(found.labels or ()) if label is None]
    if bare:
        lack = "none of the texts has a label" if len(bare) == n else "this text has no label"
        raise InputError(
            f"{found.where(bare[0])}: {lack} ({len(bare):,} of {n:,} have none); label all texts, "
            "or leave those out of the file"
        )
