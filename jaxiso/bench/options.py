"""Options of `python -m jaxiso.bench`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from jaxiso.cli.console import InputError
from jaxiso.cli.options import FREE, MEASUREMENT, OUTPUT, Checked, Quiet, Seed, check_plot

ABOUT = """\
Speed and memory of jaxiso beside its peers on this machine, in one run.

Metrics: the silhouette against scikit-learn's, and against the matrix products that it cannot do
without; IsoScore against its seven published steps in NumPy. The points are random normal clusters
in float32. Results differ by a rounding error, which is shown.

VAE: updates of the LSTM-VAE's training on random sentences, in real tokens a second, against plain
PyTorch where that is installed (pip install torch), from the same parameters; then several seeds in
turn against all at once. Losses differ by the random draws of the code.

Time: the calls take turns, so that other work on the machine slows down both; compilation is in
jaxiso's first call only, and shown apart. CPU: seconds of all cores, which other work disturbs
least. Memory: how far the process's memory rises during one call, each in a fresh process, compiled
but never called before; for the VAE that is a start and two updates. scikit-learn works in chunks
of its `working_memory`, 1024 MiB by default: where n² distances are more, its peak follows that
setting.

Scaling, which --what all leaves out: time and memory of each measure against the number of points,
with the exponent of its growth, beside scikit-learn and scib-metrics where they are installed; then
the Euclidean silhouette on several devices, and in several processes.

GPU, likewise: on one accelerator, the silhouette at each precision, the embed experiment at the
size of the polarity task, the LSTM-VAE with 1, 3 and 9 models side by side, and memory:

    python -m jaxiso.bench --what gpu --size paper --json gpu.json
"""


@dataclass(frozen=True)
class Options(Checked):
    """The command line; each field is an option."""

    what: Annotated[Literal["all", "metrics", "vae", "scaling", "gpu"], MEASUREMENT] = "all"
    """What to measure; all: metrics and vae."""
    points: Annotated[int, Ge(3)] = 10_662
    """Metrics: number of points. By default as many as jaxiso.embed's polarity task has."""
    dim: Annotated[int, Ge(2)] = 384
    """Metrics: dimensions of a point. By default those of all-MiniLM-L6-v2."""
    clusters: Annotated[int, Ge(2)] = 2
    """Metrics: number of clusters."""
    size: Literal["tiny", "small", "paper"] = "small"
    """VAE: vocabulary, sizes of embeddings, LSTMs and code, sentences a batch. small: 6003,
    100/192/32, 128. paper: 12003, 200/512/32, 128, those of "On the Effect of Isotropy on VAE
    Representations of Text"; many minutes on a CPU. tiny: to try the command."""
    batching: Literal["buckets", "faithful"] = "buckets"
    """VAE: how sentences come together, as in `python -m jaxiso.vae`."""
    updates: Annotated[int, Ge(1)] = 4
    """VAE: updates in one timed call."""
    seeds: Annotated[int, Ge(1)] = 3
    """VAE: seeds trained together; 1 leaves that comparison out."""
    most_points: Annotated[int, Ge(1000)] = 1_000_000
    """Scaling: the largest number of points."""
    seconds: Annotated[float, Gt(0)] = 60
    """Scaling: a measure is left at the size that would take longer than this."""
    repeats: Annotated[int, Ge(1)] = 5
    """Timed calls of each, after a first one that does not count."""
    seed: Seed = 0
    json: Annotated[Path | None, FREE, OUTPUT] = None
    """File to write the figures to."""
    plot: Annotated[Path | None, FREE] = None
    """Scaling: file for a figure, written as .png and .pdf."""
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses what cannot be measured or, afterwards, written; as `Checked` does."""
        super().__post_init__()
        if self.clusters >= self.points:
            raise InputError(
                f"--clusters {self.clusters}: must be less than --points ({self.points})"
            )
        if self.plot is not None and self.what != "scaling":
            raise InputError(f"--plot {self.plot}: only with --what scaling")
        check_plot(self.plot, "figures/scaling.png")
        file = self.json
        if file is not None and (file.is_dir() or not os.access(file.parent, os.W_OK)):
            raise InputError(
                f"--json {file}: must be a file in a folder that exists and is writable"
            )
