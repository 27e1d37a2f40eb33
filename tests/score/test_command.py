"""`python -m jaxiso.score` as its users meet it: tables, JSON, figures, errors.

What files and labels may look like is tested with the reader, in tests/data.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn

import jaxiso
from jaxiso.cli.console import InputError, Stopped
from jaxiso.data.vectors import read_vectors
from jaxiso.score.__main__ import main
from jaxiso.score.options import Options
from jaxiso.score.result import BY_LABEL, file_names, print_tables
from jaxiso.score.values import Row, Scores, Value

N, D = 40, 6
X = np.round(np.random.default_rng(0).normal(size=(N, D)) + 0.2, 3).astype(np.float32)
Y = ["cat" if i % 4 else "dog" for i in range(N)]


def run(capsys, *arguments: object) -> dict:
    main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def npz(tmp_path) -> Path:
    np.savez(tmp_path / "v.npz", X=X, y=np.array(Y))
    return tmp_path / "v.npz"


def complaint(*arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        main([*map(str, arguments)])
    return str(caught.value)


def test_values_are_those_of_the_functions(npz, capsys):
    """scikit-learn's where it has them."""
    is_cat = np.array(Y) == "cat"
    away = [np.linalg.norm(X - X[mine].mean(axis=0), axis=1) for mine in (is_cat, ~is_cat)]
    own, other = np.where(is_cat, *away), np.where(is_cat, *away[::-1])
    simplified = (other - own) / np.maximum(own, other)
    expected = {
        "isoscore": jaxiso.isoscore(X),
        "isoscore_corrected": jaxiso.isoscore(X, corrected=True),
        "mu_viswanath": jaxiso.isotropy_score(X),
        "effective_rank": jaxiso.effective_rank(X),
        "mean_cosine": jaxiso.mean_cosine(X),
        "silhouette": sklearn.silhouette_score(X, Y),
        "simplified_silhouette": simplified.mean(),
        "calinski_harabasz": sklearn.calinski_harabasz_score(X, Y),
        "davies_bouldin": sklearn.davies_bouldin_score(X, Y),
        "dunn": jaxiso.dunn_index(X, Y),
    }
    (file,) = run(capsys, npz, "--labels", "y")["files"]
    assert (file["vectors"], file["dimensions"], file["labels"]) == (N, D, 2)
    assert file["left_out"] == {} and file["sampled"] is None
    found = {name: value["value"] for name, value in file["measures"].items()}
    assert list(found) == list(expected)
    assert found == pytest.approx({k: float(v) for k, v in expected.items()}, rel=1e-4)


# --- what is printed --------------------------------------------------------------------------


def test_tables(tmp_path, capsys):
    files = []
    for name in ("before.npy", "after[1].npy"):
        np.save(tmp_path / name, X)
        files.append(tmp_path / name)
    (tmp_path / "y.txt").write_text("".join(f"{y}\n" for y in Y))
    labels = ("--labels", tmp_path / "y.txt", "--by-label")
    main([*map(str, (*files, *labels, "--plot", tmp_path / "figures" / "mine.png"))])
    printed = capsys.readouterr()
    for text in ("before.npy", "after[1].npy", "Mu & Viswanath", "Davies–Bouldin", "Time: ", "dog"):
        assert text in printed.out
    assert "after[1].npy, by label" in printed.out
    assert "taken as they are" in printed.out and "0.0000 ± 0" in printed.out  # the difference
    assert "[1] low because vectors are few" in printed.out and "[2]" not in printed.out
    assert "40 vectors of 6 dimensions, 2 labels" in printed.err
    for suffix in (".png", ".pdf"):
        assert (tmp_path / "figures" / f"mine{suffix}").stat().st_size > 10_000
    main([str(files[0]), "--quiet"])
    printed = capsys.readouterr()
    assert printed.err == "" and "IsoScore" in printed.out and "Silhouette" not in printed.out


def test_json(npz, capsys):
    report = run(capsys, npz, "--labels", "y", "--by-label", "--sample-size", 12, "--seed", 4)
    options = {"metric": "euclidean", "average": "micro", "exact": False, "sample_size": 12}
    assert report["options"] == options | {"seed": 4, "precision": "highest"}
    assert {"jax", "device"} <= report["origin"].keys() and report["seconds"] > 0
    (file,) = report["files"]
    assert file["file"] == str(npz) and file["sampled"] == 12
    assert file["measures"]["silhouette"]["se"] > 0 and file["measures"]["dunn"]["se"] is None
    cat, dog = file["by_label"]
    assert (cat["label"], cat["vectors"], dog["label"], dog["vectors"]) == ("cat", 30, "dog", 10)
    assert cat["isoscore"]["value"] > 0 and cat["silhouette"]["se"] > 0


