"""Files of Apache Arrow: .parquet, .arrow, .feather, and folders that `datasets` saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from jaxiso.cli.console import InputError
from jaxiso.data.arrays import reading
from jaxiso.data.columns import ColumnFile

STATE = "state.json"
"""The file of a folder by `datasets.save_to_disk` that lists its .arrow files."""
SPLITS = "dataset_dict.json"
"""The file of a folder that holds such a folder for each split."""
_ROWS = 16_384  # of a .parquet file, decoded at once

Batches = Iterator[pa.RecordBatch]


def open_parquet(path: Path) -> ColumnFile:
    """Opens a .parquet file; InputError if it cannot be read."""

    def batches(names: Sequence[str], start: int, stop: int) -> Batches:
        with path.open("rb") as opened, pq.ParquetFile(opened, buffer_size=2**20) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = list(accumulate(sizes))
            groups = [
                i
                for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
                if end - size < stop and end > start
            ]
            if not groups:
                return
            first = ends[groups[0]] - sizes[groups[0]]
            some = file.iter_batches(_ROWS, groups, columns=list(names))
            yield from _between(some, start - first, stop - first)

    with reading(path), path.open("rb") as file:
        metadata = pq.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    return _file(path, schema, metadata.num_rows, batches)


def open_ipc(path: Path) -> ColumnFile:
    """Opens a .arrow or .feather file, as Arrow, `datasets` and pandas write them."""
    with reading(path):
        return _of_ipc(path, [path])


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is one that `datasets` saved, of one split or of several."""
    return (folder / STATE).is_file() or (folder / SPLITS).is_file()


def open_saved_dataset(folder: Path) -> ColumnFile:
    """Opens a folder that `Dataset.save_to_disk` made.

    Raises InputError if it holds several splits, or a file of it cannot be read.
    """
    if (folder / SPLITS).is_file():
        splits = ", ".join(
            str(part) for part in sorted(folder.iterdir()) if (part / STATE).is_file()
        )
        raise InputError(f"{folder}: it holds several splits; give one of {splits or 'them'}")
    with reading(folder / STATE):
        state = json.loads((folder / STATE).read_bytes())
        files = [str(one["filename"]) for one in state["_data_files"]]
    strange = [name for name in files if Path(name).name != name or not (folder / name).is_file()]
    if strange or not files:
        which = repr(strange[0]) if strange else "no file"
        raise InputError(
            f"{folder / STATE}: it names {which}, which is not in this folder; save the dataset "
            "again by save_to_disk"
        )
    with reading(folder):
        return _of_ipc(folder, [folder / name for name in files])


def _of_ipc(path: Path, files: Sequence[Path]) -> ColumnFile:
    def batches(names: Sequence[str] | None, start: int, stop: int) -> Batches:
        return _between(_ipc_batches(files, names), start, stop)

    with files[0].open("rb") as file:
        schema = _reader(file, None).schema
    n = sum(batch.num_rows for batch in _ipc_batches(files, schema.names[:1]))
    return _file(path, schema, n, batches)


def _ipc_batches(files: Sequence[Path], names: Sequence[str] | None) -> Batches:
    for path in files:
        with path.open("rb") as file:
            schema = _reader(file, None).schema
            file.seek(0)
            fields = None if names is None else [schema.names.index(name) for name in names]
            reader = _reader(file, fields)
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                found: Batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                found = iter(reader)
            for batch in found:
                # Arrow reads offsets as they are, and would follow them out of the buffer.
                batch.validate(full=True)
                yield batch


def _reader(
    file: IO[bytes], fields: Sequence[int] | None
) -> pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader:
    """Of some columns, by number; in the format of files or, as `datasets` writes, of streams."""
    start = file.read(6)
    file.seek(0)
    if start[:4] == b"FEA1":
        raise InputError(
            f"{file.name}: it is in Feather's first version, which is no longer written; save it "
            "again by DataFrame.to_feather"
        )
    options = pa.ipc.IpcReadOptions(included_fields=fields)
    if start == b"ARROW1":
        return pa.ipc.open_file(file, options=options)
    return pa.ipc.open_stream(file, options=options)


def _file(
    path: Path, schema: pa.Schema, n: int, batches: Callable[[Sequence[str], int, int], Batches]
) -> ColumnFile:
    def read(name: str) -> pa.ChunkedArray:
        kind = schema.field(name).type
        column = pa.chunked_array([b.column(0) for b in batches([name], 0, n)], type=kind)
        if len(column) != n:
            raise ValueError(f"column {name!r} has {len(column):,} rows, the file {n:,}")
        return column

    def place(row: int) -> str:
        return f"row {row + 1}"

    return ColumnFile(path, tuple(schema.names), schema.types, read, place, n, batches)


def _between(batches: Batches, start: int, stop: int) -> Batches:
    """The rows of some batches from `start` to `stop`."""
    at = 0
    for batch in batches:
        low, high = max(start - at, 0), min(stop - at, batch.num_rows)
        if low < high:
            yield batch.slice(low, high - low)
        at += batch.num_rows
        if at >= stop:
            return
