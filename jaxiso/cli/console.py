"""What the commands say while they work, and how they end.

Results go to standard output; notes, progress and errors go to standard error, so that a result
can be piped while the progress bar stays on the screen.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_BETWEEN_LINES = 30.0
WIDTH = 100
"""Columns of a table that does not go to a terminal."""
_other = 0
"""The number of this process, if it is not the one that prints."""
LOGGERS = ("absl", "asyncio", "datasets", "gensim", "huggingface_hub", "jax", "transformers")
"""Of libraries that log what they also raise; absl is Orbax's."""


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


def run_command(main: Callable[[], None]) -> None:
    """Runs a command's `main`; whatever goes wrong is one message, not a traceback.

    Exit codes: 2 for what the user gave, 1 where the system refused to read or write, 130 and 143
    for interruptions, 70 for what nobody foresaw: its traceback goes to a file that is named.
    """
    make_streams_safe()
    quieten_libraries()
    try:
        with _stopping_on_sigterm():
            main()
        sys.stdout.flush()
    except SystemExit:  # --help
        _flush_or_drop()
        raise
    except InputError as error:
        _leave(f"error: {error}", 2)
    except Stopped as stopped:
        _leave(str(stopped), stopped.code)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except BrokenPipeError:  # `python -m jaxiso.embed | head`
        _leave("", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = 2 if error.errno in (errno.ENAMETOOLONG, errno.ELOOP) else 1
        _leave(f"error: {where}{error.strerror or first_line(error)}", code)
    except MemoryError as error:
        _leave(f"error: not enough memory ({first_line(error)})", 1)
    except Exception as error:
        _leave(*_of_jax(error) or (_internal_error(error), 70))


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """A first SIGTERM ends the block with a message, as Ctrl-C does; a second one kills.

    What is in the middle of its work, see `StopSignals`, takes signals first.
    """

    def stop(number: int, frame: object) -> NoReturn:
        del frame
        signal.signal(number, signal.SIG_DFL)
        raise Stopped("terminated; what was saved is kept", 128 + number)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def be_other_process(number: int) -> None:
    """Makes this process one of several that does not print: errors only, with its number."""
    global _other
    _other = number
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def make_streams_safe() -> None:
    """Output never fails for want of a character or of an open stream.

    A character that the terminal's encoding lacks is shown as `?` (or as its number on standard
    error); a closed stream swallows what is written.
    """
    for number in range(3):
        # The first file to be opened would take a closed stream's number, and with it whatever a
        # library in C writes there.
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name, errors in (("stdout", "replace"), ("stderr", "backslashreplace")):
        stream: Any = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", errors=errors))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            with suppress(OSError, ValueError):  # it flushes
                stream.reconfigure(errors=errors)


def quieten_libraries() -> None:
    """Errors of libraries reach the user as our messages, not as logs and tracebacks beside them.

    What a library's thread or a destructor fails with, it also tells the caller, or it does not
    matter: tensorstore's threads print tracebacks after a write to a full disk, for one.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # "A GPU may be present, falling back to cpu" is for the user.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    sys.excepthook = threading.excepthook = sys.unraisablehook = _say_nothing
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _say_nothing(*_: object) -> None:
    pass


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _of_jax(error: Exception) -> tuple[str, int] | None:
    """The message and exit code for what a user can cause inside of JAX."""
    if "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error):
        return f"error: not enough memory ({first_line(error)})", 1
    if is_peer_lost(error):
        return (
            f"error: another process has ended, or cannot be reached any more ({first_line(error)})"
            "; where work was saved, the same command on all processes goes on from there",
            1,
        )
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.endswith("xla_bridge.py"):
            asked = os.environ.get("JAX_PLATFORMS", "")
            return (
                f"error: JAX finds no device to compute on with JAX_PLATFORMS={asked} "
                f"({first_line(error)}); set it to cpu, or unset it",
                2,
            )
        if frame.filename.endswith("_src/config.py") and "jax" in str(error).lower():
            return f"error: an environment variable of JAX: {first_line(error)}", 2
    return None


def is_peer_lost(error: BaseException) -> bool:
    """Whether an error of JAX is that another process of this command is gone."""
    return _is_one_of_several() and any(word in str(error) for word in LOST)


LOST = ("Gloo", "NCCL", "coordination service", "CoordinationService", "heartbeat")
"""Words in what JAX raises where another process is gone."""


def _internal_error(error: Exception) -> str:
    text = f"{' '.join(sys.argv)}\n{traceback.format_exc()}"
    try:
        handle, path = tempfile.mkstemp(prefix="jaxiso-error-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        path = "no log file could be written"
    return f"internal error: {type(error).__name__}: {first_line(error)}; details: {path}"


def _leave(message: str, code: int) -> NoReturn:
    """Ends the process, even where nobody reads what it still says."""
    if message:
        with suppress(OSError, ValueError):
            where = f"process {_other}: " if _other else ""
            print(f"{where}{message}", file=sys.stderr, flush=True)
    _flush_or_drop()
    if code not in (130, 143) and _is_one_of_several():
        os._exit(code)  # JAX would wait for the others to end too, who wait for this one
    raise SystemExit(code) from None


def _is_one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def _flush_or_drop() -> None:
    """Lets go of output that cannot be written, now or when Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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

        Raises:
            Stopped: a signal was received.
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

    Raises:
        ValueError: a number in it is not finite.
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
