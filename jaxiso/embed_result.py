"""The end of `python -m jaxiso.embed`: result.json, figures, and the table beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxiso.console import duration
from jaxiso.errors import InputError
from jaxiso.experiments.papers import EMBED_TARGETS, EmbedTarget
from jaxiso.files import read_object, replacing
from jaxiso.runs import (
    CHECKPOINTS,
    CONFIG,
    FIGURES,
    FINAL,
    METRICS,
    RESULT,
)

if TYPE_CHECKING:
    from jaxiso.runs import Run


def write_result(
    run: Run, metrics: Mapping[str, Sequence[float]], params: Mapping[str, Any], *, seconds: float
) -> None:
    """Writes the final vectors, the figures and, last, result.json.

    Args:
        run: the run directory.
        metrics: its whole metrics table.
        params: final parameters of all seeds, as numpy arrays.
        seconds: time spent on training and measuring, over all sessions of the run.
    """
    from jaxiso import figures

    write_final(run.directory / FINAL, params)
    config = read_object(run.directory / CONFIG)["config"]
    title = ", ".join(str(config[name]) for name in ("task", "encoder") if config[name])
    folder = run.directory / FIGURES
    figures.save_figure(
        figures.figure_across_training(metrics, title), folder / "figure2_across_training"
    )
    figures.save_figure(
        figures.figure_relationship(metrics, title), folder / "figure3_relationship"
    )
    run.finish(make_result(config, metrics, seconds=seconds))


def make_result(
    config: Mapping[str, Any], metrics: Mapping[str, Sequence[float]], *, seconds: float
) -> dict[str, Any]:
    """What result.json holds, from a run's config and its whole metrics table."""
    from jaxiso.experiments.trajectory import summarise

    target = find_target(config)
    return {
        "task": config["task"],
        "encoder": config["encoder"],
        "parameters": count_parameters(config),
        "thinned": config["every"] > 1,
        **summarise(metrics),
        "paper": None if target is None else target._asdict(),
        "not_as_in_the_paper": deviations(config),
        "seconds": round(seconds, 1),
    }


def write_final(path: Path, params: Mapping[str, Any]) -> None:
    """Saves `vectors` (seeds, v, d), `kernel` (seeds, inputs·d, classes) and `bias`, as .npz."""
    import numpy as np

    dense = params["head"]["params"]["Dense_0"]
    with replacing(path) as file:
        np.savez(file, vectors=params["vectors"], **dense)


def count_parameters(config: Mapping[str, Any]) -> int:
    """Trainable numbers of one seed, from a run's config."""
    from jaxiso.experiments.embed import parameter_count

    vectors, dim, inputs = (config[name] for name in ("vectors", "dim", "inputs"))
    return parameter_count(vectors, dim, inputs, len(config["classes"]), config["bias"])


def find_target(config: Mapping[str, Any]) -> EmbedTarget | None:
    """The paper's row for this task and encoder, if it has one."""
    return EMBED_TARGETS.get(config["task"], {}).get(config["encoder"] or "")


def deviations(config: Mapping[str, Any]) -> list[str]:
    """In what this run differs from the paper's; empty also where the paper has no such run."""
    target = find_target(config)
    if target is None:
        return []
    from jaxiso.data import TASKS

    task, parameters = TASKS[config["task"]], count_parameters(config)
    updates = task.updates
    sampled = config["items"] > min(20_000, config["sample"] or 20_000)
    checks = [
        (
            task.kind == "word",
            "the words and their vectors, which cannot be redistributed: these are others, unless "
            "you brought the paper's own",
        ),
        (config["seeds"] != 5, f"{config['seeds']} seed(s) instead of 5"),
        (config["updates"] != updates, f"{config['updates']} updates instead of {updates}"),
        (config["every"] > 1, f"measured after every {config['every']} updates, not after each"),
        (config["lr"] != 1e-3, f"learning rate {config['lr']:g} instead of 0.001"),
        (config["scale"] != 1, f"vectors multiplied by {config['scale']:g}"),
        (
            sampled and config["sample"] != 20_000,
            f"measured on {config['sample'] or 'all'} items instead of samples of 20,000",
        ),
        (
            config["items"] != target.items,
            f"{config['items']:,} items, {target.items:,} in the paper",
        ),
        (
            parameters != target.parameters,
            f"{parameters:,} parameters, {target.parameters:,} in the paper",
        ),
    ]
    return [line for holds, line in checks if holds]


