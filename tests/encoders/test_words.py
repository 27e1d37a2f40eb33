"""Word vectors from small files in each format."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from jaxiso.encoders.words import DEFAULT_FILE, word_vectors
from jaxiso.errors import InputError

TABLE = {"in": [1.0, 2.0, 3.0], "über": [0.5, -4.0, 1e-3], "on": [-1.0, 0.25, 7.0]}
TEXT = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in TABLE.items())
BINARY = b"".join(
    word.encode() + b" " + np.array(row, "<f4").tobytes() + b"\n" for word, row in TABLE.items()
)
CONTENTS = {
    "text": b"3 3\n" + TEXT.encode(),
    "glove": TEXT.encode(),
    "binary": b"3 3\n" + BINARY,
    "original": b"3 3\n" + BINARY.replace(b"\n", b""),  # word2vec.c may leave the newlines out
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("JAXISO_DATA", raising=False)


def complaint(path, data_dir=None, words=("in",)):
    with pytest.raises(InputError) as caught:
        word_vectors(words, path, data_dir=data_dir)
    return str(caught.value)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["w.bin", "w.bin.gz", "w.txt", "w.vec", "w.txt.gz", "w.gz"])
def test_formats(content, name, tmp_path, capsys):
    data = CONTENTS[content]
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    vectors, found = word_vectors(["on", "absent", "über"], path, data_dir=None)
    assert found.tolist() == [True, False, True] and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array([TABLE["on"], TABLE["über"]], np.float32))
    assert f"word vectors: 2 of 3 words, 3-d, from {path}" in capsys.readouterr().err


def test_default_file(tmp_path, monkeypatch, capsys):
    path = tmp_path / DEFAULT_FILE
    assert f"looked for {path}, not there; give a file in" in complaint(None, tmp_path)
    path.parent.mkdir()
    path.write_bytes(gzip.compress(CONTENTS["binary"]))
    word_vectors(["in"], None, data_dir=tmp_path, quiet=True)
    monkeypatch.setenv("JAXISO_DATA", str(tmp_path))
    word_vectors(["in"], None, data_dir=None, quiet=True)
    assert capsys.readouterr().err == ""


def test_nothing_given():
    message = complaint(None)
    assert "neither a file nor a data directory (--data-dir, or JAXISO_DATA) is given" in message
    assert "--word-vectors FILE" in message and "word2vec-google-news-300" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first line is neither two sizes nor a word and numbers"),
        (b"\x80\x04\x95pickle", "its first line is neither"),
        (b"3 x\n" + BINARY, "its first line is neither"),
        (b"4 3\n" + BINARY, "unexpected end of input"),
        (b"4 3\n" + TEXT.encode(), "unexpected end of input"),
        (b"2 3\nin 1 2 3\non 1 2\n", "cannot be read as word vectors ("),
        (b"2 3\nin 1 2 3\non 1 2 x\n", "cannot be read as word vectors ("),
    ],
)
def test_files_of_another_kind(content, said, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    assert complaint(path).startswith(f"{path}: ") and said in complaint(path)


def test_bad_files(tmp_path):
    path = tmp_path / "w.bin.gz"
    assert complaint(path).startswith(f"word vectors: no file {path}; give")
    path.write_bytes(gzip.compress(CONTENTS["binary"] * 99)[:60])
    assert "Compressed file ended before" in complaint(path)
    path.write_bytes(b"2 3\n")
    assert "Not a gzipped file" in complaint(path)
    path = tmp_path / "w.txt"
    path.write_text("2 2\nin 1 nan\non 1 2\n")
    assert "the vector of 'in' has a value that is not a finite" in complaint(path)
    assert "has none of the 1 words, such as ('off',)" in complaint(path, words=("off",))
