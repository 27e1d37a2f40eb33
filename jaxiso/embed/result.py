"""The end of a run: final.npz, figures, result.json, and its table beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from jaxiso import papers
from jaxiso.checkpoints import CHECKPOINTS
from jaxiso.cli.console import InputError, duration, printer
from jaxiso.cli.figures import save_figure
from jaxiso.cli.machine import is_first
from jaxiso.embed import figures
from jaxiso.embed.options import full_config, title_of
from jaxiso.embed.trajectory import NAMES, Metrics, of_isotropy, summarise
from jaxiso.run_files import CONFIG, FIGURES, FINAL, METRICS, RESULT
from jaxiso.runs import Run


def write_result(
    run: Run,
    metrics: Metrics,
    params: Mapping[str, Any],
    held_out: np.ndarray | None = None,
    *,
    seconds: float,
) -> None:
    """Writes the final vectors, the figures and, last, result.json; the first process does.

    `held_out`, (n,) bool, has the items that were held out; `seconds` were spent on training and
    measuring, over all sessions of the run.
    """
    if not is_first():
        return
    arrays = final_arrays(params)
    if held_out is not None:
        arrays["held_out"] = held_out
    with run.writing(FINAL) as file:
        np.savez(file, **arrays)
    config = run.config
    title = title_of(config)
    drawn = {
        "figure2_across_training": figures.figure_across_training,
        "figure3_relationship": figures.figure_relationship,
    }
    if config["isotropy"] is not None:
        drawn = {"frontier": figures.figure_frontier}
    room = isoscore_of_collapsed_labels(config)
    for name, draw in drawn.items():
        save_figure(draw(metrics, title, room), run.directory / FIGURES / name)
    run.finish(make_result(config, metrics, seconds=seconds))


def final_arrays(params: Mapping[str, Any]) -> dict[str, Any]:
    """What was trained, by the names of final.npz.

    `vectors` (seeds, v, d); of the linear classifier `kernel` (seeds, inputs·d, classes) and
    `bias`; with a hidden layer, that one's are `hidden_kernel` (seeds, inputs·d, hidden) and
    `hidden_bias`. Weights of isotropy are a further axis before the seeds', joined with it.
    """
    layers = params.get("head", {}).get("params", {})
    if "Dense_0" in layers:
        named = {"": layers["Dense_0"]}
    else:
        names = {"hidden_": "LinearHead_0", "": "LinearHead_1"}
        named = {prefix: layers[name]["Dense_0"] for prefix, name in names.items() if layers}
    arrays = {prefix + key: x for prefix, layer in named.items() for key, x in layer.items()}
    return {name: np.asarray(x) for name, x in {"vectors": params["vectors"], **arrays}.items()}


def final_params(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The parameters that `final_arrays` names."""

    def dense(prefix: str) -> dict[str, Any]:
        named = {name: arrays.get(prefix + name) for name in ("kernel", "bias")}
        return {"Dense_0": {name: x for name, x in named.items() if x is not None}}

    params: dict[str, Any] = {"vectors": arrays["vectors"]}
    if "hidden_kernel" in arrays:
        layers = {"LinearHead_0": dense("hidden_"), "LinearHead_1": dense("")}
        params["head"] = {"params": layers}
    elif "kernel" in arrays:
        params["head"] = {"params": dense("")}
    return params


def make_result(config: Mapping[str, Any], metrics: Metrics, *, seconds: float) -> dict[str, Any]:
    """What result.json holds, from a run's config and its whole metrics table.

    Where isotropy is in the loss, `frontier` has a summary for each weight, and there is no other.
    """
    config = full_config(config)
    if config["isotropy"] is not None:
        weights = config["isotropy"]
        found = [{"isotropy": w, **summarise(of_isotropy(metrics, w))} for w in weights]
        summary: dict[str, Any] = {"frontier": found}
    else:
        summary = summarise(metrics)
    target = papers.embed_target(config["task"], config["encoder"])
    compared = ("items", "parameters", "pearson_r", "spearman_rho")
    return {
        "task": config["task"],
        "encoder": config["encoder"],
        "parameters": count_parameters(config),
        "thinned": config["every"] > 1,
        **summary,
        "paper": None if target is None else {name: getattr(target, name) for name in compared},
        "not_as_in_the_paper": list(unlike_the_paper(config).values()),
        "isoscore_of_collapsed_labels": isoscore_of_collapsed_labels(config),
        "seconds": round(seconds, 1),
    }


def unlike_the_paper(config: Mapping[str, Any]) -> dict[str, str]:
    """How a run differs from the paper's of its task and encoder; empty where it has none."""
    config, row = full_config(config), (config["task"], config["encoder"])
    if papers.embed_target(*row) is None:
        return {}
    counted = config | {"parameters": count_parameters(config)}
    return papers.unlike(counted, papers.embed_settings(*row))


def count_parameters(config: Mapping[str, Any]) -> int:
    """Trainable numbers of one seed: distinct vectors and classifier (paper A, Tables 1 and 2)."""
    config = full_config(config)
    vectors = config["trained_vectors"] * config["dim"]
    if config["loss"] == "triplet":  # which has no classifier
        return vectors
    width, classes, bias = config["inputs"] * config["dim"], len(config["classes"]), config["bias"]
    if config["hidden"] is None:
        return vectors + classes * (width + bias)
    return vectors + config["hidden"] * (width + 1) + classes * (config["hidden"] + bias)


