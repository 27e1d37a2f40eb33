"""`python -m jaxiso.score` as its users meet it: every format, tables, JSON, errors."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import command, finish
from safetensors.numpy import save_file
from sklearn import metrics as sklearn

import jaxiso
from jaxiso import score, score_result
from jaxiso.errors import InputError
from jaxiso.score_input import load
from jaxiso.score_measures import Row, Value

N, D = 40, 6
X = np.round(np.random.default_rng(0).normal(size=(N, D)) + 0.2, 3)
Y = ["cat" if i % 4 else "dog" for i in range(N)]
WORDS = [f"w{i}" for i in range(N)]
COLUMNS = [f"x{i}" for i in range(D)]


def run(capsys, *arguments: object) -> dict:
    score.main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


def lines(rows) -> str:
    return "".join(f"{row}\n" for row in rows)


def numbers(row, separator: str) -> str:
    return separator.join(map(str, row))


@pytest.fixture(scope="module")
def expected() -> dict[str, float]:
    """The values by the public functions; scikit-learn's where it has them."""
    functions = {
        "isoscore": jaxiso.isoscore(X),
        "mu_viswanath": jaxiso.isotropy_score(X),
        "effective_rank": jaxiso.effective_rank(X),
        "mean_cosine": jaxiso.mean_cosine(X),
        "silhouette": sklearn.silhouette_score(X, Y),
        "calinski_harabasz": sklearn.calinski_harabasz_score(X, Y),
        "davies_bouldin": sklearn.davies_bouldin_score(X, Y),
        "dunn": jaxiso.dunn_index(X, Y),
    }
    return {name: float(value) for name, value in functions.items()}


def npy(folder: Path):
    np.save(folder / "v.npy", X.astype(np.float32))
    (folder / "y.txt").write_text(lines(Y) + "\n\n")
    return folder / "v.npy", "--labels", folder / "y.txt"


def npz(folder: Path):
    np.savez(folder / "v.npz", other=X[:3], X=X, y=np.array(Y))
    return folder / "v.npz", "--labels", "y"


def npz_by_name(folder: Path):
    np.savez(folder / "v.npz", X=X[:3], mine=X)
    np.savez(folder / "y.npz", y=[0] * N, kind=np.array(Y))
    labels = ("--labels", folder / "y.npz", "--label-column", "kind")
    return folder / "v.npz", "--array", "mine", *labels


def safetensors(folder: Path):
    save_file({"only": X, "labels": np.array([len(y + "s") for y in Y])}, folder / "v.safetensors")
    save_file({"labels": np.array([y == "cat" for y in Y])}, folder / "y.safetensors")
    return folder / "v.safetensors", "--labels", folder / "y.safetensors"


def parquet_lists(folder: Path):
    column = pa.array(X.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"text": WORDS, "emb": column, "kind": Y}), folder / "v.parquet")
    return folder / "v.parquet", "--labels", "kind"


def parquet_columns(folder: Path):
    table = dict(zip(COLUMNS, X.T, strict=True)) | {"row": np.arange(N), "label": [1, 2] * 20}
    pq.write_table(pa.table(table), folder / "v.parquet")
    pq.write_table(pa.table({"class": Y}), folder / "y.parquet")
    return folder / "v.parquet", "--labels", folder / "y.parquet"


