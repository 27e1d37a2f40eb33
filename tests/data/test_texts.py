"""Texts with labels, from every format, and what is said of those that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from jaxiso.cli.console import InputError
from jaxiso.data.texts import Texts, read_texts

TEXTS = ["a film, good", "it is dull", 'so "called"', "1", "naïve 中文"]
TOPICS = ["01", "1", "01", "b", "b"]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


@pytest.fixture(scope="module", params=["jsonl", "csv", "tsv", "parquet", "feather", "gz", "saved"])
def file(request, tmp_path_factory) -> str:
    """The same texts and labels in a format."""
    path = tmp_path_factory.mktemp("texts") / f"t.{request.param}"
    rows = [{"topic": b, "text": a} for a, b in zip(TEXTS, TOPICS, strict=True)]
    table = pa.table({"topic": TOPICS, "text": TEXTS})
    match request.param:
        case "jsonl":
            write_lines(path, rows)
        case "gz":
            path = path.with_suffix(".jsonl.gz")
            path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
        case "csv" | "tsv":
            mark = "," if request.param == "csv" else "\t"
            cells = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
            lines = [f"{b}{mark}{a}" for a, b in zip(cells, TOPICS, strict=True)]
            path.write_text("\n".join([f"topic{mark}text", *lines]) + "\n", encoding="utf-8")
        case "parquet":
            pq.write_table(table, path)
        case "feather":
            feather.write_feather(table, str(path))
        case "saved":
            datasets = pytest.importorskip("datasets")
            datasets.Dataset.from_dict({"topic": TOPICS, "text": TEXTS}).save_to_disk(path)
    return str(path)


def check(found: Texts) -> None:
    assert found.texts == TEXTS and found.of == 5
    assert found.labels is not None and found.labels.names == ("01", "1", "b")
    assert found.labels.codes.tolist() == [0, 1, 0, 2, 2]


def test_every_format_gives_the_same(file: str) -> None:
    check(read_texts(file, "topic", quiet=True))
    assert read_texts(file, quiet=True).labels is None
    with pytest.raises(
        InputError, match=r"--text-field body: .* has no such field; it has 'topic'"
    ):
        read_texts(file, text_field="body")
    with pytest.raises(
        InputError, match=r"--labels kind: .* no such field; it has 'topic', 'text'"
    ):
        read_texts(file, "kind")


def test_lines_with_a_file_of_labels(tmp_path: Path) -> None:
    path, labels = tmp_path / "t.txt", tmp_path / "l.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    labels.write_text("\n".join(TOPICS) + "\n\n")
    check(read_texts(str(path), str(labels)))
    table = write_lines(tmp_path / "l.jsonl", [{"a": 1, "topic": topic} for topic in TOPICS])
    check(read_texts(str(path), str(table), label_column="topic"))
    labels.write_text("a\nb\n")
    with pytest.raises(InputError, match=r"l\.txt: 2 labels, but .*t\.txt has 5 texts"):
        read_texts(str(path), str(labels))
    with pytest.raises(InputError, match=r"no such file, and .*t\.txt has no fields, but a text"):
        read_texts(str(path), "topic")
    with pytest.raises(InputError, match=r"--text-field text: .* has no fields"):
        read_texts(str(path), text_field="text")


def test_names_of_classes_are_taken_from_a_saved_dataset(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"content": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = {"content": TEXTS, "label": [1, 0, 1, 1, 0]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    found = read_texts(str(tmp_path / "saved"), "label").labels
    assert found is not None and found.names == ("no", "yes")
    assert found.codes.tolist() == [1, 0, 1, 1, 0]


def test_a_sample_is_drawn_by_the_seed_and_keeps_its_order(tmp_path: Path, capsys) -> None:
    rows = [{"text": f"text {i}", "label": i} for i in range(50)]
    path = str(write_lines(tmp_path / "t.jsonl", rows))
    some = read_texts(path, "label", limit=10, seed=3)
    assert "10 of 50 texts, drawn at random (seed 3)" in capsys.readouterr().err
    numbers = [int(text.split()[1]) for text in some.texts]
    assert numbers == sorted(set(numbers)) and len(numbers) == 10 and some.of == 50
    assert some.labels is not None and some.labels.names == tuple(map(str, numbers))
    assert some.texts == read_texts(path, limit=10, seed=3, quiet=True).texts
    assert some.texts != read_texts(path, limit=10, seed=4, quiet=True).texts
    for all_of_them in (0, 50, 60):
        assert len(read_texts(path, limit=all_of_them).texts) == 50


def test_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAXISO_DATA", raising=False)
    (tmp_path / "dbpedia").mkdir()
    rows = [{"text": "A Film . By X .", "label": 12}, {"text": "Y", "label": "Plant"}]
    write_lines(tmp_path / "dbpedia" / "validation.jsonl", rows)
    found = read_texts("dbpedia", "label", data_dir=tmp_path, quiet=True)
    assert found.texts == ["A Film . By X .", "Y"]
    assert found.labels is not None and found.labels.names == ("Film", "Plant")
    write_lines(tmp_path / "dbpedia" / "train.jsonl", rows[::-1])  # is preferred
    assert read_texts("dbpedia", data_dir=tmp_path, quiet=True).texts[0] == "Y"
    lee = read_texts("lee", quiet=True)
    assert len(lee.texts) > 1000 and lee.labels is None
    with pytest.raises(InputError, match="none of the texts has a label"):
        read_texts("lee", "label", quiet=True)
    with pytest.raises(InputError, match="labels of the corpus dbpedia are called label"):
        read_texts("dbpedia", "topic", data_dir=tmp_path)
    with pytest.raises(InputError, match="corpus 'brown': its data were not found"):
        read_texts("brown", data_dir=tmp_path)


GOOD = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*GOOD, {"text": "  ", "label": 1}], "line 3: the text is empty; leave"),
        ([*GOOD, {"label": 1}, {"text": ""}], "line 3: the text is empty; so are 2 of 4"),
        ([*GOOD, {"text": 7, "label": 1}], r"line 3: the text is 7 \(int\), not a string"),
        ([*GOOD, {"text": ["a"], "label": 1}], "line 3: the text is .* not a string"),
        ([*GOOD, {"text": "c"}], r"line 3: this text has no label \(1 of 3 have none\)"),
        ([*GOOD, {"text": "c", "label": None}], "line 3: this text has no label"),
        (GOOD[:1], "1 text; there must be at least two"),
        ([{"a": "x", "b": "y"}] * 2, "which field holds the texts.* it has 'a', 'b'"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path: Path, rows: list, says: str) -> None:
    path = write_lines(tmp_path / "t.jsonl", rows)
    with pytest.raises(InputError, match=says) as caught:
        read_texts(str(path), "label")
    assert str(path) in str(caught.value)


def test_files_that_hold_no_texts(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 3)))
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "blank.txt").write_text("a\n\nb\n")
    (tmp_path / "x.docx").write_text("a")
    (tmp_path / "folder").mkdir()
    for name, says in {
        "x.npy": "holds arrays, no texts",
        "empty.txt": "the file is empty",
        "blank.txt": "line 2: the text is empty",
        "x.docx": "what kind of file it is does not show",
        "folder": "a folder, but not one by datasets",
        "gone.txt": "no such file",
    }.items():
        with pytest.raises(InputError, match=says):
            read_texts(str(tmp_path / name))
    with pytest.raises(InputError, match="Did you mean 'dbpedia'"):
        read_texts("dbpedai")
