"""`open_table`: files of arrays, columns or records, whatever their format."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import ArrayFile, open_arrays
from jaxiso.data.arrow import is_saved_dataset, open_ipc, open_parquet, open_saved_dataset
from jaxiso.data.columns import ColumnFile
from jaxiso.data.delimited import open_delimited
from jaxiso.data.records import RecordFile, open_records

ARRAYS = (".npy", ".npz", ".safetensors")
TEXT = (".csv", ".tsv", ".jsonl")
COLUMNS = (*TEXT, ".parquet", ".arrow", ".feather")

Table = ArrayFile | ColumnFile | RecordFile


def true_suffix(path: Path) -> str:
    """The suffix in lower case, without `.gz`; those of one format have one name."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return {".pq": ".parquet", ".ndjson": ".jsonl", ".ftr": ".feather"}.get(suffix, suffix)


def is_table(path: Path) -> bool:
    """Whether a path is one that `open_table` opens, going by its name, or a saved dataset."""
    return is_saved_dataset(path) if path.is_dir() else true_suffix(path) in (*ARRAYS, *COLUMNS)


def open_table(path: Path, *, of_labels: bool = False, column: str | None = None) -> Table:
    """Opens a file of arrays, columns or records, by its suffix; or a folder by `datasets`.

    Args:
        path: the file, with a suffix of `ARRAYS` or `COLUMNS`.
        of_labels: it is a file of labels, in which all columns may be text.
        column: a column that it must have, if its first line names columns.

    Raises InputError if it cannot be read.
    """
    suffix = true_suffix(path)
    if path.is_dir():
        table: Table = open_saved_dataset(path)
    elif path.suffix.lower() == ".gz" and suffix not in TEXT:
        raise InputError(f"{path}: unpack it first (gunzip); {suffix} files are not read from .gz")
    elif suffix in ARRAYS:
        table = open_arrays(path)
    elif suffix == ".jsonl":
        table = open_records(path)
    elif suffix == ".parquet":
        table = open_parquet(path)
    elif suffix in (".arrow", ".feather"):
        table = open_ipc(path)
    else:
        table = open_delimited(path, tabs=suffix == ".tsv", of_labels=of_labels, column=column)
    twice = [name for name, count in Counter(table.names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: two arrays or columns are called {twice[0]!r}; rename one")
    return table
