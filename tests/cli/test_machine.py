from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import jax
import pytest

from jaxiso.cli import machine
from jaxiso.cli.console import InputError
from jaxiso.cli.machine import (
    cache_dir,
    is_first,
    keep_compiled_programs,
    of_all,
    origin,
    process_count,
    start_processes,
    wait_for_all,
)
from jaxiso.cli.options import ProcessOptions


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"coordinator": "node1:29500"},
            r"--coordinator node1:29500: needs --processes and --proc",
        ),
        ({"processes": 2, "process": 0}, r"--processes 2 --process 0: needs --coordinator too"),
        ({"process": 1, "distributed": True}, r"--process 1: needs --coordinator and --processes"),
        ({"coordinator": "node1", "processes": 2, "process": 0}, r"node1: must be HOST:PORT"),
        ({"coordinator": "node1:0", "processes": 2, "process": 0}, r"a port from 1 to 65535"),
        ({"coordinator": ":29500", "processes": 2, "process": 0}, r":29500: must be HOST:PORT"),
        ({"coordinator": "a:1", "processes": 2, "process": 2}, r"--process 2: must be below 2"),
        ({"coordinator": "127.0.0.1:9", "processes": 2, "process": 1}, r"cannot be reached within"),
    ],
)
def test_processes_that_cannot_start(options, message):
    with pytest.raises(InputError, match=message):
        start_processes(ProcessOptions(**options, timeout=0.2))


def test_a_lone_process_is_the_first():
    start_processes(ProcessOptions())
    assert is_first() and process_count() == 1
    assert of_all([3, True]).tolist() == [[3, 1]]
    wait_for_all("nobody")
