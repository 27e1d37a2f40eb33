"""A command line with an option of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from jaxiso.cli.options import (
    FREE,
    Array,
    Checked,
    DataDir,
    DryRun,
    LabelColumn,
    Labels,
    Or,
    Out,
    Overwrite,
    Quiet,
    Seed,
)


@dataclass(frozen=True)
class Options(Checked):
    """The command line."""

    task: str = "digits"
    """What to train on."""
    seeds: Annotated[int, Ge(1)] = 5
    """Number of seeds."""
    sample: Annotated[int, Ge(3), Or(0)] = 20_000
    """Items, or 0 for all."""
    lr: Annotated[float, Gt(0)] = 1e-3
    """Learning rate."""
    fraction: Annotated[float | None, Gt(0), Lt(1)] = None
    """Held out."""
    hidden: Annotated[int, Ge(1), Le(4096)] | None = None
    """Units."""
    weights: Annotated[tuple[float, ...] | None, Ge(0)] = None
    """One or more."""
    loss: Literal["sum", "mean"] = "sum"
    """Of the items."""
    track: bool = False
    """More indices."""
    seed: Seed = 0
    vectors: Annotated[Path | None, FREE] = None
    """Your own."""
    labels: Labels = None
    label_column: LabelColumn = None
    array: Array = None
    data_dir: DataDir = None
    out: Out = None
    overwrite: Overwrite = False
    dry_run: DryRun = False
    quiet: Quiet = False
