from __future__ import annotations

import stat

import pytest

from jaxiso.files import replacing


def test_content_replaces_content(tmp_path):
    path = tmp_path / "file"
    for content in (b"old and longer", b"new"):
        with replacing(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file(tmp_path):
    with replacing(tmp_path / "ours") as file:
        file.write(b"")
    (tmp_path / "usual").write_bytes(b"")
    ours, usual = ((tmp_path / name).stat().st_mode for name in ("ours", "usual"))
    assert stat.S_IMODE(ours) == stat.S_IMODE(usual)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as file:
        file.write(b"new and longer")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
