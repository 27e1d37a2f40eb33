"""Where rows come from: the data directory, the hub and its cache, and what to do without."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys

import datasets
import datasets.config
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxiso.cli.console import InputError
from jaxiso.data import TASKS, load_task
from jaxiso.data.corpora import load_corpus
from jaxiso.data.sources import hushed_datasets, resolve_data_dir


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("JAXISO_DATA", raising=False)


def hub_copy(task, labels=(1, 0, -1), classes=None):
    """A small data set with the features of the hub's copy of `task`."""
    texts = {field: Value("string") for field in TASKS[task].fields}
    names = ClassLabel(names=list(classes or TASKS[task].classes))
    rows = [
        {**{field: f"{field} {i}" for field in TASKS[task].fields}, "label": label, "idx": i}
        for i, label in enumerate(labels)
    ]
    return Dataset.from_list(
        rows, features=Features({**texts, "label": names, "idx": Value("int32")})
    )


def answer(monkeypatch, data):
    """Has `datasets.load_dataset` return `data`, or raise it; returns the calls."""
    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        if isinstance(data, Exception):
            raise data
        return data

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("mrpc", ("nyu-mll/glue", "mrpc", "train")),
        ("snli", ("stanfordnlp/snli", "plain_text", "validation")),
        ("polarity", ("cornell-movie-review-data/rotten_tomatoes", None, "train+validation+test")),
    ],
)
def test_from_the_hub(task, asked, monkeypatch, capsys):
    calls = answer(monkeypatch, hub_copy(task))
    items = load_task(task, data_dir=None)
    assert calls == [(asked[:2], {"split": asked[2]})]
    assert items.targets.tolist() == [1, 0] and items.dropped == {"no label": 1}
    assert items.texts[: len(TASKS[task].fields)] == [f"{f} 0" for f in TASKS[task].fields]
    assert items.source == f"the Hugging Face hub ({TASKS[task].hub})"
    said = capsys.readouterr().err
    assert "1 rows left out: no label" in said and "from the Hugging Face hub" in said


def test_a_local_file_wins(tmp_path, monkeypatch):
    calls = answer(monkeypatch, hub_copy("cola"))
    path = tmp_path / "glue" / "cola" / "train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"sentence": "a", "label": 0}\n{"sentence": "b", "label": 1}\n')
    assert load_task("cola", data_dir=tmp_path, quiet=True).texts == ["a", "b"]
    monkeypatch.setenv("JAXISO_DATA", str(tmp_path))
    assert load_task("cola", data_dir=None, quiet=True).texts == ["a", "b"]
    assert calls == []
    with pytest.raises(InputError, match="no field 'sentence1'"):  # no file: the hub is asked
        load_task("mrpc", data_dir=tmp_path)
    assert len(calls) == 1


def test_a_hub_that_changed(monkeypatch):
    answer(monkeypatch, hub_copy("cola", classes=["acceptable", "unacceptable"]))
    with pytest.raises(InputError, match="its classes are acceptable, unacceptable; task 'cola'"):
        load_task("cola", data_dir=None)
    answer(monkeypatch, hub_copy("cola").rename_column("sentence", "text"))
    with pytest.raises(InputError, match="no field 'sentence'; the fields there are text, label"):
        load_task("cola", data_dir=None)


def test_bad_hub_rows_are_named(monkeypatch):
    data = hub_copy("cola", labels=(0, 1))
    broken = Dataset.from_list([data[0], {**data[1], "sentence": None}], features=data.features)
    answer(monkeypatch, broken)
    with pytest.raises(InputError, match="config cola, split train, row 2: field 'sentence' is No"):
        load_task("cola", data_dir=None)


def test_offline(tmp_path, monkeypatch):
    # conftest.py sets HF_HUB_OFFLINE: this is the real library's refusal, with nothing cached.
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(InputError) as caught:
        load_task("mnli", data_dir=tmp_path)
    file = tmp_path / "glue" / "mnli" / "train.jsonl"
    assert str(caught.value) == (
        "task 'mnli': its data were not found\n"
        f"  looked for: {file}\n"
        f"              {file}.gz\n"
        "  Hugging Face hub (nyu-mll/glue, config mnli, split train): offline by HF_HUB_OFFLINE, "
        "and not cached: ConnectionError: Couldn't reach 'nyu-mll/glue' on the Hub "
        "(OfflineModeIsEnabled)\n"
        "  to get them: while online, run\n"
        '    python -c "from datasets import load_dataset; '
        "load_dataset('nyu-mll/glue', 'mnli', split='train')\"\n"
        f"  or write {file}, one JSON object a line:\n"
        '    {"premise": "…", "hypothesis": "…", "label": 0}\n'
        "    labels: 0 entailment, 1 neutral, 2 contradiction\n"
        "  about the data and their licence: https://gluebenchmark.com/tasks"
    )


