"""`python -m jaxiso.layers` from texts to tables, JSON and figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from safetensors.numpy import save_file
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from tiny_encoder import (  # pyright: ignore[reportMissingImports]
    BERT_CONFIG,
    WORDS,
    random_bert,
    write_json,
    write_sentence_files,
)

from jaxiso.data.labels import Labels
from jaxiso.encoders.encode import encode
from jaxiso.encoders.token_sample import sample_tokens
from jaxiso.layers.__main__ import main
from jaxiso.layers.measures import cluster_measures, free_measures
from jaxiso.metrics.contextual import rogue_share, self_similarity
from jaxiso.metrics.directions import mean_cosine
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.neighbours import twonn
from jaxiso.transforms import parse

RNG = np.random.default_rng(1)
ROWS = [
    {"text": " ".join(RNG.choice(WORDS, RNG.integers(2, 12))), "kind": f"k{i % 3}"}
    for i in range(40)
]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A folder with two encoders, called one and two, and texts.jsonl."""
    folder = tmp_path_factory.mktemp("layers")
    for name in ("one", "two"):
        (folder / name).mkdir()
        write_json(folder / name / "config.json", BERT_CONFIG)
        tensors = random_bert()
        if name == "two":
            tensors = {key: value * np.float32(1.1) for key, value in tensors.items()}
        save_file(tensors, folder / name / "model.safetensors")
        write_sentence_files(folder / name, "bert")
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return folder


@pytest.fixture(autouse=True)
def in_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    monkeypatch.setenv("JAXISO_CACHE", str(here / "cache"))
    monkeypatch.delenv("JAXISO_ENCODERS", raising=False)


def run(*arguments: object) -> Any:
    return run_here(lambda: main(["--texts", "texts.jsonl", *map(str, arguments)]))


def test_two_encoders_side_by_side(here: Path) -> None:
    ended = run("--encoder", "one", "two", "--labels", "kind", "--json", "--plot", "out/f.png")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert [one["encoder"] for one in found["encoders"]] == ["one", "two"]
    assert found["texts"]["labels"] == 3 and found["options"]["tokens"] is False
    assert {path.name for path in (here / "out").iterdir()} == {"f.png", "f.pdf"}
    texts = [row["text"] for row in ROWS]
    codes = [row["kind"] for row in ROWS]
    for one in found["encoders"]:
        states = encode(texts, one["encoder"], layers="all", quiet=True)
        assert [layer["layer"] for layer in one["layers"]] == [0, 1, 2]
        for vectors, layer in zip(states, one["layers"], strict=True):
            got = {name: value["value"] for name, value in layer["measures"].items()}
            assert got["isoscore"] == pytest.approx(float(isoscore(vectors)), rel=1e-4)
            corrected = float(isoscore(vectors, corrected=True))
            assert got["isoscore_corrected"] == pytest.approx(corrected, rel=1e-4)
            assert got["mean_cosine"] == pytest.approx(float(mean_cosine(vectors)), abs=1e-6)
            for metric, name in (("euclidean", "silhouette"), ("cosine", "silhouette_cosine")):
                expected = silhouette_score(vectors.astype(np.float64), codes, metric=metric)
                assert got[name] == pytest.approx(expected, abs=1e-5)
            assert got["rogue_share"] > 0 and got["davies_bouldin"] > 0 < got["effective_rank"]
    assert found["encoders"][0]["layers"][2] != found["encoders"][1]["layers"][2]


