"""Running jaxiso's commands as processes, and killing them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"jaxiso.{module}", *map(str, arguments)]


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
