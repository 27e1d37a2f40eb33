"""The boundary of every command: what it prints, and how it ends, whatever happens inside."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge
from commands import command, process_as_before, run_here

from jaxiso.cli import command as command_module
from jaxiso.cli.command import run_command
from jaxiso.cli.console import InputError, Stopped, StopSignals, note, printer
from jaxiso.cli.options import Checked, Out
from jaxiso.cli.parsing import parse

WORDS = "λ ≤ naïve 猫 \udcff"


@pytest.fixture(autouse=True)
def logs_go_elsewhere(tmp_path, monkeypatch):
    """Those of internal errors."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def raising(error: BaseException):
    def main(*_: object, **__: object) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("--k 0: must be at least 1"), 2, "error: --k 0: must be at least 1"),
        (Stopped("stopped after update 2", 143), 143, "stopped after update 2"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "/x/y"), 1, "error: /x/y: No space left"),
        (OSError(errno.ENOSPC, "No space left"), 1, "error: No space left"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 2, "error: x: File name too"),
        (OSError(errno.EBADF, "Bad file", 7), 1, "error: 7: Bad file"),
        (OSError("cannot open\nat all"), 1, "error: cannot open"),
        (BrokenPipeError(), 1, ""),
        (MemoryError("Unable to allocate 9 TiB"), 1, "error: not enough memory (Unable"),
        (MemoryError(), 1, "error: not enough memory (MemoryError)"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 1, "error: not enough memory (RES"),
    ],
)
def test_whatever_goes_wrong_is_one_message(error, code, message):
    ended = run_here(raising(error))
    assert ended.code == code and ended.err.startswith(message) and not ended.out
    assert ended.err.count("\n") == bool(message)


def test_what_nobody_foresaw_has_a_log_file():
    ended = run_here(raising(KeyError("λ\nsecond line")))
    assert ended.code == 70 and ended.err.count("\n") == 1
    assert ended.err.startswith("internal error: KeyError: 'λ")
    log = Path(ended.err.split("details: ")[1].strip())
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert "second line" in log.read_text(encoding="utf-8")


def test_a_log_file_that_cannot_be_written(monkeypatch):
    monkeypatch.setattr(command_module.tempfile, "mkstemp", raising(OSError(errno.ENOSPC, "Full")))
    ended = run_here(raising(ValueError("x")))
    assert ended.code == 70
    assert ended.err == "internal error: ValueError: x; details: no log file could be written\n"


def test_a_command_that_ends_well():
    assert run_here(lambda: print("result")) == (0, "result\n", "")
    assert run_here(raising(SystemExit(0))).code == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_character_is_too_much(encoding):
    def main():
        print(WORDS)
        printer().print(WORDS)
        note(WORDS)
        raise InputError(WORDS)

    ended = run_here(main, encoding=encoding)
    assert ended.code == 2
    assert ended.out.count("?") >= (2 if encoding == "utf-8" else 6)
    assert ended.err.count("\\udcff") == 2
    assert ("naïve" in ended.out) == (encoding != "ascii")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("arguments", [["--help"], ["--bad"], ["--k", "0"], ["--k", "x"]])
def test_help_and_bad_options_in_any_locale(encoding, arguments):
    @dataclass(frozen=True)
    class Options(Checked):
        k: Annotated[int, Ge(1)] = 1
        """Weight λ of 猫."""
        out: Out = None

    def main():
        parse(Options, prog="x", description="About λ.", arguments=arguments)

    ended = run_here(main, encoding=encoding)
    if arguments == ["--help"]:
        assert ended.code == 0 and "--out PATH" in ended.out and not ended.err
        assert ("λ of 猫" in ended.out) == (encoding == "utf-8")
    else:
        assert ended.code == 2 and arguments[0] in ended.err and not ended.out


class Unwritable(io.RawIOBase):
    """A stream that nobody reads, or a full disk."""

    def __init__(self, error: OSError | None) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if self.error is not None:
            raise self.error
        return len(bytes(data))  # pyright: ignore


def ends_with(stdout, stderr, main) -> object:
    before = sys.stdout, sys.stderr
    with process_as_before():
        try:
            sys.stdout, sys.stderr = stdout, stderr
            run_command(main)
        except SystemExit as ended:
            return ended.code
        finally:
            for stream in (sys.stdout, sys.stderr):
                if getattr(stream, "name", "") == os.devnull:
                    stream.close()
            sys.stdout, sys.stderr = before
    return 0


def test_closed_streams_swallow_what_is_written():
    closed = io.StringIO()
    closed.close()
    for gone in (None, closed):
        assert ends_with(gone, gone, lambda: (print(WORDS), note(WORDS))) == 0
        assert ends_with(gone, gone, raising(InputError("x"))) == 2
        assert ends_with(gone, gone, raising(KeyError("x"))) == 70


