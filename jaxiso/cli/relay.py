"""What JAX's C++ code says while several processes run, with one message for how it ends.

Where a process dies, JAX ends the others from a thread of its own, with its log and a stack trace
on file descriptor 2. `relay_errors` lets a small process read that in place of the user:
`python -m jaxiso.cli.relay` passes on what it is given, but says that in a line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

FATAL = re.compile(r"[EF]\d{4} .*(coordination_service|client\.h)")
"""How the log of JAX's coordination begins where something has failed."""
LOST = re.compile(r"unhealthy \(stopped sending heartbeats\):\n((?:\d+\n)+)")
AGAIN = "; where work was saved, the same command on all processes goes on from there"


def relay_errors() -> None:
    """Puts a process between file descriptor 2 and standard error; Python's stream is as before.

    What C++ says on standard output, which would be taken for a part of the result, is dropped:
    Gloo's lines about its connections, which several threads write into one another.
    """
    relay = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it
    )
    assert relay.stdin is not None
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", errors="replace")
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    os.dup2(relay.stdin.fileno(), 2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    relay.stdin.close()  # it ends when the last copy is closed: with this process
    relay.returncode = 0  # nobody waits for it


def passed_on(lines: Iterable[str]) -> Iterator[str]:
    """What is said of lines of standard error, as they come."""
    failure: list[str] = []
    for line in lines:
        if failure or FATAL.match(line):
            failure.append(line)
        else:
            yield line
    text = "".join(failure)
    # Without the second, this process has found out by itself, and said so.
    if failure and "Terminating process" in text:
        yield f"error: {explained(text)}\n"


def explained(text: str) -> str:
    """What has happened, from the log of JAX's coordination."""
    if lost := LOST.search(text):
        numbers = ", ".join(lost[1].split())
        return f"process {numbers} no longer answers{AGAIN}"
    if "RegisterTask" in text:
        return "not all processes came in time, or the coordinator cannot be reached"
    if "leader task" in text:
        return f"process 0 has ended, or cannot be reached any more{AGAIN}"
    return f"a process ended before the others{AGAIN}"


if __name__ == "__main__":
    with os.fdopen(0, errors="backslashreplace") as given:
        for said in passed_on(given):
            sys.stderr.write(said)
            sys.stderr.flush()
