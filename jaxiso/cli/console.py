"""What the commands say while they work, and the errors that end them.

Results go to standard output; notes, progress and errors go to standard error, so that a result
can be piped while the progress bar stays on the screen.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES = 30.0
WIDTH = 100
"""Columns of a table that does not go to a terminal."""
_other = 0


class InputError(Exception):
    """Something the user gave (an option, a file, a run directory) cannot be used.

    The message names the value, the file and line where there is one, what is allowed, and what to
    do next. The commands print it without a traceback and exit with code 2.
    """


class Stopped(BaseException):
    """The user, or the machine's scheduler, asked the command to stop, and it saved its work.

    No error, so that nothing that looks out for errors takes it for one, as with KeyboardInterrupt.

    Attributes:
        code: exit code of the process: 128 and the number of the signal.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def be_other_process(number: int) -> None:
    """Makes this process one of several that does not print: errors only, with its number."""
    global _other
    _other = number
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def other_process() -> int:
    """The number of this process, if it is not the one that prints; else 0."""
    return _other


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


class StopSignals:
    """Turns a first SIGINT or SIGTERM into a request, so that work can be saved; a second one acts.

    Use as a context manager round a loop that looks at `received` once in a while. An exception in
    the middle of a checkpoint, or inside of JAX's own callbacks, is not always survived.

    Args:
        what: what the loop still finishes, for the message, such as "update".

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self, what: str = "update") -> None:
        self.received: int | None = None
        self._what = what
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def stop_if_received(self, message: str) -> None:
        """Ends a command whose work has just been saved.

        Raises Stopped: a signal was received.
        """
        if self.received is not None:
            raise Stopped(message, 128 + self.received)

    def _receive(self, number: int, frame: object) -> None:
        del frame
        self.received = number
        self._restore()
        # A print that the signal interrupted does not let another one in.
        with suppress(RuntimeError, OSError):
            note(f"\nstopping after this {self._what}; once more stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, *error: object) -> None:
        self._restore()


def note(message: str, *, quiet: bool = False) -> None:
    """Prints a line to standard error, unless `quiet`."""
    if not quiet and not _other:
        print(message, file=sys.stderr, flush=True)


def printer(stream: TextIO | None = None) -> Console:
    """What results are printed with: text as it is (a path may have [brackets] or :colons:)."""
    from rich.console import Console

    out = stream or sys.stdout
    width = None if out.isatty() else WIDTH
    return Console(
        file=out, highlight=False, soft_wrap=True, markup=False, emoji=False, width=width
    )


def print_json(content: object) -> None:
    """Prints what --json asks for to standard output.

    Raises ValueError: a number in it is not finite.
    """
    # Labels in other characters than the terminal's are written by their numbers, not as "?".
    plain = (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8")
    print(json.dumps(content, indent=2, ensure_ascii=plain, allow_nan=False))


class Progress:
    """A progress bar with rate and time left; plain lines where the output is no terminal.

    Use as a context manager and call `advance`. A log file on a cluster gets a line every 30
    seconds instead of a bar that redraws itself.

    Args:
        what: shown before the bar.
        total: number of units of work in all.
        unit: plural name of a unit, as in "updates".
        done: units already done, as when a run resumes; they do not count towards the rate.
        quiet: show nothing.
    """

    def __init__(
        self, what: str, total: int, *, unit: str, done: int = 0, quiet: bool = False
    ) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._first, self._done, self._quiet = done, done, quiet or _other > 0
        self._bar = None

    def __enter__(self) -> Progress:
        self._started = self._last_line = time.monotonic()
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[rate]} {task.fields[info]}", markup=False),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self._what,
                total=self._total,
                completed=self._done,
                unit=self._unit,
                rate="",
                info="",
            )
        return self

    def advance(self, units: int = 1, info: str = "") -> None:
        """Moves on by `units`; `info` is shown beside the rate."""
        self._done += units
        now = time.monotonic()
        rate = (self._done - self._first) / max(now - self._started, 1e-9)
        if self._bar is not None:
            shown = f"{rate:,.1f}/s"
            self._bar.update(self._task, completed=self._done, rate=shown, info=info)
        elif not self._quiet and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = (self._total - self._done) / max(rate, 1e-9)
            note(
                f"{self._what}: {self._done:,}/{self._total:,} {self._unit}, "
                f"{rate:,.1f}/s, {duration(left)} left {info}".rstrip()
            )

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def duration(seconds: float) -> str:
    """Seconds as people say them: `4.2 s`, `3 min 10 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def several(number: int, noun: str) -> str:
    """A number of things: `1 seed`, `2 seeds`, `12,000 words`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what led to it, is a full disk or an exhausted quota."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(word in str(seen) for word in ("ENOSPC", "EDQUOT", "No space left")):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
