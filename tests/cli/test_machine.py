from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import jax

from jaxiso.cli import machine
from jaxiso.cli.machine import cache_dir, keep_compiled_programs, origin


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXISO_CACHE", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("JAXISO_CACHE", "")
    assert cache_dir() == tmp_path / ".cache" / "jaxiso"


def test_compiled_programs_are_kept_there(monkeypatch, tmp_path):
    kept: dict[str, object] = {}
    monkeypatch.setattr(jax.config, "update", kept.__setitem__)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    keep_compiled_programs()
    assert not kept
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("JAXISO_CACHE", str(tmp_path))
    keep_compiled_programs()
    assert kept == {"jax_compilation_cache_dir": str(Path(tmp_path, "xla"))}


def test_what_numbers_come_from(monkeypatch):
    found = origin()
    assert found["jax"] == version("jax") and found["device"].startswith("cpu")
    assert {"machine", "python", "numpy", "flax", "transformers"} <= found.keys()
    monkeypatch.setattr(machine, "PACKAGES", ("jax", "of-no-such-name"))
    assert "of-no-such-name" not in origin()
