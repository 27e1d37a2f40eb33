"""The benchmark's figures as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from jaxiso.cli.console import printer

COLUMNS = {
    "metrics": ("median", "fastest", "CPU", "first call", "memory", "value"),
    "vae": ("tokens/s", "slowest–fastest", "CPU", "first call", "memory", "loss"),
}


def print_report(report: Mapping[str, Any]) -> None:
    """A table for each part, and what makes its figures less sure, to standard output."""
    where, results = report["machine"], report["results"]
    out = printer()
    for part in results:
        out.print(make_table(part, report))
    if "cpu" not in where["device"]:
        out.print("Memory is main memory: what is held on the device is not in it.")
    found = [result for part in results.values() for result in part.values()]
    measured = [result[by] for result in found for by in ("jaxiso", "peer") if by in result]
    if not all(figures["peak_cleared"] for figures in measured):
        out.print(
            "This system cannot clear a process's peak: jaxiso's memory may be shown too low."
        )
    if where["load_before"] > where["cores"] / 4:
        out.print(
            f"Other work was running (load {where['load_before']}): ratios are unreliable, and "
            "NumPy's threads suffer most; compare CPU seconds."
        )


def make_table(part: str, report: Mapping[str, Any]) -> Table:
    """A row for each call, and one for how many times better jaxiso's is."""
    where, results = report["machine"], report["results"][part]
    table = Table(
        title=title(part, report),
        caption=f"{where['processor']}, {where['cores']} cores; "
        f"JAX on {where['device'].split(':')[0]}; {report['options']['repeats']} calls",
    )
    for column in ("", "by", *COLUMNS[part]):
        table.add_column(column, justify="left" if column in ("", "by") else "right")
    for name, result in results.items():
        table.add_row(name, result["jaxiso"]["name"], *cells(result["jaxiso"]))
        if "peer" in result:
            table.add_row("", result["peer"]["name"], *cells(result["peer"]))
            table.add_row("", "times better", *ratios(result), style="bold")
        table.add_section()
    return table


def title(part: str, report: Mapping[str, Any]) -> str:
    """What was measured, and by what rules."""
    options = report["options"]
    if part == "metrics":
        return (
            f"{options['points']:,} points × {options['dim']}, {options['clusters']} clusters; "
            f"scikit-learn's working_memory {report['machine']['working_memory_mib']} MiB"
        )
    result = next(iter(report["results"]["vae"].values()))
    least, most = result["padded_to"]
    return (
        f"LSTM-VAE, {result['model']}, {options['updates']} updates on batches of "
        f"{result['batch_size']} padded to {least}–{most} tokens ({result['padding']:.1%} padding)"
    )


def cells(figures: Mapping[str, Any]) -> list[str]:
    """What `COLUMNS` show of one call."""
    if "tokens_per_s" in figures:
        slowest, fastest = figures["tokens_per_s_range"]
        speed = [f"{figures['tokens_per_s']:,.0f}", f"{slowest:,.0f}–{fastest:,.0f}"]
    else:
        speed = [f"{figures['median_s']:.4f} s", f"{figures['min_s']:.4f} s"]
    spent = [f"{figures['median_cpu_s']:.4f} s", f"{figures['first_call_s']:.1f} s"]
    memory = f"{figures['peak_bytes'] / 2**20:,.0f} MiB"
    return [*speed, *spent, memory, f"{figures['value']:.6g}"]


def ratios(result: Mapping[str, Any]) -> list[str]:
    """What `COLUMNS` show of two calls: how many times faster, and less, jaxiso is."""
    least, most = result["times_faster_range"]
    faster, less_cpu, less_memory = (
        "–" if result[name] is None else f"{result[name]:.2f}×"
        for name in ("times_faster", "times_less_cpu", "times_less_memory")
    )
    difference = f"± {result['difference']:.0e}"
    return [faster, f"{least:.2f}–{most:.2f}×", less_cpu, "", less_memory, difference]
