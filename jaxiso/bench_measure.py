"""How the benchmark measures: time in turns, memory in a process of its own.

Time: the calls take turns, so that other work on the machine slows down both; compilation is in
jaxiso's first call only, and shown apart. Memory: how far the process's memory rises during one
call, each in a fresh process, compiled but never called before.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from jaxiso.bench import Options

Call = Callable[[], float]


class Contest(NamedTuple):
    """What is measured side by side.

    Attributes:
        part: 'metrics' or 'vae', the part of the benchmark that it belongs to.
        name: of what is measured, within its part.
        calls: 'jaxiso' and, if there is something to compare with, 'peer'; each returns a value
            that shows what it has done.
        names: what the calls are shown as.
        smaller: the option that would take less memory, for an error message.
    """

    part: str
    name: str
    calls: Mapping[str, Call]
    names: Mapping[str, str]
    smaller: str


def measure(contest: Contest, options: Options) -> dict[str, Any]:
    """Times the calls in turns, then measures the memory of each.

    Returns:
        The figures of each call by its name; where there are two, also `times_faster` (a ratio of
        medians), `times_faster_range` (the least and the greatest ratio of two neighbours in time),
        `times_less_memory` and the `difference` of the values.
    """
    calls, quiet = contest.calls, options.quiet
    who = " and ".join(contest.names[by] for by in calls)
    console.note(f"{contest.name}: {options.repeats} calls of {who} in turns", quiet=quiet)
    first, values, seconds = {}, {}, {by: [] for by in calls}
    for by, call in calls.items():
        values[by], first[by] = timed(call)
    for _ in range(options.repeats):
        for by, call in calls.items():
            seconds[by].append(timed(call)[1])
    console.note(f"{contest.name}: memory, each in a process of its own", quiet=quiet)
    result: dict[str, Any] = {
        by: {
            "name": contest.names[by],
            "value": values[by],
            "median_s": statistics.median(seconds[by]),
            "min_s": min(seconds[by]),
            "max_s": max(seconds[by]),
            "first_call_s": first[by],
            **memory_in_fresh_process(contest, by, options),
        }
        for by in calls
    }
    if "peer" in calls:
        ours, peer = result["jaxiso"], result["peer"]
        ratios = [b / a for a, b in zip(seconds["jaxiso"], seconds["peer"], strict=True)]
        result["times_faster"] = peer["median_s"] / ours["median_s"]
        result["times_faster_range"] = [min(ratios), max(ratios)]
        grew = ours["peak_bytes"] > 0
        result["times_less_memory"] = peer["peak_bytes"] / ours["peak_bytes"] if grew else None
        result["difference"] = abs(ours["value"] - peer["value"])
    return result


def timed(call: Call) -> tuple[float, float]:
    """The value of a call, and its seconds."""
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def memory_in_fresh_process(contest: Contest, by: str, options: Options) -> dict[str, Any]:
    """Peak memory of one call, in bytes above what the process held before it."""
    request = {**asdict(options), "json": None}
    which = f"{contest.part!r}, {contest.name!r}, {by!r}"
    code = f"from jaxiso import bench; bench.print_memory({which})"
    child = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(request), capture_output=True, text=True
    )
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise InputError(
            f"measuring the memory of {by} for {contest.name} ended with code {child.returncode} "
            f"({last}); try a smaller {contest.smaller}"
        )
    return json.loads(child.stdout.splitlines()[-1])


def peak_of(call: Call) -> dict[str, Any]:
    """How many bytes the process's memory rises during a call."""
    cleared = clear_peak()
    before = highest_memory()
    call()
    return {"peak_bytes": highest_memory() - before, "peak_cleared": cleared}


def clear_peak() -> bool:
    """Sets the process's highest memory back to what it holds now, where the system can (Linux).

    Elsewhere a compilation that took more than the call hides part of what the call takes. Memory
    that is free but not given back would hide some too, so it is given back first.
    """
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return False
    return True


def highest_memory() -> int:
    """The most bytes of main memory that this process held at once, since `clear_peak`."""
    # On Linux ru_maxrss starts from the parent's memory, even in a fresh process.
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    units = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * units


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []


def cores() -> int:
    """The processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine or its user."""
    import sklearn

    from jaxiso.backend import origin

    cpu = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return {
        **origin(),
        "scikit-learn": version("scikit-learn"),
        "torch": torch,
        "working_memory_mib": sklearn.get_config()["working_memory"],
        "system": platform.system(),
        "processor": cpu[0].split(":")[1].strip() if cpu else platform.processor(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2),
    }
