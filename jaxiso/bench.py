"""Speed and memory of jaxiso's metrics beside their peers on this machine, in one run.

The silhouette against scikit-learn's; IsoScore against its seven published steps in NumPy. The
points are random normal clusters in float32. Results differ by a rounding error, which is shown.

Time: the calls take turns, so that other work on the machine slows down both; compilation is in
jaxiso's first call only, and shown apart. Memory: how far the process's memory rises during one
call, each in a fresh process, compiled but never called before. scikit-learn works in chunks of its
`working_memory`, 1024 MiB by default: where n² distances are more, its peak follows that setting.
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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    import numpy as np

# Each metric, and what it is compared with.
PEERS = {"silhouette": "scikit-learn", "IsoScore": "seven steps, NumPy"}


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option."""

    points: int = 10_662
    """Number of points. By default as many as the paper's polarity task has."""
    dim: int = 384
    """Dimensions of a point. By default those of all-MiniLM-L6-v2."""
    clusters: int = 2
    """Number of clusters."""
    repeats: int = 5
    """Timed calls of each, after a first one that does not count."""
    seed: int = 0
    """Number that the random points start from."""
    json: Path | None = None
    """File to write the figures to."""
    quiet: bool = False
    """Print the result only."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.bench`."""
    import tyro

    options = tyro.cli(Options, prog="python -m jaxiso.bench", description=__doc__, args=arguments)
    check(options)
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "options": {k: v for k, v in asdict(options).items() if k not in ("json", "quiet")},
        "results": {metric: compare(metric, options) for metric in PEERS},
    }
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    print_report(report)


def check(options: Options) -> None:
    """Refuses sizes that the metrics are not defined for.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    for name, least in (("points", 3), ("dim", 2), ("clusters", 2), ("repeats", 1), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise InputError(f"--{name} {value}: must be at least {least}")
    if options.clusters >= options.points:
        raise InputError(
            f"--clusters {options.clusters}: must be less than --points ({options.points})"
        )
    file = options.json
    if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
        raise InputError(f"--json {file}: must be a file in a folder that exists and is writable")


def compare(metric: str, options: Options) -> dict[str, Any]:
    """Times both implementations in turns, then measures the memory of each."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)  # or the first call would not compile
    points, labels = make_data(options)
    calls = {
        "jaxiso": our_call(metric, points, labels),
        "peer": peer_call(metric, points, labels),
    }
    console.note(
        f"{metric}: {options.repeats} calls of jaxiso and {PEERS[metric]} in turns",
        quiet=options.quiet,
    )
    first, values, seconds = {}, {}, {name: [] for name in calls}
    for name, call in calls.items():
        values[name], first[name] = timed(call)
    for _ in range(options.repeats):
        for name, call in calls.items():
            seconds[name].append(timed(call)[1])
    console.note(f"{metric}: memory, each in a process of its own", quiet=options.quiet)
    result: dict[str, Any] = {
        name: {
            "value": values[name],
            "median_s": statistics.median(seconds[name]),
            "min_s": min(seconds[name]),
            "first_call_s": first[name],
            **memory_in_fresh_process(metric, name, options),
        }
        for name in calls
    }
    ours, peer = result["jaxiso"], result["peer"]
    peer["name"] = PEERS[metric]
    result["times_faster"] = peer["median_s"] / ours["median_s"]
    grew = ours["peak_bytes"] > 0
    result["times_less_memory"] = peer["peak_bytes"] / ours["peak_bytes"] if grew else None
    result["difference"] = abs(ours["value"] - peer["value"])
    return result


