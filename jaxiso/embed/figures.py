"""Figures of a run directory, as PNG and PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxiso.cli.console import several
from jaxiso.embed.trajectory import Metrics, by_step, log_normalised, of_isotropy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure_across_training(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Paper A, Figure 2: silhouette and log-normalised IsoScore against the number of updates.

    Between them IsoScore as it is, which the correlations are of.

    Args:
        metrics: the metrics table, see `jaxiso.runs`.
        title: named above the panels.
        room: IsoScore that collapsed labels leave room for, drawn where it is above zero.
    """
    from matplotlib.figure import Figure

    steps, values = by_step(metrics)
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    panels = (
        ("Silhouette", values["silhouette"]),
        ("IsoScore", values["isoscore"]),
        ("Log-normalised IsoScore", log_normalised(values["isoscore"])),
    )
    for ax, (label, value) in zip(axes, panels, strict=True):
        ax.plot(
            steps,
            value.mean(axis=1),
            color="C0",
            label=f"mean of {several(value.shape[1], 'seed')}",
        )
        if value.shape[1] > 1:
            low, high = value.min(axis=1), value.max(axis=1)
            ax.fill_between(steps, low, high, color="C0", alpha=0.25, lw=0, label="range of seeds")
        ax.set(xlabel="Updates", ylabel=label, title=f"{label} across training")
        ax.grid(alpha=0.3)
    axes[0].legend(loc="lower right")
    if room:
        axes[1].axhline(room, color="C3", lw=1, ls=":", label="most of collapsed labels")
        axes[1].legend(fontsize="small")
    figure.suptitle(title, parse_math=False)  # a file name may have a $ in it
    return figure


def figure_relationship(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Paper A, Figure 3: silhouette against IsoScore, both averaged over seeds.

    Args:
        metrics: the metrics table, see `jaxiso.runs`.
        title: named above the figure.
        room: IsoScore that collapsed labels leave room for, drawn where it is above zero.
    """
    from matplotlib.figure import Figure

    steps, values = by_step(metrics)
    isoscore, silhouette = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    ax.plot(isoscore, silhouette, color="0.7", lw=1, zorder=1)
    points = ax.scatter(isoscore, silhouette, c=steps, s=8, cmap="viridis", zorder=2)
    figure.colorbar(points, label="Updates")
    _draw_room(ax, room)
    ax.set(xlabel="IsoScore", ylabel="Silhouette")
    ax.set_title(title, parse_math=False)
    ax.grid(alpha=0.3)
    return figure


def figure_frontier(metrics: Metrics, title: str, room: float | None = None) -> Figure:
    """Silhouette and accuracy against IsoScore at the end of training, for each weight of isotropy.

    Faint lines are the ways there. All values are means over seeds.

    Args:
        metrics: the metrics table, with a column `isotropy`.
        title: named above the panels.
        room: IsoScore that collapsed labels leave room for, drawn where it is above zero.
    """
    import matplotlib
    from matplotlib.figure import Figure

    weights = np.unique(np.asarray(metrics["isotropy"], np.float32))
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(weights)))
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    ends: dict[str, list[float]] = {"isoscore": [], "silhouette": [], "accuracy": []}
    for weight, colour in zip(weights, colours, strict=True):
        _, values = by_step(of_isotropy(metrics, float(weight)))
        means = {name: values[name].mean(axis=1) for name in ends}
        for ax, name in zip(axes, ("silhouette", "accuracy"), strict=True):
            ax.plot(means["isoscore"], means[name], color=colour, lw=0.8, alpha=0.5, zorder=1)
            last = means["isoscore"][-1], means[name][-1]
            ax.scatter(*last, color=colour, s=36, zorder=3, label=f"λ = {weight:g}")
        for name, found in ends.items():
            found.append(means[name][-1])
    for ax, name in zip(axes, ("silhouette", "accuracy"), strict=True):
        ax.plot(ends["isoscore"], ends[name], color="0.4", lw=1, ls="--", zorder=2)
        _draw_room(ax, room)
        ax.set(xlabel="IsoScore", ylabel=name.capitalize())
        ax.set_title(f"{name.capitalize()} against IsoScore")
        ax.grid(alpha=0.3)
    if np.max(metrics["isoscore"]) > 0:
        axes[0].set_xscale("log")  # scores without the term end near 0, a hundredth of the others
    axes[1].legend(fontsize="small")
    figure.suptitle(title, parse_math=False)
    return figure


def _draw_room(ax: Axes, room: float | None) -> None:
    """A line at the largest IsoScore of labels that are a point each."""
    if room:
        ax.axvline(room, color="C3", lw=1, ls=":", label="most of collapsed labels")
        ax.legend(fontsize="small")
