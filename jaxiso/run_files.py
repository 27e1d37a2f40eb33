"""What a run directory holds, and reading it: what was asked, measured, and trained.

config.json      what determines the numbers; versions and device; where the data were
metrics.parquet  one row a seed and step, sorted by step, then seed
result.json      the summary, written last: a run that has one is finished
final.npz        the trained vectors and classifiers of jaxiso.embed
checkpoints/     Orbax checkpoints of the states of all seeds
figures/         PNG and PDF
vocabulary.json  the words of a VAE
evaluation.json  measures of a trained VAE
latents.npz      codes of some test sentences of a trained VAE; where a run has several target
KLs, evaluation-C5.json and latents-C5.npz are of one of them
manifest.json    digests of the files above, which every read is checked against
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jaxiso.checkpoints import CHECKPOINTS, DAMAGED, last_saved, latest_checkpoint, refuse_path
from jaxiso.cli.console import InputError, first_line, note
from jaxiso.cli.files import PART, digest_of, read_object
from jaxiso.manifest import MANIFEST, verify

CONFIG, METRICS, RESULT = "config.json", "metrics.parquet", "result.json"
FINAL, FIGURES = "final.npz", "figures"
VOCABULARY, EVALUATION, LATENTS = "vocabulary.json", "evaluation.json", "latents.npz"
OVERWRITING = f"{PART}overwriting.json"
"""There while --overwrite deletes a run; holds the config that takes its place."""

State = TypeVar("State")
Columns = dict[str, list[float]]


def config_digest(config: Mapping[str, Any]) -> str:
    """By which a config is told from another; checkpoints have it too."""
    return digest_of(json.dumps(config, sort_keys=True))


def read_stored(directory: Path) -> dict[str, Any]:
    """All that config.json holds: config, origin, source.

    Raises InputError: the directory holds no run, or its config is not as it was written.
    """
    path = directory / CONFIG
    if not path.exists():
        missing = f"has no {CONFIG}" if directory.is_dir() else "there is no such directory"
        raise InputError(f"{directory}: {missing}; give the directory of a run (its --out)")
    if (directory / OVERWRITING).exists():
        raise InputError(
            f"{directory}: an --overwrite of this run was interrupted; run the training again"
        )
    stored = read_object(path)
    config = stored.get("config")
    if not isinstance(config, dict):
        raise InputError(f"{path}: has no config; is it a run directory of jaxiso?")
    if stored.get("config_sha256", config_digest(config)) != config_digest(config):
        raise InputError(
            f"{path}: is not as it was written: it is damaged, or was changed since; bring it "
            "back, or give --overwrite to start the run anew"
        )
    return stored


def written_files(directory: Path) -> list[Path]:
    """What a run writes, but its config; some may not be there."""
    names = (CHECKPOINTS, RESULT, METRICS, FINAL, VOCABULARY, EVALUATION, LATENTS, MANIFEST)
    damaged, figures = f"damaged-{EVALUATION}", directory / FIGURES
    found = [directory / name for name in (*names, damaged)]
    found += directory.glob(f"{DAMAGED}*")
    for name in (EVALUATION, LATENTS, damaged):  # of several target KLs
        found += directory.glob(name.replace(".", "-C*."))
    if not figures.is_symlink():
        found += (path for path in figures.glob("*") if path.suffix in (".png", ".pdf"))
    return found


def read_config(directory: Path) -> dict[str, Any]:
    """What determines the numbers of a run.

    Raises InputError: the directory holds no run.
    """
    return read_stored(directory)["config"]


def read_metrics(directory: Path) -> Columns:
    """The metrics table of a run directory, as columns.

    Raises InputError: there is none, or it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = directory / METRICS
    verify(directory, METRICS)
    try:
        columns = pq.read_table(path).to_pydict()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error)}); is {directory} a run "
            "directory? --overwrite starts the run anew"
        ) from None
    if not {"seed", "step"} <= columns.keys():
        raise InputError(f"{path}: has no columns seed and step; --overwrite starts the run anew")
    return columns


def rows_where(table: Mapping[str, Sequence[float]], column: str, value: float) -> Columns:
    """The rows of a metrics table that have a number, in single precision, in a column."""
    import numpy as np

    keep = np.asarray(table[column], np.float32) == np.float32(value)
    return {name: np.asarray(values)[keep].tolist() for name, values in table.items()}


def read_checkpoint(directory: Path, template: State | None) -> tuple[int, State]:
    """The step and the state of the latest checkpoint that can be read; changes nothing.

    That of a finished run is the last one, or none.

    Args:
        directory: of a run.
        template: a state of the same structure, shapes and types; None to read what was saved, as
            dicts, lists and arrays of NumPy.

    Raises InputError: there is no checkpoint, or none that can be read.
    """
    folder = directory / CHECKPOINTS
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such directory, so there is no trained model; run the training "
            "again (the results of a run can be kept without its checkpoints)"
        )
    refuse_path(directory)
    config = read_config(directory)
    found, unusable = latest_checkpoint(directory, template, run=config_digest(config))
    for step, why in unusable.items():
        note(f"{folder}/{step} cannot be read ({why})")
    if found is None:
        raise InputError(f"{folder}: holds no checkpoint that can be read; run the training again")
    if (directory / RESULT).exists() and found[0] < max(last_saved(directory), *unusable, 0):
        raise InputError(
            f"{folder}: the trained model is missing or damaged; run the training again, which "
            f"goes on after update {found[0]:,}"
        )
    return found[:2]
