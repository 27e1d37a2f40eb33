"""The machine: where compiled programs are kept, what numbers were computed with, and processes.

Several processes, on one host or on many, are JAX's own: `start_processes` connects them. All of
them then run the same program; process 0 prints and writes files.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from jaxiso.cli.console import InputError, be_other_process, first_line
from jaxiso.cli.options import ProcessOptions
from jaxiso.cli.relay import relay_errors
from jaxiso.cli.rendezvous import meet

if TYPE_CHECKING:
    import numpy as np

# Those whose version may change the last digits of a result.
PACKAGES = (
    "jaxiso",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scikit-learn",
    "gensim",
    "tokenizers",
    "transformers",
)


HEARTBEAT = 30
"""Seconds without a sign of life after which a process counts as dead, and the others end."""


def cache_dir() -> Path:
    """Where jaxiso keeps what it can compute again: JAXISO_CACHE, or ~/.cache/jaxiso."""
    return Path(os.environ.get("JAXISO_CACHE") or Path.home() / ".cache" / "jaxiso").expanduser()


def keep_compiled_programs() -> None:
    """Keeps compiled programs on disk, so that a second run starts at once.

    JAX_COMPILATION_CACHE_DIR, where it is set, says where; else the folder `xla` of `cache_dir`.
    """
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "xla"))


def origin() -> dict[str, str]:
    """Versions and device, as recorded with every run."""
    import jax

    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def start_processes(options: ProcessOptions) -> None:
    """Connects the processes of a command, if it has several; before anything is computed.

    Raises InputError: the options do not fit together, the coordinator cannot be reached, or a
    process does not come in time.
    """
    _check(options)
    if options.coordinator is None and not options.distributed:
        return
    import jax

    by_hand: dict[str, object] = {}
    if options.coordinator is not None and options.processes is not None:
        assert options.process is not None
        meet(options.coordinator, options.processes, options.process, options.timeout)
        by_hand = {
            "coordinator_address": options.coordinator,
            "num_processes": options.processes,
            "process_id": options.process,
        }
    relay_errors()
    # It would take SIGTERM for itself; `jaxiso.training` stops all processes at the same update.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            **by_hand,  # pyright: ignore[reportArgumentType]
            initialization_timeout=max(1, round(options.timeout)),
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except ValueError as error:
        raise InputError(
            f"--distributed: no job of several processes is found ({first_line(error)}); give "
            "--coordinator HOST:PORT --processes N --process I"
        ) from None
    if not is_first():
        be_other_process(jax.process_index())


def _check(options: ProcessOptions) -> None:
    given = {"--coordinator": options.coordinator, "--processes": options.processes}
    given["--process"] = options.process
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return
    if missing:
        there = [f"{name} {value}" for name, value in given.items() if value is not None]
        raise InputError(f"{' '.join(there)}: needs {' and '.join(missing)} too")
    assert options.coordinator and options.processes and options.process is not None
    found = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):(\d{1,5})", options.coordinator)
    if found is None or not 1 <= int(found[1]) <= 65_535:
        raise InputError(
            f"--coordinator {options.coordinator}: must be HOST:PORT, with a port from 1 to 65535, "
            "such as node1:29500"
        )
    if options.process >= options.processes:
        raise InputError(
            f"--process {options.process}: must be below {options.processes} (--processes); they "
            "are counted from 0"
        )


def process_count() -> int:
    """How many processes run this program."""
    import jax

    return jax.process_count() if jax.distributed.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that prints and writes; a lone one is."""
    import jax

    return not jax.distributed.is_initialized() or jax.process_index() == 0


def of_all(numbers: Sequence[int]) -> np.ndarray:
    """The numbers that each process gives, (processes, k); waits for all, who have to call it."""
    import numpy as np

    found = np.asarray([numbers], np.int32)
    if process_count() == 1:
        return found
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(found, tiled=True))


def wait_for_all(what: str) -> None:
    """Waits until all processes are there, for as long as that takes while they live.

    `what` is a name for it, the same in all processes.
    """
    if process_count() > 1:
        from orbax.checkpoint import multihost

        multihost.sync_global_processes(what)
