"""Labels from files of every kind: always text, and none that becomes another."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from jaxiso.cli.console import InputError
from jaxiso.data.labels import as_label, number_labels, read_labels

WORDS = {
    "y.txt": "a\tnoun\n\nb\tverb\n",
    "y.tsv": "word\tlabel\na\tnoun\nb\tverb\n",
    "y.csv": "a,noun\nb,verb\n",
    "y.jsonl": '{"label": "noun", "word": "a"}\n{"token": 1, "word": "b", "label": "verb"}\n',
}
JSON = '{"word": "a", "labels": ["noun"]}\n{"word": "b", "labels": ["verb", "noun"]}\n'


def written(folder, name, text):
    path = folder / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def single(labels):
    return [None if label is None else (label,) for label in labels]


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("y.txt", "cat\n\n dog \r\ncat", ["cat", None, "dog", "cat"]),
        ("y.txt.gz", "1\n2\n", ["1", "2"]),
        ("y", "a b\na\tb\n", ["a b", "a\tb"]),
        ("y.csv", "label\ncat\ndog\n", ["cat", "dog"]),
        ("y.csv", "cat\ndog\n", ["cat", "dog"]),
        ("y.csv", "y\nn\ny\n", ["y", "n", "y"]),  # a name does not occur below it
        ("y.csv", "text,Label\nwell,cat\nwell,\n", ["cat", None]),
        ("y.csv", "id,class\n7,1.0\n8,\n", ["1.0", None]),
        ("y.csv", "label\n1.0\nnan\n", ["1.0", None]),
        ("y.csv", "label\nnan\nmum\n", ["nan", "mum"]),
        ("y.tsv", "label\tid\n cat \t1\n\t2\n", ["cat", None]),
        ("y.jsonl", '{"text": "x", "label": 1}\n{"text": "y"}\n', ["1", None]),
        ("y.jsonl.gz", '{"label": "a"}\n{"label": ""}\n', ["a", None]),
    ],
)
def test_row_by_row(tmp_path, name, text, labels):
    found = read_labels(written(tmp_path, name, text))
    assert found.labels == single(labels) and found.words is None and found.classes is None


APART = ["01", "1", "001", "1.0", "true", "TRUE", "1e3", "1000", str(2**53), str(2**53 + 1)]
APART += ["9" * 5000, "9" * 4999 + "8", "2020-01-01", "2020-01-01T00:00", "NA", "null"]


@pytest.mark.parametrize("name", ["y.txt", "y.csv", "y.tsv.gz", "y.jsonl", "y.npz", "y.parquet"])
def test_labels_stay_apart(tmp_path, name):
    path = tmp_path / name
    if name == "y.npz":
        np.savez(path, y=np.array(APART))
    elif name == "y.parquet":
        pq.write_table(pa.table({"y": APART}), path)
    else:
        rows = [f'{{"y": "{one}"}}' for one in APART] if "json" in name else APART
        rows = rows if name in ("y.txt", "y.jsonl") else ["label", *rows]
        written(tmp_path, name, "".join(f"{row}\n" for row in rows))
    found = read_labels(path).labels
    assert found == single(APART)
    assert len(number_labels([label for label in found if label]).names) == len(APART)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.array([2**53, 2**53 + 1]), [str(2**53), str(2**53 + 1)]),
        (np.array([2**64 - 1], np.uint64), [str(2**64 - 1)]),
        (np.array([True, False]), ["True", "False"]),
        (np.array([1.0, np.nan, -0.0], np.float32), ["1", None, "0"]),
        (np.array(["é", ""]), ["é", None]),
        (np.array(["é".encode(), b"a"]), ["é", "a"]),
    ],
)
def test_typed_labels(tmp_path, values, labels):
    np.save(tmp_path / "y.npy", values)
    assert read_labels(tmp_path / "y.npy").labels == single(labels)
    if values.dtype.kind != "S":
        pq.write_table(pa.table({"y": values}), tmp_path / "y.parquet")
        assert read_labels(tmp_path / "y.parquet").labels == single(labels)
    if values.dtype.kind not in "SU":
        save_file({"y": values}, tmp_path / "y.safetensors")
        assert read_labels(tmp_path / "y.safetensors").labels == single(labels)


@pytest.mark.parametrize(("name", "text"), list(WORDS.items()))
def test_words_and_labels(tmp_path, name, text):
    assert read_labels(written(tmp_path, name, text)).by_word() == {"a": ("noun",), "b": ("verb",)}


def test_sets_of_labels(tmp_path):
    found = read_labels(written(tmp_path, "y.jsonl", JSON))
    assert found.by_word() == {"a": ("noun",), "b": ("noun", "verb")}
    assert found.classes == ("noun", "verb")
    np.save(tmp_path / "y.npy", np.array([[1, 0, 1], [0, 0, 0]]))
    found = read_labels(tmp_path / "y.npy")
    assert found.labels == [("0", "2"), ()] and found.classes == ("0", "1", "2")
    pq.write_table(pa.table({"labels": [[10, 9], None, [9]]}), tmp_path / "y.parquet")
    found = read_labels(tmp_path / "y.parquet")
    assert found.labels == [("10", "9"), None, ("9",)] and found.classes == ("9", "10")


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "y.npz", y=np.array([1, 2]), other=np.array(["a", "b"]))
    assert read_labels(tmp_path / "y.npz").labels == [("1",), ("2",)]
    assert read_labels(tmp_path / "y.npz", "other").labels == [("a",), ("b",)]


def test_columns_by_name(tmp_path):
    path = written(tmp_path, "y.csv", "kind,label\nu,v\n")
    assert read_labels(path, "kind").labels == [("u",)]
    path = written(tmp_path, "y.csv", "genre\nu\n")  # else a label itself
    assert read_labels(path, "genre").labels == [("u",)]
    path = written(tmp_path, "y.csv", "id,genre\n7,u\n8,v\n")
    assert read_labels(path, "genre").labels == [("u",), ("v",)]
    path = written(tmp_path, "y.jsonl", '{"a": 1, "b": 2}\n')
    assert read_labels(path, "b").labels == [("2",)]


@pytest.mark.parametrize(
    ("name", "text", "column", "said"),
    [
        ("y.csv", "a,b,labels2\nc,d,e\n", None, "which column holds the labels? Name it by --lab"),
        ("y.csv", "a,label\nc,d\n", "b", "--label-column b: {path} has no such column; it has 'a'"),
        ("y.jsonl", '{"a": 1, "b": 2}\n', None, "it has 'a', 'b'"),
        ("y.jsonl", '{"label": 1.5}\n', None, "{path}, line 1: 1.5 is no label; labels must be"),
        ("y.jsonl", '{"label": 1e30}\n', None, "{path}, line 1: 1e+30 is no label; beyond 2**53"),
        ("y.jsonl", '{"label": {"a": 1}}\n', None, "{path}, line 1: {{'a': 1}} is no label"),
        ("y.jsonl", '{"label": [[1]]}\n', None, "{path}, line 1: [1] is no label"),
        ("y.jsonl", '{"word": "a"}\n{"word": "b"}\n[]\n', None, "{path}, line 3: [] is not a JSON"),
        ("y.jsonl", "{\n", None, "{path}, line 1: is not JSON"),
        ("y.jsonl", '{"label": "a"}\n{"label": "\\ud800"}\n', None, "{path}, line 2: the text has"),
        ("y.jsonl", '{"label": ' + "[" * 100_000, None, "{path}, line 1: is nested too deeply"),
        ("y.jsonl", '{"label": ' + "9" * 5000 + "}", None, "{path}, line 1: is not JSON"),
        ("y.jsonl", b'{"label": "caf\xe9"}\n', None, "{path}, line 1: not UTF-8"),
        ("y.txt", b"a\ncaf\xe9\n", None, "{path}, line 2: not UTF-8"),
        ("y.txt.gz", b"a\ncaf\xe9\n", None, "{path}, line 2: not UTF-8"),
        ("y.csv", b"label\na\ncaf\xe9\ncaf\xea\n", None, "{path}, line 3: not UTF-8"),
        ("y.txt", "a\n", "b", "--label-column b: {path} has no columns"),
    ],
)
def test_bad_files(tmp_path, name, text, column, said):
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_labels(path, column)
    assert said.format(path=path) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array(["a", "\ud800"]), "array[1]: the label '\\ud800' is no text in UTF-8"),
        (np.array([b"a", b"\xe9"]), "array[1]: the label b'\\xe9' is no text in UTF-8"),
        (np.array([1.0, 2.5]), "array[1]: 2.5 is no label; labels must be whole numbers or"),
        (np.array([1.0, np.inf]), "array[1]: inf is no label"),
        (np.array([1.0, 2.0**54]), "array[1]: 1.8014398509481984e+16 is no label; beyond 2**53"),
    ],
)
def test_bad_arrays(tmp_path, values, said):
    np.save(tmp_path / "y.npy", values)
    with pytest.raises(InputError) as caught:
        read_labels(tmp_path / "y.npy")
    assert str(caught.value).startswith(f"{tmp_path / 'y.npy'}, {said}")


def test_binary_columns_are_text(tmp_path):
    pq.write_table(pa.table({"y": [b"caf\xc3\xa9", b"\xff"]}), tmp_path / "y.parquet")
    with pytest.raises(InputError, match=r"y\.parquet, row 2: the label b'\\xff' is no text"):
        read_labels(tmp_path / "y.parquet")


def test_absent_files_and_words_given_twice(tmp_path):
    with pytest.raises(InputError, match=r"--labels .*y\.txt: no such file"):
        read_labels(tmp_path / "y.txt")
    found = read_labels(written(tmp_path, "y.txt", "a\tx\nb\tx\na\ty\n"))
    with pytest.raises(InputError, match=r"y\.txt: the word 'a' is there twice; give it all its"):
        found.by_word()


def test_numbers_sort_as_numbers():
    found = number_labels([("10",), ("9",), ("-1",), ("9",)])
    assert found.names == found.classes == ("-1", "9", "10")
    assert found.codes.tolist() == [2, 1, 0, 1] and found.codes.dtype == np.int32
    assert found.targets() is found.codes and not found.multilabel
    assert number_labels([("1",), ("01",), ("001",)]).names == ("001", "01", "1")
    # A label with a plus in it is another than a set.
    assert len(number_labels([("a + b",), ("a", "b")]).names) == 2


def test_sets_become_targets():
    found = number_labels([("10",), ("9", "b"), ("9",), ()], ("b", "9", "10", "never"))
    assert found.names == ("(none)", "10", "9", "9 + b") and found.multilabel
    assert found.codes.tolist() == [1, 3, 2, 0] and found.sets[3] == ("9", "b")
    assert found.targets().tolist() == [[0, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert found.targets().dtype == np.float32


def test_what_is_a_label():
    assert as_label(float("nan"), str) is None and as_label(3.0, str) == ("3",)
    assert as_label(b"x", str) == ("x",) and as_label(["b", "a", "b"], str) == ("a", "b")