def test_streams_that_cannot_be_written():
    def says(error: BaseException):
        print("x")
        raise error

    for error in (BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.ENOSPC, "Full")):
        mains = {1: lambda: print("x"), 2: lambda: says(InputError("x"))}
        for code, main in (mains | {0: lambda: says(SystemExit(0))}).items():
            raw = Unwritable(error)
            out, err = (io.TextIOWrapper(io.BufferedWriter(raw)) for _ in range(2))
            assert ends_with(out, err, main) == code
            raw.error = None  # so that they can be closed


def test_libraries_are_quiet(capfd):
    def main():
        logging.getLogger("absl").error("noise", exc_info=ValueError("traceback"))
        logging.getLogger("asyncio").error("noise")
        thread = threading.Thread(target=raising(RuntimeError("Event loop is closed")))
        thread.start()
        thread.join()
        sys.excepthook(ValueError, ValueError("noise"), None)  # as C++ does from its threads

    with process_as_before():
        run_command(main)
    assert capfd.readouterr().err == ""


def in_file(name: str, error: Exception):
    """A function that raises, as if it stood in another file."""
    scope: dict[str, Any] = {"error": error}
    exec(compile("def main(): raise error", name, "exec"), scope)
    return scope["main"]


@pytest.mark.parametrize(
    ("file", "error", "message"),
    [
        ("xla_bridge.py", RuntimeError("Unable to initialize backend 'tpu'"), "JAX_PLATFORMS=tpu"),
        ("xla_bridge.py", AssertionError(), "JAX_PLATFORMS=tpu"),
        ("config.py", ValueError("invalid truth value 'x' for 'JAX_ENABLE_X64'"), "JAX_ENABLE_X64"),
    ],
)
def test_settings_of_jax_are_the_users(monkeypatch, file, error, message):
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    ended = run_here(in_file(f"/lib/jax/_src/{file}", error))
    assert ended.code == 2 and message in ended.err and ended.err.count("\n") == 1


def test_sigterm_ends_a_command_with_a_message():
    """Wherever it is; and no `except Exception` on the way takes it for an error of its own."""

    def main():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:
            raise AssertionError from error
        raise AssertionError("the signal was lost")

    ended = run_here(main)
    assert ended == (143, "", "terminated; what was saved is kept\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def work():
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            signals.stop_if_received("stopped after update 7")

    ended = run_here(work)  # a loop that saves its work has the signal first
    assert ended.code == 143 and ended.err.endswith("\nstopped after update 7\n")

    def twice():
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            signals.stop_if_received("not at once")

    assert run_here(twice).err.endswith("\nterminated; what was saved is kept\n")
    # Who ignores the signal goes on ignoring it.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert run_here(lambda: os.kill(os.getpid(), signal.SIGTERM)).code == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def sh(line: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of a shell, where "$@" stands for the arguments."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_of_a_command_in_ascii():
    ended = sh('"$@"', *command("score", "--help"), PYTHONIOENCODING="ascii")
    assert ended.returncode == 0 and "usage: python -m jaxiso.score" in ended.stdout
    assert not ended.stderr


def test_help_of_a_command_in_the_c_locale_with_closed_streams():
    ended = sh('"$@" >&- 2>&-', *command("embed", "--help"), LC_ALL="C", PYTHONUTF8="0")
    assert ended.returncode == 0 and not ended.stderr


def test_help_that_nobody_reads():
    ended = sh('"$@" | true; exit ${PIPESTATUS[0]}', *command("score", "--help"))
    assert ended.returncode in (0, 1) and not ended.stderr


def test_a_closed_stream_is_not_the_next_file(tmp_path):
    """The first file to be opened would get the number of standard error, and all that C writes."""
    code = (
        "import os, sys\n"
        "from jaxiso.cli.command import run_command\n"
        "def main():\n"
        "    with open(sys.argv[1], 'w') as file:\n"
        "        assert file.fileno() > 2\n"
        "        os.write(2, b'noise of a library in C')\n"
        "        file.write('mine')\n"
        "run_command(main)\n"
    )
    path = tmp_path / "file"
    ended = sh('"$@" <&- >&- 2>&-', sys.executable, "-c", code, str(path))
    assert ended.returncode == 0 and path.read_text() == "mine"


def test_a_device_that_is_not_there():
    code = (
        "from jaxiso.cli.command import run_command\n"
        "from jaxiso.cli.machine import origin\n"
        "run_command(origin)\n"
    )
    ended = sh('"$@"', sys.executable, "-c", code, JAX_PLATFORMS="nothing")
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: JAX finds no device to compute on with JAX_PLATFORMS=no")


def test_help_is_quick():
    """It imports nothing heavy: no JAX, no pandas."""
    modules = "jaxiso.cli.options, jaxiso.cli.files, jaxiso.cli.figures, jaxiso.cli.machine"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = sh('"$@"', sys.executable, "-c", code).stdout.split()
    assert "jaxiso.cli.machine" in loaded
    assert not {"jax", "numpy", "pandas", "matplotlib", "orbax"} & set(loaded)