def test_samples_are_named_as_such(npz, capsys):
    main([str(npz), "--labels", "y", "--sample-size", "12", "--no-error"])
    printed = capsys.readouterr().out
    assert printed.split("Mu & Viswanath depends")[0].count(" ± ") == 1
    assert (
        "[2] exact against all, of 12 of 40 vectors, drawn by label; all (--exact) tak" in printed
    )


def test_other_metrics_are_named_as_such(npz, capsys):
    main([str(npz), "--labels", "y", "--metric", "cosine", "--average", "macro"])
    printed = capsys.readouterr().out
    samples = np.asarray(sklearn.silhouette_samples(X, Y, metric="cosine"))
    is_cat = np.array(Y) == "cat"
    value = (samples[is_cat].mean() + samples[~is_cat].mean()) / 2
    assert re.search(rf"│ Silhouette \(cosine, macro\) +│ +{value:#.5g} ± 0\.\d+ │", printed)
    assert "│ Simplified silhouette (cosine, macro) │ " in printed


def test_interruptions_print_what_is_known(npz, capsys, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxiso.score.measures.dunn", interrupt)
    with pytest.raises(Stopped) as caught:
        main([str(npz), str(npz), "--labels", "y", "--plot", str(npz.parent / "plot")])
    assert caught.value.code == 130
    printed = capsys.readouterr().out
    assert "v.npz: interrupted; what is printed is what was known" in printed
    assert "[2] interrupted" in printed and printed.count("– [2]") == 1  # Dunn's, of one file
    assert not (npz.parent / "plot.png").exists()


def test_remarks(tmp_path, capsys):
    x = X.copy()
    x[3] = 0
    np.savez(tmp_path / "v.npz", X=x, y=["a"] * N)
    main([str(tmp_path / "v.npz"), "--labels", "y"])
    printed = capsys.readouterr().out
    assert "[2] of the 39 vectors that are not zero" in printed
    assert "[3] there is only one label" in printed and printed.count("– [3]") == 5


def test_what_is_not_defined_is_null_and_says_why(tmp_path, capsys):
    np.save(tmp_path / "v.npy", np.ones((N, D), np.float32))
    (file,) = run(capsys, tmp_path / "v.npy")["files"]
    same = {"value": None, "se": None, "remark": "all vectors are the same", "at_most": False}
    assert file["measures"]["isoscore"] == file["measures"]["effective_rank"] == same


def test_many_labels(capsys):
    rows = [Row(f"label {i}", i % 50 + 1, dict.fromkeys(BY_LABEL, Value(0.5))) for i in range(99)]
    labels = tuple(row.name for row in rows)
    one = Scores(Path("v.npy"), 2550, D, labels, {}, {"dunn": Value(1, at_most=True)}, None, rows)
    print_tables([one, one._replace(rows=None)], Options((Path("v.npy"),)), seconds=1)
    printed = capsys.readouterr().out
    assert "≤ 1.0000 │ ≤ 1.0000" in printed
    assert "The largest labels, 40 of 99; --json has all of them" in printed
    assert "│ label 98 │      49 │  0.50000 │   0.50000 │" in printed
    assert "label 30 " in printed and "label 28 " not in printed  # of 31 and 29 vectors


def test_names_of_files():
    assert file_names([Path("a/v.npy"), Path("b/w.npy")]) == ["v.npy", "w.npy"]
    assert file_names([Path("a/v.npy"), Path("b/v.npy")]) == ["a/v.npy", "b/v.npy"]
    assert file_names([Path(os.fsdecode(b"a/v\xff.npy"))]) == [r"v\xff.npy"]


def test_words_without_labels_are_left_out(tmp_path, capsys):
    rows = [f"w{i} {' '.join(map(str, x))}\n" for i, x in enumerate(X)]
    (tmp_path / "v.txt").write_text("".join(rows) + "v 1 1 1 1 1 1\n")
    (tmp_path / "y.txt").write_text("".join(f"w{i}\t{y}\n" for i, y in enumerate(Y)))
    main([str(tmp_path / "v.txt"), "--labels", str(tmp_path / "y.txt")])
    printed = capsys.readouterr()
    assert "v.txt: 1 vectors left out: no label" in printed.out
    assert "1 of 41 vectors left out: no label" in printed.err


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no file given: python -m jaxiso.score FILE"),
        (("x.npy", "--seed", -1), "--seed -1: must be at least 0"),
        (("x.npy", "--seed", 2**70), f"--seed {2**70}: must be at least 0 and below"),
        (("x.npy", "--sample-size", 1), "--sample-size 1: must be at least 2"),
        (("x.npy", "--sample-size", 9, "--exact"), "--sample-size 9: not with --exact"),
        (("x.npy", "--sample-size", 9, "--metric", "cosine"), "--sample-size 9: not with --metric"),
        (("x.npy", "--by-label"), "--by-label: only with --labels"),
        (("x.npy", "--label-column", "y"), "--label-column y: only with --labels FILE"),
        (("x.npy", "--plot", ""), "--plot .: must be the name of a file, such as figures/"),
        (("x.npy", "--plot", "a/.."), "--plot a/..: must be the name of a file"),
        (("no/such.npy",), "no/such.npy: no such file; vectors are read from files: .npy"),
    ],
)
def test_bad_options(arguments, said):
    assert complaint(*arguments).startswith(said)


