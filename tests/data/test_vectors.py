"""Labelled vectors, from every format: the same numbers, or an error; never others."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from jaxiso.cli.console import InputError
from jaxiso.data.vectors import load_vectors_file, read_vectors

N, D = 12, 5
X = np.round(np.random.default_rng(0).normal(size=(N, D)) + 0.2, 3)
Y = ["cat" if i % 4 else "dog" for i in range(N)]
CODES = [int(y == "dog") for y in Y]
WORDS = [f"w{i}" for i in range(N)]
COLUMNS = [f"x{i}" for i in range(D)]


def lines(rows) -> str:
    return "".join(f"{row}\n" for row in rows)


def numbers(row, separator: str) -> str:
    return separator.join(map(str, row))


def write_parquet(path: Path, columns) -> None:
    with path.open("wb") as file:  # arrow itself writes to no name that is not Unicode
        pq.write_table(pa.table(columns), file)


# Each writes a file into a folder, and says how it is read: file, labels, and the options.


def npy(folder: Path):
    np.save(folder / "v.npy", X.astype(np.float32))
    (folder / "y.txt").write_text(lines(Y) + "\n\n")
    return folder / "v.npy", folder / "y.txt", {}


def npz(folder: Path):
    np.savez(folder / "v.npz", other=X[:3], X=X, y=np.array(Y))
    return folder / "v.npz", "y", {}


def npz_by_name(folder: Path):
    np.savez(folder / "v.npz", X=X[:3], mine=X)
    np.savez_compressed(folder / "y.npz", y=[0] * N, kind=np.array(Y))
    return folder / "v.npz", folder / "y.npz", {"array": "mine", "label_column": "kind"}


def safetensors(folder: Path):
    save_file({"only": X, "labels": np.array([y == "dog" for y in Y])}, folder / "v.safetensors")
    save_file({"labels": np.array([y == "dog" for y in Y])}, folder / "y.safetensors")
    return folder / "v.safetensors", folder / "y.safetensors", {}


def parquet_lists(folder: Path):
    column = pa.array(X.tolist(), pa.list_(pa.float32()))
    write_parquet(folder / "v.pq", {"text": WORDS, "emb": column, "kind": Y})
    return folder / "v.pq", "kind", {}


def parquet_columns(folder: Path):
    table = dict(zip(COLUMNS, X.T, strict=True)) | {"row": np.arange(N), "label": [1, 2] * (N // 2)}
    write_parquet(folder / "v.parquet", table)
    write_parquet(folder / "y.parquet", {"class": Y})
    return folder / "v.parquet", folder / "y.parquet", {}


def csv_named(folder: Path):
    rows = [f"{i},{numbers(x, ',')},{y}" for i, (x, y) in enumerate(zip(X, Y, strict=True))]
    text = lines([f",{numbers(COLUMNS, ',')},kind", *rows])
    (folder / "v.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder / "v.csv.gz", "kind", {}


def csv_with_its_own_labels(folder: Path):
    ids = ["0" if y == "cat" else "1" for y in Y]
    rows = [f"{numbers(x, ';')};{y}" for x, y in zip(X, ids, strict=True)]
    (folder / "v.csv").write_text(lines([f"{numbers(COLUMNS, ';')};id7", *rows]))
    return folder / "v.csv", folder / "v.csv", {"label_column": "id7"}


def csv_named_by_numbers(folder: Path):
    rows = [numbers(row, ",") for row in X]
    (folder / "v.csv").write_text(lines([numbers(range(400, 400 + 25 * D, 25), ","), *rows]))
    (folder / "y.arrow").write_bytes(ipc({"kind": Y}, pa.ipc.new_file))
    return folder / "v.csv", folder / "y.arrow", {}


def ipc(columns, new, **options) -> bytes:
    """Columns in one of Arrow's formats, in batches of five rows."""
    table, sink = pa.table(columns), pa.BufferOutputStream()
    with new(sink, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=5)
    return sink.getvalue().to_pybytes()


