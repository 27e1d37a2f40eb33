"""Running jaxiso's commands: as processes, which are killed; and inside of this one."""

from __future__ import annotations

import io
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jaxiso.cli.command import LOGGERS, run_command


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"jaxiso.{module}", *map(str, arguments)]


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def finish(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)


def kill_at(arguments: list[str], out: Path, moment: Callable[[Path], bool]) -> None:
    """Starts a command and kills it with SIGKILL as soon as `moment(out)` is true."""
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 240
        while not moment(out):
            if process.poll() is not None:
                raise AssertionError(f"ended before {moment.__name__}: {process.stderr.read()}")
            assert time.monotonic() < deadline, moment.__name__
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"ended before {moment.__name__}"


def after_config(out: Path) -> bool:
    return (out / "config.json").exists()


def during_a_checkpoint(out: Path) -> bool:
    """Orbax is writing one, after at least one was complete."""
    folder = out / "checkpoints"
    if not folder.is_dir():
        return False
    names = [path.name for path in folder.iterdir()]
    return any(n.isdigit() for n in names) and any("tmp" in n for n in names)


def after_update_20(out: Path) -> bool:
    folder = out / "checkpoints"
    # Checkpoints replace each other: the one of update 20 itself may be gone soon.
    return folder.is_dir() and any(p.name.isdigit() and int(p.name) >= 20 for p in folder.iterdir())


class Ended(NamedTuple):
    """How a command ended, as its process would have."""

    code: int
    out: str
    err: str


def run_here(main: Callable[[], object], *, encoding: str = "utf-8") -> Ended:
    """Runs a command's `main` by `run_command` in this process, on streams of an encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    before = sys.stdout, sys.stderr
    code: object = 0
    with process_as_before():
        try:
            sys.stdout, sys.stderr = streams
            run_command(lambda: (main(), None)[1])
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            sys.stdout, sys.stderr = before
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.detach().getvalue().decode(encoding))  # pyright: ignore
    assert isinstance(code, int), code
    return Ended(code, *texts)


@contextmanager
def process_as_before() -> Iterator[None]:
    """Takes back what `run_command` changes of the process that it expects to end."""
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
