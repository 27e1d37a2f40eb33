"""Reading rows: lines and JSON lines below a data directory, tables of the Hugging Face hub."""

from __future__ import annotations

import difflib
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jaxiso.cli.console import InputError, first_line
from jaxiso.cli.files import parse_json

if TYPE_CHECKING:
    from datasets import Dataset

DATA_VARIABLE = "JAXISO_DATA"
SAY_DATA_DIR = f"(--data-dir, or {DATA_VARIABLE})"
NO_DATA_DIR = f"no data directory given {SAY_DATA_DIR}"

Row = tuple[str, dict[str, Any]]
"""Where a row stands, as messages name it (`file, line 3`), and its fields."""


@dataclass(frozen=True)
class Hub:
    """A place on the Hugging Face hub.

    Attributes:
        id: repository, `owner/name`; it holds parquet files, as datasets 5 reads no scripts.
        config: None for the only one.
        split: several are joined by `+`.
    """

    id: str
    config: str | None
    split: str

    def __str__(self) -> str:
        config = f", config {self.config}" if self.config else ""
        return f"{self.id}{config}, split {self.split}"

    @property
    def command(self) -> str:
        """A shell command that downloads the data into the cache of `datasets`."""
        config = f"'{self.config}', " if self.config else ""
        call = f"load_dataset('{self.id}', {config}split='{self.split}')"
        return f'python -c "from datasets import load_dataset; {call}"'


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of data before they are read: what a task and a corpus have in common.

    Attributes:
        about: one line for help texts.
        page: where the data are described, with their licence.
        classes: label names, in label order; empty where there are no labels.
    """

    kind_of_data: ClassVar[str]
    name: str
    about: str
    page: str
    classes: tuple[str, ...] = ()
    hub: Hub | None = None

    def __str__(self) -> str:
        return f"{self.kind_of_data} {self.name!r}"


def resolve_data_dir(data_dir: Path | str | None) -> Path | None:
    """The data directory: the argument, else the environment's JAXISO_DATA, else None."""
    given = os.environ.get(DATA_VARIABLE)
    if data_dir is None and not given:
        return None
    folder = Path(data_dir or given or "").expanduser()
    if not folder.is_dir():
        said_by = "" if data_dir is not None else f" (from the environment's {DATA_VARIABLE})"
        raise InputError(f"data directory {folder}{said_by} is not a directory")
    return folder


def json_lines_paths(folder: Path, place: str) -> list[Path]:
    """Where `place`, such as `glue/cola/train`, may lie below a data directory, best first."""
    return [folder / f"{place}{end}" for end in (".jsonl", ".jsonl.gz")]


def read_json_lines(path: Path) -> Iterator[Row]:
    """Yields the JSON objects of a file, one a line, plain or gzip; blank lines are passed over.

    Raises InputError if the file cannot be read, is empty, or a line is not a JSON object.
    """
    found = False
    for where, line in read_lines(path):
        if not line.strip():
            continue
        found = True
        try:
            row = parse_json(line, where)
        except InputError as error:
            raise InputError(f"{error}: {shorten(line)}; each line must be a JSON object") from None
        if not isinstance(row, dict):
            raise InputError(
                f'{where}: {shorten(line)} is not a JSON object, such as {{"label": 0}}'
            )
        yield where, row
    if not found:
        raise InputError(f"{path}: the file is empty; it must hold one JSON object a line")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of a UTF-8 file, plain or gzip, each with its place (`file, line 3`).

    Raises InputError if the file cannot be read, or a byte is not UTF-8.
    """
    number = 0
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                yield f"{path}, line {number}", line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: damaged gzip after line {number} ({error}); copy or compress the file again"
        ) from error
    except UnicodeDecodeError as error:
        # What is decoded at once begins in the line after the last that was read.
        number += 1 + error.object[: error.start].count(b"\n")
        raise InputError(
            f"{path}, line {number}: not UTF-8 ({error.reason}); save the file as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def text_field(row: dict[str, Any], name: str, where: str, wanted: str = "") -> str:
    """A row's field; InputError, which says what is `wanted` of a row, if it is no string."""
    if name not in row:
        found = ", ".join(row) or "none"
        raise InputError(f"{where}: no field {name!r}; {wanted}found {found}")
    if not isinstance(row[name], str):
        raise InputError(f"{where}: field {name!r} is {kind(row[name])}; it must be a string")
    return row[name]


