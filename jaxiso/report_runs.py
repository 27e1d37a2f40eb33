"""The run directories that a report is made from, and which of them reproduce a row of a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.embed import Options as EmbedOptions
from jaxiso.embed_result import count_parameters, deviations, find_target
from jaxiso.errors import InputError
from jaxiso.experiments.papers import EMBED_TARGETS
from jaxiso.experiments.trajectory import by_step, of_isotropy
from jaxiso.files import read_object
from jaxiso.runs import CONFIG, EVALUATION, METRICS, RESULT, read_config, read_metrics
from jaxiso.vae_tables import pool

PAPER_SEEDS = {"embed": EmbedOptions().seeds, "vae": 3}
"""Runs that a number of the papers is the mean of."""

EmbedRow = tuple[str, str]
"""Task and encoder."""


class EmbedRun(NamedTuple):
    """A finished run of `jaxiso.embed`.

    Attributes:
        directory: of the run, as it was given.
        config: what determined its numbers.
        summaries: of its trajectory, as in result.json; one for each weight of isotropy in the
            loss, which is then under `isotropy`.
        parameters: trainable numbers of one seed.
        metrics: the metrics table.
        seconds: of training and measuring.
        device: that it ran on.
        written: when, in seconds since 1970.
        differences: settings and data that keep its numbers from being the paper's.
        remarks: what else is unlike the paper's: fewer seeds, and words that stand in for its own.
    """

    directory: Path
    config: dict[str, Any]
    summaries: list[dict[str, Any]]
    parameters: int
    metrics: dict[str, Any]
    seconds: float
    device: str
    written: float
    differences: list[str]
    remarks: list[str]

    @property
    def row(self) -> EmbedRow:
        """Task and encoder."""
        return self.config["task"], self.config["encoder"] or ""

    @property
    def reproduces(self) -> bool:
        """Whether its numbers stand beside the paper's."""
        return find_target(self.config) is not None and not self.differences


class VAERun(NamedTuple):
    """A finished training of `jaxiso.vae`.

    Attributes:
        directory: of the run, as it was given.
        config: what determined its numbers.
        evaluation: what evaluation.json holds; None where it was not evaluated.
        updates: how many there were.
        seconds: of training.
        device: that it ran on.
        written: when, in seconds since 1970.
    """

    directory: Path
    config: dict[str, Any]
    evaluation: dict[str, Any] | None
    updates: int
    seconds: float
    device: str
    written: float


class Found(NamedTuple):
    """All runs of a report.

    Attributes:
        embed: paper A's experiment.
        vae: paper B's trainings.
        not_read: directories that were left out, and why.
    """

    embed: list[EmbedRun]
    vae: list[VAERun]
    not_read: list[tuple[Path, str]]


def find_runs(given: Sequence[Path]) -> Found:
    """Reads all runs among directories; what is damaged or unfinished is named and left out.

    Args:
        given: run directories, or folders that hold some.
    """
    found = Found([], [], [])
    for directory in _directories(given):
        try:
            run = _read(directory)
        except InputError as error:
            found.not_read.append((directory, str(error)))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            why = f"{directory}: is damaged ({type(error).__name__}: {error})"
            found.not_read.append((directory, why))
        else:
            if isinstance(run, EmbedRun):
                found.embed.append(run)
            else:
                found.vae.append(run)
    return found


def _directories(given: Sequence[Path]) -> list[Path]:
    """Each run directory once, in order of its name within a folder."""
    files = (CONFIG, METRICS, RESULT, EVALUATION)

    def is_run(path: Path) -> bool:
        return any((path / name).exists() for name in files)

    found: dict[Path, Path] = {}
    for path in given:
        inside = [path] if is_run(path) else sorted(p for p in path.glob("*") if is_run(p))
        for directory in inside:
            found.setdefault(directory.resolve(), directory)
    return list(found.values())


def _read(directory: Path) -> EmbedRun | VAERun:
    """A run.

    Raises:
        InputError: it is not finished, or cannot be read.
        KeyError, TypeError, ValueError, AttributeError, IndexError: it is damaged.
    """
    config = read_config(directory)
    kind = config.get("experiment")
    if kind not in ("embed", "vae"):
        raise InputError(f"{directory}: is a run of {kind!r}, which no table is made from")
    if not (directory / RESULT).exists():
        raise InputError(
            f"{directory}: has no {RESULT}, so it is not finished; the command that started it "
            "goes on with it"
        )
    result = read_object(directory / RESULT)
    origin = read_object(directory / CONFIG).get("origin") or {}
    platform, _, device = str(origin.get("device", "unknown device")).partition(": ")
    _require_numbers(result, "seconds")
    facts = float(result["seconds"]), device or platform, (directory / RESULT).stat().st_mtime
    if kind == "embed":
        return _embed_run(directory, config, result, *facts)
    return _vae_run(directory, config, result, *facts)


