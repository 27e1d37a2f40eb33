"""The figures of paper A, composed of all runs that a report has."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from jaxiso.experiments.papers import EMBED_TARGETS
from jaxiso.experiments.trajectory import by_step, log_normalised
from jaxiso.report_papers import SETUPS, embed_label
from jaxiso.report_runs import EmbedRow, EmbedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_LINE = 4


class Drawn(NamedTuple):
    """A figure of a report.

    Attributes:
        name: of its files, without suffix.
        paper: A or B.
        title: which figure of the paper it is, and what it shows.
        figure: None where no run is there to draw.
        notes: what is drawn, and what not.
    """

    name: str
    paper: str
    title: str
    figure: Figure | None
    notes: list[str]


def figures_of_a(best: Mapping[EmbedRow, EmbedRun]) -> list[Drawn]:
    """Figures 2, 3 and 4 of paper A, of the runs that reproduce its rows."""
    setups = {row: run for row, run in best.items() if row[0] in SETUPS}
    glue = {row: run for row, run in best.items() if row[0] not in SETUPS}
    what = "silhouette, and log-normalised IsoScore, across training"
    return [
        Drawn(
            "paper_a_figure2",
            "A",
            f"Figure 2: {what}",
            figure_trajectories(setups) if setups else None,
            _notes(setups, SETUPS),
        ),
        Drawn(
            "paper_a_figure3",
            "A",
            "Figure 3: silhouette against IsoScore",
            figure_relationships(setups) if setups else None,
            _notes(setups, SETUPS),
        ),
        Drawn(
            "paper_a_figure4",
            "A",
            f"Figure 4: {what}, GLUE",
            figure_trajectories(glue) if glue else None,
            _notes(glue, EMBED_TARGETS.keys() - set(SETUPS)),
        ),
    ]


def _notes(runs: Mapping[EmbedRow, EmbedRun], tasks: Collection[str]) -> list[str]:
    """What is drawn, and what is not."""
    notes = []
    if runs:
        counts = sorted({run.config["seeds"] for run in runs.values()})
        notes.append(f"Means over {' or '.join(map(str, counts))} seed(s).")
    missing = [
        embed_label((task, encoder))
        for task in EMBED_TARGETS
        if task in tasks
        for encoder in EMBED_TARGETS[task]
        if (task, encoder) not in runs
    ]
    if missing:
        notes.append(f"Not run: {'; '.join(missing)}.")
    if any(run.remarks for run in runs.values()):
        notes.append("How runs are unlike the paper's is said in the tables.")
    return notes


def figure_trajectories(runs: Mapping[EmbedRow, EmbedRun]) -> Figure:
    """Paper A, Figures 2 and 4: two panels a task, a line an encoder; shaded: the range of seeds.

    Args:
        runs: at least one.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    tasks = list(dict.fromkeys(task for task, _ in runs))
    encoders = list(dict.fromkeys(encoder for _, encoder in runs))
    columns, blocks = min(PER_LINE, len(tasks)), math.ceil(len(tasks) / PER_LINE)
    figure = Figure(figsize=(2.7 * columns + 1.4, 4.4 * blocks), layout="constrained")
    axes = figure.subplots(2 * blocks, columns, squeeze=False)
    for ax in axes.flat[:]:
        ax.set_visible(False)
    for place, task in enumerate(tasks):
        block, column = divmod(place, PER_LINE)
        pair = axes[2 * block, column], axes[2 * block + 1, column]
        for (name, encoder), run in runs.items():
            if name != task:
                continue
            steps, values = by_step(run.metrics)
            drawn = values["silhouette"], log_normalised(values["isoscore"])
            colour = f"C{encoders.index(encoder)}"
            for ax, value in zip(pair, drawn, strict=True):
                ax.plot(steps, value.mean(axis=1), color=colour)
                ends = value.min(axis=1), value.max(axis=1)
                ax.fill_between(steps, *ends, color=colour, alpha=0.25, lw=0)
        labels = "Silhouette", "Log-norm. IsoScore"
        for ax, label in zip(pair, labels, strict=True):
            ax.set_visible(True)
            ax.grid(alpha=0.3)
            if column == 0:
                ax.set_ylabel(label)
        pair[0].set_title(task)
        pair[1].set_xlabel("Updates")
    marks = [Line2D([], [], color=f"C{i}") for i in range(len(encoders))]
    figure.legend(marks, encoders, loc="outside right center", frameon=False)
    return figure


def figure_relationships(runs: Mapping[EmbedRow, EmbedRun]) -> Figure:
    """Paper A, Figure 3: silhouette against IsoScore, both averaged over seeds, a panel a task.

    Args:
        runs: at least one.
    """
    from matplotlib.figure import Figure

    columns, lines = min(2, len(runs)), math.ceil(len(runs) / 2)
    figure = Figure(figsize=(4 * columns + 1, 3.2 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    last = max(max(run.metrics["step"]) for run in runs.values())
    points = None
    for ax, ((task, encoder), run) in zip(axes.flat, runs.items(), strict=False):
        steps, values = by_step(run.metrics)
        isoscore, silhouette = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
        ax.plot(isoscore, silhouette, color="0.7", lw=1, zorder=1)
        points = ax.scatter(isoscore, silhouette, c=steps, s=8, vmin=0, vmax=last, zorder=2)
        ax.set(xlabel="IsoScore", ylabel="Silhouette", title=f"{task}, {encoder}")
        ax.grid(alpha=0.3)
    assert points is not None
    figure.colorbar(points, ax=axes, label="Updates")
    return figure
