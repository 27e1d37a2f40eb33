"""What the commands say while they work, and how they end.

Results go to standard output; notes, progress and errors go to standard error, so that a result
can be piped while the progress bar stays on the screen.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn

from jaxiso.errors import InputError, Stopped

SECONDS_BETWEEN_LINES = 30.0


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main`; what users can cause is one message, not a traceback.

    Exit codes: 2 for what the user gave, 1 where the system refused to read or write, 130 and 143
    for interruptions.
    """
    try:
        main()
    except InputError as error:
        _leave(f"error: {error}", 2)
    except Stopped as stopped:
        _leave(str(stopped), stopped.code)
    except BrokenPipeError:  # `python -m jaxiso.embed | head`
        _leave("", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"error: {where}{error.strerror or error}; what was saved before is kept", 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)


def _leave(message: str, code: int) -> NoReturn:
    if message:
        print(message, file=sys.stderr)
    raise SystemExit(code) from None


class StopSignals:
    """Turns a first SIGINT or SIGTERM into a request, so that work can be saved; a second one acts.

    Use as a context manager round a loop that looks at `received` once in a while. An exception in
    the middle of a checkpoint, or inside of JAX's own callbacks, is not always survived.

    Attributes:
        received: the signal's number, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def stop_if_received(self, done: int, total: int, *, overwrite: bool) -> None:
        """Ends a command whose work up to update `done` of `total` has just been saved.

        Args:
            done: updates done.
            total: updates in all.
            overwrite: the command was given --overwrite, which would delete that work.

        Raises:
            Stopped: a signal was received.
        """
        if self.received is not None:
            how = " without --overwrite" if overwrite else ""
            raise Stopped(
                f"stopped after update {done:,} of {total:,}; the same command{how} goes on from "
                "there",
                128 + self.received,
            )

    def _receive(self, number: int, frame: object) -> None:
        del frame
        self.received = number
        self._restore()
        print("\nstopping after this update; once more stops at once", file=sys.stderr)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()


def note(message: str, *, quiet: bool = False) -> None:
    """Prints a line to standard error, unless `quiet`."""
    if not quiet:
        print(message, file=sys.stderr, flush=True)


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
        self._first, self._done, self._quiet = done, done, quiet
        self._bar = None

    def __enter__(self) -> Progress:
        self._started = self._last_line = time.monotonic()
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[rate]} {task.fields[info]}"),
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