def jsonl(folder: Path):
    rows = [{"text": "", "emb": x.tolist(), "kind": y} for x, y in zip(X, Y, strict=True)]
    (folder / "v.jsonl").write_text(lines(map(json.dumps, rows)))
    return folder / "v.jsonl", "kind", {}


def arrow_lists(folder: Path):
    table = {"emb": pa.array(X.tolist(), pa.list_(pa.float32(), D)), "kind": Y, "text": WORDS}
    (folder / "v.arrow").write_bytes(ipc(table, pa.ipc.new_file))
    return folder / "v.arrow", "kind", {}


def feather(folder: Path):
    table = dict(zip(COLUMNS, X.T, strict=True)) | {"row": np.arange(N), "kind": Y}
    packed = pa.ipc.IpcWriteOptions(compression="lz4")
    (folder / "v.feather").write_bytes(ipc(table, pa.ipc.new_file, options=packed))
    return folder / "v.feather", "kind", {}


def saved_dataset(folder: Path):
    (folder / "v").mkdir(exist_ok=True)
    files = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
    for file, part in zip(files, (slice(7), slice(7, None)), strict=True):
        table = {"label": Y[part], "embedding": X[part].tolist()}
        (folder / "v" / file).write_bytes(ipc(table, pa.ipc.new_stream))
    state = {"_data_files": [{"filename": file} for file in files], "_split": "train"}
    (folder / "v" / "state.json").write_text(json.dumps(state))
    return folder / "v", "label", {}


def tsv_without_names(folder: Path):
    (folder / "v.tsv").write_text(lines(numbers(row, "\t") for row in X))
    (folder / "y.jsonl").write_text(lines(json.dumps({"text": "", "label": y}) for y in Y))
    return folder / "v.tsv", folder / "y.jsonl", {}


def glove(folder: Path):
    rows = [f"{word} {numbers(x, ' ')}" for word, x in zip(WORDS, X, strict=True)]
    (folder / "v.txt").write_text(lines(rows))
    pairs = [f"{word}\t{y}" for word, y in zip(WORDS, Y, strict=True)]
    (folder / "y.txt").write_text(lines(reversed(pairs)))
    return folder / "v.txt", folder / "y.txt", {}


def word2vec_text(folder: Path):
    rows = [f"{word} {numbers(x, ' ')}" for word, x in zip(WORDS, X, strict=True)]
    (folder / "v.vec").write_text(lines([f"{N} {D}", *rows]))
    (folder / "y.csv").write_text(lines(["label", *Y]))
    return folder / "v.vec", folder / "y.csv", {}


def word2vec_binary(folder: Path):
    rows = [w.encode() + b" " + x.astype("<f4").tobytes() for w, x in zip(WORDS, X, strict=True)]
    (folder / "v.bin.gz").write_bytes(gzip.compress(f"{N} {D}\n".encode() + b"".join(rows)))
    pairs = [f"{w}\t{y}" for w, y in zip(WORDS, Y, strict=True)]
    (folder / "y.tsv").write_text(lines(["word\tlabel", *pairs]))
    return folder / "v.bin.gz", folder / "y.tsv", {}


FORMATS = [
    npy,
    npz,
    npz_by_name,
    safetensors,
    parquet_lists,
    parquet_columns,
    csv_named,
    csv_with_its_own_labels,
    csv_named_by_numbers,
    jsonl,
    arrow_lists,
    feather,
    saved_dataset,
    tsv_without_names,
    glove,
    word2vec_text,
    word2vec_binary,
]


