"""Vectors from a .npz file."""

from __future__ import annotations

import numpy as np
import pytest

from jaxiso.data import load_vectors_file
from jaxiso.errors import InputError

X = np.arange(8.0).reshape(4, 2)


def save(folder, **arrays):
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("y", "targets", "classes"),
    [
        (np.array([7, 3, 7, -1]), [2, 1, 2, 0], ("-1", "3", "7")),
        (np.array(["b", "a", "b", "b"]), [1, 0, 1, 1], ("a", "b")),
        (np.array([b"b", b"a", b"b", b"b"]), [1, 0, 1, 1], ("a", "b")),
        (np.array([True, False, True, True]), [1, 0, 1, 1], ("False", "True")),
    ],
)
def test_labels(y, targets, classes, tmp_path):
    path = save(tmp_path, X=X, y=y)
    vectors, items = load_vectors_file(path)
    assert vectors.dtype == np.float32 and vectors.tolist() == X.tolist()
    assert items.targets.tolist() == targets and items.classes == classes
    assert items.targets.dtype == items.clusters.dtype == items.index.dtype == np.int32
    assert items.clusters.tolist() == targets and items.texts == []
    assert items.index.tolist() == [[0], [1], [2], [3]]
    assert items.name == "mine" and items.source == str(path)


@pytest.mark.parametrize("kind", [bool, int, np.float64])
def test_label_sets(kind, tmp_path):
    y = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]])
    _, items = load_vectors_file(save(tmp_path, X=X.astype(int), y=y.astype(kind)))
    assert items.multilabel and items.targets.dtype == np.float32
    assert items.targets.tolist() == y.tolist() and items.classes == ("0", "1", "2")
    assert items.clusters.tolist() == [2, 1, 2, 0]


def test_keep_of_vectors(tmp_path):
    _, items = load_vectors_file(save(tmp_path, X=X, y=np.array([0, 1, 0, 1])))
    kept = items.keep(np.array([False, True, True, False]), quiet=True)
    assert kept.index.tolist() == [[0], [1]] and kept.texts == []


Y = np.array([0, 1, 0, 1])
BAD = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": Y}, "no array 'X'; found y; save both by np.savez"),
        ({"X": X}, "no array 'y'; found X; save both by np.savez"),
        ({}, "no array 'X'; found none"),
        ({"X": X, "y": np.array(["a", 1, 2, 3], dtype=object)}, "save y as a str array: y=np.arr"),
        ({"X": X.astype(object), "y": Y}, "save X as a float array: X=np.array"),
        ({"X": X[0], "y": Y}, "X has shape (2,); it must be (n, d)"),
        ({"X": X[:, :1], "y": Y}, "X has shape (4, 1); it must be (n, d), a vector a row, d at le"),
        ({"X": X.astype(str), "y": Y}, "X holds <U32; it must hold floats"),
        ({"X": X.astype(complex), "y": Y}, "X holds complex128"),
        ({"X": BAD, "y": Y}, "X[1, 1] is nan, and 2 values in all are not finite"),
        ({"X": X * 1e300, "y": Y}, "X[0, 1] is 1e+300"),
        ({"X": X, "y": Y[:3]}, "X has 4 rows and y has 3; they must be as many"),
        ({"X": X, "y": np.array(3)}, "y has shape (); it must be (n,) labels or (n, classes)"),
        ({"X": X, "y": Y[:, None, None]}, "y has shape (4, 1, 1); it must be"),
        ({"X": X, "y": Y[:, None]}, "y has shape (4, 1); one label an item is y.ravel()"),
        ({"X": X, "y": Y * 0.5}, "y holds float64; labels must be whole numbers or strings"),
        ({"X": X, "y": np.stack([Y, Y * 2], 1)}, "y[1, 1] is 2 (int64); a multi-label y"),
        ({"X": X, "y": np.full((4, 2), "a")}, "y[0, 0] is a (<U1); a multi-label y"),
        ({"X": X, "y": Y * 0}, "all 4 items have the same label; at least two different labels"),
        ({"X": X[:0], "y": Y[:0]}, "no item is left; at least two different labels"),
    ],
)
def test_bad_arrays(arrays, said, tmp_path):
    path = save(tmp_path, **arrays)
    with pytest.raises(InputError) as caught:
        load_vectors_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_bad_files(tmp_path):
    def complaint(path):
        with pytest.raises(InputError) as caught:
            load_vectors_file(path)
        return str(caught.value).removeprefix(f"{path}: ")

    assert complaint(tmp_path / "absent.npz").startswith("no such file; it must be a .npz from np.")
    (tmp_path / "text.npz").write_text("hello")
    assert complaint(tmp_path / "text.npz").startswith("not a .npz file; save one by np.savez(")
    (tmp_path / "empty.npz").write_bytes(b"")
    assert complaint(tmp_path / "empty.npz").startswith("not a .npz file")
    np.save(tmp_path / "one.npy", X)
    assert complaint(tmp_path / "one.npy").startswith("holds one array and no labels; save both")
    assert complaint(tmp_path) == "cannot be read: Is a directory"
    whole = save(tmp_path, X=np.random.default_rng(0).normal(size=(999, 9)), y=Y).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:5000])
    assert complaint(tmp_path / "cut.npz").startswith("not a .npz file")
    (tmp_path / "bad.npz").write_bytes(whole[:5000] + bytes(9) + whole[5009:])
    assert complaint(tmp_path / "bad.npz").startswith("array 'X' is damaged: ")
