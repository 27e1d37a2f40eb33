"""Corpora: the real ones, the hub's, files of one's own, and every complaint."""

from __future__ import annotations

import gzip
import json

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from jaxiso.cli.console import InputError
from jaxiso.data.corpora import FILE_KINDS, load_corpus
from jaxiso.data.known_corpora import CORPORA
from jaxiso.data.vocabulary import UNKNOWN

TEN = [f"sentence {i} ." for i in range(10)]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("JAXISO_DATA", raising=False)


def write(path, rows):
    """Writes a corpus file: texts as they are, or rows as JSON; packed if the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows_of(texts, labels):
    return [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]


def read(given, **options):
    return load_corpus(str(given), **{"data_dir": None, "quiet": True, **options})


def complaint(given, **options):
    with pytest.raises(InputError) as caught:
        read(given, **options)
    return str(caught.value)


def sizes_of(corpus):
    return len(corpus.train), len(corpus.dev), len(corpus.test)


def pooled(corpus):
    return [*corpus.train.sentences, *corpus.dev.sentences, *corpus.test.sentences]


# The real corpora ------------------------------------------------------------------------------


def test_lee_is_offline(capsys):
    corpus = load_corpus("lee", data_dir=None)
    assert sizes_of(corpus) == (2_204, 275, 275)
    assert corpus.classes == () and corpus.train.labels is None
    assert corpus.counts == {"sentences left out that were there before": 85}
    first = "hundreds of people have been forced to vacate their homes in the southern highlands"
    assert " ".join(corpus.train.sentences[0]).startswith(first)
    said = capsys.readouterr().err
    assert "lee: 85 sentences left out that were there before" in said
    assert (
        "2,204 sentences to train on, 275 for dev, 275 to test, no classes, from gensim's" in said
    )
    assert "split 80/10/10 (seed 0)" in said
    again, other = read("lee"), read("lee", seed=1)
    assert again.test.sentences == corpus.test.sentences != other.test.sentences
    assert sorted(pooled(other)) == sorted(pooled(corpus))
    assert sizes_of(read("lee", sizes=(100, 20, 30))) == (100, 20, 30)


def test_brown(data_dir):
    corpus = read("brown", data_dir=data_dir)
    assert sizes_of(corpus) == (47_340, 5_000, 5_000)
    assert corpus.classes == tuple(json.loads((data_dir / "brown/classes.json").read_text()))
    assert corpus.train.sentences[0] == ["stars", "for", "marriage"]
    assert corpus.train.labels is not None and corpus.train.labels.dtype == np.int32
    assert np.unique(corpus.train.labels).tolist() == list(range(15))
    assert corpus.counts == {}


def test_dbpedia(data_dir, capsys):
    corpus = load_corpus("dbpedia", data_dir=data_dir, sentence_rule="cut", max_length=16)
    assert sizes_of(corpus) == (13_843, 5_000, 5_000)
    assert corpus.classes == tuple(json.loads((data_dir / "dbpedia/classes.json").read_text()))
    assert corpus.test.labels is not None
    assert np.unique(corpus.test.labels).tolist() == list(range(14))
    assert max(map(len, pooled(corpus))) == 16
    cut = corpus.train.cut + corpus.dev.cut + corpus.test.cut
    assert corpus.counts["sentences cut to their first 16 words"] == cut > 20_000
    said = capsys.readouterr().err
    assert f"dbpedia: {cut:,} sentences cut to their first 16 words" in said
    assert "dbpedia: 3,100 texts with characters other than ASCII, which are dropped" in said
    # train is tokenised in its source, test is not: here they look the same
    assert " ".join(corpus.test.sentences[1]) == (
        "breani is a village in the municipality of blace serbia . according to the 2002 census"
    )


def test_dbpedia_first_sentences(data_dir):
    corpus = read("dbpedia", data_dir=data_dir, sizes=(1_000, 50, 50))
    assert sizes_of(corpus) == (1_000, 50, 50)
    assert corpus.how == "drawn from its own splits (seed 0)"
    assert corpus.counts["texts reduced to their first sentence"] > 15_000
    ends = [sentence[-1] for sentence in corpus.train.sentences]
    assert np.mean([end == "." for end in ends]) > 0.95
    assert np.mean([sentence.count(".") <= 1 for sentence in corpus.train.sentences]) > 0.99


def test_yahoo_has_no_training_split(data_dir, capsys):
    corpus = load_corpus("yahoo", data_dir=data_dir)
    assert sizes_of(corpus) == (16_000, 2_000, 2_000)
    assert corpus.classes == () and corpus.test.labels is None
    assert corpus.train.sentences[0] == f"what do you think of {UNKNOWN} organization ?".split()
    said = capsys.readouterr().err
    assert "there is no train split: all sentences of validation and test split 80/10/10" in said
    assert "no classes" in said


# The hub's -------------------------------------------------------------------------------------


def hub_copy(name, counts, texts=None, classes=None):
    """A small copy of a hub split with `counts[i]` rows of class i."""
    facts = CORPORA[name]
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    texts = texts or [f"This is {name} {i}. And more." for i in range(len(labels))]
    rows = [
        {facts.text_field: text, facts.label_field: label, "title": "Title"}
        for text, label in zip(texts, labels, strict=True)
    ]
    names = ClassLabel(names=list(classes or facts.classes))
    text = Value("string")
    features = Features({facts.text_field: text, facts.label_field: names, "title": text})
    return Dataset.from_list(rows, features=features)


def answer(monkeypatch, **splits):
    """Has `datasets.load_dataset` return a split, or raise it; returns the calls."""
    calls = []

    def load_dataset(*args, split):
        calls.append((*args, split))
        if isinstance(splits[split], Exception):
            raise splits[split]
        return splits[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("dbpedia", ("fancyzhx/dbpedia_14", "dbpedia_14")),
        ("yahoo", ("community-datasets/yahoo_answers_topics", "yahoo_answers_topics")),
    ],
)
def test_from_the_hub(name, place, monkeypatch, tmp_path, capsys):
    k = len(CORPORA[name].classes)
    calls = answer(
        monkeypatch, train=hub_copy(name, [9, *[5] * (k - 1)]), test=hub_copy(name, [4] * k)
    )
    corpus = load_corpus(name, data_dir=tmp_path, sizes=(3 * k, k, k + 1))
    assert calls == [(*place, "train"), (*place, "test")]
    assert sizes_of(corpus) == (3 * k, k, k + 1) and corpus.classes == CORPORA[name].classes
    for split, least in ((corpus.train, 3), (corpus.dev, 1), (corpus.test, 1)):
        assert split.labels is not None
        counts = np.bincount(split.labels, minlength=k)  # classes are even
        assert counts.min() == least and counts.max() <= least + 1
    words = {tuple(one) for one in corpus.train.sentences}
    assert words.isdisjoint({tuple(one) for one in corpus.dev.sentences})
    assert all(one[:3] == ("this", "is", name) and len(one) == 5 for one in words)
    assert corpus.counts == {"texts reduced to their first sentence": 5 * k + 1}
    assert f"{place[0]}, config {place[1]}, split train and test" in corpus.source
    assert "classes even (seed 0)" in corpus.how
    assert "from the Hugging Face hub" in capsys.readouterr().err
    again = read(name, sizes=(3 * k, k, k + 1))
    assert again.train.sentences == corpus.train.sentences
    other = read(name, sizes=(3 * k, k, k + 1), seed=1)
    assert other.train.sentences != corpus.train.sentences


def test_hub_sizes_are_the_papers(monkeypatch):
    assert CORPORA["dbpedia"].sizes == (140_000, 14_000, 14_000)
    assert CORPORA["yahoo"].sizes == (100_000, 10_000, 10_000)
    answer(monkeypatch, train=hub_copy("dbpedia", [5] * 14), test=hub_copy("dbpedia", [5] * 14))
    assert complaint("dbpedia") == (
        "fancyzhx/dbpedia_14, config dbpedia_14, split train: 140,000 + 14,000 sentences are "
        "wanted, and 70 are there; ask for fewer"
    )


def test_hub_keeps_characters_and_drops_blanks(monkeypatch):
    texts = ["Łódź is a city."] * 27 + [" "]
    split = hub_copy("dbpedia", [2] * 14, texts)
    answer(monkeypatch, train=split, test=split)
    corpus = read("dbpedia", sizes=(14, 14, 28))
    assert corpus.test.sentences[0] == ["łódź", "is", "a", "city", "."]
    assert corpus.counts == {"blank texts left out": 2}
    assert sizes_of(corpus)[2] == 27


def test_a_local_copy_wins(monkeypatch, tmp_path):
    calls = answer(monkeypatch)
    for split in ("train", "validation", "test"):
        write(tmp_path / f"dbpedia/{split}.jsonl", rows_of(["A bee. A dog."], ["Village"]))
    corpus = read("dbpedia", data_dir=tmp_path)
    assert calls == [] and sizes_of(corpus) == (1, 1, 1)
    assert corpus.train.sentences == [["a", "bee", "."]]
    assert corpus.train.labels is not None and corpus.train.labels.tolist() == [8]
    monkeypatch.setenv("JAXISO_DATA", str(tmp_path))
    assert read("dbpedia").source == str(tmp_path / "dbpedia")
    (tmp_path / "dbpedia/classes.json").write_text('["Village", "Company"]')
    assert "its classes are Village, Company; corpus 'dbpedia' expects Comp" in complaint("dbpedia")


def test_a_hub_that_changed(monkeypatch):
    split = hub_copy("dbpedia", [5] * 14, classes=[f"c{i}" for i in range(14)])
    answer(monkeypatch, train=split)
    assert "its classes are c0, c1," in complaint("dbpedia", sizes=(1, 1, 1))
    answer(monkeypatch, train=hub_copy("dbpedia", [5] * 14).remove_columns("content"))
    assert "no field 'content'; the fields there are label" in complaint("dbpedia")
    texts = ["a"] * 69 + [None]
    answer(monkeypatch, train=hub_copy("dbpedia", [5] * 14, texts))
    message = complaint("dbpedia", sizes=(65, 5, 1))
    assert "split train, row 70: field 'content' is None (NoneType); it must be a str" in message


def test_nowhere(monkeypatch, tmp_path):
    answer(monkeypatch, train=RuntimeError("no route\nmore"))
    message = complaint("yahoo", data_dir=tmp_path)
    assert message.startswith(
        "corpus 'yahoo': its data were not found\n"
        f"  looked for: {tmp_path}/yahoo/{{train,validation,test}}.jsonl[.gz]\n"
        "  Hugging Face hub (community-datasets/yahoo_answers_topics, config yahoo_answers_topics, "
        "split train): offline by HF_HUB_OFFLINE, and not cached: RuntimeError: no route\n"
        '  to get them: while online, run\n    python -c "from datasets import load_dataset; '
    )
    assert "or write " + str(tmp_path / "yahoo") + "/train.jsonl, and likewise" in message
    assert "labels: 0 Society & Culture, 1 Science & Mathematics, 2 Health" in message
    message = complaint("brown")
    assert "looked for: no folder: no data directory given (--data-dir, or JAXISO_DATA)" in message
    assert "to get them: write DATA-DIR/brown/train.jsonl" in message and "hub" not in message


# One's own -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_files(kind, tmp_path, capsys):
    texts = [f"Sentence {i}, it's here. And here." for i in range(25)]
    rows = [{"text": text} for text in texts] if "json" in kind else texts
    path = write(tmp_path / f"mine{kind}", [*rows[:3], " " if "txt" in kind else "", *rows[3:]])
    corpus = load_corpus(str(path), data_dir=None)
    assert sizes_of(corpus) == (21, 2, 2)
    assert corpus.name == "mine" and corpus.source == str(path) and corpus.classes == ()
    expected = [f"sentence {i} , it 's here . and here .".split() for i in range(25)]
    assert sorted(pooled(corpus)) == sorted(expected)
    blank = {"blank texts left out": 1} if "txt" in kind else {}
    assert corpus.counts == blank
    assert ("mine: 1 blank texts left out" in capsys.readouterr().err) == bool(blank)
    first = read(path, sentence_rule="first", max_length=3)
    assert all(len(one) == 3 for one in pooled(first))
    assert first.counts == blank | {
        "texts reduced to their first sentence": 25,
        "sentences cut to their first 3 words": 25,
    }
    assert (first.train.cut, first.dev.cut, first.test.cut) == (21, 2, 2)
    assert sizes_of(read(path, sizes=(5, 4, 3))) == (5, 4, 3)
    assert "25 are there; ask for fewer" in complaint(path, sizes=(20, 5, 1))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([10, 9] * 5, ("9", "10")), (["b", "a"] * 5, ("a", "b")), ([-1, 1] * 5, ("-1", "1"))],
)
def test_labels_of_files(labels, classes, tmp_path):
    corpus = read(write(tmp_path / "mine.jsonl", rows_of(TEN, labels)))
    assert corpus.classes == classes
    for split in (corpus.train, corpus.dev, corpus.test):
        assert split.labels is not None and split.labels.dtype == np.int32
        for words, label in zip(split.sentences, split.labels, strict=True):
            assert classes[label] == str(labels[int(words[1])])


def test_folders(tmp_path):
    write(tmp_path / "train.jsonl.gz", rows_of(TEN * 2, ["x", 1] * 10))
    write(tmp_path / "test.jsonl", rows_of(["Test it"], [0]))
    (tmp_path / "classes.json").write_text('["x", "y", "z"]')
    corpus = read(tmp_path)
    assert sizes_of(corpus) == (18, 2, 1) and corpus.classes == ("x", "y", "z")
    assert corpus.how == "its own splits, but validation drawn from train, which has none (seed 0)"
    assert corpus.test.sentences == [["test", "it"]]
    assert corpus.train.labels is not None and set(corpus.train.labels.tolist()) == {0, 1}
    write(tmp_path / "validation.jsonl", rows_of(["Watch it"], ["z"]))
    corpus = read(tmp_path)
    assert sizes_of(corpus) == (20, 1, 1) and corpus.how == "its own splits (seed 0)"
    assert corpus.dev.labels is not None and corpus.dev.labels.tolist() == [2]
    (tmp_path / "classes.json").write_text('{"x": 0}')
    assert "classes.json: {'x': 0}; it must be a list of the classes' names" in complaint(tmp_path)
    (tmp_path / "classes.json").write_text("{")
    assert "classes.json: is not JSON" in complaint(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "must hold train.jsonl[.gz], validation.jsonl[.gz], test" in complaint(
        tmp_path / "empty"
    )


# Complaints ------------------------------------------------------------------------------------


def test_labels_missing_on_some_rows(tmp_path):
    rows = rows_of(TEN, [0, 1, None, 1, 0, None, 1, 0, 1, 0])
    del rows[5]["label"]
    path = write(tmp_path / "mine.jsonl", rows)
    assert complaint(path) == (
        f"{path}, line 3: no label; 2 of 10 sentences have none, but others have, such as "
        f"{path}, line 1; give a 'label' on every row, or on none"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{'text': 1}", "not JSON"),
        ('["a"]', "is not a JSON object"),
        ({"sentence": "a", "label": 0}, "no field 'text'; found sentence, label"),
        ({"text": 3, "label": 0}, "field 'text' is 3 (int); it must be a string"),
        ({"text": "a", "label": 1.5}, "label 1.5 (float); it must be a whole number or a string"),
        ({"text": "a", "label": True}, "label True (bool); it must be"),
        ({"text": "a", "label": [1]}, "label [1] (list); it must be"),
        ({"text": "a", "label": "b"}, "label 'b' is of another kind than 0 at "),
    ],
)
def test_bad_rows(row, said, tmp_path):
    path = write(tmp_path / "mine.jsonl", [*rows_of(TEN, [0] * 10), row])
    assert complaint(path).startswith(f"{path}, line 11: ") and said in complaint(path)


@pytest.mark.parametrize("label", [14, -1, "village", True])
def test_labels_that_are_not_the_corpus_s(label, tmp_path):
    path = write(tmp_path / "dbpedia/train.jsonl", rows_of(TEN, [*[3] * 9, label]))
    message = complaint("dbpedia", data_dir=tmp_path)
    assert message.startswith(f"{path}, line 10: ")
    allowed = "allowed: whole numbers 0 to 13, or their names Company,"
    assert allowed in message or "it must be a whole number or a string" in message


def test_empty_and_small_files(tmp_path):
    path = write(tmp_path / "mine.txt", [])
    assert complaint(path) == f"{path}: no sentence in it"
    write(path, ["", " \t"])
    assert complaint(path) == f"{path}: no sentence in it (2 blank texts left out)"
    write(path, TEN[:9])
    assert complaint(path) == f"{path}: only 9 sentences to split; at least 10 are needed"
    write(tmp_path / "train.jsonl", rows_of(TEN, [0] * 10))
    write(tmp_path / "test.jsonl", rows_of([" "], [0]))
    message = complaint(tmp_path)
    assert message == f"{tmp_path}, test: no sentence in it (1 blank texts left out)"
    path = write(tmp_path / "mine.jsonl", [])
    assert complaint(path) == f"{path}: the file is empty; it must hold one JSON object a line"


def test_damaged_files(tmp_path):
    path = tmp_path / "mine.txt.gz"
    whole = gzip.compress("\n".join(TEN * 99).encode())
    path.write_bytes(whole[: len(whole) // 2])
    assert complaint(path).startswith(f"{path}: damaged gzip after line")
    path.write_text("not compressed")
    assert complaint(path).startswith(f"{path}: damaged gzip after line 0 (Not a gzipped file")
    path = tmp_path / "mine.txt"
    path.write_bytes(b"caf\xe9")
    assert complaint(path).startswith(f"{path}, line 1: not UTF-8")


def test_bytes_that_are_not_utf_8_are_named_by_line(tmp_path):
    lines = [b"caf\xc3\xa9 number %d" % i for i in range(9_999)]  # more than is decoded at once
    for bad in (b"caf\xe9", b"\xed\xa0\x80", b"cut \xe2\x82"):
        for name in ("mine.txt", "mine.txt.gz"):
            path = tmp_path / name
            data = b"\n".join([*lines[:7_000], bad, *lines[7_000:]])
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
            assert complaint(path).startswith(f"{path}, line 7001: not UTF-8 (")


HARD_LINES = {
    "deep": '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep in a label": '{"text": "a", "label": ' + "[" * 900 + "]" * 900 + "}",
    "digits": '{"text": "a", "label": ' + "9" * 5_000 + "}",
    "surrogate": '{"text": "a \\ud800 b", "label": 0}',
    "surrogate label": '{"text": "a", "label": "\\udfff"}',
    "not a number": '{"text": "a", "label": NaN}',
}


@pytest.mark.parametrize("line", HARD_LINES)
def test_lines_that_no_program_can_keep(line, tmp_path):
    path = write(tmp_path / "mine.jsonl", [*rows_of(TEN, [0] * 10), HARD_LINES[line]])
    assert complaint(path).startswith(f"{path}, line 11: ")
    assert len(complaint(path)) < 400


def test_names_of_files_and_classes(tmp_path):
    path = tmp_path / "caf\udce9.txt"
    path.write_text("a\n" * 10)
    assert complaint(path).startswith("corpus '") and "is not valid Unicode; rename" in complaint(
        path
    )
    write(tmp_path / "train.jsonl", rows_of(TEN, ["a"] * 10))
    for content, said in {
        '["a", "b", "a"]': "the class 'a' is there twice",
        "[" * 100_000: "nested too deeply",
        '["\\ud800"]': "surrogate",
        '["a", 1]': "must be a list of the classes' names",
    }.items():
        (tmp_path / "classes.json").write_text(content)
        assert said in complaint(tmp_path)


# What a run remembers --------------------------------------------------------------------------


def test_digests_tell_splits_apart(tmp_path):
    def digests(texts=TEN, labels=(0,) * 10, **options):
        write(tmp_path / "train.jsonl", rows_of(texts, labels))
        return read(tmp_path, **options).digests

    write(tmp_path / "test.jsonl", rows_of(["Test it"], [0]))
    write(tmp_path / "validation.jsonl", rows_of(["Watch it"], [0]))
    whole = digests()
    assert list(whole) == ["train", "dev", "test"] and len(set(whole.values())) == 3
    assert all(len(digest) == 64 for digest in whole.values()) and digests() == whole
    others = {
        "order": digests(TEN[::-1]),
        "label": digests(labels=(0,) * 9 + (1,)),
        "name": digests(labels=(1,) * 10),
        "border": digests(["sentence", "0 . " + TEN[1], *TEN[2:]]),
        "cut": digests(max_length=2),
    }
    assert len({other["train"] for other in others.values()} | {whole["train"]}) == 6
    write(tmp_path / "test.jsonl", rows_of(["Test that"], [0]))
    changed = digests()
    assert changed["train"] == whole["train"] and changed["test"] != whole["test"]
    assert read("lee").digests["train"] != read("lee", seed=1).digests["train"]


def test_a_corpus_remembers_where_it_was(tmp_path, monkeypatch):
    def again(corpus):
        where = json.loads(json.dumps(corpus.where))
        monkeypatch.chdir("/")
        found = read(where["corpus"], data_dir=where["data_dir"])
        assert found.digests == corpus.digests and found.name == corpus.name
        return where

    for split in ("train", "validation", "test"):
        write(tmp_path / f"data/dbpedia/{split}.jsonl", rows_of(["A bee. A dog."], ["Village"]))
    write(tmp_path / "mine.txt", TEN)
    monkeypatch.chdir(tmp_path)
    assert again(read("mine.txt")) == {"corpus": str(tmp_path / "mine.txt"), "data_dir": None}
    monkeypatch.chdir(tmp_path)
    found = read("data/dbpedia")
    assert found.name == "own-dbpedia"  # no table takes it for the paper's
    assert again(found)["corpus"] == str(tmp_path / "data" / "dbpedia")
    monkeypatch.chdir(tmp_path)
    known = {"corpus": "dbpedia", "data_dir": str(tmp_path / "data")}
    assert again(read("dbpedia", data_dir="data")) == known
    monkeypatch.setenv("JAXISO_DATA", str(tmp_path / "data"))
    found = read("dbpedia")
    monkeypatch.delenv("JAXISO_DATA")
    assert again(found) == known
    assert again(read("lee", data_dir=tmp_path)) == {"corpus": "lee", "data_dir": None}


def test_unknown_corpora(tmp_path):
    message = complaint("dbpedai")
    assert message.startswith(
        "unknown corpus 'dbpedai'; it must be one of lee, dbpedia, yahoo, brown, or a file (.txt, "
        ".txt.gz, .jsonl, .jsonl.gz) or folder."
    )
    assert message.endswith("Did you mean 'dbpedia'?")
    assert "Did you mean" not in complaint("xyzzy")
    absent = tmp_path / "absent.txt"
    assert complaint(absent).startswith(f"corpus {absent}: no such file or folder; allowed: lee,")
    assert "no such file or folder" in complaint("absent.jsonl")
    table = write(tmp_path / "mine.csv", TEN)
    assert f"corpus {table}: what kind of file it is does not show" in complaint(table)


def test_bad_options():
    assert "max length 0: it must be at least 1 word, or not be" in complaint("lee", max_length=0)
    assert "sizes (5, 0, 5): train, dev and test must be" in complaint("lee", sizes=(5, 0, 5))
