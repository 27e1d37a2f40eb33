"""How time and memory grow: with the number of points, with devices, and with processes.

Each series has a fresh process to itself, so that its memory is its own. There every size is called
twice: the first call compiles, the second one counts. A series ends before the size that would take
longer than --seconds, by what the last one took.
"""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import jax
import numpy as np

from jaxiso.bench.measure import clear_peak, highest_memory, timed
from jaxiso.bench.metrics import make_data
from jaxiso.bench.options import Options
from jaxiso.cli.console import InputError, note, several
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.directions import isotropy_score, mean_cosine
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.silhouette import silhouette_score, simplified_silhouette_score

LEAST_POINTS = 1_000
DEVICES = (1, 2, 4, 8)
PROCESSES = (1, 2, 3)
SAMPLE = 2_000
"""Points whose silhouettes are taken against all, where they are sampled."""
GROWN = 2
"""Times as long as the quickest size: only from there on does the fit take a size as evidence."""
FITTED = 20
"""The fit is of sizes up to so many times smaller than the largest: growth shows there."""

Function = Callable[[np.ndarray, np.ndarray], Any]

OURS: dict[str, Function] = {
    "IsoScore": lambda x, y: isoscore(x),
    "effective rank": lambda x, y: effective_rank(x),
    "mean cosine": lambda x, y: mean_cosine(x),
    "Mu & Viswanath": lambda x, y: isotropy_score(x),
    "Calinski–Harabasz": calinski_harabasz_score,
    "Davies–Bouldin": davies_bouldin_score,
    "silhouette, cosine": lambda x, y: silhouette_score(x, y, metric="cosine"),
    "silhouette, simplified": simplified_silhouette_score,
    f"silhouette, Euclidean, {SAMPLE:,} points": lambda x, y: silhouette_score(
        x, y, sample_size=min(SAMPLE, len(x))
    ),
    "silhouette, Euclidean": silhouette_score,
    "Dunn": dunn_index,
}
"""What grows, by the names that tables and figures show."""


def peers() -> dict[tuple[str, str], Function]:
    """The same by other libraries: (measure, library) → function."""
    from sklearn import metrics

    found: dict[tuple[str, str], Function] = {
        ("Calinski–Harabasz", "scikit-learn"): metrics.calinski_harabasz_score,
        ("Davies–Bouldin", "scikit-learn"): metrics.davies_bouldin_score,
        ("silhouette, Euclidean", "scikit-learn"): metrics.silhouette_score,
        ("silhouette, cosine", "scikit-learn"): lambda x, y: metrics.silhouette_score(
            x, y, metric="cosine"
        ),
    }
    if find_spec("scib_metrics") is not None:
        from scib_metrics import silhouette_label  # pyright: ignore[reportMissingImports]

        found["silhouette, Euclidean", "scib-metrics"] = lambda x, y: silhouette_label(
            x, y, rescale=False
        )
    return found


def all_series() -> list[tuple[str, str]]:
    """(measure, library) of each series, ours before its peers."""
    others = list(peers())
    return [
        series
        for name in OURS
        for series in [(name, "jaxiso"), *(other for other in others if other[0] == name)]
    ]


def measure_sizes(options: Options) -> Iterator[dict[str, Any]]:
    """A series for each measure and library: its sizes, and the exponent of its growth."""
    for name, by in all_series():
        note(f"{name} by {by}: from {LEAST_POINTS:,} points on", quiet=options.quiet)
        rows = [json.loads(line) for line in _child(f"sizes({name!r}, {by!r}, {_bare(options)!r})")]
        yield {"name": name, "by": by, "sizes": rows, "exponent": exponent(rows)}


def sizes(name: str, by: str, options: Options) -> None:
    """The child of a series: prints a line of JSON for each size."""
    function = OURS[name] if by == "jaxiso" else peers()[name, by]
    points, labels = make_data(replace(options, points=options.most_points))
    n, before = LEAST_POINTS, None
    while n <= options.most_points:
        x, y = points[:n], labels[:n]
        first = timed(lambda x=x, y=y: float(function(x, y)))
        if first.seconds > options.seconds:
            break
        clear_peak()
        held = highest_memory()
        lap = timed(lambda x=x, y=y: float(function(x, y)))
        row = {"points": n, "seconds": lap.seconds, "cpu": lap.cpu, "value": lap.value}
        row |= {"peak_bytes": highest_memory() - held, "first_call_s": first.seconds}
        print(json.dumps(row), flush=True)
        grown = 1 if before is None else max(1, lap.seconds / before)
        if lap.seconds * grown > options.seconds:
            break
        before = lap.seconds
        n = _next(n)


