"""What commands say while they work."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading

import pytest

from jaxiso.cli import console
from jaxiso.cli.console import (
    Progress,
    Stopped,
    StopSignals,
    duration,
    first_line,
    is_disk_full,
    printer,
    several,
)


def test_a_signal_is_a_request_first():
    # A job in the background of a script ignores SIGINT; what was is what has to be again.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with StopSignals("part") as signals:
        assert signals.received is None
        signals.stop_if_received("no")
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        with pytest.raises(Stopped, match="yes") as stopped:
            signals.stop_if_received("yes")
        assert stopped.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is before[signal.SIGTERM]  # the second one acts
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_signal_amid_a_print_is_no_error(monkeypatch):
    def amid_a_print(*_: object) -> None:
        raise RuntimeError("reentrant call")

    monkeypatch.setattr(console, "note", amid_a_print)
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT


def test_signals_in_another_thread_are_left_alone():
    def work():
        with StopSignals() as signals:
            found.append(signals.received)

    found: list[int | None] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]


def test_progress_in_a_log_file(capsys, monkeypatch):
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with Progress("digits", 2000, unit="updates", done=1000) as progress:
        progress.advance(500, "loss 0.1")
    line = capsys.readouterr().err
    assert line.startswith("digits: 1,500/2,000 updates, ") and line.endswith("left loss 0.1\n")
    with Progress("digits", 2, unit="updates", quiet=True) as progress:
        progress.advance()
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("[task] :cat:", 2, unit="updates") as progress:
        progress.advance(2, "[x]")
    assert "[task] :cat:" in terminal.getvalue() and "2/2 updates" in terminal.getvalue()


def test_results_are_printed_as_they_are(capsys):
    printer().print("/data/a[b]:cat:/" + "x" * 200)
    assert capsys.readouterr().out == "/data/a[b]:cat:/" + "x" * 200 + "\n"


def test_words():
    assert [duration(s) for s in (4.21, 190, 7500)] == ["4.2 s", "3 min 10 s", "2 h 05 min"]
    assert several(1, "seed") == "1 seed" and several(12_000, "word") == "12,000 words"
    assert first_line(ValueError("a\nb")) == "a" and first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 999))) == 300


def test_a_full_disk_is_known_by_its_cause():
    full = OSError(errno.ENOSPC, "No space left")
    wrapped = ValueError("RESOURCE_EXHAUSTED: Error writing [OS error 28: ENOSPC No space left]")
    above = RuntimeError("save failed")
    above.__cause__ = full
    assert all(is_disk_full(error) for error in (full, wrapped, above))
    assert is_disk_full(OSError(errno.EDQUOT, "Quota"))
    assert not is_disk_full(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert not is_disk_full(OSError(errno.EIO, "I/O error"))
