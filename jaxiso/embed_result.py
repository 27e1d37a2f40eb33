"""The end of `python -m jaxiso.embed`: result.json, figures, and the table beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxiso import embed_tables
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
    import numpy as np

    from jaxiso.runs import Run


def write_result(
    run: Run,
    metrics: Mapping[str, Sequence[float]],
    params: Mapping[str, Any],
    held_out: np.ndarray | None = None,
    *,
    seconds: float,
) -> None:
    """Writes the final vectors, the figures and, last, result.json.

    Args:
        run: the run directory.
        metrics: its whole metrics table.
        params: final parameters of all seeds, as numpy arrays.
        held_out: (n,) bool, the items that were held out; None where there are none.
        seconds: time spent on training and measuring, over all sessions of the run.
    """
    from jaxiso import figures

    write_final(run.directory / FINAL, params, held_out)
    config = read_object(run.directory / CONFIG)["config"]
    title = ", ".join(str(config[name]) for name in ("task", "encoder") if config[name])
    folder = run.directory / FIGURES
    drawn = {
        "figure2_across_training": figures.figure_across_training,
        "figure3_relationship": figures.figure_relationship,
    }
    if "isotropy" in config:
        drawn = {"frontier": figures.figure_frontier}
    for name, draw in drawn.items():
        figures.save_figure(draw(metrics, title), folder / name)
    run.finish(make_result(config, metrics, seconds=seconds))


def make_result(
    config: Mapping[str, Any], metrics: Mapping[str, Sequence[float]], *, seconds: float
) -> dict[str, Any]:
    """What result.json holds, from a run's config and its whole metrics table.

    Where isotropy is in the loss, `frontier` has a summary for each weight, and there is no other.
    """
    from jaxiso.experiments.trajectory import of_isotropy, summarise

    if "isotropy" in config:
        summary: dict[str, object] = {
            "frontier": [
                {"isotropy": weight, **summarise(of_isotropy(metrics, weight))}
                for weight in config["isotropy"]
            ]
        }
    else:
        summary = summarise(metrics)
    target = find_target(config)
    return {
        "task": config["task"],
        "encoder": config["encoder"],
        "parameters": count_parameters(config),
        "thinned": config["every"] > 1,
        **summary,
        "paper": None if target is None else target._asdict(),
        "not_as_in_the_paper": deviations(config),
        "seconds": round(seconds, 1),
    }


def write_final(path: Path, params: Mapping[str, Any], held_out: np.ndarray | None = None) -> None:
    """Saves what was trained, as .npz.

    `vectors` (seeds, v, d); of the linear classifier `kernel` (seeds, inputs·d, classes) and
    `bias`; with a hidden layer, that one's are `hidden_kernel` (seeds, inputs·d, hidden) and
    `hidden_bias`. Weights of isotropy are a further axis before the seeds', joined with it. And
    `held_out` (n,), if there are held-out items.
    """
    import numpy as np

    layers = dict(params.get("head", {}).get("params", {}))
    arrays = {**layers.pop("Dense_0", {})}
    for name, prefix in (("LinearHead_0", "hidden_"), ("LinearHead_1", "")):
        dense = layers.get(name, {}).get("Dense_0", {})
        arrays |= {f"{prefix}{key}": value for key, value in dense.items()}
    if held_out is not None:
        arrays["held_out"] = held_out
    with replacing(path) as file:
        np.savez(file, vectors=params["vectors"], **arrays)


def count_parameters(config: Mapping[str, Any]) -> int:
    """Trainable numbers of one seed, from a run's config."""
    from jaxiso.experiments.embed_data import parameter_count

    vectors = config.get("trained_vectors", config["vectors"])
    classes = 0 if config.get("loss") == "triplet" else len(config["classes"])
    dim, inputs, bias = (config[name] for name in ("dim", "inputs", "bias"))
    return parameter_count(vectors, dim, inputs, classes, bias, config.get("hidden"))


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
        *_beyond_the_paper(config),
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


def _beyond_the_paper(config: Mapping[str, Any]) -> list[tuple[bool, str]]:
    weights, hidden = config.get("isotropy", []), config.get("hidden")
    held_out = config.get("test_items", 0)
    return [
        (any(weights), "a term for isotropy in the loss; --isotropy 0 is the paper's loss"),
        (hidden is not None, f"a hidden layer of {hidden} units before the linear classifier"),
        (config.get("loss") == "triplet", "the triplet loss, without a classifier"),
        (held_out > 0, f"{held_out:,} of {config['items']:,} items held out"),
    ]


def print_result(directory: Path, result: Mapping[str, Any]) -> None:
    """Prints a finished run's table to standard output.

    Raises:
        InputError: the result is damaged.
    """
    from rich.console import Console

    try:
        table = embed_tables.result_table(result)
        remarks = embed_tables.remarks(result)
        spent = duration(result["seconds"])
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
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
