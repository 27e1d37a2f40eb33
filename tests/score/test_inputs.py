"""Texts as input of `python -m jaxiso.score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from safetensors.numpy import save_file
from tiny_encoder import (  # pyright: ignore[reportMissingImports]
    BERT_CONFIG,
    WORDS,
    random_bert,
    write_json,
    write_sentence_files,
)

from jaxiso.encoders.encode import encode
from jaxiso.metrics.isotropy import isoscore
from jaxiso.score.__main__ import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Encoders one and two, and 30 texts in texts.jsonl, in the working directory; the texts."""
    for name, scale in (("one", 1), ("two", 1.2)):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "config.json", BERT_CONFIG)
        tensors = {key: value * np.float32(scale) for key, value in random_bert().items()}
        save_file(tensors, tmp_path / name / "model.safetensors")
        write_sentence_files(tmp_path / name, "bert")
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, 6)) for _ in range(30)]
    rows = [{"text": text, "kind": i % 2} for i, text in enumerate(texts)]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXISO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXISO_ENCODERS", raising=False)
    return texts


def run(*arguments: object) -> Any:
    return run_here(lambda: main([*map(str, arguments)]))


def test_texts_are_encoded_and_measured(here: list[str]) -> None:
    given = ("--texts", "texts.jsonl", "--labels", "kind", "--json")
    ended = run(*given, "--encoder", "one", "two")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["files"]
    assert [one["file"] for one in found] == ["texts.jsonl, one", "texts.jsonl, two"]
    for one, encoder in zip(found, ("one", "two"), strict=True):
        expected = float(isoscore(encode(here, encoder, quiet=True)))
        assert one["measures"]["isoscore"]["value"] == pytest.approx(expected, rel=1e-4)
        assert one["labels"] == 2 and one["measures"]["silhouette"]["value"] is not None
    ended = run(*given, "--encoder", "one", "--limit", 12)
    assert ended.code == 0, ended.err
    (one,) = json.loads(ended.out)["files"]
    assert (one["file"], one["vectors"]) == ("texts.jsonl", 12)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--texts", "texts.jsonl", "--encoder", "three"], "encoder 'three' is neither one of"),
        (["--texts", "texts.jsonl", "--encoder", "one", "--labels", "x"], "has no such field"),
        (["--texts", "texts.jsonl", "x.npy"], "--texts texts.jsonl: not with files of vectors"),
        (["--texts", "texts.jsonl", "--array", "X"], "--array X: not with --texts"),
        (["--texts", "texts.jsonl", "--encoder", "one", "one"], "--encoder one: given twice"),
        (["x.npy", "--encoder", "one"], "--encoder one: only with --texts"),
        (["x.npy", "--limit", "5"], "--limit 5: only with --texts"),
        (["x.npy", "--text-field", "a"], "--text-field a: only with --texts"),
    ],
)
def test_bad_input_is_an_error(arguments: list[str], says: str) -> None:
    ended = run(*arguments)
    assert ended.code == 2 and says in ended.err and not ended.out