@pytest.mark.parametrize("made", FORMATS, ids=lambda made: made.__name__)
def test_every_format(made, tmp_path):
    path, labels, options = made(tmp_path)
    found = read_vectors(path, str(labels), **options, quiet=True)
    assert found.path == path and found.left_out == {} and found.labels is not None
    np.testing.assert_array_equal(found.vectors.astype(np.float32), X.astype(np.float32))
    assert found.labels.codes.tolist() == CODES and len(found.labels.names) == 2
    vectors, items = load_vectors_file(path, str(labels), **options, quiet=True)
    assert vectors.dtype == np.float32 and vectors.flags.c_contiguous
    np.testing.assert_array_equal(vectors, X.astype(np.float32))
    assert items.targets.tolist() == items.clusters.tolist() == CODES
    assert items.name == "v" and items.source == str(path)


def test_text_is_read_to_the_last_bit(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3)) * np.logspace(-300, 300, 50)[:, None]
    (tmp_path / "x.csv").write_text(lines(numbers(map(float, row), ",") for row in x))
    assert np.array_equal(read_vectors(tmp_path / "x.csv").vectors, x)


# --- headings ---------------------------------------------------------------------------------

FRAME = pd.DataFrame(X[:, :3])


@pytest.mark.parametrize(
    ("frame", "options", "label"),
    [
        (FRAME, {"index": False}, None),
        (FRAME, {"index": True}, None),
        (FRAME.assign(label=Y), {"index": False}, "label"),
        (FRAME.assign(kind=Y), {"index": False}, "kind"),
        (FRAME.assign(kind=Y), {"index": True}, "kind"),
        (pd.concat([FRAME, pd.Series(Y)], axis=1), {"index": False}, "column 4"),  # 0,1,2,0
        (pd.concat([FRAME, pd.Series(Y)], axis=1), {"index": True}, "column 5"),
        (FRAME.set_axis(Y), {"index": True}, "column 1"),
        (FRAME.rename(columns=str).assign(**{"3": Y}), {"index": False}, "3"),
        (FRAME.assign(kind=Y), {"index": False, "header": False}, "column 4"),
    ],
)
def test_tables_by_pandas(tmp_path, frame, options, label):
    path = tmp_path / "v.csv"
    frame.to_csv(path, **options)
    found = read_vectors(path, label, quiet=True)
    assert found.vectors.tolist() == X[:, :3].tolist()
    assert label is None or (found.labels and found.labels.codes.tolist() == CODES)
    assert read_vectors(path, quiet=True).vectors.tolist() == X[:, :3].tolist()


def test_numbers_as_names_are_mentioned(tmp_path, capsys):
    path, *_ = csv_named_by_numbers(tmp_path)
    assert read_vectors(path).vectors.tolist() == X.tolist()
    assert "v.csv: the numbers of its first line, '400' to '500', are na" in capsys.readouterr().err


# --- labels that are not there ----------------------------------------------------------------


def test_words_without_labels_are_left_out(tmp_path, capsys):
    more = np.vstack([np.ones((3, D)), X])
    rows = [f"{w} {numbers(x, ' ')}" for w, x in zip(["u", "v", "w", *WORDS], more, strict=True)]
    (tmp_path / "v.txt").write_text(lines(rows))
    pairs = [*zip(WORDS, Y, strict=True), ("absent", "dog"), ("u", "")]
    (tmp_path / "y.tsv").write_text(lines(["word\tlabel", *(f"{w}\t{y}" for w, y in pairs)]))
    found = read_vectors(tmp_path / "v.txt", str(tmp_path / "y.tsv"))
    assert found.left_out == {"no label": 3} and found.vectors.shape == X.shape
    said = capsys.readouterr().err
    assert "3 of 15 vectors left out: no label" in said
    assert "has no vector of 1 of the 14 words of" in said
    _, items = load_vectors_file(tmp_path / "v.txt", str(tmp_path / "y.tsv"), quiet=True)
    assert items.dropped == {"no label": 3} and len(items) == N
    assert capsys.readouterr().err == ""


