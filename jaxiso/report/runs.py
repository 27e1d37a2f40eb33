"""Run directories, read and checked; what is damaged, or has no numbers, is named and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso.cli.console import InputError, first_line
from jaxiso.cli.files import read_object
from jaxiso.embed.options import full_config
from jaxiso.embed.result import count_parameters
from jaxiso.embed.trajectory import by_step, of_isotropy
from jaxiso.manifest import verify
from jaxiso.papers import embed_settings, unlike
from jaxiso.run_files import CONFIG, EVALUATION, LATENTS, METRICS, RESULT, read_metrics, read_stored
from jaxiso.vae.configs import complete_config, mark_of, of_target, targets_of
from jaxiso.vae.evaluations import marked, read_evaluation

DEFAULT_FOLDERS = (Path("runs"), Path("runs/reference"), Path("runs/reference/collapse"))
LARGEST = 1e150
"""Means and deviations of larger numbers would not be finite."""


class FoundRun(NamedTuple):
    """A finished run of `jaxiso.embed`, or the models of one of `jaxiso.vae` with one target KL.

    Those of `jaxiso.vae` are finished, or have been evaluated before they are.

    Attributes:
        directory: as it was given.
        config: what determined its numbers.
        result: what result.json holds; empty of a training that is not finished.
        device: that it ran on.
        written: when, in seconds since 1970: its result, or else its evaluation.
        metrics: the metrics table of `jaxiso.embed`; of `jaxiso.vae` empty.
        parameters: trainable numbers of one seed of `jaxiso.embed`.
        unlike: how that run is unlike the paper's: a line for each setting, or kind of data.
        evaluation: what evaluation.json of `jaxiso.vae` holds, if the run has one.
        planned: updates of a whole training of `jaxiso.vae`; 0 where nothing tells.
        mark: in the names of its files, where the run has several target KLs.
    """

    directory: Path
    config: dict[str, Any]
    result: dict[str, Any]
    device: str
    written: float
    metrics: dict[str, Any]
    parameters: int
    unlike: dict[str, str]
    evaluation: dict[str, Any] | None = None
    planned: int = 0
    mark: str = ""

    @property
    def latents(self) -> Path:
        """Its latents.npz."""
        return self.directory / marked(LATENTS, self.mark)

    @property
    def updates(self) -> int:
        """How many the model had seen that was evaluated."""
        return (self.evaluation or {})["updates"]


class Found(NamedTuple):
    """Runs of `jaxiso.embed` and of `jaxiso.vae`, and what was left out, with the reason."""

    embed: list[FoundRun]
    vae: list[FoundRun]
    not_read: list[tuple[Path, str]]


def find_runs(given: Sequence[Path] = DEFAULT_FOLDERS) -> Found:
    """Reads all runs among run directories, and folders that hold some."""
    found = Found([], [], [])
    for directory in _directories(given):
        try:
            runs = _read(directory)
        except (InputError, OSError) as error:
            found.not_read.append((directory, utf8(error)))
        except Exception as error:  # files from strangers: there is no end to what may be amiss
            why = f"{directory}: is damaged ({type(error).__name__}: {first_line(error)})"
            found.not_read.append((directory, utf8(why)))
        else:
            for run in runs:
                (found.embed if run.config["experiment"] == "embed" else found.vae).append(run)
    return found


def _directories(given: Sequence[Path]) -> list[Path]:
    """Each run directory once, in order of its name within a folder."""
    found: dict[Path, Path] = {}
    for path in given:
        inside = [path] if _is_run(path) else sorted(p for p in path.glob("*") if _is_run(p))
        for directory in inside:
            found.setdefault(directory.resolve(), directory)
    return list(found.values())


def _is_run(path: Path) -> bool:
    try:
        return any((path / name).exists() for name in (CONFIG, METRICS, RESULT, EVALUATION))
    except OSError:
        return True  # reading it says what is wrong


def _read(directory: Path) -> list[FoundRun]:
    """A run, of each target KL; raises InputError if it cannot be used, else if it is damaged."""
    stored, path = read_stored(directory), directory / RESULT
    config = stored["config"]
    kind = config.get("experiment")
    if kind not in ("embed", "vae"):
        raise InputError(f"{directory}: is a run of {kind!r}, which no table is made from")
    result: dict[str, Any] = {}
    if path.exists():
        verify(directory, RESULT)
        result = read_object(path)
        _require(result, "number", "seconds")
    platform, _, device = str((stored.get("origin") or {}).get("device", "unknown")).partition(": ")
    written = path.stat().st_mtime if result else 0.0
    run = FoundRun(directory, config, result, device or platform, written, {}, 0, {})
    runs = _models(run) if kind == "vae" else [_with_metrics(run)] if result else []
    if not runs:
        raise InputError(
            f"{directory}: has no {RESULT}, so it is not finished; the command that started it "
            "goes on with it"
        )
    return runs


def _models(run: FoundRun) -> list[FoundRun]:
    """Those of each target KL, as far as they are finished or evaluated."""
    config = complete_config(run.config, run.directory)
    targets = targets_of(config)
    shared = {**run.result}
    if shared:
        shared["seconds"] /= len(targets)
    marks = {target: mark_of(config, target) for target in targets}
    runs = [
        _with_evaluation(run._replace(config=of_target(config, target), result=shared, mark=mark))
        for target, mark in marks.items()
    ]
    return [one for one in runs if one.result or one.evaluation]


def _with_metrics(run: FoundRun) -> FoundRun:
    config, metrics = full_config(run.config), read_metrics(run.directory)
    _require(config, "count", "seeds", "updates", "every", "items", "vectors", "dim", "inputs")
    _require(config, "number", "sample", "lr", "scale")
    _require(config, "text or null", "task", "encoder")
    if config["isotropy"] == [0]:  # the paper's loss, in other words
        metrics = of_isotropy(metrics, 0)
    _, values = by_step(metrics)
    if not (values["isoscore"].size and values["silhouette"].size):
        raise ValueError(f"{METRICS} has no rows")
    for summary in run.result.get("frontier", [run.result]):
        _require({"isotropy": 0, **summary}, "number", "isotropy")
        _require({"undefined": {}, **summary}, "object", "undefined")
        _require(summary, "number or null", "pearson_r", "spearman_rho", "largest_sd")
        for when, name in product(("start", "final"), ("isoscore", "silhouette")):
            _require(summary[when][name], "number or null", "mean")
    parameters = count_parameters(config)
    paper = embed_settings(config["task"], config["encoder"])
    lines = unlike(config | {"parameters": parameters}, paper)
    return run._replace(config=config, metrics=metrics, parameters=parameters, unlike=lines)


def _with_evaluation(run: FoundRun) -> FoundRun:
    config, path = run.config, run.directory / marked(EVALUATION, run.mark)
    _require(config, "count", "tokens", "ids", "sentences")
    if run.result:
        _require(run.result, "count", "updates")
    evaluation = read_evaluation(run.directory, run.mark)
    if evaluation is None:
        return run
    if evaluation["config"] != config:
        raise InputError(f"{path}: is of a model with another configuration; delete it")
    if "model" in run.result and run.result["model"] != evaluation.get("model"):
        raise InputError(
            f"{path}: is of another model than {RESULT} beside it; evaluate the run again"
        )
    for name, measure in evaluation["measures"].items():
        if len(measure["values"]) != config["seeds"]:
            raise InputError(f"{path}: {name} has not one value a seed")
        for value in measure["values"]:
            _require({name: value}, "number or null", name)
    if run.result:
        return run._replace(evaluation=evaluation, planned=run.result["updates"])
    planned, written = _planned_updates(run), path.stat().st_mtime
    return run._replace(evaluation=evaluation, planned=planned, written=written)


def _planned_updates(run: FoundRun) -> int:
    """Of a training that is not finished, from the epochs that are; 0 where there are none."""
    if not (run.directory / METRICS).exists():
        return 0
    metrics = read_metrics(run.directory)
    done = zip(metrics["step"], metrics["epoch"], strict=True)
    lengths = {step // round(epoch) for step, epoch in done if epoch >= 1}
    return max(lengths, default=0) * run.config["epochs"]


def _require(found: Mapping[str, Any], kind: str, *names: str) -> None:
    """Raises ValueError unless what has these names is of a kind, and KeyError if it is missing."""
    for name in names:
        value = found[name]
        fits = {
            "count": type(value) is int and value >= 1,
            "number": type(value) in (int, float) and abs(value) < LARGEST,
            "text": isinstance(value, str),
            "object": isinstance(value, dict),
        }
        wanted, _, or_null = kind.partition(" or ")
        if not (fits[wanted] or (or_null and value is None)):
            raise ValueError(f"{name} is {value!r}")


def utf8(text: object) -> str:
    """Text that can be written: a name of a file may have bytes that are no UTF-8."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def path_text(path: Path) -> str:
    """A path as it is written in a report."""
    return utf8(path.as_posix())
