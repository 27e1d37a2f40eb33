"""Speed and memory of jaxiso beside its peers on this machine, in one run.

Metrics: the silhouette against scikit-learn's; IsoScore against its seven published steps in
NumPy. The points are random normal clusters in float32. Results differ by a rounding error, which
is shown.

VAE: updates of the LSTM-VAE's training on random sentences, in real tokens a second, against plain
PyTorch where that is installed (pip install torch), from the same parameters; then several seeds in
turn against all at once. Losses differ by the random draws of the code.

Time: the calls take turns, so that other work on the machine slows down both; compilation is in
jaxiso's first call only, and shown apart. Memory: how far the process's memory rises during one
call, each in a fresh process, compiled but never called before; for the VAE that is a start and two
updates. scikit-learn works in chunks of its `working_memory`, 1024 MiB by default: where n²
distances are more, its peak follows that setting.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from jaxiso import bench_metrics, bench_vae, console
from jaxiso.bench_measure import machine, peak_of
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

PARTS: dict[str, ModuleType] = {"metrics": bench_metrics, "vae": bench_vae}


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option."""

    what: Literal["all", "metrics", "vae"] = "all"
    """What to measure."""
    points: int = 10_662
    """Metrics: number of points. By default as many as the paper's polarity task has."""
    dim: int = 384
    """Metrics: dimensions of a point. By default those of all-MiniLM-L6-v2."""
    clusters: int = 2
    """Metrics: number of clusters."""
    size: Literal["tiny", "small", "paper"] = "small"
    """VAE: vocabulary, sizes of embeddings, LSTMs and code, sentences a batch. small: 6003,
    100/192/32, 128. paper: 12003, 200/512/32, 128; many minutes on a CPU. tiny: to try the
    command."""
    updates: int = 4
    """VAE: updates in one timed call."""
    seeds: int = 3
    """VAE: seeds trained together; 1 leaves that comparison out."""
    repeats: int = 5
    """Timed calls of each, after a first one that does not count."""
    seed: int = 0
    """Number that the random points and sentences start from."""
    json: Path | None = None
    """File to write the figures to."""
    quiet: bool = False
    """Print the result only."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.bench`."""
    import tyro

    options = tyro.cli(Options, prog="python -m jaxiso.bench", description=__doc__, args=arguments)
    check(options)
    import jax

    jax.config.update("jax_enable_compilation_cache", False)  # or the first call would not compile
    chosen = [name for name in PARTS if options.what in ("all", name)]
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "options": {k: v for k, v in asdict(options).items() if k not in ("json", "quiet")},
        "results": {name: PARTS[name].run(options) for name in chosen},
    }
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    print_report(report)


def check(options: Options) -> None:
    """Refuses sizes that cannot be measured.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    least = {"points": 3, "dim": 2, "clusters": 2, "updates": 1, "seeds": 1, "repeats": 1}
    for name, lowest in (least | {"seed": 0}).items():
        value = getattr(options, name)
        if value < lowest:
            raise InputError(f"--{name} {value}: must be at least {lowest}")
    if options.clusters >= options.points:
        raise InputError(
            f"--clusters {options.clusters}: must be less than --points ({options.points})"
        )
    file = options.json
    if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
        raise InputError(f"--json {file}: must be a file in a folder that exists and is writable")


def print_memory(part: str, name: str, by: str) -> None:
    """The fresh process: options as JSON on standard input, one line of JSON on standard output."""
    options = Options(**json.load(sys.stdin))
    print(json.dumps(peak_of(PARTS[part].lone_call(name, by, options))))


def print_report(report: dict[str, Any]) -> None:
    """A table for each part, to standard output."""
    from rich.console import Console

    where, results = report["machine"], report["results"]
    out = Console(width=None if sys.stdout.isatty() else 100)
    for part in results:
        out.print(make_table(part, report))
    if "cpu" not in where["device"]:
        print("Memory is main memory: what is held on the device is not in it.")
    measured = [
        result[by]
        for part in results.values()
        for result in part.values()
        for by in ("jaxiso", "peer")
        if by in result
    ]
    if not all(figures["peak_cleared"] for figures in measured):
        print("This system cannot clear a process's peak: jaxiso's memory may be shown too low.")
    if where["load_before"] > where["cores"] / 4:
        print(
            f"Other work was running (load {where['load_before']}): ratios are unreliable, and "
            "NumPy's threads suffer most."
        )


def make_table(part: str, report: dict[str, Any]) -> Table:
    """A row for each call, and one for how many times better jaxiso's is."""
    from rich.table import Table

    module, where = PARTS[part], report["machine"]
    table = Table(
        title=module.title(report),
        caption=f"{where['processor']}, {where['cores']} cores; "
        f"JAX on {where['device'].split(':')[0]}; {report['options']['repeats']} calls",
    )
    for column in ("", "by", *module.COLUMNS):
        table.add_column(column, justify="left" if column in ("", "by") else "right")
    for name, result in report["results"][part].items():
        table.add_row(name, result["jaxiso"]["name"], *module.cells(result["jaxiso"]))
        if "peer" in result:
            table.add_row("", result["peer"]["name"], *module.cells(result["peer"]))
            table.add_row("", "times better", *module.ratios(result), style="bold")
        table.add_section()
    return table


if __name__ == "__main__":
    console.run_command(main)