def test_words_of_a_table(tmp_path):
    rows = [f"{word},{numbers(x, ',')}" for word, x in zip(WORDS, X, strict=True)]
    (tmp_path / "v.csv").write_text(lines([f"word,{numbers(COLUMNS, ',')}", *rows]))
    (tmp_path / "y.txt").write_text(lines(f"w{i}\t{i % 2}" for i in (5, 4, 3)))
    found = read_vectors(tmp_path / "v.csv", str(tmp_path / "y.txt"), quiet=True)
    assert found.vectors.tolist() == X[3:6].tolist() and found.left_out == {"no label": N - 3}
    assert found.labels is not None and found.labels.codes.tolist() == [1, 0, 1]


def test_without_labels_they_are_mentioned(tmp_path, capsys):
    path, *_ = npz(tmp_path)
    assert read_vectors(path).labels is None
    assert "to use its labels, add --labels y" in capsys.readouterr().err
    path, *_ = parquet_columns(tmp_path)
    assert read_vectors(path).vectors.shape == (N, D)
    said = capsys.readouterr().err
    assert "a vector is 5 columns, 'x0' to 'x4'; not 'row', 'label'" in said


# --- errors -----------------------------------------------------------------------------------


def complaint(path: Path, labels=None, read=read_vectors, **options) -> str:
    with pytest.raises(InputError) as caught:
        read(path, None if labels is None else str(labels), **options)
    return str(caught.value)


def test_bad_vectors(tmp_path):
    def of(name: str, x, **options) -> str:
        np.save(tmp_path / name, x)
        return complaint(tmp_path / name, **options).removeprefix(str(tmp_path / name))

    x = X.copy()
    x[7, 2] = np.nan
    said = of("v.npy", x)
    assert said == ", array[7]: the vector has a value that is not a finite number, nan"
    assert of("v.npy", X[0]).startswith(": the vectors have shape (5,); it must be (n, d)")
    assert of("v.npy", X[:, :1]).startswith(": the vectors have shape (12, 1)")
    assert of("v.npy", X[:1]).startswith(": the vectors have shape (1, 5)")
    assert of("v.npy", X.astype(str)).startswith(": array holds <U32; vectors must be floats")
    assert of("v.npy", X.astype(complex)).startswith(": array holds complex128")
    x[7, 2] = 1e300
    said = of("v.npy", x, dtype=np.float32)
    assert said.startswith(", array[7]: the vector has a value that is not a finite number, 1e+30")
    assert said.endswith("which float32 cannot hold")
    assert read_vectors(tmp_path / "v.npy").vectors[7, 2] == 1e300
    said = complaint(tmp_path)
    assert said.startswith(f"{tmp_path}: a folder; vectors are read from files: .npy, .npz")
    assert complaint(tmp_path / "absent.npy").startswith(f"{tmp_path / 'absent.npy'}: no such file")


