"""Files of named arrays: .npy, .npz and safetensors. Nothing in them is ever unpickled."""

from __future__ import annotations

import gzip
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from safetensors import safe_open

from jaxiso.cli.console import InputError, first_line

DEFLATE_RATIO = 1032
"""No byte of zip or gzip unpacks to more; so a file's size bounds what it can claim to hold."""


@contextmanager
def reading(path: Path, what: str = "the file") -> Iterator[None]:
    """Turns whatever a strange or damaged file leads a library to into an InputError."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        why = error.strerror or first_line(error)
        raise InputError(f"{path}: cannot be read: {why}") from error
    except MemoryError as error:
        raise InputError(
            f"{path}: {what} does not fit in memory, or is damaged; give a smaller file"
        ) from error
    except Exception as error:  # NumPy's, arrow's, gzip's and zip's have no common class
        raise InputError(
            f"{path}: {what} is damaged: {first_line(error)}; save or copy it again"
        ) from error


def open_bytes(path: Path) -> BinaryIO:
    """Opens a file, plain or .gz, for its bytes."""
    return cast(BinaryIO, gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb"))


@dataclass(frozen=True)
class ArrayFile:
    """A file of arrays, called `names`, which `read` reads one at a time."""

    path: Path
    names: tuple[str, ...]
    read: Callable[[str], np.ndarray]

    def _array(self, name: str) -> np.ndarray:
        with reading(self.path, f"array {name!r}"):
            array = self.read(name)
            return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

    def holds_vectors(self, name: str) -> bool:
        """Whether the array is one of numbers with two dimensions; one that is damaged is none."""
        try:
            array = self._array(name)
        except InputError:
            return False
        return array.dtype.kind in "fiu" and array.ndim == 2

    def vectors(self, name: str) -> np.ndarray:
        """The array; refused where it does not hold numbers."""
        array = self._array(name)
        if array.dtype.kind not in "fiu":
            raise InputError(f"{self.path}: {name} holds {array.dtype}; vectors must be floats")
        return array

    def values(self, name: str) -> tuple[list[Any], int | None]:
        """An array of labels: one Python value a row, and None.

        Of an array (n, classes) of 0 and 1: the columns that are 1 in each row, and their number.
        """
        array = self._array(name)
        with reading(self.path, f"array {name!r}"):
            if array.ndim == 1 and array.dtype.kind in "iubfSU":
                return array.tolist(), None
        if array.ndim != 2 or array.dtype.kind not in "iubf":
            raise InputError(
                f"{self.path}: {name} has shape {array.shape} of {array.dtype}; labels must be "
                "(n,) whole numbers or strings, or (n, classes) of 0 and 1"
            )
        if array.shape[1] < 2:
            raise InputError(
                f"{self.path}: {name} has shape {array.shape}; one label a row is (n,), "
                f"{name}.ravel()"
            )
        bad = np.argwhere((array != 0) & (array != 1))
        if len(bad):
            row, column = map(int, bad[0])
            raise InputError(
                f"{self.where(name, row)}: column {column} is {array[row, column]}; several "
                "labels a row are an array (n, classes) of 0 and 1 only"
            )
        return [np.flatnonzero(row).tolist() for row in array], array.shape[1]

    def where(self, name: str, row: int) -> str:
        """The place of a row as messages name it; counted from 0, as in NumPy."""
        return f"{self.path}, {name}[{row}]"


def open_arrays(path: Path) -> ArrayFile:
    """Opens a .npy (mapped into memory, its one array called `array`), .npz or .safetensors file.

    Raises InputError if it cannot be read.
    """
    with reading(path):
        if path.suffix.lower() == ".safetensors":
            with safe_open(path, framework="numpy") as file:
                return ArrayFile(path, tuple(file.keys()), lambda name: _tensor(path, name))
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                names = tuple(name.removesuffix(".npy") for name in archive.namelist())
            return ArrayFile(path, names, lambda name: _member(path, name))
        return ArrayFile(path, ("array",), lambda _: _mapped(path))


def _mapped(path: Path) -> np.ndarray:
    with reading(path), path.open("rb") as file:
        shape, fortran, dtype = _header(file, path.stat().st_size, path, "the file")
        start = file.tell()
    if 0 in shape:  # nothing to map
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def _member(path: Path, name: str) -> np.ndarray:
    what = f"array {name!r}"
    with zipfile.ZipFile(path) as archive:
        found = archive.NameToInfo
        info = found.get(f"{name}.npy") or found[name]
        if info.flag_bits & 1:
            raise InputError(f"{path}: {what} is encrypted; save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{path}: {what} is compressed in a way that NumPy does not know (method "
                f"{info.compress_type}); save it by np.savez or np.savez_compressed"
            )
        packed = min(info.compress_size, path.stat().st_size)
        if info.file_size > packed * DEFLATE_RATIO:
            raise ValueError(f"{packed:,} bytes cannot hold {info.file_size:,}")
        with archive.open(info) as file:
            _header(file, info.file_size, path, what)
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _header(
    file: IO[bytes], size: int, path: Path, what: str
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of an array in .npy format; checked, for `reading` to tell."""
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise InputError(
            f"{path}: {what} is not in NumPy's format; save it by np.save or np.savez"
        ) from None
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):  # 3.0 is for records with names that are not Latin-1: no vectors
        read = np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise InputError(
            f"{path}: {what} holds pickled Python objects, which are not loaded; save labels as "
            "strings, np.array(labels, dtype=str), and vectors as floats"
        )
    claimed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or dtype.itemsize == 0 or claimed != there:
        raise ValueError(
            f"{there:,} bytes of data, where an array of shape {shape} and {dtype} has {claimed:,}"
        )
    return shape, fortran, dtype


def _tensor(path: Path, name: str) -> np.ndarray:
    with safe_open(path, framework="numpy") as file:
        return file.get_tensor(name)
