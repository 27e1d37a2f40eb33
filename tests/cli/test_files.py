from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from jaxiso.cli.console import InputError
from jaxiso.cli.files import (
    PART,
    digest_of,
    file_digest,
    folder_digest,
    locked,
    parse_json,
    plain_name,
    read_json,
    read_object,
    replacing,
    write_json,
)


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


def test_an_error_names_the_file_and_not_its_part(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def fail(error: OSError):
        def failing(*_, **__):
            raise error

        return failing

    full = (errno.ENOSPC, "No space left on device")
    for module, name in ((tempfile, "mkstemp"), (os, "fsync"), (os, "fdopen"), (Path, "replace")):
        for error in (OSError(*full), OSError(*full, str(tmp_path / f"{PART}x.part"))):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, fail(error))
                with pytest.raises(OSError, match="No space") as caught, replacing(path) as file:
                    file.write(b"new")
            assert caught.value.filename == str(path) and caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="other") as caught, replacing(path):
        raise OSError(errno.ENOENT, "other", "/another/file")
    assert caught.value.filename == "/another/file"
    with pytest.raises(OSError, match="no number") as caught, replacing(path):
        raise OSError("no number")
    assert caught.value.filename == str(path)
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".part"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "none" / "file"):
        pass
    assert caught.value.filename == str(tmp_path / "none" / "file")


def test_two_writers_at_once(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first" and list(tmp_path.iterdir()) == [path]


def test_who_holds_the_lock_keeps_others_out(tmp_path):
    with locked(tmp_path, "writing"), pytest.raises(InputError, match="another process is writing"):
        locked(tmp_path, "writing").__enter__()
    with locked(tmp_path, "writing"):
        pass


def test_what_a_killed_process_left_goes_with_the_next_lock(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "run" / "figures").mkdir(parents=True)
    ours = [tmp_path / f"{PART}abc.part", tmp_path / "figures" / f"{PART}abc.part"]
    others = [tmp_path / ".movie.part", tmp_path / "run" / f"{PART}x.part", tmp_path / f"{PART}x"]
    for path in (*ours, *others):
        path.write_text("")
    with locked(tmp_path, "writing"):
        pass
    assert not any(path.exists() for path in ours) and all(path.exists() for path in others)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def cannot(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", cannot)
    with pytest.raises(InputError, match="cannot lock files"), locked(tmp_path, "writing"):
        pass


BAD_JSON = {
    "": "is not JSON",
    "{": "is not JSON",
    "[1] 2": "is not JSON",
    "[" * 100_000: "nested too deeply",
    '{"a":' * 100_000: "nested too deeply",
    "9" * 5000: "is not JSON",
    '{"a": -%s}' % ("9" * 5000): "is not JSON",
    r'"\ud800"': "half a character",
    r'{"\udcff": 1}': "half a character",
    b'"\xff"': "is not UTF-8",
    b"\xff\xfe": "is not UTF-8",
    "\ufeff{}": "is not JSON",
}


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: repr(text[:9]))
def test_bad_json_is_named(text):
    with pytest.raises(InputError, match=f"^file:3: .*{BAD_JSON[text]}") as error:
        parse_json(text, "file:3")
    assert len(str(error.value)) < 300


def test_json_comes_back(tmp_path):
    content = {"a": [1, 2.5, None, True], "λ": "猫\U0001f600", "b": {"c": ""}}
    write_json(tmp_path / "file.json", content)
    assert read_json(tmp_path / "file.json") == content
    assert parse_json(r'"\ud83d\ude00"', "x") == "\U0001f600"
    assert "λ" in (tmp_path / "file.json").read_text(encoding="utf-8")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
))  # fmt: skip
def test_json_is_read_or_refused(content):
    text = json.dumps(content)
    try:
        assert parse_json(text, "x") == content
    except InputError as error:
        assert "half a character" in str(error)


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(InputError):
        parse_json(data, "x")


def test_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "file.json", {"a": float("nan")})
    with pytest.raises(InputError, match=r"/data/\\udcff.*cannot be written as UTF-8"):
        write_json(tmp_path / "file.json", {"a": 1, "path": "/data/\udcff"})
    assert not list(tmp_path.iterdir())


def test_json_files_that_are_no_objects(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(InputError, match=r"file\.json cannot be read: No such file"):
        read_object(path)
    path.write_text("[1]")
    with pytest.raises(InputError, match="expected a JSON object, found list"):
        read_object(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


def test_digests_know_where_parts_end():
    assert len({digest_of("ab", "c"), digest_of("a", "bc"), digest_of("abc"), digest_of()}) == 4
    assert digest_of("λ") == digest_of("λ".encode())
    digest_of("\udcff")


def test_the_digest_of_a_folder(tmp_path):
    def make(name: str, files: dict[str, bytes]) -> str:
        for file, content in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(content)
        return folder_digest(tmp_path / name)

    one = make("1", {"a": b"1", "d/b": b"2"})
    assert one == make("2", {"d/b": b"2", "a": b"1"})
    others = [{"a": b"1", "d/b": b"3"}, {"a": b"1", "d/c": b"2"}, {"a": b"12", "d/b": b""}]
    assert len({one, *(make(f"3{i}", other) for i, other in enumerate(others))}) == 4
    assert file_digest(tmp_path / "1" / "a") == hashlib.sha256(b"1").hexdigest()


@given(st.text())
def test_a_plain_name_is_a_file_name(name):
    plain = plain_name(name)
    assert plain and len(plain.encode()) <= 100 and not set(plain) & set("/\\\0 :")
    assert not plain.startswith((".", "-"))


def test_plain_names():
    assert (
        plain_name("sentence-transformers/all_MiniLM.v2") == "sentence-transformers-all_MiniLM.v2"
    )
    assert plain_name("../..") == "unnamed" and plain_name("猫" * 99) == "猫" * 33
