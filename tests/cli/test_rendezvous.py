"""Processes that meet, or do not, before JAX connects them."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import free_port

from jaxiso.cli.console import InputError
from jaxiso.cli.rendezvous import meet


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def together(*given: tuple[int, int], timeout: float = 20.0) -> list[str]:
    """What becomes of processes (number, of how many) that meet: nothing, or an error."""
    address = free_address()

    def one(number: int, processes: int) -> str:
        try:
            meet(address, processes, number, timeout)
        except InputError as error:
            return str(error).replace(address, "HOST:1")
        return ""

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, *zip(*given, strict=True)))


def test_all_come():
    assert together((0, 3), (1, 3), (2, 3)) == ["", "", ""]
    meet(free_address(), 1, 0, 1.0)


def test_who_is_missing_is_named_to_all():
    why = "processes 1, 3 of 4 did not come to HOST:1 within 0.6 s; start every process"
    first, second = together((0, 4), (2, 4), timeout=0.6)
    assert first == second and first.startswith(why)
    (alone,) = together((0, 2), timeout=0.1)
    assert alone.startswith("process 1 of 2 did not come")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((0, 3), (1, 3), (1, 3)), "--process 1: two processes have this number"),
        (((0, 3), (1, 2)), "--processes 2: so says process 1, but process 0 says 3"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given, message):
    errors = together(*given)
    assert errors[0] == message and message in errors[1:]


def test_nobody_at_the_address():
    address = free_address()
    with pytest.raises(
        InputError, match=f"--coordinator {address}: cannot be reached within 0.3 s"
    ):
        meet(address, 2, 1, 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=r"process 0 cannot listen there .*another port"):
            meet(taken_address, 2, 0, 0.3)


def test_strangers_are_not_counted():
    """Neither at process 0's port, nor in its place."""
    address = free_address()
    host, port = address.split(":")
    failed: list[str] = []

    def first() -> None:
        try:
            meet(address, 2, 0, 1.0)
        except InputError as error:
            failed.append(str(error))

    thread = threading.Thread(target=first)
    thread.start()
    while thread.is_alive():
        try:
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\n")
        except OSError:
            continue
    assert failed and failed[0].startswith("process 1 of 2 did not come")

    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="is no process 0 of jaxiso, or it ended"):
            meet(place, 2, 1, 2.0)
        thread.join()
