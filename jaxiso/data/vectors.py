"""Items that are vectors already: a file of one's own, and scikit-learn's digits."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso.data.items import Items, cluster_ids, require_two_labels
from jaxiso.data.tasks import TASKS
from jaxiso.errors import InputError

_WANTED = "np.savez(FILE, X=X, y=y) with X (n, d) floats and y (n,) labels"


def load_vectors_file(path: Path) -> tuple[np.ndarray, Items]:
    """Reads labelled vectors from a .npz file.

    Args:
        path: a file with the arrays `X`, (n, d) numbers, and `y`: (n,) whole numbers or strings,
            or (n, classes) of 0 and 1 when multi-label.

    Returns:
        X as (n, d) float32, and the items; item i reads row i.

    Raises:
        InputError: the file cannot be used; says why.
    """
    arrays = _read_npz(path)
    vectors = _check_vectors(arrays["X"], path)
    y = arrays["y"]
    if len(y.shape) not in (1, 2):
        raise InputError(
            f"{path}: y has shape {y.shape}; it must be (n,) labels or (n, classes) of 0 and 1"
        )
    if len(y) != len(vectors):
        raise InputError(
            f"{path}: X has {len(vectors):,} rows and y has {len(y):,}; they must be as many"
        )
    targets, classes = _class_targets(y, path) if y.ndim == 1 else _multi_targets(y, path)
    return vectors, _items(path.stem, targets, classes, str(path))


def load_digits_task() -> tuple[np.ndarray, Items]:
    """The `digits` task: 1,797 images of 8×8 pixels, part of scikit-learn.

    Each image is scaled to unit length, as the sentence encoders' vectors are: Adam's steps are
    absolute, and beside raw pixels (0 to 16, length about 55) they would be lost.

    Returns:
        Vectors (1797, 64) float32, and the items; item i reads row i.
    """
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    targets = digits.target.astype(np.int32)
    items = _items("digits", targets, TASKS["digits"].classes, "scikit-learn's load_digits")
    lengths = np.linalg.norm(digits.data, axis=1, keepdims=True)
    return (digits.data / lengths).astype(np.float32), items


def _items(name: str, targets: np.ndarray, classes: tuple[str, ...], source: str) -> Items:
    index = np.arange(len(targets), dtype=np.int32)[:, None]
    items = Items(name, [], index, targets, cluster_ids(targets), classes, source)
    return require_two_labels(items)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays X and y; never unpickles, since a pickle can run any code."""
    try:
        with path.open("rb") as file:  # closed here: np.load forgets to where it fails
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: holds one array and no labels; save both by {_WANTED}")
            with archive:
                return {name: _member(archive, name, path) for name in ("X", "y")}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it must be a .npz from {_WANTED}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a .npz file; save one by {_WANTED}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _member(archive: Any, name: str, path: Path) -> np.ndarray:
    if name not in archive.files:
        found = ", ".join(archive.files) or "none"
        raise InputError(f"{path}: no array {name!r}; found {found}; save both by {_WANTED}")
    try:
        found = archive[name]
        if not isinstance(found, np.ndarray):  # a member that is no .npy comes back as bytes
            raise ValueError("it is not in the .npy format")
        return found
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise InputError(f"{path}: array {name!r} is damaged: {error}") from error
        advice = (
            "save y as a str array: y=np.array(labels, dtype=str)"
            if name == "y"
            else "save X as a float array: X=np.array(vectors, dtype=np.float32)"
        )
        raise InputError(
            f"{path}: array {name!r} holds pickled Python objects, which are not loaded; {advice}"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise InputError(f"{path}: array {name!r} is damaged: {error}") from error


def _check_vectors(x: np.ndarray, path: Path) -> np.ndarray:
    if x.ndim != 2 or x.shape[1] < 2:
        raise InputError(
            f"{path}: X has shape {x.shape}; it must be (n, d), a vector a row, d at least 2"
        )
    if x.dtype.kind not in "fiu":
        raise InputError(f"{path}: X holds {x.dtype}; it must hold floats")
    with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
        vectors = x.astype(np.float32)
    bad = np.argwhere(~np.isfinite(vectors))
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"{path}: X[{row}, {column}] is {x[row, column]}, and {len(bad):,} values in all are "
            "not finite in float32; every value must be a finite number"
        )
    if len(vectors) > 1 and (vectors == vectors[:1]).all():
        raise InputError(f"{path}: all rows of X are the same; there is nothing to measure")
    return vectors


def _class_targets(y: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.dtype.kind not in "iubUS":
        raise InputError(
            f"{path}: y holds {y.dtype}; labels must be whole numbers or strings, such as "
            "y.astype(int)"
        )
    names, targets = np.unique(y, return_inverse=True)
    if y.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "replace")
    return targets.astype(np.int32), tuple(map(str, names.tolist()))


def _multi_targets(y: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.shape[1] < 2:
        raise InputError(f"{path}: y has shape {y.shape}; one label an item is y.ravel(), (n,)")
    bad = np.argwhere((y != 0) & (y != 1)) if y.dtype.kind in "iubf" else np.zeros((1, 2), int)
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"{path}: y[{row}, {column}] is {y[row, column]!s} ({y.dtype}); a multi-label y, "
            "(n, classes), must hold 0 and 1 only"
        )
    return y.astype(np.float32), tuple(str(label) for label in range(y.shape[1]))
