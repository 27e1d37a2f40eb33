"""Computations that cannot be interrupted, which a process ends without."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jaxiso.cli.console import Progress, Stopped

INTERRUPTED = (KeyboardInterrupt, Stopped)
"""Ctrl-C, and a machine's scheduler."""


def in_background(call: Callable[[], Any], seconds: float, info: str, *, quiet: bool) -> Any:
    """Runs what cannot be interrupted in a thread, which an interruption leaves behind.

    `seconds`, which it takes, and `info` are for the progress bar.

    Raises KeyboardInterrupt or Stopped as they come; the process then ends without waiting.
    """
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with Progress("all pairs", round(seconds), unit="seconds", quiet=quiet) as progress:
            while thread.is_alive():
                thread.join(1.0)
                progress.advance(1, info)
    except INTERRUPTED as stopped:
        # At its end Python would take the thread down, and JAX wait for its device.
        atexit.register(_leave, exit_code(stopped))
        raise
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def exit_code(stopped: BaseException) -> int:
    """The exit code of a process that was interrupted."""
    return stopped.code if isinstance(stopped, Stopped) else 130


def _leave(code: int) -> None:
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)