def test_bad_cells_have_lines(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("a,b\n1,2\n3,four\n5,6\n")
    assert complaint(path).startswith(f"{path}, line 3: 'b' is 'four', no number")
    path.write_text("a,b\n1,2\n3,inf\n5,6\n")
    assert complaint(path).startswith(f"{path}, line 3: the vector has a value that is not a fin")
    path.write_text("a,b\n1,2\n3,\n5,6\n")
    assert complaint(path).startswith(f"{path}, line 3: 'b' is empty")
    path.write_text("a,b\nx,y\n")
    assert "no column of numbers, nor of lists of numbers; it has 'a', 'b'" in complaint(path)


def test_bad_word_vectors(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\nb 3 nan\n")
    assert complaint(path).startswith(f"{path}, word 'b': the vector has a value that is not a fin")
    np.savetxt(path, X)
    assert complaint(path).startswith(f"{path}: all its words are numbers; if it holds vectors wi")
    path.write_text("hello\n")
    said = complaint(path)
    assert "cannot be read as word vectors (its first line is neither" in said
    assert "vectors are read from .npy" in said and "--word-vectors" not in said
    assert complaint(path, array="X").startswith(f"--array X: {path} has no arrays")


def test_pickles_are_refused(tmp_path):
    (tmp_path / "v.kv").write_bytes(b"\x80\x04K\x01.")
    said = complaint(tmp_path / "v.kv")
    assert (
        said.startswith(f"{tmp_path / 'v.kv'}: it is a pickle") and "save_word2vec_format" in said
    )


def test_what_datasets_saves(tmp_path):
    data = datasets.Dataset.from_dict({"emb": X.tolist(), "kind": Y})
    splits = datasets.DatasetDict({"train": data, "test": data})
    splits.save_to_disk(tmp_path / "v", num_shards={"train": 2, "test": 1})
    found = read_vectors(tmp_path / "v" / "train", "kind", quiet=True)
    assert found.vectors.tolist() == X.tolist()
    assert found.labels is not None and found.labels.codes.tolist() == CODES
    train = str(tmp_path / "v" / "train")
    labels = read_vectors(tmp_path / "v" / "test", train, label_column="kind", quiet=True).labels
    assert labels is not None and labels.codes.tolist() == CODES
    said = complaint(tmp_path / "v")
    assert f"it holds several splits; give one of {tmp_path / 'v' / 'test'}, {tmp_path}" in said
    assert complaint(tmp_path).startswith(f"{tmp_path}: a folder; vectors are read from files")
    state = tmp_path / "v" / "test" / "state.json"
    state.write_text('{"_data_files": [{"filename": "../train/data-00000-of-00002.arrow"}]}')
    assert complaint(state.parent).startswith(f"{state}: it names '../train/data-00000")


def test_unclear_arrays(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, a=X, b=X)
    assert complaint(path) == (
        f"{path}: which array holds the vectors? Name it by --array; it has 'a', 'b'"
    )
    assert complaint(path, array="c").startswith(f"--array c: {path} has no such array; it has")
    said = complaint(path, "y", array="a")
    assert said.startswith(f"--labels y: there is no such file, and {path} has no such column or")
    said = complaint(path, "a", label_column="y")
    assert said.startswith(f"--label-column y: --labels a is a column of {path} already")


def test_labels_that_do_not_fit(tmp_path):
    path, file, _ = npy(tmp_path)
    file.write_text(lines(Y[1:]))
    assert complaint(path, file).startswith(
        f"{file}: 11 labels, but {path} has 12 vectors; there must be a label a vector"
    )
    file.write_text(lines(["kind", *Y]))
    assert complaint(path, file).endswith(
        "if its first line is a heading, call it by one of label, labels, y, class, target, or by "
        "--label-column"
    )
    file.write_text("\n" * N)
    assert "0 of its 12 vectors has a label" in complaint(path, file)
    path, file, _ = glove(tmp_path)
    file.write_text("x\ty\nz\ty\n")
    assert complaint(path, file) == f"{path}: has none of the 2 words of {file}, such as ['x', 'z']"
    file.write_text("cat\n")
    assert complaint(path, file).endswith("a line is a word, a tab, a label")


@pytest.mark.parametrize("made", FORMATS, ids=lambda made: made.__name__)
def test_file_names_that_are_not_unicode(made, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this system's file names are Unicode")
    path, labels, options = made(folder)
    assert read_vectors(path, str(labels), **options, quiet=True).vectors.shape == (N, D)


def test_the_papers_words(data_dir):
    file = data_dir / "vectors" / "word2vec-googlenews-26k-300d.bin.gz"
    found = read_vectors(file, str(data_dir / "supersense" / "words.jsonl.gz"), quiet=True)
    assert found.vectors.shape == (2275, 300) and found.left_out == {"no label": 24_148}
    assert found.labels is not None and len(found.labels.names) == 830
    assert found.labels.multilabel and len(found.labels.classes) == 26


# --- what embed trains ------------------------------------------------------------------------


def save(folder, **arrays):
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


@pytest.mark.parametrize(
    ("y", "targets", "classes"),
    [
        (np.array([7, 3, 7, -1]), [2, 1, 2, 0], ("-1", "3", "7")),
        (np.array(["b", "a", "b", "b"]), [1, 0, 1, 1], ("a", "b")),
        (np.array([b"b", b"a", b"b", b"b"]), [1, 0, 1, 1], ("a", "b")),
        (np.array([True, False, True, True]), [1, 0, 1, 1], ("False", "True")),
        (np.array([1.0, 0.0, 1.0, 1.0]), [1, 0, 1, 1], ("0", "1")),
    ],
)
def test_labels_of_one_class(y, targets, classes, tmp_path):
    path = save(tmp_path, X=X[:4], y=y)
    vectors, items = load_vectors_file(path)
    assert vectors.dtype == np.float32 and np.array_equal(vectors, X[:4].astype(np.float32))
    assert items.targets.tolist() == targets and items.classes == classes
    assert items.targets.dtype == items.clusters.dtype == items.index.dtype == np.int32
    assert items.clusters.tolist() == targets and items.texts == [] and items.dropped == {}
    assert items.index.tolist() == [[0], [1], [2], [3]]
    assert items.name == "mine" and items.source == str(path)


@pytest.mark.parametrize("kind", [bool, int, np.float64])
def test_label_sets(kind, tmp_path):
    y = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1], [0, 0, 0]])
    _, items = load_vectors_file(save(tmp_path, X=X[:4].astype(int), y=y.astype(kind)))
    assert items.multilabel and items.targets.dtype == np.float32
    assert items.targets.tolist() == y.tolist() and items.classes == ("0", "1", "2")
    assert items.clusters.tolist() == [2, 1, 2, 0]