def test_tokens_add_how_contextual_words_are() -> None:
    arguments = ("--encoder", "one", "--tokens", "--token-sample", 60, "--labels", "kind")
    ended = run(*arguments, "--json")
    assert ended.code == 0, ended.err
    (one,) = json.loads(ended.out)["encoders"]
    texts = [row["text"] for row in ROWS]
    whole = encode(texts, "one", layers="all", tokens=True, quiet=True)
    assert (one["vectors"], one["of_tokens"]) == (60, len(whole.ids))
    sample = sample_tokens(texts, "one", size=60, quiet=True)
    for part, least in ((sample.drawn, 60), (sample.words, 20), (sample.whole, 20)):
        assert len(part) >= least and len(set(part.tolist())) == len(part)
    for i in range(len(sample.ids)):  # each is one of that text's tokens
        mine = (whole.texts == sample.texts[i]) & (whole.ids == sample.ids[i])
        close = np.abs(whole.vectors[:, mine] - sample.vectors[:, i, None]).max(axis=(0, 2))
        assert close.min() < 1e-5
    words, of = sample.ids[sample.words], sample.texts[sample.words]
    assert len(set(zip(words.tolist(), of.tolist(), strict=True))) == len(words)
    assert min(np.unique(words, return_counts=True)[1]) >= 5
    for text in set(sample.texts[sample.whole].tolist()):
        mine = sample.ids[sample.whole][sample.texts[sample.whole] == text]
        np.testing.assert_array_equal(mine, whole.ids[whole.texts == text])
    for vectors, layer in zip(sample.vectors, one["layers"], strict=True):
        got = {name: value["value"] for name, value in layer["measures"].items()}
        baseline = float(mean_cosine(vectors[sample.drawn]))
        similar = np.nanmean(self_similarity(vectors[sample.words], words, of))
        assert got["self_similarity"] == pytest.approx(similar, abs=1e-6)
        assert got["self_similarity_adjusted"] == pytest.approx(similar - baseline, abs=1e-6)
        assert got["intra_sentence_similarity"] > got["intra_sentence_similarity_adjusted"]
        assert 0 < got["maximum_explainable_variance"] <= 1 and "silhouette" in got
    ended = run(*arguments)  # from the cache
    assert "encoding" not in ended.err and "minilm" not in ended.out
    assert "one, 60 of" in ended.out and "words in context" in ended.out and "…" not in ended.out


def test_the_table_says_what_is_not_defined() -> None:
    ended = run("--encoder", "one", "--pooling", "cls", "--limit", 5, "--no-error")
    assert ended.code == 0, ended.err
    assert "5 of 40 texts, drawn at random (seed 0)" in ended.err
    assert "…" not in ended.out  # the tables have room for all numbers
    # before the first layer [CLS] is one vector, whatever the text
    assert "all vectors are the same" in ended.out and "one, 5 texts" in ended.out


def test_transforms_are_fitted_on_each_layer() -> None:
    arguments = ("--encoder", "one", "--json", "--transform")
    ended = run(*arguments, "abtt:2,unit", "--no-error")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["options"]["transform"] == "abtt:2,unit"
    states = encode([row["text"] for row in ROWS], "one", layers="all", quiet=True)
    for vectors, layer in zip(states, found["encoders"][0]["layers"], strict=True):
        moved, _ = parse("abtt:2,unit").fit_apply(vectors)
        got = layer["measures"]
        assert got["isoscore"]["value"] == pytest.approx(float(isoscore(moved)), rel=1e-4)
        assert all(value["se"] is None for value in got.values())
    ended = run(*arguments, "center", "--tokens", "--token-sample", 60)
    assert ended.code == 0, ended.err
    layers = json.loads(ended.out)["encoders"][0]["layers"]
    for layer in layers:  # a baseline near zero is left
        got = {name: value["value"] for name, value in layer["measures"].items()}
        assert got["self_similarity"] == pytest.approx(got["self_similarity_adjusted"], abs=0.05)
    ended = run(*arguments, "whiten:16", "--limit", 10)
    assert ended.code == 2 and "--transform whiten:16: one, layer 0: " in ended.err
    ended = run(*arguments, "shrink")
    assert ended.code == 2 and "--transform shrink: " in ended.err


