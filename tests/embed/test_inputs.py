from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxiso import transforms
from jaxiso.cli.console import InputError
from jaxiso.embed import inputs
from jaxiso.embed.arrays import held_out_items, hold_out, prepare
from jaxiso.embed.inputs import load_embeddings, run_config, source
from jaxiso.embed.options import Options, default_name, full_config
from jaxiso.encoders.weights import ENCODERS, EncoderFiles
from jaxiso.papers import EMBED, unlike

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_label_gives_its_share(counts, fraction, seed):
    clusters = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = hold_out(clusters, fraction, seed)
    assert abs(mask.sum() - fraction * len(clusters)) <= 0.5 + 1e-6
    held = np.bincount(clusters[mask], minlength=len(counts))
    assert (np.abs(held - fraction * np.array(counts)) < 1 + 1e-6).all()
    np.testing.assert_array_equal(mask, hold_out(clusters, fraction, seed))


def test_items_are_held_out_at_random():
    clusters = np.arange(200) % 2
    masks = np.array([hold_out(clusters, 0.25, seed) for seed in range(300)])
    share = masks.mean(axis=0)  # binomial, sd 0.025
    assert share.min() > 0.13 and share.max() < 0.37
    assert len({mask.tobytes() for mask in masks}) == 300


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        (0.004, r"of 60 items it would hold out 0, with 0 different.*larger"),
        (0.96, r"of 60 items it would keep 2, with 2 different.*smaller"),
    ],
)
def test_too_few_items_on_a_side_are_refused(vectors, fraction, message):
    options = Options(vectors=vectors, test_fraction=fraction)
    with pytest.raises(InputError, match=message):
        held_out_items(options, load_embeddings(options).items)


def test_facts_of_the_data_are_in_the_config(vectors):
    options = Options(vectors=vectors, updates=5, test_fraction=0.25, hidden=4)
    embeddings = load_embeddings(options)
    config = run_config(options, embeddings, held_out_items(options, embeddings.items))
    expected = {"task": "mine", "encoder": None, "items": 60, "vectors": 60, "dim": 8, "inputs": 1}
    expected |= {"classes": ["cat", "dog", "eel"], "clusters": 3, "multilabel": False, "hidden": 4}
    expected |= {"test_items": 15, "trained_vectors": 45, "updates": 5, "isotropy": None}
    assert expected.items() <= config.items()
    old = json.loads((REFERENCE / "wnli-minilm" / "config.json").read_text())["config"]
    assert old.keys() <= config.keys()
    assert source(options)["vectors"] == str(vectors)


def test_every_change_of_the_data_is_in_the_config(vectors, tmp_path):
    x, y = (np.load(vectors)[name] for name in ("X", "y"))
    moved = x.copy()
    moved[3, 4] += 1e-6
    relabelled = y.copy()
    relabelled[[0, 1]] = np.setdiff1d(y, y[:1])  # the same labels, no new one
    configs = []
    for i, arrays in enumerate([(x, y), (moved, y), (x, relabelled)]):
        path = tmp_path / str(i) / "mine.npz"
        path.parent.mkdir()
        np.savez(path, X=arrays[0], y=arrays[1])
        options = Options(vectors=path)
        configs.append(run_config(options, load_embeddings(options)))
    differing = [{k for k in c if c[k] != configs[0][k]} for c in configs]
    assert differing == [set(), {"vectors_sha256"}, {"data_sha256"}]


def test_vectors_of_other_formats_give_the_same(vectors, tmp_path):
    x, y = (np.load(vectors)[name] for name in ("X", "y"))
    rows = [",".join([*map(str, row), label]) for row, label in zip(x, y, strict=True)]
    header = ",".join([*(f"x{i}" for i in range(8)), "animal"])
    (tmp_path / "mine.csv").write_text("\n".join([header, *rows]))
    np.save(tmp_path / "mine.npy", x)
    (tmp_path / "animals.txt").write_text("\n".join(y))
    expected = load_embeddings(Options(vectors=vectors))
    csv = Options(vectors=tmp_path / "mine.csv", labels="animal", quiet=True)
    npy = Options(vectors=tmp_path / "mine.npy", labels=str(tmp_path / "animals.txt"), quiet=True)
    for options in (csv, npy):
        found = load_embeddings(options)
        assert found.items.classes == expected.items.classes
        assert found.digest == expected.digest and found.vectors is not None
        np.testing.assert_array_equal(found.items.targets, expected.items.targets)
    with pytest.raises(InputError, match="--labels"):
        load_embeddings(Options(vectors=tmp_path / "mine.npy"))


def test_labels_that_are_all_different_are_refused(tmp_path):
    np.savez(tmp_path / "own.npz", X=np.random.default_rng(0).normal(size=(5, 3)), y=np.arange(5))
    with pytest.raises(InputError, match=r"own\.npz: all 5 items have labels of their own"):
        load_embeddings(Options(vectors=tmp_path / "own.npz"))


