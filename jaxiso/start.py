"""What a command does before anything is computed."""

from __future__ import annotations

from jaxiso.cli.console import InputError
from jaxiso.cli.machine import keep_compiled_programs, start_processes
from jaxiso.cli.options import ProcessOptions
from jaxiso.metrics.arithmetic import set_precision


def start(options: ProcessOptions) -> None:
    """Connects all processes, sets how numbers are multiplied, and keeps compiled programs.

    Raises InputError: as `start_processes`; or the device does not have that precision.
    """
    start_processes(options)
    keep_compiled_programs()
    try:
        set_precision(options.precision)
    except ValueError as error:
        raise InputError(f"--precision {options.precision}: {error}") from None
