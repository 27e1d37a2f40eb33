"""What is said of models that cannot run, with PyTorch and without."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from tiny_encoder import VOCABULARY, write_json, write_sentence_files

from jaxiso.cli.console import InputError
from jaxiso.encoders.encode import encode


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="models of other families run in PyTorch")


@pytest.fixture
def gpt2(torch: ModuleType, tmp_path: Path) -> Path:
    """The folder of a GPT-2 as transformers saves it."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, n_positions=8
    )
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    write_sentence_files(tmp_path / "gpt2", "other")
    for file in ("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"):
        (tmp_path / "gpt2" / file).unlink()
    return tmp_path / "gpt2"


def test_without_torch_it_says_what_runs_and_how_to_get_the_rest(
    tmp_path: Path, make_bert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "jaxiso.encoders.torch_models", raising=False)
    for change in ({"model_type": "llama"}, {"hidden_act": "relu"}):
        directory = make_bert(next(iter(change)), **change)
        says = r"does not run in Flax(.|\n)*not installed: pip install \"jaxiso\[torch\]\""
        with pytest.raises(InputError, match=says) as caught:
            encode(["good"], str(directory), layers="all", quiet=True)
    assert "only gelu" in str(caught.value)  # pyright: ignore[reportPossiblyUnboundVariable]


def test_a_bert_that_flax_has_not_runs_in_torch(torch, make_bert) -> None:
    del torch
    directory = make_bert(hidden_act="relu")
    assert encode(["good", "not bad"], str(directory), quiet=True).shape == (2, 16)


def test_long_and_empty_texts(gpt2: Path, capsys) -> None:
    found = encode(["very " * 6, "very " * 9], str(gpt2), layers="all")
    assert found.shape == (2, 2, 16) and "1 of 2 texts are longer than 8" in capsys.readouterr().err
    tokenizer = json.loads((gpt2 / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None  # GPT-2 adds no tokens of its own
    write_json(gpt2 / "tokenizer.json", tokenizer)
    with pytest.raises(InputError, match=r"text 1 \(' '\) has no tokens"):
        encode(["good", " "], str(gpt2), layers="all", quiet=True)


def test_weights_that_are_not_the_models(gpt2: Path) -> None:
    tensors = load_file(gpt2 / "model.safetensors")
    name = next(key for key in tensors if key.endswith("mlp.c_fc.weight"))
    cases: list[tuple[dict[str, Any], str]] = [
        ({key: value for key, value in tensors.items() if key != name}, "lack 1 tensors, such as"),
        (tensors | {name: tensors[name][:3]}, "cannot be loaded"),
    ]
    for content, says in cases:
        save_file(content, gpt2 / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=says):
            encode(["good"], str(gpt2), layers="all", quiet=True)
    (gpt2 / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="cannot be loaded"):
        encode(["good"], str(gpt2), layers="all", quiet=True)


def test_pickled_weights_and_strange_indices_are_refused(gpt2: Path) -> None:
    (gpt2 / "model.safetensors").rename(gpt2 / "kept.safetensors")
    for places in ({}, [], {"a": "../kept.safetensors"}, {"a": 3}):
        write_json(gpt2 / "model.safetensors.index.json", {"weight_map": places})
        with pytest.raises(InputError, match="weight_map must give a file of this folder"):
            encode(["good"], str(gpt2))
    write_json(gpt2 / "model.safetensors.index.json", {"weight_map": {"a": "gone.safetensors"}})
    with pytest.raises(InputError, match=r"has no gone\.safetensors"):
        encode(["good"], str(gpt2))


def test_code_that_comes_with_a_model_is_not_run(torch, make_bert) -> None:
    del torch
    directory = make_bert(model_type="own", auto_map={"AutoConfig": "evil.Config"})
    (directory / "evil.py").write_text("raise SystemExit('executed')")
    with pytest.raises(InputError, match="no configuration of own"):
        encode(["good"], str(directory), layers="all", quiet=True)
