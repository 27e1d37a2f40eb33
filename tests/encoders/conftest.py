"""Fixtures of the encoder tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_encoder import BERT_CONFIG, random_bert, write_json, write_sentence_files


@pytest.fixture
def make_bert(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a tiny BERT sentence encoder and returns its directory."""

    def make(
        name: str = "tiny",
        tensors: dict[str, np.ndarray] | None = None,
        *,
        exist_ok: bool = False,
        **config: Any,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir(parents=True, exist_ok=exist_ok)
        write_json(directory / "config.json", BERT_CONFIG | config)
        save_file(random_bert() if tensors is None else tensors, directory / "model.safetensors")
        write_sentence_files(directory, "bert")
        return directory

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads what an earlier one, or the user, has cached."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("JAXISO_CACHE", str(folder))
    monkeypatch.delenv("JAXISO_ENCODERS", raising=False)
    return folder