def test_errors_are_those_of_the_jackknife() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 5)) + 1
    codes = np.arange(60) % 3
    seed = 3
    names = tuple(f"k{i}" for i in range(3))
    labels = Labels(codes.astype(np.int32), names, tuple((n,) for n in names), names, False)
    found = free_measures(vectors, seed=seed) | cluster_measures(vectors, labels, seed=seed)
    block = np.random.default_rng(seed).permutation(np.arange(60) % 20)
    for name, measure in {
        "rogue_share": lambda x, _: rogue_share(x),
        "mean_cosine": lambda x, _: float(mean_cosine(x)),
        "davies_bouldin": davies_bouldin_score,
        "calinski_harabasz": calinski_harabasz_score,
        "silhouette": silhouette_score,
        "silhouette_cosine": lambda x, y: silhouette_score(x, y, metric="cosine"),
    }.items():
        parts = [measure(vectors[block != b], codes[block != b]) for b in range(20)]
        expected = np.sqrt(19 / 20 * ((np.array(parts) - np.mean(parts)) ** 2).sum())
        assert found[name].se == pytest.approx(expected, rel=2e-3), name
        assert found[name].value == pytest.approx(measure(vectors, codes), rel=1e-4)
    assert all(found[name].se for name in found)
    assert found["intrinsic_dimension"].value == pytest.approx(twonn(vectors).dimension)


def test_vectors_of_which_little_is_defined() -> None:
    same = np.ones((8, 3), np.float32)
    found = free_measures(same, seed=0)
    assert found["isoscore"].remark == "all vectors are the same"
    assert found["mean_cosine"].value == pytest.approx(1) and found["rogue_share"].value
    assert "3 different points" in (found["intrinsic_dimension"].remark or "")
    zeros = free_measures(np.eye(8, 3, dtype=np.float32), seed=0)
    assert zeros["mean_cosine"].value == pytest.approx(0)
    assert (zeros["mean_cosine"].remark or "").startswith("of the 3 vectors that are not zero")
    assert zeros["rogue_share"].remark == "the mean cosine is not above zero"
    one = Labels(np.zeros(8, np.int32), ("a",), (("a",),), ("a",), False)
    assert cluster_measures(same, one, seed=0)["silhouette"].remark == "there is only one label"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--encoder", "nowhere"], "encoder 'nowhere' is neither one of minilm"),
        (["--encoder", "one", "one"], "--encoder one: given twice"),
        (["--encoder", "one", "--text-field", "body"], "no such field; it has 'text', 'kind'"),
        (["--encoder", "one", "--labels", "topic"], "no such field; it has 'text', 'kind'"),
        (["--encoder", "one", "--limit", "2"], "--limit 2: must be at least 4"),
        (["--encoder", "one", "--tokens", "--pooling", "cls"], "--pooling cls: not with --tokens"),
        (["--encoder", "one", "--token-sample", "50"], "--token-sample 50: only with --tokens"),
        (["--encoder", "one", "--label-column", "x"], "--label-column x: only with --labels"),
        (["--encoder", "one", "--plot", ".."], "--plot ..: must be the name of a file"),
        (["--texts", "gone.txt"], "texts gone.txt: no such file"),
    ],
)
def test_bad_input_is_an_error(arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.code == 2 and says in ended.err and not ended.out


def test_what_was_encoded_is_kept_when_another_encoder_fails(here: Path) -> None:
    bad = here / "bad"
    bad.mkdir()
    write_json(bad / "config.json", BERT_CONFIG)
    tensors = random_bert()
    tensors["embeddings.word_embeddings.weight"][:] = np.nan
    save_file(tensors, bad / "model.safetensors")
    write_sentence_files(bad, "bert")
    ended = run("--encoder", "two", "bad", "--pooling", "last")
    assert ended.code == 2 and "not finite" in ended.err
    ended = run("--encoder", "two", "--pooling", "last")
    assert ended.code == 0 and "weights from" not in ended.err
