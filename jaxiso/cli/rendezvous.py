"""Processes meet at the coordinator's address before JAX connects them there.

JAX itself waits for all of them too, but ends without naming who is missing.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, suppress

from jaxiso.cli.console import InputError

HELLO = re.compile(r"jaxiso: process (\d+) of (\d+)\n")
GO, ERROR = "go\n", "error: "
SECONDS_TO_SPEAK = 5.0


def meet(address: str, processes: int, process: int, timeout: float) -> None:
    """Waits until all processes are there.

    Args:
        address: HOST:PORT of process 0.
        processes: how many there are.
        process: which one this is.
        timeout: seconds.

    Raises InputError: process 0 cannot be reached, others do not come, or two have the same number.
    """
    host, _, port = address.rpartition(":")
    if process == 0:
        _receive(address, int(port), processes, timeout)
    else:
        _report(address, (host.strip("[]"), int(port)), processes, process, timeout)


def _receive(address: str, port: int, processes: int, timeout: float) -> None:
    """Process 0: waits for the others, and tells them to go on, or why not."""
    deadline = time.monotonic() + timeout
    there: dict[int, socket.socket] = {}
    with ExitStack() as opened:
        try:
            server = opened.enter_context(_listen(port))
        except OSError as error:
            raise InputError(
                f"--coordinator {address}: process 0 cannot listen there ({error.strerror}); give "
                "another port"
            ) from None
        try:
            while len(there) < processes - 1:
                server.settimeout(max(deadline - time.monotonic(), 0.001))
                connection = opened.enter_context(server.accept()[0])
                number = _number_of(connection, processes)
                if number in there:
                    raise InputError(f"--process {number}: two processes have this number")
                if number is not None:
                    there[number] = connection
        except TimeoutError:
            missing = [str(i) for i in range(1, processes) if i not in there]
            which = f"process{'es' if len(missing) > 1 else ''} {', '.join(missing)}"
            why = (
                f"{which} of {processes} did not come to {address} within {timeout:g} s; start "
                "every process, each with its own --process, or give a longer --timeout"
            )
            _tell(there, f"{ERROR}{why}\n")
            raise InputError(why) from None
        except InputError as error:
            _tell(there, f"{ERROR}{error}\n")
            raise
        _tell(there, GO)


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _number_of(connection: socket.socket, processes: int) -> int | None:
    """Which process it is that has connected; None for what is no process of jaxiso."""
    connection.settimeout(SECONDS_TO_SPEAK)
    try:
        found = HELLO.fullmatch(_line(connection))
    except OSError:
        return None
    if found is None:
        return None
    number, of = map(int, found.groups())
    if of != processes:
        why = f"--processes {of}: so says process {number}, but process 0 says {processes}"
        _tell({number: connection}, f"{ERROR}{why}\n")
        raise InputError(why)
    return number


def _tell(there: dict[int, socket.socket], text: str) -> None:
    for connection in there.values():
        with suppress(OSError):  # who has gone needs to be told no more
            connection.sendall(text.encode())


def _line(connection: socket.socket) -> str:
    with connection.makefile("r", encoding="utf-8", errors="replace") as file:
        return file.readline(1000)


def _report(
    address: str, place: tuple[str, int], processes: int, process: int, timeout: float
) -> None:
    """Another process: tells process 0 that it is there, and waits for the word to go on."""
    deadline = time.monotonic() + timeout
    with _connect(address, place, deadline, timeout) as connection:
        try:
            connection.sendall(f"jaxiso: process {process} of {processes}\n".encode())
            # Process 0 knows best who is missing, and may have started later.
            connection.settimeout(timeout + SECONDS_TO_SPEAK)
            answer = _line(connection)
        except OSError:
            answer = ""
    if answer.startswith(ERROR):
        raise InputError(answer.removeprefix(ERROR).strip())
    if answer != GO:
        raise InputError(
            f"--coordinator {address}: what answers there is no process 0 of jaxiso, or it ended "
            "before all processes came"
        )


def _connect(
    address: str, place: tuple[str, int], deadline: float, timeout: float
) -> socket.socket:
    while True:
        left = deadline - time.monotonic()
        try:
            return socket.create_connection(place, timeout=max(min(left, SECONDS_TO_SPEAK), 0.01))
        except OSError as error:
            if left > 0.2:
                time.sleep(0.2)
                continue
            raise InputError(
                f"--coordinator {address}: cannot be reached within {timeout:g} s "
                f"({error.strerror or error}); it is the address of process 0, which has to run"
            ) from None
