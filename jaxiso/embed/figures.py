"""Figures of a run directory, as PNG and PDF."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxiso.cli.console import several
from jaxiso.embed.trajectory import INDICES, NAMES, Metrics, by_step, log_normalised, of_isotropy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_LINE = 3
THINNEST = 0.01
"""Of a panel's height: about the width of a line, below which a range of seeds cannot be seen."""
LOG_NORMALISED = "Log-normalised IsoScore"


def figure_across_training(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Paper A, Figure 2: silhouette and log-normalised IsoScore against the number of updates.

    Between them IsoScore as it is, which the correlations are of. Below them what else was asked
    for: the accuracy where items were held out, and the indices that were tracked. Dashed: of the
    held-out items. Shaded: from the lowest to the highest seed, where that can be seen.

    `room` is the IsoScore that collapsed labels leave room for, drawn where it is above zero.
    """
    from matplotlib.figure import Figure

    steps, values = by_step(metrics)
    values[LOG_NORMALISED] = log_normalised(values["isoscore"])
    names = ["silhouette", "isoscore", LOG_NORMALISED]
    names += ["accuracy"] * ("test_accuracy" in values)
    names += [name for name in INDICES if name in values]
    lines = -(-len(names) // PER_LINE)
    figure = Figure(figsize=(4 * PER_LINE, 3.2 * lines + 0.3), layout="constrained")
    axes = list(figure.subplots(lines, PER_LINE, squeeze=False).flat)
    for ax in axes[len(names) :]:
        ax.remove()
    for ax, name in zip(axes, names, strict=False):
        _draw_across(ax, steps, name, values)
        if name == "isoscore" and room:
            ax.axhline(room, color="C3", lw=1, ls=":", label="most of collapsed labels")
        _label(ax, least=2)
    _entitle(figure, title)
    return figure


def _draw_across(ax: Axes, steps: np.ndarray, name: str, values: Mapping[str, np.ndarray]) -> None:
    """A quantity against the number of updates: mean and range of seeds, and of held-out items."""
    value, label = values[name], NAMES.get(name, name)
    seeds = value.shape[1]
    whose = f"mean of {several(seeds, 'seed')}" if seeds > 1 else "items trained on"
    ax.plot(steps, value.mean(axis=1), color="C0", label=whose)
    if (held_out := values.get(f"test_{name}")) is not None:
        ax.plot(steps, held_out.mean(axis=1), color="C1", ls="--", label="held-out items")
    low, high = ax.get_ylim()
    ends = value.min(axis=1), value.max(axis=1)
    if np.nanmax(np.subtract(*ends[::-1]), initial=0) > THINNEST * (high - low):
        ax.fill_between(steps, *ends, color="C0", alpha=0.25, lw=0, label="range of seeds")
    ax.set(xlabel="Updates", ylabel=label, title=f"{label} across training")
    ax.grid(alpha=0.3)


def figure_relationship(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Paper A, Figure 3: silhouette against IsoScore, both averaged over seeds.

    Dashed: of held-out items.

    Metrics, title and room are as for `figure_across_training`.
    """
    from matplotlib.figure import Figure

    steps, values = by_step(metrics)
    means = {name: value.mean(axis=1) for name, value in values.items()}
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    kinds = [("", "-", "o", None)]
    if "test_silhouette" in means:
        kinds = [("", "-", "o", "items trained on"), ("test_", "--", "^", "held-out items")]
    for kind, style, marker, label in kinds:
        at = means[f"{kind}isoscore"], means[f"{kind}silhouette"]
        ax.plot(*at, color="0.7", lw=1, ls=style, zorder=1)
        ax.scatter(*at, c=steps, s=8, marker=marker, cmap="viridis", zorder=2, label=label)
    figure.colorbar(ax.collections[0], label="Updates")
    _draw_room(ax, room)
    ax.set(xlabel="IsoScore", ylabel="Silhouette")
    ax.grid(alpha=0.3)
    _label(ax)
    _entitle(figure, title)
    return figure


def figure_frontier(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Silhouette and accuracy against IsoScore at the end of training, for each weight of isotropy.

    And the indices that were tracked. Faint lines are the ways there; hollow: of held-out items, at
    the IsoScore of those trained on. All values are means over seeds.

    Metrics (with a column `isotropy`), title and room are as for `figure_across_training`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    weights = np.unique(np.asarray(metrics["isotropy"], np.float32))
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(weights)))
    names = ["silhouette", "accuracy", *(name for name in INDICES if name in metrics)]
    columns, lines = (2, 1) if len(names) == 2 else (PER_LINE, 2)
    figure = Figure(figsize=(4.5 * columns, 3.5 * lines + 0.3), layout="constrained")
    axes = list(figure.subplots(lines, columns, sharex=True, squeeze=False).flat)
    for ax in axes[len(names) :]:
        ax.remove()
    ways = [by_step(of_isotropy(metrics, float(weight)))[1] for weight in weights]
    means = [{name: value.mean(axis=1) for name, value in way.items()} for way in ways]
    for ax, name in zip(axes, names, strict=False):
        _draw_ways(ax, name, means, colours, weights)
        _draw_room(ax, room)
        ax.set(xlabel="IsoScore", ylabel=NAMES[name], title=f"{NAMES[name]} against IsoScore")
        ax.xaxis.set_tick_params(labelbottom=True)
        ax.grid(alpha=0.3)
    if np.max(metrics["isoscore"]) > 0:
        axes[0].set_xscale("log")  # scores without the term end near 0, a hundredth of the others
    _label(axes[1])
    _entitle(figure, title)
    return figure


def _draw_ways(
    ax: Axes,
    name: str,
    means: Sequence[Mapping[str, np.ndarray]],
    colours: np.ndarray,
    weights: np.ndarray,
) -> None:
    """A quantity against IsoScore, of each weight of isotropy."""
    for mean, colour, weight in zip(means, colours, weights, strict=True):
        x, y = mean["isoscore"], mean[name]
        ax.plot(x, y, color=colour, lw=0.8, alpha=0.5, zorder=1)
        ax.scatter(x[-1], y[-1], color=colour, s=36, zorder=3, label=f"λ = {weight:g}")
    lines = [(name, "o")] + [(f"test_{name}", "^")] * (f"test_{name}" in means[0])
    for of, marker in lines:
        ends = np.array([(mean["isoscore"][-1], mean[of][-1]) for mean in means]).T
        ax.plot(*ends, color="0.4", lw=1, ls="--", zorder=2)
        if of != name:
            hollow = {"facecolors": "none", "edgecolors": colours, "marker": marker}
            ax.scatter(*ends, s=36, zorder=3, label="held-out items", **hollow)


def _draw_room(ax: Axes, room: float | None) -> None:
    """A line at the largest IsoScore of labels that are a point each."""
    if room:
        ax.axvline(room, color="C3", lw=1, ls=":", label="most of collapsed labels")


def _label(ax: Axes, least: int = 1) -> None:
    """A legend, where it has so many entries: a line alone needs none."""
    if len(ax.get_legend_handles_labels()[1]) >= least:
        ax.legend(fontsize="small")


def _entitle(figure: Figure, title: str) -> None:
    """A title above all panels, on as many lines as it takes."""
    lines = textwrap.wrap(title, int(11 * figure.get_figwidth()), break_on_hyphens=False)
    figure.suptitle("\n".join(lines), parse_math=False)  # a file name may have a $ in it