def timed(call: Callable[[], float]) -> tuple[float, float]:
    """The value of a call, and its seconds."""
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def make_data(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Normal clusters that overlap, in float32, with labels in random order."""
    import numpy as np

    random = np.random.default_rng(options.seed)
    labels = random.permutation(np.arange(options.points) % options.clusters)
    centres = random.normal(size=(options.clusters, options.dim)).astype(np.float32)
    points = random.standard_normal((options.points, options.dim), np.float32)
    points += centres[labels]
    return points, labels


def our_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """The function of jaxiso as a user calls it."""
    from jaxiso.metrics.isotropy import isoscore
    from jaxiso.metrics.silhouette import silhouette_score

    if metric == "silhouette":
        return lambda: float(silhouette_score(points, labels))
    return lambda: float(isoscore(points))


def peer_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """The same from the peer, on the same array."""
    if metric == "silhouette":
        from sklearn.metrics import silhouette_score

        return lambda: float(silhouette_score(points, labels))
    return lambda: seven_steps(points)


def seven_steps(points: np.ndarray) -> float:
    """IsoScore as published: Rudman et al. (2022), Algorithm 1, in float64."""
    import numpy as np

    d = points.shape[1]
    centred = points - points.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(centred, rowvar=False))
    variances = np.var(centred @ directions, axis=0, ddof=1)
    normalised = np.sqrt(d) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normalised - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float((d * used - 1) / (d - 1))


def memory_in_fresh_process(metric: str, name: str, options: Options) -> dict[str, Any]:
    """Peak memory of one call, in bytes above what the process held before it."""
    request = {**asdict(options), "json": None}
    code = f"from jaxiso import bench; bench.print_memory({metric!r}, {name!r})"
    child = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(request), capture_output=True, text=True
    )
    if child.returncode != 0:
        last = (child.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise InputError(
            f"measuring the memory of {name} for {metric} ended with code {child.returncode} "
            f"({last}); try a smaller --points"
        )
    return json.loads(child.stdout.splitlines()[-1])


def print_memory(metric: str, name: str) -> None:
    """The fresh process: options as JSON on standard input, one line of JSON on standard output."""
    options = Options(**json.load(sys.stdin))
    points, labels = make_data(options)
    call = (compiled_call if name == "jaxiso" else peer_call)(metric, points, labels)
    cleared = clear_peak()
    before = highest_memory()
    call()
    print(json.dumps({"peak_bytes": highest_memory() - before, "peak_cleared": cleared}))


def compiled_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """As `our_call`, compiled but never run, so that the one call is all that is seen."""
    import jax

    from jaxiso.metrics.isotropy import isoscore
    from jaxiso.metrics.silhouette import silhouette_score

    ours = (lambda x: silhouette_score(x, labels)) if metric == "silhouette" else isoscore
    compiled = jax.jit(ours).lower(jax.ShapeDtypeStruct(points.shape, points.dtype)).compile()
    return lambda: float(compiled(points))


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


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine or its user."""
    import sklearn

    from jaxiso.backend import origin

    cpu = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        **origin(),
        "scikit-learn": version("scikit-learn"),
        "working_memory_mib": sklearn.get_config()["working_memory"],
        "system": platform.system(),
        "processor": cpu[0].split(":")[1].strip() if cpu else platform.processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def print_report(report: dict[str, Any]) -> None:
    """The table, to standard output."""
    from rich.console import Console
    from rich.table import Table

    options, where = report["options"], report["machine"]
    table = Table(
        title=f"{options['points']:,} points × {options['dim']}, {options['clusters']} clusters",
        caption=f"{where['processor']}, {where['cores']} cores; "
        f"JAX on {where['device'].split(':')[0]}; {options['repeats']} calls; "
        f"scikit-learn's working_memory {where['working_memory_mib']} MiB",
    )
    for column in ("metric", "by", "median", "fastest", "first call", "memory", "value"):
        table.add_column(column, justify="left" if column in ("metric", "by") else "right")
    for metric, result in report["results"].items():
        ours, peer = result["jaxiso"], result["peer"]
        table.add_row(metric, "jaxiso", *_cells(ours))
        table.add_row("", peer["name"], *_cells(peer))
        less = result["times_less_memory"]
        ratios = [f"{result['times_faster']:.1f}×", f"{peer['min_s'] / ours['min_s']:.1f}×", ""]
        ratios += ["–" if less is None else f"{less:.1f}×", f"± {result['difference']:.0e}"]
        table.add_row("", "peer / jaxiso", *ratios, style="bold", end_section=True)
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    if "cpu" not in where["device"]:
        print("Memory is main memory: what jaxiso holds on the device is not in it.")
    measured = [result[by] for result in report["results"].values() for by in ("jaxiso", "peer")]
    if not all(figures["peak_cleared"] for figures in measured):
        print("This system cannot clear a process's peak: jaxiso's memory may be shown too low.")
    if where["load_before"] > where["cores"] / 4:
        print(
            f"Other work was running (load {where['load_before']}): ratios are unreliable, and "
            "NumPy's threads suffer most."
        )


def _cells(figures: dict[str, Any]) -> list[str]:
    seconds = [f"{figures[name]:.4f} s" for name in ("median_s", "min_s", "first_call_s")]
    return [*seconds, f"{figures['peak_bytes'] / 2**20:,.0f} MiB", f"{figures['value']:.6f}"]


if __name__ == "__main__":
    console.run_command(main)
