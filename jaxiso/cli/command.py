"""Runs a command: whatever happens inside, it ends with one message and an exit code."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from jaxiso.cli.console import InputError, Stopped, first_line, other_process

LOGGERS = ("absl", "asyncio", "datasets", "gensim", "huggingface_hub", "jax", "transformers")
"""Of libraries that log what they also raise; absl is Orbax's."""


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
            other = other_process()
            where = f"process {other}: " if other else ""
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
