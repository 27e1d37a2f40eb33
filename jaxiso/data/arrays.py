"""Files of named arrays: .npy, .npz and safetensors. Nothing in them is ever unpickled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxiso.errors import InputError

Kind = Literal["vectors", "numbers", "other"]
"""What a column or array can serve as: a vector a row, a number a row, or labels only."""

_AS_TEXT = "labels as strings, np.array(labels, dtype=str), and vectors as floats"


class ArrayFile:
    """A file of arrays, read one at a time.

    Attributes:
        path: the file.
        names: its arrays.
    """

    def __init__(self, path: Path, names: tuple[str, ...], read: Callable[[str], np.ndarray]):
        self.path, self.names = path, names
        self._read = read
        self._found: dict[str, np.ndarray] = {}

    def _array(self, name: str) -> np.ndarray:
        if name not in self._found:
            with _reading(self.path, f"array {name!r}"):
                found: Any = self._read(name)
                if not isinstance(found, np.ndarray):  # a member of a .npz that is no .npy: bytes
                    raise ValueError("it is not in the .npy format")
                if found.dtype.name == "bfloat16":
                    found = found.astype(np.float32)
                self._found[name] = found
        return self._found[name]

    def kind(self, name: str) -> Kind:
        """What the array can serve as; one that cannot be read is of no use here."""
        try:
            array = self._array(name)
        except InputError:
            return "other"
        if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
            return "other"
        return "vectors" if array.ndim == 2 else "numbers"

    def numbers(self, name: str) -> np.ndarray:
        """The array, of numbers.

        Raises:
            InputError: it holds something else.
        """
        array = self._array(name)
        if array.dtype.kind not in "fiu":
            raise InputError(f"{self.path}: {name} holds {array.dtype}; vectors must be floats")
        return array

    def values(self, name: str) -> list[Any]:
        """The array as one Python value a row; rows of 0 and 1 as the list of the ones' columns.

        Raises:
            InputError: the array is neither (n,) numbers or strings nor (n, classes) of 0 and 1.
        """
        array = self._array(name)
        if array.ndim == 1 and array.dtype.kind in "iubfSU":
            if array.dtype.kind == "S":
                array = np.char.decode(array, "utf-8", "replace")
            return array.tolist()
        if array.ndim == 2 and array.dtype.kind in "iubf":
            bad = np.argwhere((array != 0) & (array != 1))
            if not len(bad):
                return [np.flatnonzero(row).tolist() for row in array]
            row, column = map(int, bad[0])
            raise InputError(
                f"{self.where(name, row)}: column {column} is {array[row, column]}; several labels "
                "a row are an array (n, classes) of 0 and 1 only"
            )
        raise InputError(
            f"{self.path}: {name} has shape {array.shape} of {array.dtype}; labels must be (n,) "
            "whole numbers or strings, or (n, classes) of 0 and 1"
        )

    def where(self, name: str, row: int) -> str:
        """The place of a row as messages name it; counted from 0, as in NumPy."""
        return f"{self.path}, {name}[{row}]"


def open_arrays(path: Path) -> ArrayFile:
    """Opens a .npy (mapped into memory, its one array called `array`), .npz or .safetensors file.

    Raises:
        InputError: it cannot be read.
    """
    with _reading(path, "the file"):
        if path.suffix.lower() == ".safetensors":
            return _safetensors(path)
        with path.open("rb") as file:  # np.load forgets to close it where it fails
            found = np.load(file, allow_pickle=False) if path.suffix.lower() == ".npz" else None
            if isinstance(found, np.lib.npyio.NpzFile):
                return ArrayFile(path, tuple(found.files), lambda name: _member(path, name))
        array = np.lib.format.open_memmap(path, mode="r")  # refuses pickles
    return ArrayFile(path, ("array",), lambda _: array)


def _member(path: Path, name: str) -> np.ndarray:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return archive[name]


def _safetensors(path: Path) -> ArrayFile:
    from safetensors import safe_open

    def read(name: str) -> np.ndarray:
        with safe_open(str(path), framework="numpy") as file:
            return file.get_tensor(name)

    with safe_open(str(path), framework="numpy") as file:
        return ArrayFile(path, tuple(file.keys()), read)


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a strange or damaged file leads to into one message."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # NumPy's readers alone raise a dozen kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "pickle" in first or "Object arrays" in first or "Python objects" in first:
            raise InputError(
                f"{path}: {what} is either damaged or holds pickled Python objects, which are not "
                f"loaded; save {_AS_TEXT}"
            ) from error
        raise InputError(f"{path}: {what} is damaged: {first}; save or copy it again") from error