def test_hub_out_of_reach(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    answer(monkeypatch, RuntimeError("no route\nmore lines"))
    with pytest.raises(InputError) as caught:
        load_task("polarity", data_dir=None)
    message = str(caught.value)
    assert "looked for: no file: no data directory given (--data-dir, or JAXISO_DATA)" in message
    assert "split train+validation+test): failed: RuntimeError: no route\n  to get" in message
    assert "load_dataset('cornell-movie-review-data/rotten_tomatoes', split='train+val" in message
    assert "or write DATA-DIR/polarity/train.jsonl" in message


def test_words_are_nowhere(tmp_path):
    with pytest.raises(InputError) as caught:
        load_task("pos", data_dir=tmp_path)
    message = str(caught.value)
    file = tmp_path / "pos" / "words.jsonl"
    assert f"looked for: {file}\n              {file}.gz\n  to get them" in message
    assert f"these words are not on the hub; write {file}, one JSON object a line:" in message
    assert '{"word": "…", "labels": ["adjective"]}' in message
    assert "labels: adjective, adverb, noun, verb" in message


def test_data_directories(tmp_path, monkeypatch):
    assert resolve_data_dir(None) is None and resolve_data_dir(tmp_path) == tmp_path
    absent = tmp_path / "absent"
    with pytest.raises(InputError, match=f"^data directory {absent} is not a directory$"):
        load_task("cola", data_dir=absent)
    monkeypatch.setenv("JAXISO_DATA", str(absent))
    with pytest.raises(InputError, match=r"\(from the environment's JAXISO_DATA\) is not"):
        load_task("cola", data_dir=None)
    assert resolve_data_dir(tmp_path) == tmp_path  # the argument comes first
    monkeypatch.setenv("JAXISO_DATA", "")
    assert resolve_data_dir(None) is None


def test_quiet_hushes_datasets_and_gives_it_back():
    def state():
        return datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()

    before = state()
    with hushed_datasets(False):
        assert state() == before
    with hushed_datasets(True):
        assert state() == (True, datasets.logging.ERROR)
    assert state() == before


def test_offline_with_the_cache(tmp_path):
    """What `datasets` cached while online is found offline, below HF_HOME."""
    data = hub_copy("cola")
    cached = tmp_path / "datasets" / "nyu-mll___glue" / "cola" / "0.0.0" / "abc123"
    data.to_parquet(tmp_path / "cola.parquet")
    builder = datasets.load_dataset_builder(
        "parquet", data_files={"train": str(tmp_path / "cola.parquet")}, cache_dir=str(tmp_path)
    )
    builder.download_and_prepare(str(cached))
    (cached / "parquet-train.arrow").rename(cached / "glue-train.arrow")
    info = json.loads((cached / "dataset_info.json").read_text())
    info.update(config_name="cola", dataset_name="glue", builder_name="parquet")
    info["splits"]["train"]["dataset_name"] = "glue"
    (cached / "dataset_info.json").write_text(json.dumps(info))
    program = (
        "from jaxiso.data import load_task; items = load_task('cola', data_dir=None, quiet=True); "
        "print(items.texts, items.source)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == (
        "['sentence 0', 'sentence 1'] "
        "the Hugging Face hub (nyu-mll/glue, config cola, split train)\n"
    )


ROWS = "".join(
    json.dumps({"text": f"Sentence {i}, naïve.", "label": i % 3}, ensure_ascii=bool(i % 2)) + "\n"
    for i in range(12)
).encode()
CLASSES = b'["x", "y", "z"]'
FORMATS = {
    "rows.jsonl": ROWS,
    "rows.jsonl.gz": gzip.compress(ROWS, mtime=0),
    "rows.txt": ROWS,
    "rows.txt.gz": gzip.compress(ROWS, mtime=0),
    "folder/train.jsonl": ROWS,
    "folder/classes.json": CLASSES,
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_a_result_or_a_complaint(name, tmp_path, data):
    """Bytes flipped, cut out, repeated and put in."""
    content = bytearray(FORMATS[name])
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        start = data.draw(st.integers(0, max(len(content) - 1, 0)), "start")
        stop = start + data.draw(st.integers(0, 40), "length")
        change = data.draw(st.sampled_from(["flip", "cut", "repeat", "put in"]), "change")
        if change == "flip" and content:
            content[start] ^= 1 << data.draw(st.integers(0, 7), "bit")
        elif change == "cut":
            del content[start:stop]
        elif change == "repeat":
            content[start:start] = content[start:stop] * 3
        else:
            content[start:start] = data.draw(
                st.sampled_from([b"\x00", b"\xff\xfe", b"\\ud800", b"[" * 99_999, b"1" * 5_000])
            )
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "folder").mkdir(exist_ok=True)
    (tmp_path / "folder" / "train.jsonl").write_bytes(ROWS)
    path.write_bytes(content)
    try:
        found = load_corpus(
            str(path.parent if "folder" in name else path), data_dir=None, quiet=True
        )
    except InputError as error:
        assert str(tmp_path) in str(error)
    else:
        assert found.train.sentences and all(found.digests.values())


def test_importing_is_light():
    program = (
        "import sys, jaxiso.data, jaxiso.data.corpora; "
        "print(sorted({'jax', 'gensim', 'datasets', 'sklearn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
