"""Labels from files of every kind."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxiso.data.labels import as_label, number_labels, read_labels
from jaxiso.errors import InputError

WORDS = {
    "y.txt": "a\tnoun\n\nb\tverb\n",
    "y.tsv": "word\tlabel\na\tnoun\nb\tverb\n",
    "y.csv": "a,noun\nb,verb\n",
}
JSON = '{"word": "a", "labels": ["noun"]}\n{"word": "b", "labels": ["verb", "noun"]}\n'


def written(folder, name, text):
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("y.txt", "cat\n\n dog \r\ncat", ["cat", None, "dog", "cat"]),
        ("y.txt.gz", "1\n2\n", ["1", "2"]),
        ("y", "a b\na\tb\n", ["a b", "a\tb"]),
        ("y.csv", "label\ncat\ndog\n", ["cat", "dog"]),
        ("y.csv", "cat\ndog\n", ["cat", "dog"]),
        ("y.csv", "text,Label\nwell,cat\nwell,\n", ["cat", None]),
        ("y.csv", "id,class\n7,1.0\n8,\n", ["1", None]),
        ("y.csv", "day,class\n7,true\n8,false\n", ["True", "False"]),
        ("y.jsonl", '{"text": "x", "label": 1}\n{"text": "y"}\n', ["1", None]),
        ("y.jsonl.gz", '{"label": "a"}\n{"label": ""}\n', ["a", None]),
    ],
)
def test_row_by_row(tmp_path, name, text, labels):
    found = read_labels(written(tmp_path, name, text))
    assert found.labels == [None if label is None else (label,) for label in labels]
    assert found.words is None


@pytest.mark.parametrize(("name", "text"), list(WORDS.items()))
def test_words_and_labels(tmp_path, name, text):
    assert read_labels(written(tmp_path, name, text)).by_word() == {"a": ("noun",), "b": ("verb",)}


def test_sets_of_labels(tmp_path):
    found = read_labels(written(tmp_path, "y.jsonl", JSON))
    assert found.by_word() == {"a": ("noun",), "b": ("noun", "verb")}
    np.save(tmp_path / "y.npy", np.array([[1, 0, 1], [0, 0, 0]]))
    assert read_labels(tmp_path / "y.npy").labels == [("0", "2"), ()]
    pq.write_table(pa.table({"labels": [["b", "a"], None]}), tmp_path / "y.parquet")
    assert read_labels(tmp_path / "y.parquet").labels == [("a", "b"), None]


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "y.npz", y=np.array([1, 2]), other=np.array(["a", "b"]))
    assert read_labels(tmp_path / "y.npz").labels == [("1",), ("2",)]
    assert read_labels(tmp_path / "y.npz", "other").labels == [("a",), ("b",)]


def test_columns_by_name(tmp_path):
    path = written(tmp_path, "y.csv", "kind,label\nu,v\n")
    assert read_labels(path, "kind").labels == [("u",)]
    path = written(tmp_path, "y.csv", "genre\nu\n")  # else a label itself
    assert read_labels(path, "genre").labels == [("u",)]
    path = written(tmp_path, "y.jsonl", '{"a": 1, "b": 2}\n')
    assert read_labels(path, "b").labels == [("2",)]


@pytest.mark.parametrize(
    ("name", "text", "column", "said"),
    [
        ("y.csv", "a,b,labels2\nc,d,e\n", None, "which column holds the labels? Name it by --lab"),
        ("y.csv", "a,label\nc,d\n", "b", "--label-column b: {path} has no such column; it has 'a'"),
        ("y.jsonl", '{"a": 1, "b": 2}\n', None, "it has 'a', 'b'"),
        ("y.jsonl", '{"label": 1.5}\n', None, "{path}, line 1: 1.5 is no label; labels must be"),
        ("y.jsonl", '{"label": {"a": 1}}\n', None, "{path}, line 1: {{'a': 1}} is no label"),
        ("y.jsonl", '{"label": [[1]]}\n', None, "{path}, line 1: [1] is no label"),
        ("y.jsonl", '{"word": 3, "label": 1}\n', None, "field 'word' is 3; it must be a string"),
        ("y.jsonl", "{\n", None, "{path}, line 1: not JSON"),
        ("y.csv", "label\n1\n2.5\n", None, "{path}, line 3: 2.5 is no label"),
        ("y.txt", "a\n", "b", "--label-column b: {path} has no columns"),
    ],
)
def test_bad_files(tmp_path, name, text, column, said):
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_labels(path, column)
    assert said.format(path=path) in str(caught.value)


def test_absent_files_and_words_given_twice(tmp_path):
    with pytest.raises(InputError, match=r"--labels .*y\.txt: no such file"):
        read_labels(tmp_path / "y.txt")
    found = read_labels(written(tmp_path, "y.txt", "a\tx\nb\tx\na\ty\n"))
    with pytest.raises(InputError, match=r"y\.txt: the word 'a' is there twice; give it all its"):
        found.by_word()


def test_numbers_sort_as_numbers():
    found = number_labels([("10",), ("9",), ("-1",), ("9",)])
    assert found.names == ("-1", "9", "10") and found.codes.tolist() == [2, 1, 0, 1]
    assert found.codes.dtype == np.int32
    found = number_labels([("10",), ("9", "b"), ("9",), ()])
    assert found.names == ("(none)", "10", "9", "9 + b")
    # A label with a plus in it is another than a set.
    assert len(number_labels([("a + b",), ("a", "b")]).names) == 2


def test_what_is_a_label():
    assert as_label(float("nan"), "") is None and as_label(3.0, "") == ("3",)
    assert as_label(b"x", "") == ("x",) and as_label(["b", "a", "b"], "") == ("a", "b")