def test_more_samples_than_vectors(npz):
    said = f"--sample-size 41: {npz} has 40 vectors; at most as many"
    assert complaint(npz, "--labels", "y", "--sample-size", 41) == said


def test_unknown_metrics(npz, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(npz), "--metric", "manhattan"])
    assert caught.value.code == 2 and "euclidean" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_costs_the_figure_only(npz, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        main([str(npz), "--plot", str(tmp_path / "file" / "mine.png")])
    assert "file" in str(caught.value.filename)
    assert "IsoScore" in capsys.readouterr().out


def test_wide_vectors_take_a_moment(tmp_path, capsys):
    """Eigenproblems of 5,000 × 5,000 took half a minute."""
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32))
    start = time.process_time()
    (file,) = run(capsys, tmp_path / "v.npy")["files"]
    assert all(value["value"] is not None for value in file["measures"].values())
    assert time.process_time() - start < 12


def test_as_a_process(tmp_path):
    """A name that is no text, a terminal without its letters, and a figure that has no place."""
    name = os.fsencode(tmp_path) + "/ä".encode() + b"\xff.npy"
    np.save(os.fsdecode(name), X)
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "jaxiso.score", name, "--plot", str(tmp_path / "file" / "mine")],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "IsoScore" in done.stdout and r"?\xff.npy" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}/file") and "Traceback" not in done.stderr


def test_json_where_the_terminal_lacks_letters(tmp_path, capsys, monkeypatch):
    np.savez(tmp_path / "v.npz", X=X, y=["Kätzchen" if y == "cat" else y for y in Y])
    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    main([str(tmp_path / "v.npz"), "--labels", "y", "--by-label", "--json"])
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed)["files"][0]["by_label"][0]["label"] == "Kätzchen"


def test_help_needs_no_heavy_import():
    code = (
        "import sys\nfrom jaxiso.score.__main__ import main\ntry: main(['--help'])\n"
        "finally: print({'jax', 'numpy', 'pyarrow'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.strip() == "set()"
    assert "--by-label" in done.stdout and "10,000" in done.stdout


def test_supersense(data_dir):
    """The paper's words and vectors; values as of the reference run before training."""
    file = data_dir / "vectors" / "word2vec-googlenews-26k-300d.bin.gz"
    found = read_vectors(file, str(data_dir / "supersense" / "words.jsonl.gz"), quiet=True)
    assert found.vectors.shape == (2275, 300) and found.left_out == {"no label": 24_148}
    assert found.labels is not None and len(found.labels.names) == 830
    assert float(jaxiso.isoscore(found.vectors)) == pytest.approx(0.5077697, abs=1e-6)
    silhouette = sklearn.silhouette_score(found.vectors, found.labels.codes)
    assert silhouette == pytest.approx(-0.1508751, abs=1e-6)


def test_differences_of_the_same_rows(tmp_path, capsys):
    """What both have in common is no error of their difference: it is smaller than either's."""
    near = X + np.random.default_rng(3).normal(scale=0.01, size=X.shape)
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", near.astype(np.float32))
    np.save(tmp_path / "c.npy", X[:-1])
    (tmp_path / "y.txt").write_text("".join(f"{y}\n" for y in Y))
    labels = ("--labels", tmp_path / "y.txt")
    report = run(capsys, tmp_path / "a.npy", tmp_path / "b.npy", *labels)
    assert len(report["differences"]) == 8  # all but Mu & Viswanath and Dunn
    for name, found in report["differences"].items():
        a, b = (file["measures"][name] for file in report["files"])
        assert found["value"] == pytest.approx(b["value"] - a["value"], abs=1e-12), name
        assert 0 < found["se"] < a["se"] / 5, name
    assert run(capsys, tmp_path / "a.npy", tmp_path / "c.npy")["differences"] == {}
    assert run(capsys, tmp_path / "a.npy", tmp_path / "b.npy", "--no-error")["differences"] == {}