def csv_named(folder: Path):
    rows = [f"{i},{numbers(x, ',')},{y}" for i, (x, y) in enumerate(zip(X, Y, strict=True))]
    text = lines([f",{numbers(COLUMNS, ',')},kind", *rows])
    (folder / "v.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder / "v.csv.gz", "--labels", "kind"


def csv_with_its_own_labels(folder: Path):
    ids = ["0" if y == "cat" else "1" for y in Y]
    rows = [f"{numbers(x, ';')};{y}" for x, y in zip(X, ids, strict=True)]
    (folder / "v.csv").write_text(lines([f"{numbers(COLUMNS, ';')};id7", *rows]))
    return folder / "v.csv", "--labels", folder / "v.csv", "--label-column", "id7"


def tsv_without_names(folder: Path):
    (folder / "v.tsv").write_text(lines(numbers(row, "\t") for row in X))
    (folder / "y.jsonl").write_text(lines(json.dumps({"text": "", "label": y}) for y in Y))
    return folder / "v.tsv", "--labels", folder / "y.jsonl"


def glove(folder: Path):
    rows = [f"{word} {numbers(x, ' ')}" for word, x in zip(WORDS, X, strict=True)]
    (folder / "v.txt").write_text(lines(rows))
    pairs = [f"{word}\t{y}" for word, y in zip(WORDS, Y, strict=True)]
    (folder / "y.txt").write_text(lines(reversed(pairs)))
    return folder / "v.txt", "--labels", folder / "y.txt"


def word2vec_text(folder: Path):
    rows = [f"{word} {numbers(x, ' ')}" for word, x in zip(WORDS, X, strict=True)]
    (folder / "v.vec").write_text(lines([f"{N} {D}", *rows]))
    (folder / "y.txt").write_text(lines(Y))
    return folder / "v.vec", "--labels", folder / "y.txt"


def word2vec_binary(folder: Path):
    rows = [w.encode() + b" " + x.astype("<f4").tobytes() for w, x in zip(WORDS, X, strict=True)]
    (folder / "v.bin.gz").write_bytes(gzip.compress(f"{N} {D}\n".encode() + b"".join(rows)))
    rows = [{"word": w, "labels": [y]} for w, y in zip(WORDS, Y, strict=True)]
    (folder / "y.jsonl").write_text(lines(map(json.dumps, rows)))
    return folder / "v.bin.gz", "--labels", folder / "y.jsonl"


FORMATS = [
    npy,
    npz,
    npz_by_name,
    safetensors,
    parquet_lists,
    parquet_columns,
    csv_named,
    csv_with_its_own_labels,
    tsv_without_names,
    glove,
    word2vec_text,
    word2vec_binary,
]


@pytest.mark.parametrize("made", FORMATS, ids=lambda made: made.__name__)
def test_every_format(made, tmp_path, capsys, expected):
    (file,) = run(capsys, *made(tmp_path))["files"]
    assert (file["vectors"], file["dimensions"], file["labels"]) == (N, D, 2)
    assert file["left_out"] == {} and file["sampled"] is None
    found = {name: value["value"] for name, value in file["measures"].items()}
    assert found == pytest.approx(expected, rel=1e-4)


# --- what is printed --------------------------------------------------------------------------


def test_tables(tmp_path, capsys):
    files = []
    for name in ("before.npy", "after[1].npy"):
        np.save(tmp_path / name, X)
        files.append(tmp_path / name)
    (tmp_path / "y.txt").write_text(lines(Y))
    labels = ("--labels", tmp_path / "y.txt", "--by-label")
    score.main([*map(str, (*files, *labels, "--plot", tmp_path / "figures" / "mine.png"))])
    printed = capsys.readouterr()
    for text in ("before.npy", "after[1].npy", "Mu & Viswanath", "Davies–Bouldin", "Time: ", "dog"):
        assert text in printed.out
    assert "after[1].npy, by label" in printed.out
    assert "taken as they are" in printed.out and "[1]" not in printed.out.replace("after[1]", "")
    assert "40 vectors of 6 dimensions, 2 labels" in printed.err
    for suffix in (".png", ".pdf"):
        assert (tmp_path / "figures" / f"mine{suffix}").stat().st_size > 10_000
    score.main([str(files[0]), "--quiet"])
    printed = capsys.readouterr()
    assert printed.err == "" and "IsoScore" in printed.out and "Silhouette" not in printed.out


def test_json(tmp_path, capsys):
    path, *labels = npz(tmp_path)
    report = run(capsys, path, *labels, "--by-label", "--sample", 12, "--draws", 3, "--seed", 4)
    assert report["options"] == {"sample": 12, "draws": 3, "seed": 4}
    assert {"jax", "device"} <= report["origin"].keys() and report["seconds"] > 0
    (file,) = report["files"]
    assert file["file"] == str(path) and file["sampled"] == 12
    assert file["measures"]["silhouette"]["se"] > 0 and file["measures"]["isoscore"]["se"] is None
    cat, dog = file["by_label"]
    assert (cat["label"], cat["vectors"], dog["label"], dog["vectors"]) == ("cat", 30, "dog", 10)
    assert cat["isoscore"]["value"] > 0 and cat["silhouette"]["se"] > 0


def test_samples_are_named_as_such(tmp_path, capsys):
    path, *labels = npz(tmp_path)
    score.main([*map(str, (path, *labels, "--sample", 12, "--draws", 3))])
    printed = capsys.readouterr().out
    assert printed.split("Mu & Viswanath depends")[0].count(" ± ") == 2  # silhouette and Dunn
    assert "mean ± standard error of 3 random samples (12 of 40 vectors)" in printed


def test_remarks(tmp_path, capsys):
    x = X.copy()
    x[3] = 0
    np.savez(tmp_path / "v.npz", X=x, y=["a"] * N)
    score.main([str(tmp_path / "v.npz"), "--labels", "y"])
    printed = capsys.readouterr().out
    assert "[1] of the 39 vectors that are not zero" in printed
    assert "[2] there is only one label" in printed and printed.count("– [2]") == 4


def test_many_labels(capsys):
    rows = [Row(f"label {i}", i % 50 + 1, *[Value(0.5, 0.01)] * 4) for i in range(100)]
    one = score_result.Scores(Path("v.npy"), 2550, D, 100, {}, {"dunn": Value(1)}, None, rows)
    score_result.print_scores([one, one._replace(rows=None)], draws=5, seconds=1)
    printed = capsys.readouterr().out
    assert "The largest labels, 40 of 100; --json has all of them" in printed
    assert "│ label 99 │      50 │ 0.50000 ± 0.01" in printed
    assert "label 30 " in printed and "label 29 " not in printed  # of 31 and 30 vectors


# --- labels that are not there ----------------------------------------------------------------


def test_words_without_labels_are_left_out(tmp_path, capsys, expected):
    more = np.vstack([np.ones((3, D)), X])
    rows = [f"{w} {numbers(x, ' ')}" for w, x in zip(["u", "v", "w", *WORDS], more, strict=True)]
    (tmp_path / "v.txt").write_text(lines(rows))
    pairs = [*zip(WORDS, Y, strict=True), ("absent", "dog"), ("u", "")]
    (tmp_path / "y.tsv").write_text(lines(["word\tlabel", *(f"{w}\t{y}" for w, y in pairs)]))
    score.main([*map(str, (tmp_path / "v.txt", "--labels", tmp_path / "y.tsv", "--json"))])
    printed = capsys.readouterr()
    (file,) = json.loads(printed.out)["files"]
    assert file["left_out"] == {"no label": 3} and file["vectors"] == N
    assert {k: v["value"] for k, v in file["measures"].items()} == pytest.approx(expected, rel=1e-4)
    assert "3 of 43 vectors left out: no label" in printed.err
    assert "has no vector of 1 of the 42 words of" in printed.err


def test_words_of_a_table(tmp_path):
    rows = [f"{word},{numbers(x, ',')}" for word, x in zip(WORDS, X, strict=True)]
    (tmp_path / "v.csv").write_text(lines([f"word,{numbers(COLUMNS, ',')}", *rows]))
    (tmp_path / "y.txt").write_text(lines(f"w{i}\t{i % 2}" for i in (5, 4, 3)))
    found = load(tmp_path / "v.csv", str(tmp_path / "y.txt"), quiet=True)
    assert found.vectors.tolist() == X[3:6].tolist() and found.left_out == {"no label": 37}
    assert found.labels is not None and found.labels.codes.tolist() == [1, 0, 1]


def test_without_labels_they_are_mentioned(tmp_path, capsys):
    path, *_ = npz(tmp_path)
    score.main([str(path)])
    printed = capsys.readouterr()
    assert "to use its labels, add --labels y" in printed.err and "Silhouette" not in printed.out
    path, *_ = parquet_columns(tmp_path)
    score.main([str(path)])
    printed = capsys.readouterr()
    assert "a vector is 6 columns, 'x0' to 'x5'; not 'row', 'label'" in printed.err


# --- errors -----------------------------------------------------------------------------------


def complaint(*arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        score.main([*map(str, arguments)])
    return str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no file given: python -m jaxiso.score FILE"),
        (("x.npy", "--draws", 1), "--draws 1: must be at least 2"),
        (("x.npy", "--seed", -1), "--seed -1: must be at least 0"),
        (("x.npy", "--sample", 2), "--sample 2: must be at least 3 (or 0 for all vectors)"),
        (("x.npy", "--by-label"), "--by-label: only with --labels"),
        (("x.npy", "--label-column", "y"), "--label-column y: only with --labels FILE"),
        (("no/such.npy",), "no/such.npy: no such file; vectors are read from files: .npy"),
    ],
)
def test_bad_options(arguments, said):
    assert complaint(*arguments).startswith(said)