def test_lists_of_labels(tmp_path):
    rows = [["b"], ["a", "b"], [], ["a", "b"]]
    write_parquet(tmp_path / "v.parquet", {"emb": X[:4].tolist(), "labels": rows})
    _, items = load_vectors_file(tmp_path / "v.parquet")
    assert items.multilabel and items.classes == ("a", "b")
    assert items.targets.tolist() == [[0, 1], [1, 1], [0, 0], [1, 1]]
    assert items.clusters.tolist() == [1, 2, 0, 2]


def test_what_is_trained_does_not_follow_the_file(tmp_path):
    np.save(tmp_path / "v.npy", X.astype(np.float32))
    (tmp_path / "y.txt").write_text(lines(Y))
    vectors, _ = load_vectors_file(tmp_path / "v.npy", str(tmp_path / "y.txt"))
    assert type(vectors) is np.ndarray and vectors.flags.owndata


def test_keep_of_vectors(tmp_path):
    _, items = load_vectors_file(save(tmp_path, X=X[:4], y=np.array([0, 1, 0, 1])))
    kept = items.keep(np.array([False, True, True, False]), quiet=True)
    assert kept.index.tolist() == [[0], [1]] and kept.texts == []


F, G = X[:4], np.array([0, 1, 0, 1])
BAD = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"X": F}, ": it has no labels of its own, in a column or array called one of label, lab"),
        ({"X": F, "y": np.array(["a", 1], dtype=object)}, ": array 'y' holds pickled Python obj"),
        ({"X": F.astype(object), "y": G}, ": array 'X' holds pickled Python objects, which are"),
        ({"X": F[0], "y": G}, ": the vectors have shape (5,); it must be (n, d)"),
        ({"X": BAD, "y": G}, ", X[1]: the vector has a value that is not a finite number, nan"),
        ({"X": F * 1e300, "y": G}, ", X[0]: the vector has a value that is not a finite number"),
        ({"X": F, "y": G[:3]}, ": 3 labels, but"),
        ({"X": F, "y": np.array(3)}, ": y has shape () of int64; labels must be (n,) whole num"),
        ({"X": F, "y": G[:, None, None]}, ": y has shape (4, 1, 1) of int64"),
        ({"X": F, "y": G[:, None]}, ": y has shape (4, 1); one label a row is (n,), y.ravel()"),
        ({"X": F, "y": G * 0.5}, ", y[1]: 0.5 is no label; labels must be whole numbers or str"),
        ({"X": F, "y": np.stack([G, G * 2], 1)}, ", y[1]: column 1 is 2; several labels a row"),
        ({"X": F, "y": np.full((4, 2), "a")}, ": y has shape (4, 2) of <U1; labels must be (n,)"),
        ({"X": F, "y": G * 0}, ": all 4 items have the same label; at least two different labels"),
        ({"X": F[:1].repeat(4, 0), "y": G}, ": all vectors are the same; there is nothing to me"),
    ],
)
def test_what_cannot_be_trained(arrays, said, tmp_path):
    path = save(tmp_path, **arrays)
    assert complaint(path, read=load_vectors_file).startswith(f"{path}{said}")


