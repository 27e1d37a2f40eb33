"""What the commands say while they work, and how they end.

Results go to standard output; notes, progress and errors go to standard error, so that a result
can be piped while the progress bar stays on the screen.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from jaxiso.errors import InputError

SECONDS_BETWEEN_LINES = 30.0


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main`; user errors become one message and exit code 2, not a traceback."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # `python -m jaxiso.embed | head`
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\ninterrupted: the same command goes on where this one stopped", file=sys.stderr)
        raise SystemExit(130) from None


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