def _next(n: int) -> int:
    """1, 2, 5, 10, … thousand."""
    lead = n // 10 ** int(math.log10(n))
    return n * 5 // 2 if lead == 2 else n * 2


def exponent(rows: list[dict[str, Any]]) -> float | None:
    """The slope of log CPU seconds over log points, of larger sizes: those that outlast the start.

    Returns:
        None where fewer than three sizes do.
    """
    if not rows:
        return None
    quickest, largest = min(row["cpu"] for row in rows), rows[-1]["points"]
    told = [
        row for row in rows if row["cpu"] >= GROWN * quickest and row["points"] * FITTED >= largest
    ]
    if len(told) < 3:
        return None
    points, cpu = (np.log([row[key] for row in told]) for key in ("points", "cpu"))
    return float(np.polyfit(points, cpu, 1)[0])


def measure_devices(options: Options) -> Iterator[dict[str, Any]]:
    """The Euclidean silhouette round a ring of devices, and of processes with one device each.

    A CPU is made into several devices, which then share its cores: there CPU seconds beside those
    of one device tell what the ring costs, and seconds tell nothing.
    """
    here = jax.device_count()
    for devices in DEVICES:
        if jax.default_backend() == "cpu" or devices <= here:
            note(several(devices, "device"), quiet=options.quiet)
            code = f"ring({devices}, {_bare(options)!r})"
            extra = {"JAX_NUM_CPU_DEVICES": str(devices)}
            yield {"devices": devices, "processes": 1} | json.loads(_child(code, extra)[-1])
    if jax.default_backend() != "cpu":
        return
    for processes in PROCESSES[1:]:
        note(f"{processes} processes", quiet=options.quiet)
        found = _children(processes, options)
        yield {"devices": processes, "processes": processes} | found


def ring(devices: int, options: Options) -> None:
    """The child of one number of devices: prints a line of JSON."""
    points, labels = make_data(options)
    mesh = jax.make_mesh((devices,), ("points",)) if devices > 1 else None
    found = [
        timed(lambda: float(silhouette_score(points, labels, mesh=mesh)))
        for _ in range(options.repeats + 1)
    ]
    best = min(found[1:], key=lambda lap: lap.cpu)
    print(json.dumps({"seconds": best.seconds, "cpu": best.cpu, "value": best.value}))


def _children(processes: int, options: Options) -> dict[str, Any]:
    """All processes at once: the seconds of the slowest, the CPU seconds of all together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = []
    for process in range(processes):
        joined = f"jax.distributed.initialize({address!r}, {processes}, {process})"
        code = f"import jax; {joined}\nscaling.ring({processes}, {_bare(options)!r})"
        started.append(_start(code, {"JAX_NUM_CPU_DEVICES": "1"}))
    ends = [json.loads(_wait(child)[-1]) for child in started]
    return {
        "seconds": max(end["seconds"] for end in ends),
        "cpu": sum(end["cpu"] for end in ends),
        "value": ends[0]["value"],
    }


def _bare(options: Options) -> Options:
    """Options that a child can be given: without the paths that only the parent writes to."""
    return replace(options, json=None, plot=None)


def _child(call: str, extra: Mapping[str, str] | None = None) -> list[str]:
    return _wait(_start(f"scaling.{call}", extra or {}))


def _start(code: str, extra: Mapping[str, str]) -> subprocess.Popen[str]:
    code = (
        "from jaxiso.bench import scaling\nfrom jaxiso.bench.options import Options\n"
        f"from pathlib import Path\n{code}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | extra,
    )


def _wait(child: subprocess.Popen[str]) -> list[str]:
    out, error = child.communicate()
    if child.returncode != 0:
        last = (error.strip().splitlines() or ["nothing on standard error"])[-1]
        raise InputError(
            f"a process of the benchmark ended with code {child.returncode} ({last}); try a "
            "smaller --most-points or --points"
        )
    return out.splitlines()
