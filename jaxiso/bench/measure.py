"""How the benchmark measures: time in turns, memory in a process of its own."""

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
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.bench.options import Options
from jaxiso.cli.console import InputError, note
from jaxiso.cli.machine import origin

Call = Callable[[], float]
RATIOS = {
    "times_faster": "median_s",
    "times_less_cpu": "median_cpu_s",
    "times_less_memory": "peak_bytes",
}


class Contest(NamedTuple):
    """What is measured side by side.

    Attributes:
        name: of what is measured.
        calls: 'jaxiso' and, if there is something to compare with, 'peer'; each returns a value
            that shows what it has done.
        names: what the calls are shown as.
        work: what else the figures should tell; `tokens` are those of a call, and `limit` says that
            the peer does a part of the work only, so that its value is another.
    """

    name: str
    calls: Mapping[str, Call]
    names: Mapping[str, str]
    work: Mapping[str, Any] = {}


def measure(contest: Contest, part: str, options: Options) -> dict[str, Any]:
    """Times the calls in turns, then measures the memory of each.

    `part` is the module of `jaxiso.bench` whose `lone_call` makes them anew in a fresh process.

    Returns:
        The figures of each call by its name, and `work`; where there are two, also the `RATIOS` of
        the peer to jaxiso (None: of zero), `times_faster_range` (the least and the greatest ratio
        of two neighbours in time) and the `difference` of the values.
    """
    calls, tokens = contest.calls, contest.work.get("tokens")
    who = " and ".join(contest.names.values())
    note(f"{contest.name}: {options.repeats} calls of {who} in turns", quiet=options.quiet)
    first = {by: timed(call) for by, call in calls.items()}
    turns = [{by: timed(call) for by, call in calls.items()} for _ in range(options.repeats)]
    note(f"{contest.name}: memory, each in a process of its own", quiet=options.quiet)
    result: dict[str, Any] = {}
    for by, name in contest.names.items():
        seconds = [turn[by].seconds for turn in turns]
        median, least, most = statistics.median(seconds), min(seconds), max(seconds)
        result[by] = {
            "name": name,
            "value": first[by].value,
            "median_s": median,
            "min_s": least,
            "max_s": most,
            "median_cpu_s": statistics.median(turn[by].cpu for turn in turns),
            "first_call_s": first[by].seconds,
            **memory_in_fresh_process(part, contest.name, by, options),
        }
        if tokens is not None:
            speeds = {"tokens_per_s": tokens / median}
            result[by] |= speeds | {"tokens_per_s_range": [tokens / most, tokens / least]}
    if "peer" in calls:
        ours, peer = result["jaxiso"], result["peer"]
        for ratio, of in RATIOS.items():
            result[ratio] = peer[of] / ours[of] if ours[of] > 0 else None
        ratios = [turn["peer"].seconds / turn["jaxiso"].seconds for turn in turns]
        result["times_faster_range"] = [min(ratios), max(ratios)]
        if not contest.work.get("limit"):
            result["difference"] = abs(ours["value"] - peer["value"])
    return result | dict(contest.work)


class Lap(NamedTuple):
    """A timed call: its value, its seconds, and the seconds it took of all cores together."""

    value: float
    seconds: float
    cpu: float


def timed(call: Call) -> Lap:
    """Calls, once."""
    start, cpu = time.perf_counter(), time.process_time()
    value = call()
    return Lap(value, time.perf_counter() - start, time.process_time() - cpu)


def memory_in_fresh_process(part: str, name: str, by: str, options: Options) -> dict[str, Any]:
    """Peak memory of one call, in bytes above what the process held before it.

    Raises InputError: the process did not end well, as when memory is short.
    """
    code = (
        f"import json\nfrom jaxiso.bench import measure, {part}\n"
        "from jaxiso.bench.options import Options\n"
        f"call = {part}.lone_call({name!r}, {by!r}, {replace(options, json=None)!r})\n"
        "print(json.dumps(measure.peak_of(call)))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        smaller = "--size" if part == "vae" else "--points"
        raise InputError(
            f"measuring the memory of {by} for {name} ended with code {child.returncode} "
            f"({last}); try a smaller {smaller}"
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
    import sklearn  # a second that the fresh processes need not spend

    cpu = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return {
        **origin(),
        "torch": torch,
        "working_memory_mib": sklearn.get_config()["working_memory"],
        "system": platform.system(),
        "processor": cpu[0].split(":")[1].strip() if cpu else platform.processor(),
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2),
    }
