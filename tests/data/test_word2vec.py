"""Word vectors from small files in each format, whole and damaged."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest

from jaxiso.cli.console import InputError
from jaxiso.data.word2vec import DEFAULT_FILE, read_word2vec, word_vectors

TABLE = {"in": [1.0, 2.0, 3.0], "über": [0.5, -4.0, 1e-3], "on": [-1.0, 0.25, 7.0]}
TEXT = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in TABLE.items())
BINARY = b"".join(
    word.encode() + b" " + np.array(row, "<f4").tobytes() + b"\n" for word, row in TABLE.items()
)
CONTENTS = {
    "text": b"3 3\n" + TEXT.encode(),
    "word2vec.c": b"3 3\n" + TEXT.encode().replace(b"\n", b" \n") + b"\n",  # blanks at the ends
    "windows": TEXT.encode().replace(b"\n", b"\r\n"),
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
@pytest.mark.parametrize("name", ["w.bin", "w.bin.gz", "w.txt", "w.GZ"])
def test_formats(content, name, tmp_path, capsys):
    data = CONTENTS[content]
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.lower().endswith("gz") else data)
    vectors, found = word_vectors(["on", "absent", "über"], path, data_dir=None)
    assert found.tolist() == [True, False, True] and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array([TABLE["on"], TABLE["über"]], np.float32))
    assert f"word vectors: 2 of 3 words, 3-d, from {path}" in capsys.readouterr().err
    words, vectors = read_word2vec(path)
    assert words == list(TABLE) and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array(list(TABLE.values()), np.float32))


@pytest.mark.parametrize("binary", [True, False])
def test_as_gensim_reads_it(binary, tmp_path):
    """Every bit, over several blocks, with and without a header."""
    from gensim.models import KeyedVectors

    rng = np.random.default_rng(0)
    made = KeyedVectors(30)
    words = [f"wörd{i}" for i in range(5000)]
    made.add_vectors(words, rng.normal(size=(5000, 30)).astype(np.float32))
    path = tmp_path / "w.bin.gz"
    made.save_word2vec_format(str(path), binary=binary)
    found, vectors = read_word2vec(path)
    assert found == words and np.array_equal(vectors, made.vectors)
    if not binary:
        path = tmp_path / "w.txt"
        made.save_word2vec_format(str(path), write_header=False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
            expected = KeyedVectors.load_word2vec_format(str(path), no_header=True)
        found, vectors = read_word2vec(path)
        assert found == words and np.array_equal(vectors, expected.vectors)


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


ROW = np.ones(3, "<f4").tobytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": cannot be read as word vectors (its first line is neither two sizes nor a word"),
        (b"\x80\x04\x95pickle", ": cannot be read as word vectors (its first line is neither"),
        (b"3 x\n" + BINARY, ": cannot be read as word vectors (its first line is neither"),
        (b"4 3\n" + BINARY, ": its first line says 4 vectors, but there are 3; it is cut off"),
        (b"2 3\n" + BINARY, ": its first line says 2 vectors, but more follows; it is damaged"),
        (b"4 3\n" + TEXT.encode(), ": its first line says 4 vectors, but there are 3; it is cut"),
        (b"2 3\n" + TEXT.encode(), ": its first line says 2 vectors, but there are 3"),
        (b"1000000000000 3\n" + TEXT.encode(), ": its first line says 1,000,000,000,000 vectors"),
        (b"1000000000000 3\n" + BINARY, ": its first line says 1,000,000,000,000 vectors of 3 nu"),
        (b"3 1000000000000\n" + BINARY, ": its first line says 3 vectors of 1,000,000,000,000 nu"),
        (b"9" * 5000 + b" 3\n" + BINARY, ": cannot be read as word vectors (its first line"),
        (b"2 0\nin 1\non 1\n", ": its first line says 2 vectors of 0 numbers"),
        # Every row has as many numbers: one would be broadcast to all of them.
        (b"3 3\nin 1 2 3\non 1\nup 1 2 3\n", ", line 3: 'on' has 1 numbers; every vector must"),
        (b"in 1 2 3\non 1\n", ", line 2: 'on' has 1 numbers; every vector must have 3"),
        (b"2 3\non 1\nin 1 2 3\n", ", line 2: 'on' has 1 numbers"),
        (b"2 3\nin 1 2 3\non 1 2 3 4\n", ", line 3: 'on' has 4 numbers"),
        (b"2 3\nin 1 2 3\non 1 2 x\n", ", line 3: on 1 2 x\\n is not a word and numbers"),
        (b"2 3\nin 1 2 3\non 1_0 2 3\n", ", line 3: on 1_0 2 3\\n is not a word and numbers"),
        (b"2 3\nin 1 2 3\n 1 2 3\n", ", line 3: a word of 0 bytes; the file is damaged"),
        # Words are distinct, and UTF-8.
        (b"3 2\na 1 2\nb 1 2\na 3 4\n", ", line 4: the word 'a' was there before, in line 2; keep"),
        (b"a 1 2\nb 1 2\na 3 4\n", ", line 3: the word 'a' was there before, in line 1"),
        (b"3 3\n" + (b"a " + ROW) * 3, ", vector 2: the word 'a' was there before, in vector 1"),
        (b"2 2\na 1 2\n\xe9t\xe9 1 2\n", r", line 3: the word b'\xe9t\xe9' is not UTF-8; save"),
        (b"1 3\n\xe9 " + ROW, r", vector 1: the word b'\xe9' is not UTF-8; save the file as UTF-8"),
        (b"9 3\n" + b"\x01" * 99_999 + b" " + b"\x01" * 12, ", vector 1: a word of 99,999 bytes"),
        (b"9 3\n" + b"\x01" * 500_000, ": its first line says 9 vectors, but there are 0"),
    ],
)
def test_files_that_are_not_what_they_say(content, said, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(content)
    assert complaint(path).startswith(f"{path}{said}")
    path = tmp_path / "w.txt.gz"
    path.write_bytes(gzip.compress(content))
    assert complaint(path).startswith(f"{path}{said}")


def test_words_that_word2vec_cut(tmp_path):
    """Its own C program cuts words after 98 bytes, even in the middle of a character."""
    path = tmp_path / "w.bin"
    path.write_bytes(b"1 3\n" + b"a" + "é".encode() * 48 + b"\xc3 " + ROW)
    assert read_word2vec(path)[0] == ["a" + "é" * 48 + "\\xc3"]


def test_bad_files(tmp_path):
    path = tmp_path / "w.bin.gz"
    assert complaint(path).startswith(f"word vectors: no file {path}; give")
    path.write_bytes(gzip.compress(CONTENTS["binary"] * 99)[:60])
    assert "Compressed file ended before" in complaint(path)
    path.write_bytes(b"2 3\n")
    assert "Not a gzipped file" in complaint(path)
    path = tmp_path / "w.txt"
    path.write_text("in 1 nan\non 1 2\n")
    assert "the vector of 'in' has a value that is not a finite" in complaint(path)
    assert "has none of the 1 words, such as ('off',)" in complaint(path, words=("off",))
    word_vectors(["on"], path, data_dir=None, quiet=True)
