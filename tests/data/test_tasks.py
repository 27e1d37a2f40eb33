"""Items from files that the tests write: the table of texts, labels, and every complaint."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxiso.cli.console import InputError
from jaxiso.data.tasks import TASKS, Task, build_items, find_task, load_task

GOOD = [{"sentence": "a", "label": 0}, {"sentence": "b", "label": 1}]


def write(folder, lines, task="cola", packed=False):
    """Writes the local file of `task`; `lines` are rows, or text taken as it is."""
    path = folder / f"{TASKS[task].local}.jsonl{'.gz' if packed else ''}"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def complaint(folder, task="cola"):
    with pytest.raises(InputError) as caught:
        load_task(task, data_dir=folder)
    return str(caught.value)


def test_table_of_distinct_texts(tmp_path):
    rows = [
        {"premise": "b", "hypothesis": "a", "label": "contradiction", "idx": 7},
        {"premise": "a", "hypothesis": "c", "label": 0},
        {"premise": "b", "hypothesis": "b", "label": 2},
    ]
    path = write(tmp_path, rows, "snli", packed=True)
    items = load_task("snli", data_dir=tmp_path)
    assert items.texts == ["b", "a", "c"]
    assert items.index.dtype == items.targets.dtype == items.clusters.dtype == np.int32
    assert items.index.tolist() == [[0, 1], [1, 2], [0, 0]]
    assert items.targets.tolist() == [2, 0, 2] and items.clusters.tolist() == [1, 0, 1]
    assert items.source == str(path) and not items.multilabel


def test_label_sets(tmp_path):
    rows = [
        {"word": "run", "labels": ["noun", "verb"]},
        {"word": "well", "labels": [1]},
        {"word": "walk", "labels": ["verb", "noun", "noun"]},
    ]
    write(tmp_path, rows, "pos")
    items = load_task("pos", data_dir=tmp_path, quiet=True)
    assert items.targets.dtype == np.float32
    assert items.targets.tolist() == [[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1]]
    assert items.clusters.tolist() in ([0, 1, 0], [1, 0, 1])


pair_rows = st.lists(st.tuples(st.text(), st.text(), st.sampled_from([0, 1, 2, None])))


@given(pair_rows)
def test_texts_round_trip(pairs):
    pairs = [("p", "q", 0), *pairs, ("q", "r", 1)]  # two labels always occur
    rows = (
        (f"row {i}", {"premise": premise, "hypothesis": hypothesis, "label": label})
        for i, (premise, hypothesis, label) in enumerate(pairs)
    )
    items = build_items(find_task("snli"), "memory", rows)
    kept = [pair for pair in pairs if pair[2] is not None]
    assert [tuple(items.texts[i] for i in row) for row in items.index] == [k[:2] for k in kept]
    assert items.targets.tolist() == [k[2] for k in kept]
    assert len(set(items.texts)) == len(items.texts)
    firsts = [items.index.reshape(-1).tolist().index(i) for i in range(len(items.texts))]
    assert firsts == sorted(firsts)
    assert sum(items.dropped.values()) == len(pairs) - len(kept)


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_keep(mask):
    pairs = [("a", "b", 0), ("b", "c", 1), ("d", "a", 2), ("e", "e", 0), ("f", "c", 1)]
    rows = (
        (str(i), {"premise": premise, "hypothesis": hypothesis, "label": label})
        for i, (premise, hypothesis, label) in enumerate([*pairs, ("g", "h", 0)])
    )
    items = build_items(find_task("snli"), "memory", rows)
    labels = items.targets[np.array(mask)]
    if len(np.unique(labels)) < 2:
        with pytest.raises(InputError, match="at least two different labels"):
            items.keep(np.array(mask), quiet=True)
        return
    kept = items.keep(np.array(mask), reason="no vector", quiet=True)
    before = [[items.texts[i] for i in row] for row in items.index[np.array(mask)]]
    assert [[kept.texts[i] for i in row] for row in kept.index] == before
    assert set(kept.texts) == {text for row in before for text in row}
    assert kept.classes == items.classes and kept.targets.tolist() == labels.tolist()
    assert np.unique(kept.clusters).tolist() == list(range(len(np.unique(labels))))
    assert sum(kept.dropped.values()) == mask.count(False)


def test_keep_counts_aloud_and_checks_the_mask(tmp_path, capsys):
    write(tmp_path, [*GOOD, {"sentence": "c", "label": 1}, {"sentence": "d", "label": None}])
    items = load_task("cola", data_dir=tmp_path)
    kept = items.keep(np.array([True, True, False]))
    assert "cola: 1 of 3 items left out: no vector" in capsys.readouterr().err
    assert kept.dropped == {"no label": 1, "no vector": 1} and kept.texts == ["a", "b"]
    with pytest.raises(ValueError, match=r"mask has shape \(2,\)"):
        items.keep(np.array([True, False]))


def test_rows_without_label_are_left_out_aloud(tmp_path, capsys):
    without = [{"sentence": "x", "label": label} for label in (None, -1, "-")] + [{"sentence": "y"}]
    write(tmp_path, [*GOOD, "\n", *without])
    items = load_task("cola", data_dir=tmp_path)
    assert items.texts == ["a", "b"] and items.dropped == {"no label": 4}
    said = capsys.readouterr().err
    assert "cola: 4 rows left out: no label" in said
    assert f"2 items, 2 distinct texts, from {tmp_path}" in said
    load_task("cola", data_dir=tmp_path, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_words_without_labels_are_left_out(tmp_path):
    rows = [{"word": "in", "labels": [0]}, {"word": "on", "labels": [1]}]
    write(tmp_path, [*rows, {"word": "up"}, {"word": "off", "labels": None}], "pos")
    assert load_task("pos", data_dir=tmp_path, quiet=True).dropped == {"no label": 2}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{'a': 1}\n", ["not JSON", "{'a': 1}", "each line must be a JSON object"]),
        ("[1, 2]\n", ["[1, 2] is not a JSON object"]),
        ("[" * 100_000 + "\n", ["nested too deeply"]),
        ('{"sentence": "c", "label": ' + "1" * 5_000 + "}\n", ["not JSON", "digits"]),
        ('{"sentence": "\\ud800", "label": 1}\n', ["half a character", "surrogate"]),
        ({"sentence": "c", "label": [[]] * 99}, ["(list) is not a label"]),
        ({"text": "c", "label": 0}, ["no field 'sentence'", "needs sentence, label", "found text"]),
        ({"sentence": 3, "label": 0}, ["field 'sentence' is 3 (int)", "must be a string"]),
        ({"sentence": None, "label": 0}, ["field 'sentence' is None (NoneType)"]),
        ({"sentence": "c", "label": 2}, ["'label': 2 (int) is not a label", "0 to 1"]),
        ({"sentence": "c", "label": -2}, ["'label': -2 (int)", "unacceptable, acceptable"]),
        ({"sentence": "c", "label": 1.0}, ["'label': 1.0 (float)", "whole numbers"]),
        ({"sentence": "c", "label": True}, ["'label': True (bool)"]),
        ({"sentence": "c", "label": [1]}, ["'label': [1] (list)"]),
        ({"sentence": "c", "label": "good"}, ["'label': 'good' is not a label of task 'cola'"]),
    ],
)
def test_bad_rows(line, said, tmp_path):
    path = write(tmp_path, [*GOOD, line])
    message = complaint(tmp_path)
    assert message.startswith(f"{path}, line 3: ")
    for part in said:
        assert part in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"word": "c", "labels": []}, "field 'labels' is an empty list; it must be a list with"),
        ({"word": "c", "labels": "noun"}, "field 'labels' is noun (str); it must be a list"),
        ({"word": "c", "labels": ["noun", "pronoun"]}, "'labels': 'pronoun' is not a label"),
        ({"word": "c", "labels": [4]}, "'labels': 4 (int) is not a label of task 'pos'"),
        ({"word": "", "labels": [1]}, "field 'word' is empty; it must be a word"),
        ({"word": "a", "labels": [1]}, "the word 'a' was given before, at {path}, line 1"),
    ],
)
def test_bad_word_rows(line, said, tmp_path):
    rows = [{"word": "a", "labels": ["noun"]}, {"word": "b", "labels": ["verb"]}]
    path = write(tmp_path, [*rows, line], "pos")
    message = complaint(tmp_path, "pos")
    assert message.startswith(f"{path}, line 3: ")
    assert said.format(path=path) in message


def test_bad_files(tmp_path):
    path = write(tmp_path, [])
    assert complaint(tmp_path) == (
        f"{path}: the file is empty; it must hold one JSON object a line"
    )
    write(tmp_path, [{"sentence": "a"}, {"sentence": "b"}])
    assert "none of its 2 rows has a label" in complaint(tmp_path)
    write(tmp_path, [GOOD[0], GOOD[0], {"sentence": "z"}])
    assert "all 2 items have the same label (1 left out: no label)" in complaint(tmp_path)
    path.write_bytes(b'{"sentence": "\xff"}')
    assert "line 1: not UTF-8" in complaint(tmp_path)
    path.unlink()
    path.mkdir()
    assert "cannot be read: Is a directory" in complaint(tmp_path)


def test_damaged_gzip(tmp_path):
    path = write(tmp_path, [{"sentence": str(i), "label": i % 2} for i in range(999)], packed=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path}: damaged gzip after line" in complaint(tmp_path)
    path.write_bytes(whole[:20] + bytes(9) + whole[29:])
    assert f"{path}: damaged gzip after line" in complaint(tmp_path)
    path.write_text('{"sentence": "not compressed at all"}')
    assert f"{path}: damaged gzip after line 0 (Not a gzipped file" in complaint(tmp_path)


def test_unknown_tasks():
    with pytest.raises(InputError) as caught:
        load_task("supersence", data_dir=None)
    message = str(caught.value)
    assert message.startswith("unknown task 'supersence'; it must be one of polarity, snli, pos,")
    assert message.endswith("Did you mean 'supersense'?")
    with pytest.raises(InputError, match=r"digits\.$"):
        find_task("xyzzy")
    with pytest.raises(ValueError, match="load_digits_task"):
        load_task("digits", data_dir=None)


def test_the_table_of_tasks():
    glue = "cola, mnli, mrpc, qnli, qqp, rte, sst2, wnli"
    assert ", ".join(TASKS) == f"polarity, snli, pos, supersense, {glue}, parity, digits"
    glue = {name for name, task in TASKS.items() if (task.local or "").startswith("glue/")}
    for name, task in TASKS.items():
        assert isinstance(task, Task) and task.name == name
        assert task.updates == (250 if name in glue else 1000)
        assert task.bias == (name != "polarity")
        assert task.multilabel == (task.kind == "word")
        assert len(set(task.classes)) == len(task.classes) >= 2
    assert {len(TASKS["pos"].classes), len(TASKS["supersense"].classes)} == {4, 26}
