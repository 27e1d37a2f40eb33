"""Files of JSON lines: a record a line, whose fields are labels, words, or lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.sources import read_json_lines, shorten


@dataclass(frozen=True)
class RecordFile:
    """A file of records with fields called `names`, those of its first line.

    Lists of numbers that are no whole numbers are kept as arrays, a tenth of the memory.
    """

    path: Path
    names: tuple[str, ...]
    records: Sequence[dict[str, Any]]
    places: Sequence[str]

    def where(self, _name: str, row: int) -> str:
        """The place of a row, of whatever field, as messages name it."""
        return self.places[row]

    def holds_vectors(self, name: str) -> bool:
        """Whether the field of the first line is a list of numbers."""
        return _are_numbers(self.records[0].get(name))

    def vectors(self, name: str) -> np.ndarray:
        """A field of lists of as many numbers each, (n, d) float64; any other is refused."""
        width = len(_numbers(self.records[0].get(name), name, self.places[0]))
        found = np.empty((len(self.records), width))
        for row, (record, where) in enumerate(zip(self.records, self.places, strict=True)):
            numbers = _numbers(record.get(name), name, where)
            if len(numbers) != width:
                raise InputError(
                    f"{where}: field {name!r} has {len(numbers)} numbers, the lines before have "
                    f"{width}; vectors must be of one length"
                )
            found[row] = numbers
        return found

    def values(self, name: str) -> tuple[list[Any], None]:
        """The field as Python values, None where a line has none."""
        values = (record.get(name) for record in self.records)
        return [v.tolist() if isinstance(v, np.ndarray) else v for v in values], None


def open_records(path: Path) -> RecordFile:
    """Opens a file of JSON objects, one a line, plain or .gz.

    Raises InputError if it cannot be read, is empty, or a line is no JSON object.
    """
    records: list[dict[str, Any]] = []
    places = []
    for where, record in read_json_lines(path):
        records.append({name: _packed(value) for name, value in record.items()})
        places.append(where)
    return RecordFile(path, tuple(records[0]), records, places)


def _packed(value: Any) -> Any:
    some = isinstance(value, list) and any(type(one) is float for one in value)
    if not some or not _are_numbers(value):
        return value
    try:
        return np.array(value, np.float64)
    except OverflowError:  # a whole number beyond the range of floats; `_numbers` says which
        return value


def _are_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return True
    # A bool is an int to Python, but no number in JSON.
    return isinstance(value, list) and bool(value) and all(type(v) in (int, float) for v in value)


def _numbers(value: Any, name: str, where: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if _are_numbers(value):
        try:
            return np.array(value, np.float64)
        except OverflowError:
            pass
    raise InputError(
        f"{where}: field {name!r} is {shorten(value)}; a vector must be a list of numbers, all of "
        "them there"
    )