def print_result(directory: Path, result: Mapping[str, Any]) -> None:
    """Prints a finished run's table to standard output.

    Raises:
        InputError: the result is damaged.
    """
    from rich.console import Console
    from rich.table import Table

    try:
        encoder = f", {result['encoder']}" if result["encoder"] else ""
        table = Table(title=f"{result['task']}{encoder}", title_justify="left")
        table.add_column("")
        for name in ("this run", "paper", "difference"):
            table.add_column(name, justify="right")
        for row in _rows(result):
            table.add_row(*row)
        remarks = _remarks(result)
        spent = duration(result["seconds"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{directory / RESULT} is damaged ({type(error).__name__}: {error}); delete it, and "
            "the same command writes it again"
        ) from None
    # No markup: a path may have brackets in it.
    out = Console(highlight=False, soft_wrap=True, markup=False)
    out.print(table)
    for line in remarks:
        out.print(line)
    out.print(f"Time: {spent}")
    files = ", ".join((CONFIG, METRICS, RESULT, FINAL, f"{FIGURES}/", f"{CHECKPOINTS}/"))
    out.print(f"Files in {directory}: {files}")


def _remarks(result: Mapping[str, Any]) -> list[str]:
    remarks = [f"Not as in the paper: {line}" for line in result["not_as_in_the_paper"]]
    if result["diverged_at"] is not None:
        step = result["diverged_at"]
        remarks.append(f"Diverged: not finite from update {step:,} on; lower --lr or --scale")
    if result["thinned"]:
        remarks.append(
            "* r over thinned measurements: not comparable with the paper, which measures after "
            "every update"
        )
    return remarks


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    paper = result["paper"] or {}
    mark = " *" if result["thinned"] else ""

    def row(label: str, key: str, digits: int):
        ours, theirs = result[key], paper.get(key)
        return (
            label,
            "not defined" if ours is None else f"{ours:.{digits}f}{mark}",
            "-" if theirs is None else f"{theirs:.{digits}f}",
            "" if ours is None or theirs is None else f"{ours - theirs:+.{digits}f}",
        )

    rows = [row("Pearson r", "pearson_r", 4), row("Spearman ρ", "spearman_rho", 5)]
    if paper and paper["spearman_rho"] is None:
        label, ours, _, _ = rows[1]
        rows[1] = (label, ours, "< -0.998", "")
    theirs = paper.get("parameters")
    rows.append(
        (
            "Parameters",
            f"{result['parameters']:,}",
            "-" if theirs is None else f"{theirs:,}",
            "" if theirs is None else f"{result['parameters'] - theirs:+,}",
        )
    )
    names = {
        "isoscore": "IsoScore",
        "silhouette": "Silhouette",
        "loss": "Loss",
        "accuracy": "Accuracy",
    }
    for key, label in names.items():
        for when in ("start", "final"):
            found = result[when][key]
            sd = "" if found["sd"] is None else f" ± {found['sd']:.5f}"
            mean = "not finite" if found["mean"] is None else f"{found['mean']:.5f}"
            rows.append((f"{label}, {when}", f"{mean}{sd}", "-", ""))
    if result["largest_sd"] is not None:
        # Stated in Section 3.2, for the tasks whose ρ is not given each.
        limit = "< 0.0054" if paper and paper["spearman_rho"] is None else "-"
        label = "Largest sd over seeds, any step"
        rows.append((label, f"{result['largest_sd']:.5f}", limit, ""))
    return rows