def test_bad_vectors(tmp_path):
    def of(name: str, x) -> str:
        np.save(tmp_path / name, x)
        return complaint(tmp_path / name).removeprefix(str(tmp_path / name))

    x = X.copy()
    x[7, 2] = np.nan
    said = of("v.npy", x)
    assert said == ", array[7]: the vector has a value that is not a finite number, nan"
    assert of("v.npy", X[0]).startswith(": the vectors have shape (6,); it must be (n, d)")
    assert of("v.npy", X[:, :1]).startswith(": the vectors have shape (40, 1)")
    assert of("v.npy", X[:1]).startswith(": the vectors have shape (1, 6)")
    assert of("v.npy", X.astype(str)).startswith(": array holds <U32; vectors must be floats")
    assert "outside of float32's range" in of("v.npy", X * 1e300)
    assert complaint(tmp_path).endswith("word2vec or GloVe (.bin, .txt, .vec; also .gz)")


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
    assert "--word-vectors" not in said
    assert complaint(path, "--array", "X").startswith(f"--array X: {path} has no arrays")


def test_unclear_arrays(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, a=X, b=X)
    assert complaint(path) == (
        f"{path}: which array holds the vectors? Name it by --array; it has 'a', 'b'"
    )
    assert complaint(path, "--array", "c").startswith(f"--array c: {path} has no such array; it ha")
    said = complaint(path, "--array", "a", "--labels", "y")
    assert said.startswith(f"--labels y: there is no such file, and {path} has no such column or")
    said = complaint(path, "--labels", "a", "--label-column", "y")
    assert said.startswith(f"--label-column y: --labels a is a column of {path} already")