def isoscore_of_collapsed_labels(config: Mapping[str, Any]) -> float | None:
    """The largest IsoScore that vectors can have where each of K labels has become one point.

    K points span at most K - 1 directions, alike where they are the corners of a regular simplex:
    (K - 2) / (d - 1). So few labels leave no room for isotropy, and many do.

    Returns:
        None for items of several vectors, whose labels do not say where a vector belongs.
    """
    if config["inputs"] != 1 or config["dim"] < 2:
        return None
    directions = min(config["clusters"] - 1, config["dim"])
    return (directions - 1) / (config["dim"] - 1)


def print_result(directory: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Prints a finished run's table to standard output.

    Raises InputError: the result is damaged.
    """
    try:
        unlike = unlike_the_paper(config)
        table, lines = result_table(result, unlike), remarks(result, unlike)
        spent = duration(result["seconds"])
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError(
            f"{directory / RESULT} is damaged ({type(error).__name__}: {error}); delete it, and "
            "the same command writes it again"
        ) from None
    out = printer()
    out.print(table)
    for line in lines:
        out.print(line)
    out.print(f"Time: {spent}")
    files = ", ".join((CONFIG, METRICS, RESULT, FINAL, f"{FIGURES}/", f"{CHECKPOINTS}/"))
    out.print(f"Files in {directory}: {files}")


def result_table(result: Mapping[str, Any], unlike: Mapping[str, str]) -> Table:
    """The table of a result: this run beside the paper's, or a row for each weight of isotropy.

    The paper's numbers are left out where the paper has no such run, or only another experiment.
    """
    title = ", ".join(name for name in (result["task"], result["encoder"]) if name)
    if "frontier" in result:
        return _frontier(result["frontier"], title, result["thinned"])
    table = Table(title=title, title_justify="left")
    shown = ("", "this run", "paper", "difference")
    if result["paper"] is None or papers.decisive(unlike):
        shown = shown[:2]
    for name in shown:
        table.add_column(name, justify="right" if name else "left")
    for row in _rows(result):
        table.add_row(*row[: len(shown)])
    return table


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Label, ours, the paper's, and the difference."""
    paper = result["paper"] or {}
    mark = " *" if result["thinned"] else ""

    def row(label: str, name: str, form: str, mark: str = "", below: float | None = None):
        ours, theirs = result[name], paper.get(name)
        shown = _number(theirs, form, none="-" if below is None or not paper else f"< {below}")
        difference = "" if ours is None or theirs is None else f"{ours - theirs:+{form}}"
        return label, _number(ours, form, mark), shown, difference

    # Section 3.2 gives bounds for all its tasks instead of their numbers.
    rows = [
        row("Pearson r", "pearson_r", ".4f", mark),
        row("Spearman ρ", "spearman_rho", ".5f", mark, papers.RHO_BELOW),
        row("Parameters", "parameters", ","),
    ]
    for name, label in NAMES.items():
        for when in ("start", "final"):
            if name in result[when]:
                rows.append((f"{label}, {when}", _mean_and_sd(result[when][name]), "-", ""))
    if result["largest_sd"] is not None:
        label = "Largest sd over seeds, any step"
        bound = papers.SD_BELOW if paper and paper["spearman_rho"] is None else None
        rows.append(row(label, "largest_sd", ".5f", below=bound))
    return rows + [  # whether other indices move as the silhouette does, and against IsoScore
        (f"ρ({NAMES[index]}, {NAMES[other]})", _number(found["spearman_rho"]), "-", "")
        for index, others in result.get("agreement", {}).items()
        for other, found in others.items()
    ]


def _frontier(frontier: list[Mapping[str, Any]], title: str, thinned: bool) -> Table:
    """Where training ends for each weight of isotropy, under where all of them start."""
    names = ("isoscore", "silhouette", "accuracy", "test_accuracy", "loss")
    shown = [name for name in names if name in frontier[0]["final"]]
    table = Table(title=f"{title}: final means over seeds", title_justify="left")
    for name in ("λ", *(NAMES[name] for name in shown), "r"):
        table.add_column(name, justify="right")
    table.add_row("start", *(_number(frontier[0]["start"][name]["mean"]) for name in shown))
    for row in frontier:
        final = (_number(row["final"][name]["mean"]) for name in shown)
        r = _number(row["pearson_r"], ".4f", " *" if thinned else "")
        table.add_row(f"{row['isotropy']:g}", *final, r)
    return table


def _mean_and_sd(found: Mapping[str, float | None]) -> str:
    sd = "" if found["sd"] is None else f" ± {found['sd']:.5f}"
    return f"{_number(found['mean'])}{sd}"


def _number(value: float | None, form: str = ".5f", mark: str = "", *, none="not defined") -> str:
    return none if value is None else f"{value:{form}}{mark}"


def remarks(result: Mapping[str, Any], unlike: Mapping[str, str]) -> list[str]:
    """Lines below the table: differences from the paper, and what is not defined."""
    lines = [f"Differences from the paper: {'; '.join(unlike.values())}"] if unlike else []
    room = result.get("isoscore_of_collapsed_labels")
    if room is not None:
        lines.append(
            f"Once each label is one point, IsoScore is at most {room:.5f}: "
            "(labels - 2) / (dimensions - 1)"
        )
    for summary in result.get("frontier", [result]):
        which = f" with λ = {summary['isotropy']:g}" if "isotropy" in summary else ""
        step = summary["diverged_at"]
        if step is not None:
            lines.append(
                f"Diverged{which} after update {step:,}: numbers left the range of single "
                "precision; lower --lr, --scale or --isotropy"
            )
        else:
            undefined = summary.get("undefined", {})  # runs of earlier versions do not say why
            why = dict.fromkeys(why for name, why in undefined.items() if name != "largest_sd")
            lines += [f"Not defined{which}: {reason}" for reason in why]
    if result["thinned"]:
        lines.append(
            "* r over thinned measurements: not comparable with the paper, which measures after "
            "every update"
        )
    return lines