def shorten(value: object) -> str:
    """A value as messages show it: on one line, at most 60 characters."""
    try:
        text = value.strip() if isinstance(value, str) else repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def kind(value: object) -> str:
    """A value as messages show it, and its type."""
    return f"{shorten(value)} ({type(value).__name__})"


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: a file's name may hold bytes that cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def class_id(value: object, field: str, where: str, facts: Facts) -> int:
    """The number of a class, given that or its name; InputError if it is neither."""
    if isinstance(value, str) and value in facts.classes:
        return facts.classes.index(value)
    if type(value) is int and 0 <= value < len(facts.classes):  # a bool is no class id
        return value
    shown = repr(value) if isinstance(value, str) else kind(value)
    raise InputError(
        f"{where}: field {field!r}: {shown} is not a label of {facts}; allowed: whole numbers 0 to "
        f"{len(facts.classes) - 1}, or their names {', '.join(facts.classes)}"
    )


def hub_table(
    facts: Facts, hub: Hub, fields: Sequence[str], nowhere: Callable[[str], str], *, quiet: bool
) -> Dataset:
    """The `fields` of a split, the labels last, from the hub or, offline, `datasets`' cache.

    Raises InputError if the hub has no answer (its text is `nowhere`, given a line that says why),
    a column is missing, or the classes are others than the `facts` say.
    """
    from datasets import ClassLabel, load_dataset
    from datasets.config import HF_HUB_OFFLINE

    try:
        with hushed_datasets(quiet):
            data = load_dataset(hub.id, hub.config, split=hub.split)
    except Exception as error:  # the hub fails in many ways; the message keeps which one it was
        state = "offline by HF_HUB_OFFLINE, and not cached" if HF_HUB_OFFLINE else "failed"
        why = f"{state}: {type(error).__name__}: {first_line(error)}"
        raise InputError(nowhere(f"\n  Hugging Face hub ({hub}): {why}")) from error
    for field in fields:
        if field not in data.column_names:
            there = ", ".join(data.column_names)
            raise InputError(f"{hub}: no field {field!r}; the fields there are {there}")
    feature = data.features[fields[-1]]
    if isinstance(feature, ClassLabel):
        check_classes(tuple(feature.names), facts, str(hub))
    return data.select_columns(list(fields))


def check_classes(classes: tuple[str, ...], facts: Facts, where: str) -> None:
    """Raises InputError if classes are not the expected ones: ids would mean others in silence."""
    if classes != facts.classes:
        raise InputError(
            f"{where}: its classes are {', '.join(classes)}; {facts} expects "
            f"{', '.join(facts.classes)}, in this order"
        )


@contextmanager
def hushed_datasets(quiet: bool) -> Iterator[None]:
    """Without progress bars and warnings of `datasets` and the hub's client while inside.

    Does nothing unless `quiet`. What the user's own environment variables say stays as it is.
    """
    import datasets
    import huggingface_hub.utils as hub

    libraries: dict[str, Any] = {"HF_DATASETS": datasets, "HF_HUB": hub} if quiet else {}
    with ExitStack() as afterwards:
        for name, library in libraries.items():
            # A variable set by the user has priority there, and calling against it only warns.
            said = f"{name}_DISABLE_PROGRESS_BARS" in os.environ
            if not said and not library.are_progress_bars_disabled():
                library.disable_progress_bars()
                afterwards.callback(library.enable_progress_bars)
        if quiet:
            afterwards.callback(datasets.logging.set_verbosity, datasets.logging.get_verbosity())
            datasets.logging.set_verbosity_error()
        yield


def not_found(
    facts: Facts, looked_for: str, hubs: Sequence[Hub], write: str, line: str, labels: str, why: str
) -> str:
    """The message for data that are nowhere: what was `looked_for`, `why`, and how to get them.

    They can be downloaded from `hubs`, or one can `write` a file of one's own with rows such as
    `line` and `labels`, by default the classes with their numbers.
    """
    commands = "".join(f"\n    {hub.command}" for hub in hubs)
    get = f"while online, run{commands}\n  or " if hubs else ""
    labels = labels or ", ".join(f"{i} {name}" for i, name in enumerate(facts.classes))
    return (
        f"{facts}: its data were not found\n  looked for: {looked_for}{why}\n"
        f"  to get them: {get}{write}, one JSON object a line:\n    {line}\n"
        f"    labels: {labels}\n  about the data and their licence: {facts.page}"
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to a mistyped one, as a sentence; or nothing."""
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