def _embed_run(
    directory: Path,
    config: dict[str, Any],
    result: Mapping[str, Any],
    seconds: float,
    device: str,
    written: float,
) -> EmbedRun:
    _require_counts(config, "seeds", "updates", "every", "items", "vectors", "dim", "inputs")
    _require_numbers(config, "sample")
    metrics: dict[str, Any] = read_metrics(directory)
    summaries = [dict(summary) for summary in result.get("frontier", [result])]
    if config.get("isotropy") == [0]:  # the paper's loss, in other words
        metrics = of_isotropy(metrics, 0)
    for summary in summaries:
        _require_numbers(summary, "pearson_r", "spearman_rho", "largest_sd", or_none=True)
        for when in ("start", "final"):
            for name in ("isoscore", "silhouette"):
                _require_numbers(summary[when][name], "mean", or_none=True)
    _, values = by_step(metrics)
    if not (values["isoscore"].size and values["silhouette"].size):
        raise ValueError(f"{METRICS} has no rows")
    differences, remarks = _unlike_the_paper(config)
    return EmbedRun(
        directory,
        config,
        summaries,
        count_parameters(config),
        metrics,
        seconds,
        device,
        written,
        differences,
        remarks,
    )


def _require_counts(found: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(found[name], int) or found[name] < 1:
            raise ValueError(f"{name} is {found[name]!r}")


def _require_numbers(found: Mapping[str, Any], *names: str, or_none: bool = False) -> None:
    for name in names:
        value = found[name]
        if not (or_none and value is None) and not np.isfinite(float(value)):
            raise ValueError(f"{name} is {value!r}")


def _unlike_the_paper(config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What makes a run another than the paper's, and what is only to be remarked.

    Any choice of settings makes it another, and so do other items. The words of pos and supersense
    are always others, as those of the paper cannot be had, and fewer seeds only blur the same
    numbers.
    """
    from jaxiso.data import TASKS

    if find_target(config) is None:
        return [], []
    task, paper = TASKS[config["task"]], EmbedOptions()
    same = ("every", "lr", "scale", "sample")
    beyond = {"isotropy", "hidden", "loss", "triplets", "test_fraction", "test_items"}
    settings = {name: config[name] for name in config.keys() - beyond - {"trained_vectors"}}
    settings |= {name: getattr(paper, name) for name in same} | {"updates": task.updates}
    of_data = deviations(settings | {"seeds": paper.seeds})
    inevitable = deviations(settings) if task.kind == "word" else []
    inevitable += [line for line in deviations(settings) if line not in of_data]
    found = deviations(config)
    differences = [line for line in found if line not in inevitable]
    return differences, [line for line in found if line in inevitable]


def _vae_run(
    directory: Path,
    config: dict[str, Any],
    result: Mapping[str, Any],
    seconds: float,
    device: str,
    written: float,
) -> VAERun:
    names = ("seeds", "epochs", "tokens", "ids", "latent_dim", "embedding_dim", "hidden_dim")
    _require_counts(config, *names)
    _require_numbers(config, "seed", "C")
    _ = config["corpus"], config["posterior"], config["objective"]
    path, evaluation = directory / EVALUATION, None
    if path.exists():
        evaluation = read_object(path)
        if evaluation["config"] != config:
            raise InputError(f"{path}: is of a model with another configuration; delete it")
        (model,) = pool([evaluation])
        _ = model.unlike_the_paper, dict(evaluation["settings"])
        if not all(np.isfinite(values).all() and values for values in model.values.values()):
            raise ValueError("a measure without numbers")
    return VAERun(directory, config, evaluation, int(result["updates"]), seconds, device, written)


def best_embed_runs(found: Found) -> dict[EmbedRow, EmbedRun]:
    """The run with the most seeds of each row that is reproduced; the newest of several."""
    best: dict[EmbedRow, EmbedRun] = {}
    for run in sorted(found.embed, key=lambda run: (run.config["seeds"], run.written)):
        if run.reproduces:
            best[run.row] = run
    rows = [(task, encoder) for task, targets in EMBED_TARGETS.items() for encoder in targets]
    return {row: best[row] for row in rows if row in best}
