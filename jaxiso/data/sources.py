"""Rows of a task's data: from the data directory if they are there, else from the hub."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxiso.data.tasks import Hub, Task
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

DATA_VARIABLE = "JAXISO_DATA"

Row = tuple[str, dict[str, Any]]
"""Where a row stands, as messages name it (`file, line 3`), and its fields."""


@dataclass(frozen=True)
class Rows:
    """The rows of a task, not yet checked.

    Attributes:
        source: where they come from, for people.
        rows: read once, in order.
    """

    source: str
    rows: Iterator[Row]


def resolve_data_dir(data_dir: Path | None) -> Path | None:
    """The data directory: the argument, else the environment's JAXISO_DATA, else None.

    Raises:
        InputError: it is not a directory.
    """
    given = os.environ.get(DATA_VARIABLE)
    if data_dir is None and not given:
        return None
    folder = Path(data_dir or given or "").expanduser()
    if not folder.is_dir():
        said_by = "" if data_dir is not None else f" (from the environment's {DATA_VARIABLE})"
        raise InputError(f"data directory {folder}{said_by} is not a directory")
    return folder


def read_rows(task: Task, data_dir: Path | None, *, quiet: bool = False) -> Rows:
    """Finds the rows of `task`: a local file that is present always wins over the hub.

    Args:
        task: whose rows; not one of the kind 'vectors'.
        data_dir: folder with `<corpus>/<split>.jsonl` or `.jsonl.gz`; None means JAXISO_DATA.
        quiet: the `datasets` library shows no progress and no warnings.

    Raises:
        InputError: the data are nowhere; says what was looked for and how to get them. Also while
            the rows are read, where a file is damaged.
    """
    folder = resolve_data_dir(data_dir)
    paths = json_lines_paths(folder, task.local or "") if folder else []
    for path in paths:
        if path.exists():
            return Rows(str(path), read_json_lines(path))
    if task.hub is None:
        raise InputError(_how_to_get(task, paths, ""))
    with asking_hub(task.hub, lambda state: _how_to_get(task, paths, state), quiet=quiet):
        return Rows(f"the Hugging Face hub ({task.hub})", _hub_rows(task, task.hub))


def json_lines_paths(folder: Path, place: str) -> list[Path]:
    """Where `place`, such as `glue/cola/train`, may lie below a data directory, best first."""
    return [folder / f"{place}{end}" for end in (".jsonl", ".jsonl.gz")]


def read_json_lines(path: Path) -> Iterator[Row]:
    """Yields the JSON objects of a file, one a line, plain or gzip; blank lines are passed over.

    Raises:
        InputError: the file cannot be read, a line is not a JSON object, or nothing is in it.
    """
    found = False
    for where, line in read_lines(path):
        if line.strip():
            found = True
            yield where, _json_object(line, where)
    if not found:
        raise InputError(f"{path}: the file is empty; it must hold one JSON object a line")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of a UTF-8 file, plain or gzip, each with its place (`file, line 3`).

    Raises:
        InputError: the file cannot be read.
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
        raise InputError(
            f"{path}: not UTF-8 after line {number} ({error.reason}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"{where}: not JSON ({error}): {shorten(line)}; each line must be a JSON object"
        ) from None
    if not isinstance(value, dict):
        raise InputError(f'{where}: {shorten(line)} is not a JSON object, such as {{"label": 0}}')
    return value


def shorten(value: object) -> str:
    """A value as messages show it: on one line, at most 60 characters."""
    text = value.strip() if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _hub_rows(task: Task, hub: Hub) -> Iterator[Row]:
    """Loads a task from the hub, or from the cache of `datasets` when offline."""
    wanted = [*task.fields, task.label_field]
    data = hub_table(hub, wanted, task.label_field, task.classes, f"task {task.name!r}")
    rows = data.to_list()
    return ((f"{hub}, row {i}", row) for i, row in enumerate(rows, start=1))


def hub_table(
    hub: Hub, wanted: Sequence[str], label_field: str, classes: tuple[str, ...], reader: str
) -> Dataset:
    """A split from the hub, or from the cache of `datasets` when offline, checked.

    Args:
        hub: where it lies.
        wanted: its columns to keep, the labels' among them.
        label_field: the column with the labels.
        classes: their names, in label order.
        reader: who reads it, for messages, such as "task 'cola'".

    Raises:
        InputError: a column is missing, or the classes are others. Use within `asking_hub`, which
            speaks for everything else that can go wrong.
    """
    from datasets import ClassLabel, load_dataset

    data = load_dataset(hub.id, hub.config, split=hub.split)
    missing = [field for field in wanted if field not in data.column_names]
    if missing:
        raise InputError(
            f"{hub}: no field {missing[0]!r}; the fields there are {', '.join(data.column_names)}"
        )
    feature = data.features[label_field]
    if isinstance(feature, ClassLabel) and tuple(feature.names) != classes:
        # Ids would silently mean other classes.
        raise InputError(
            f"{hub}: its classes are {', '.join(feature.names)}; "
            f"{reader} expects {', '.join(classes)}, in this order"
        )
    return data.select_columns(list(wanted))


@contextmanager
def asking_hub(hub: Hub, how_to_get: Callable[[str], str], *, quiet: bool) -> Iterator[None]:
    """Turns whatever fails while the hub is asked into one message.

    Args:
        hub: what is asked for.
        how_to_get: makes the message from a line that says how the hub failed.
        quiet: the `datasets` library shows no progress and no warnings.

    Raises:
        InputError: with that message.
    """
    try:
        with _hush_datasets(quiet):
            yield
    except InputError:
        raise
    except Exception as error:  # the hub fails in many ways; the message keeps which one it was
        raise InputError(how_to_get(_hub_state(hub, error))) from error


@contextmanager
def _hush_datasets(quiet: bool) -> Iterator[None]:
    """Without progress bars and warnings of `datasets` while inside, if `quiet`."""
    import datasets
    from datasets import config
    from huggingface_hub import utils as hub

    # A variable set by the user has priority there, and calling against it only warns.
    free = config.HF_DATASETS_DISABLE_PROGRESS_BARS is None
    bars = quiet and free and not datasets.are_progress_bars_disabled()
    hub_free = os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS") is None
    hub_bars = quiet and hub_free and not hub.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    if bars:
        datasets.disable_progress_bars()
    if hub_bars:
        hub.disable_progress_bars()
    if quiet:
        datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
        if hub_bars:
            hub.enable_progress_bars()


def _hub_state(hub: Hub, error: Exception) -> str:
    from datasets import config

    state = "offline by HF_HUB_OFFLINE, and not cached" if config.HF_HUB_OFFLINE else "failed"
    first = (str(error).splitlines() or [""])[0]
    return f"\n  Hugging Face hub ({hub}): {state}: {type(error).__name__}: {first}"


def _how_to_get(task: Task, looked_for: list[Path], hub_state: str) -> str:
    """The message for data that are nowhere."""
    paths = "\n              ".join(map(str, looked_for)) or (
        f"no file: no data directory given (--data-dir, or {DATA_VARIABLE})"
    )
    if task.hub:
        get = f"while online, run\n    {task.hub.command}\n  or write"
        allowed = ", ".join(f"{i} {name}" for i, name in enumerate(task.classes))
        shape = ", ".join(f'"{field}": "…"' for field in task.fields)
        line = f'{{{shape}, "label": 0}}\n    labels: {allowed}'
    else:
        get = "these words are not on the hub; write"
        line = f'{{"word": "…", "labels": ["{task.classes[0]}"]}}\n    labels: '
        line += ", ".join(task.classes)
    file = looked_for[0] if looked_for else f"DATA-DIR/{task.local}.jsonl"
    return (
        f"task {task.name!r}: its data were not found\n  looked for: {paths}{hub_state}\n"
        f"  to get them: {get} {file}, one JSON object a line:\n    {line}\n"
        f"  about the data and their licence: {task.page}"
    )
