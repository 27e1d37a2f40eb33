"""The benchmark's figures as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from jaxiso.cli.console import printer, several

COLUMNS = {
    "metrics": ("median", "fastest", "CPU", "first call", "memory", "value"),
    "vae": ("tokens/s", "slowest–fastest", "CPU", "first call", "memory", "loss"),
}


def print_report(report: Mapping[str, Any]) -> None:
    """A table for each part, and what makes its figures less sure, to standard output."""
    where, results = report["machine"], report["results"]
    out = printer()
    for table in (table for part in results for table in TABLES[part](report)):
        out.print(table)
    if "cpu" not in where["device"]:
        out.print("Memory is main memory: what is held on the device is not in it.")
    contests = [results[part] for part in COLUMNS if part in results]
    found = [result for part in contests for result in part.values()]
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


def tables_of_scaling(report: Mapping[str, Any]) -> list[Table]:
    """How far each measure came and how it grows; and what devices and processes cost."""
    found = report["results"]["scaling"]
    sizes = Table(title="By number of points", caption=caption(report))
    for column in ("", "by", "points", "seconds", "CPU", "memory", "CPU grows as"):
        sizes.add_column(column, justify="left" if column in ("", "by") else "right")
    for series in found["sizes"]:
        grows = "–" if series["exponent"] is None else f"n^{series['exponent']:.2f}"
        name, by = series["name"], series["by"]
        for i, row in enumerate(series["sizes"]):
            last = i == len(series["sizes"]) - 1
            sizes.add_row(
                *(("", "") if i else (name, by)),
                f"{row['points']:,}",
                f"{row['seconds']:.4g}",
                f"{row['cpu']:.4g}",
                f"{row['peak_bytes'] / 2**20:,.0f} MiB",
                grows if last else "",
                end_section=last,
            )
        if not series["sizes"]:
            sizes.add_row(name, by, "none", "", "", "", "–", end_section=True)
    devices = Table(title="The Euclidean silhouette on several devices", caption=caption(report))
    for column in ("devices", "processes", "seconds", "CPU", "CPU, of one device's"):
        devices.add_column(column, justify="right")
    one = found["devices"][0]["cpu"]
    for row in found["devices"]:
        devices.add_row(
            str(row["devices"]),
            str(row["processes"]),
            f"{row['seconds']:.4g}",
            f"{row['cpu']:.4g}",
            f"{row['cpu'] / one:.2f}",
        )
    return [sizes, devices]


def tables_of_gpu(report: Mapping[str, Any]) -> list[Table]:
    """One table: each part's figures."""
    found = report["results"]["gpu"]
    table = Table(title="One accelerator", caption=caption(report))
    for column in ("", "seconds", "first call", ""):
        table.add_column(column, justify="right" if "s" in column else "left")
    for name, row in found["silhouette"].items():
        if name == "products_per_s":
            continue
        if "refused" in row:
            table.add_row(f"silhouette, {name}", "–", "–", row["refused"])
            continue
        told = f"{row['of_the_product']:.0%} of the product's speed, error "
        told += f"{row['largest_error']:.0e}"
        table.add_row(f"silhouette, {name}", *_both(row), told)
    row = found["embed"]
    told = f"{row['seeds']} seeds, {row['points']:,} points, measured after every update"
    table.add_row(f"embed, {row['updates']:,} updates", *_both(row), told, end_section=True)
    for row in found["vae"]:
        told = f"{row['tokens_per_s']:,.0f} tokens/s"
        table.add_row(f"VAE, {several(row['models'], 'model')}", *_both(row), told)
    if found["memory"]:
        told = f"{found['memory']['peak_bytes_in_use'] / 2**30:.2f} GiB at the peak"
        table.add_row("memory", "", "", told)
    return [table]


def _both(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['seconds']:.4g}", f"{row['first_call_s']:.1f}"


def caption(report: Mapping[str, Any]) -> str:
    """The machine, and how many calls were timed."""
    where = report["machine"]
    return (
        f"{where['processor']}, {where['cores']} cores; "
        f"JAX on {where['device'].split(':')[0]}; {report['options']['repeats']} calls"
    )


def make_table(part: str, report: Mapping[str, Any]) -> Table:
    """A row for each call, and one for how many times better jaxiso's is."""
    results = report["results"][part]
    table = Table(title=title(part, report), caption=caption(report))
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
    difference = f"± {result['difference']:.0e}" if "difference" in result else ""
    return [faster, f"{least:.2f}–{most:.2f}×", less_cpu, "", less_memory, difference]


TABLES = {
    "metrics": lambda report: [make_table("metrics", report)],
    "vae": lambda report: [make_table("vae", report)],
    "scaling": tables_of_scaling,
    "gpu": tables_of_gpu,
}
"""What is printed of each part of the results."""