def test_other_files_without_labels(tmp_path):
    path, *_ = glove(tmp_path)
    assert "no labels of its own" in complaint(path, read=load_vectors_file)
    path = tmp_path / "absent.npz"
    assert complaint(path, read=load_vectors_file).startswith(f"{path}: no such file; vectors are")


# --- damaged files ----------------------------------------------------------------------------

damages = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "repeat", "byte"]),
        st.integers(0, 10**6),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, steps) -> bytes:
    for what, place, value in steps:
        if not data:
            break
        at = place % len(data)
        if what == "flip":
            data = data[:at] + bytes([data[at] ^ (1 << value % 8)]) + data[at + 1 :]
        elif what == "byte":
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif what == "cut":
            data = data[:at] + data[at + value :]
        else:
            data = data[:at] + data[at : at + value] + data[at:]
    return data


def outcome(path: Path, labels, options) -> tuple[int, ...] | None:
    """Sizes of what was read, or None where it was refused."""
    try:
        found = read_vectors(path, str(labels), **options, quiet=True)
    except InputError as error:
        assert str(path.parent) in str(error)
        return None
    assert np.isfinite(found.vectors).all() and found.labels is not None
    assert len(found.labels.codes) == len(found.vectors)
    assert found.labels.codes.max() == len(found.labels.names) - 1
    return len(found.vectors) + sum(found.left_out.values()), found.vectors.shape[1]


@pytest.mark.filterwarnings("ignore")  # NumPy's and zip's, about what is then refused
@pytest.mark.parametrize("made", FORMATS, ids=lambda made: made.__name__)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=damages, which=st.booleans())
def test_damaged_files_are_read_or_refused(made, tmp_path, steps, which):
    path, labels, options = made(tmp_path)
    broken = Path(labels) if which and Path(labels).is_file() else path
    if broken.is_dir():
        broken = broken / ("state.json" if which else "data-00001-of-00002.arrow")
    data = broken.read_bytes()
    packed = broken.suffix == ".gz"
    data = damaged(gzip.decompress(data) if packed and len(steps) > 1 else data, steps)
    broken.write_bytes(gzip.compress(data) if packed and len(steps) > 1 else data)
    shape = outcome(path, labels, options)
    if shape is not None:
        assert shape == claimed(path, shape)


def claimed(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What the file itself says of its sizes; where it says nothing, `shape`."""
    if path.suffix == ".npy":
        return np.lib.format.open_memmap(path, mode="r").shape
    if path.name.startswith(("v.vec", "v.bin")):
        data = path.read_bytes()
        data = gzip.GzipFile(fileobj=io.BytesIO(data)).read() if path.suffix == ".gz" else data
        first = data.split(b"\n")[0].split()
        if len(first) == 2:
            n, d = map(int, first)
            return min(n, shape[0]), d
    return shape
