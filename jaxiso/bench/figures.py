"""The figure of `python -m jaxiso.bench --what scaling`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

LINES = {"jaxiso": "-", "scikit-learn": "--", "scib-metrics": ":"}


def figure_scaling(found: Mapping[str, Any]) -> Figure:
    """CPU seconds and memory by number of points, and CPU seconds by number of devices."""
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    time, memory, devices = figure.subplots(1, 3)
    names = list(dict.fromkeys(series["name"] for series in found["sizes"]))
    for series in found["sizes"]:
        rows = series["sizes"]
        points = [row["points"] for row in rows]
        look = {"color": f"C{names.index(series['name']) % 10}", "linestyle": LINES[series["by"]]}
        marker = "o" if names.index(series["name"]) < 10 else "s"
        grows = "" if series["exponent"] is None else f", n^{series['exponent']:.2f}"
        label = f"{series['name']}, {series['by']}{grows}"
        cpu = [row["cpu"] for row in rows]
        time.plot(points, cpu, marker=marker, markersize=3, label=label, **look)
        peaks = [max(row["peak_bytes"], 2**20) / 2**20 for row in rows]
        memory.plot(points, peaks, marker=marker, markersize=3, **look)
    time.set(title="Time", xlabel="Points", ylabel="CPU seconds", xscale="log", yscale="log")
    memory.set(title="Memory of a call", xlabel="Points", ylabel="MiB", xscale="log", yscale="log")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    for name, kept in (
        ("one process", [row for row in found["devices"] if row["processes"] == 1]),
        ("a process each", [row for row in found["devices"] if row["processes"] > 1]),
    ):
        if kept:
            one = found["devices"][0]["cpu"]
            shares = [row["cpu"] / one for row in kept]
            devices.plot([row["devices"] for row in kept], shares, "o-", label=name)
    devices.axhline(1, color="grey", lw=1)
    devices.set(title="Euclidean silhouette", xlabel="Devices")
    devices.set(ylabel="CPU seconds, of one device's", ylim=(0, None))
    devices.legend(fontsize="small")
    for ax in (time, memory, devices):
        ax.grid(alpha=0.3)
    return figure
