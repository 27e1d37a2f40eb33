"""What a command does before anything is computed."""

from __future__ import annotations

from typing import Protocol

from jaxiso.cli.console import InputError
from jaxiso.cli.machine import ProcessOptions, keep_compiled_programs, start_processes
from jaxiso.metrics.points import set_precision


class ComputeOptions(ProcessOptions, Protocol):
    """Options of commands that compute in several processes, in a precision of choice."""

    @property
    def precision(self) -> str: ...  # noqa: D102


def start(options: ComputeOptions) -> None:
    """Connects all processes, sets how numbers are multiplied, and keeps compiled programs.

    Raises:
        InputError: as `start_processes`; or the device does not have that precision.
    """
    start_processes(options)
    keep_compiled_programs()
    try:
        set_precision(options.precision)
    except ValueError as error:
        raise InputError(f"--precision {options.precision}: {error}") from None