def test_labels_that_do_not_fit(tmp_path):
    path, _, file = npy(tmp_path)
    file.write_text(lines(Y[1:]))
    assert complaint(path, "--labels", file).startswith(
        f"{file}: 39 labels, but {path} has 40 vectors; there must be a label a vector"
    )
    file.write_text(lines(["kind", *Y]))
    assert complaint(path, "--labels", file).endswith(
        "if its first line is a heading, call it by one of label, labels, y, class, target, or by "
        "--label-column"
    )
    file.write_text("\n" * N)
    assert "0 of its 40 vectors has a label" in complaint(path, "--labels", file)
    path, _, file = glove(tmp_path)
    file.write_text("x\ty\nz\ty\n")
    said = complaint(path, "--labels", file)
    assert said == f"{path}: has none of the 2 words of {file}, such as ['x', 'z']"
    file.write_text("cat\n")
    assert complaint(path, "--labels", file).endswith("a line is a word, a tab, a label")


def test_as_a_process(tmp_path):
    done = finish(command("score", tmp_path / "absent.npy"))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path}") and "Traceback" not in done.stderr


def test_help_needs_no_heavy_import():
    code = (
        "import sys\nfrom jaxiso import score\ntry: score.main(['--help'])\n"
        "finally: print({'jax', 'gensim', 'pyarrow'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.strip() == "set()"
    assert "--by-label" in done.stdout and "10000" in done.stdout


def test_supersense(data_dir):
    """The paper's words and vectors; values as of the reference run before training."""
    file = data_dir / "vectors" / "word2vec-googlenews-26k-300d.bin.gz"
    found = load(file, str(data_dir / "supersense" / "words.jsonl.gz"), quiet=True)
    assert found.vectors.shape == (2275, 300) and found.left_out == {"no label": 24_148}
    assert found.labels is not None and len(found.labels.names) == 830
    assert float(jaxiso.isoscore(found.vectors)) == pytest.approx(0.5077697, abs=1e-6)
    silhouette = sklearn.silhouette_score(found.vectors, found.labels.codes)
    assert silhouette == pytest.approx(-0.1508751, abs=1e-6)
