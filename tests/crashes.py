"""What happens to a process while it writes: it dies at any operation, or the disk runs full."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

OPERATIONS = ("open", "replace", "rename", "mkdir", "unlink", "remove", "rmdir", "fsync", "chmod")
FREEING = ("unlink", "remove", "rmdir", "chmod")
"""What a full disk still allows."""


class Death(BaseException):
    """Stands for SIGKILL: from then on the process changes nothing any more."""


class Disk:
    """Watches the operations that change a folder, and fails from one of them on.

    Until pytest's monkeypatch is undone. `operations` is what there was.

    Args:
        monkeypatch: pytest's.
        folder: what happens outside of it is not looked at.
        fails_at: the first operation that fails, from 0 on, and with it all that come later.
        full: raise ENOSPC, as a full disk does, instead of dying.
    """

    def __init__(
        self, monkeypatch: Any, folder: Path, *, fails_at: int | None = None, full: bool = False
    ) -> None:
        self._folder, self._fails_at, self._full = str(folder), fails_at, full
        self.operations: list[str] = []
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))
        monkeypatch.setattr(io, "open", self._watched("open", io.open))

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            where = _path(path, options.get("dir_fd"))
            if where.startswith(self._folder) and _writes(name, arguments, options):
                self._count(name, where)
            return function(path, *arguments, **options)

        return watched

    def _count(self, name: str, where: str) -> None:
        if self._full and name in FREEING:
            return
        self.operations.append(f"{name} {where.removeprefix(self._folder)}")
        if self._fails_at is not None and len(self.operations) > self._fails_at:
            if self._full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where)
            raise Death(self.operations[-1])


def _path(path: Any, folder: int | None) -> str:
    if isinstance(path, int):
        try:
            return str(Path(f"/proc/self/fd/{path}").readlink())
        except OSError:
            return ""
    text = os.fsdecode(path)
    return f"{_path(folder, None)}/{text}" if folder is not None else text


def _writes(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
    if name != "open":
        return True
    how = arguments[0] if arguments else options.get("flags", options.get("mode", "r"))
    if isinstance(how, int):
        return bool(how & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return any(letter in how for letter in "wax+")