@pytest.mark.parametrize("task", ["wnli", "rte"])
def test_data_are_those_of_the_reference_runs(data_dir, task):
    options = Options(task=task, data_dir=data_dir, quiet=True, dry_run=True)
    config = run_config(options, load_embeddings(options))
    old = json.loads((REFERENCE / f"{task}-minilm" / "config.json").read_text())["config"]
    assert {name: config[name] for name in old if name not in ("updates", "seeds")} == {
        name: value for name, value in old.items() if name not in ("updates", "seeds")
    }


@pytest.mark.parametrize(("size", "scale"), [(1e10, 1e25), (1e-10, 1e-25)])
def test_a_scale_that_leaves_the_range_is_refused(vectors, size, scale):
    embeddings = load_embeddings(Options(vectors=vectors))
    assert embeddings.vectors is not None
    embeddings = embeddings._replace(vectors=embeddings.vectors * np.float32(size))
    with pytest.raises(InputError, match=r"--scale 1e.*would be .*between 1e-30 and 1e\+30"):
        prepare(Options(vectors=vectors, scale=scale), embeddings)
    assert np.isfinite(prepare(Options(vectors=vectors), embeddings).vectors).all()


def test_word_vectors_are_told_apart_by_content(tmp_path):
    """Two files of one name."""
    words = ["and", "but", "cat", "dog", "run", "sit"]
    lines = [
        json.dumps({"word": w, "labels": ["noun" if i % 2 else "verb"]})
        for i, w in enumerate(words)
    ]
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "words.jsonl").write_text("\n".join(lines))
    rng = np.random.default_rng(0)
    found = []
    for folder in ("a", "b"):
        rows = [f"{word} " + " ".join(map(str, rng.normal(size=4))) for word in words[1:]]
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "vec.txt"
        file.write_text("\n".join(["5 4", *rows]) + "\n")
        options = Options(task="pos", data_dir=tmp_path, word_vectors=file, quiet=True)
        found.append(load_embeddings(options))
    assert found[0].encoder == found[1].encoder == "vec.txt"
    assert found[0].items.dropped == {"no vector": 1} and found[0].items.texts == words[1:]
    assert found[0].digest != found[1].digest


def test_only_the_published_encoder_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "polarity").mkdir()
    rows = [json.dumps({"text": f"t{i}", "label": i % 2}) for i in range(4)]
    (tmp_path / "polarity" / "train.jsonl").write_text("\n".join(rows))
    folder = tmp_path / "minilm"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    files = EncoderFiles("minilm", folder, "directory")
    monkeypatch.setattr(inputs, "find_encoder", lambda *_, **__: files)
    monkeypatch.setattr(inputs, "encoder_dim", lambda _: 8)

    def load(encoder: str):
        return load_embeddings(
            Options(task="polarity", encoder=encoder, data_dir=tmp_path, quiet=True)
        )

    own, named = load(str(folder)), load("minilm")  # a directory, and other weights by that name
    assert own.encoder == named.encoder == "custom-minilm"
    assert own.digest == named.digest is not None
    (folder / "config.json").write_text('{"pooling": "cls"}')
    assert load("minilm").digest != own.digest
    published = replace(ENCODERS["minilm"], sha256=files.digest)
    monkeypatch.setitem(ENCODERS, "minilm", published)
    known = load("sentence-transformers/all-MiniLM-L6-v2")
    assert known.encoder == "minilm" and known.digest is None
    assert known.vectors is None and not known.bias  # polarity's head has none


def test_vectors_are_transformed_before_all_else(vectors, tmp_path, capsys):
    options = Options(vectors=vectors, transform=" center , whiten:04", quiet=True)
    assert options.transform == "center,whiten:4"
    found = load_embeddings(options)
    assert found.vectors is not None
    raw = np.load(vectors)["X"].astype(np.float32)
    expected, _ = transforms.parse("center,whiten:4").fit_apply(raw)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    config = run_config(options, found)
    assert (config["transform"], config["dim"]) == ("center,whiten:4", 4)
    assert "transformcenter-whiten-4" in default_name(options, "mine", "")
    lines = unlike(full_config(config), EMBED)
    assert lines["transform"] == "vectors transformed: center,whiten:4"
    flat = np.repeat(raw[:, :1], 3, axis=1)
    flat[:, 1] = -flat[:, 1] + 1
    np.savez(tmp_path / "flat.npz", X=flat, y=np.load(vectors)["y"])
    load_embeddings(Options(vectors=tmp_path / "flat.npz", transform="whiten"))
    assert (
        "whiten: 1 of 3 directions vary; the other 2 are projected out" in capsys.readouterr().err
    )
    wrong = Options(vectors=vectors, transform="whiten:9")
    with pytest.raises(InputError, match=r"^--transform whiten:9: .*with k from 1 to 8$"):
        load_embeddings(wrong)


def test_a_transform_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"^--transform whitn: unknown transform 'whitn'; allowed"):
        Options(transform="whitn")
