"""Figures 1 to 3 of paper B: the variational autoencoders of several posteriors, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxiso.cli.console import several
from jaxiso.papers import Reported
from jaxiso.vae.mapper import DensityGraph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

PANEL = 3.4  # inches


Point = Reported
"""A mean over runs, and their standard deviation where there are several."""


class Reconstruction(NamedTuple):
    """What Figure 1 shows of the models of one corpus, posterior and C.

    Attributes:
        corpus: name of the corpus, one row of panels.
        posterior: name of the posterior, one line.
        target: C, the KL aimed at, in nats; None for a model without it, as an autoencoder, which
            is drawn as a level across the panel.
        rec: reconstruction loss, in nats a sentence.
        active_units: number of active latent dimensions.
        bleu2: BLEU-2 of the reconstructed sentences, in percent.
    """

    corpus: str
    posterior: str
    target: float | None
    rec: Point
    active_units: Point
    bleu2: Point


class Classification(NamedTuple):
    """What Figure 2 shows of the probes on the models of one corpus, posterior and C.

    Attributes:
        corpus: name of the corpus, one panel.
        posterior: name of the posterior, one line.
        target: C in nats, or None, as in `Reconstruction`.
        share: of the training data that the probes see, above 0 and at most 1.
        accuracy: in percent.
    """

    corpus: str
    posterior: str
    target: float | None
    share: float
    accuracy: Point


def figure_reconstruction(
    rows: Sequence[Reconstruction], paper: Sequence[Reconstruction] = ()
) -> Figure:
    """Paper B, Figure 1: reconstruction loss, active units and BLEU-2 against C.

    Args:
        rows: our measurements, at least one.
        paper: the paper's, drawn dashed; those of a corpus that is not among ours are left out.
    """
    from matplotlib.figure import Figure

    corpora = list(dict.fromkeys(row.corpus for row in rows))
    colours = _colours(row.posterior for row in (*rows, *paper) if row.corpus in corpora)
    figure = Figure(figsize=(3 * PANEL, 0.9 * PANEL * len(corpora)), layout="constrained")
    panels = (("rec", "Rec. (nats)"), ("active_units", "Active units"), ("bleu2", "BLEU-2 (%)"))
    for corpus, axes in zip(corpora, figure.subplots(len(corpora), 3, squeeze=False), strict=True):
        for ax, (name, label) in zip(axes, panels, strict=True):
            for source, style in ((rows, "-"), (paper, "--")):
                points = [
                    (row.posterior, row.target, getattr(row, name))
                    for row in source
                    if row.corpus == corpus
                ]
                _draw_lines(ax, points, colours, style)
            ax.set(xlabel="C (nats)", ylabel=label)
            if name == "active_units":  # a count
                ax.yaxis.get_major_locator().set_params(integer=True)
            ax.set_title(corpus, parse_math=False)
    _label_lines(figure, colours, paper=bool(paper))
    return figure


def figure_classification(rows: Sequence[Classification]) -> Figure:
    """Paper B, Figure 2: accuracy of probes against C, and against the training data they see.

    The upper panels show what probes reach with all training data, one panel a corpus; the lower
    ones, every corpus and C that has rows with less. (The paper prints no numbers for this figure.)
    """
    from matplotlib.figure import Figure

    corpora = list(dict.fromkeys(row.corpus for row in rows))
    settings = list(dict.fromkeys((row.corpus, row.target) for row in rows if row.share < 1))
    colours = _colours(row.posterior for row in rows)
    lines, columns = 1 + bool(settings), max(len(corpora), len(settings))
    figure = Figure(figsize=(1.3 * PANEL * columns, PANEL * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for ax, corpus in zip_longest(axes[0], corpora):
        if corpus is None:
            ax.remove()
            continue
        full = [row for row in rows if row.corpus == corpus and row.share == 1]
        _draw_lines(ax, [(r.posterior, r.target, r.accuracy) for r in full], colours)
        ax.set(xlabel="C (nats)", ylabel="Accuracy (%)")
        ax.set_title(corpus, parse_math=False)
    for ax, setting in zip_longest(axes[1:].flat, settings):
        if setting is None:
            ax.remove()
            continue
        some = [row for row in rows if (row.corpus, row.target) == setting]
        _draw_lines(ax, [(r.posterior, 100 * r.share, r.accuracy) for r in some], colours)
        ax.set(xlabel="Share of the training data (%)", ylabel="Accuracy (%)", xscale="log")
        shares = sorted({100 * row.share for row in some})
        ax.set_xticks(shares, [f"{share:g}" for share in shares])
        ax.minorticks_off()
        corpus, target = setting
        ax.set_title(corpus if target is None else f"{corpus}, C = {target:g}", parse_math=False)
    _label_lines(figure, colours)
    return figure


def figure_tsne(
    embeddings: Mapping[str, np.ndarray], labels: np.ndarray | None, classes: Sequence[str]
) -> Figure:
    """Paper B, Figure 3, bottom: t-SNE maps of the posterior means, coloured by class.

    Args:
        embeddings: the map of each posterior, shape (n, 2), all of the same n items.
        labels: class of each item, a place in `classes`, shape (n,); None: one colour for all.
        classes: names of the classes.
    """
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    figure, axes = _panels(len(embeddings))
    scale = colormaps["tab10" if len(classes) <= 10 else "tab20" if len(classes) <= 20 else "turbo"]
    # The first colours of a list of them, or steps along a scale that has no gaps.
    steps = np.arange(len(classes)) if scale.N <= 20 else np.linspace(0, 1, len(classes))
    colours = scale(steps)
    for ax, (name, points) in zip(axes, embeddings.items(), strict=True):
        colour = "C0" if labels is None else colours[np.asarray(labels)]
        # Rasterised: a PDF of ten thousand marks is slow to open.
        ax.scatter(*np.asarray(points).T, c=colour, s=4, lw=0, rasterized=True)
        ax.set_title(name, parse_math=False)
    if labels is not None:
        marks = [Line2D([], [], color=colour, marker="o", lw=0) for colour in colours]
        _legend(figure, marks, classes)
    return figure


def figure_mapper(graphs: Mapping[str, DensityGraph]) -> Figure:
    """Paper B, Figure 3, top: Mapper graphs of the highest-density regions of the posterior means.

    A node stands at the mean of its points' lens coordinates; its area is proportional to their
    number, and the denser it is the darker. Outlines and edges are coloured by component, since
    components that are apart in all dimensions may overlap in the lens.
    """
    from matplotlib.collections import LineCollection

    figure, axes = _panels(len(graphs))
    for ax, (name, graph) in zip(axes, graphs.items(), strict=True):
        places = np.array([graph.lens[node].mean(axis=0) for node in graph.nodes]).reshape(-1, 2)
        counts = np.array([len(node) for node in graph.nodes])
        outlines = [f"C{component}" for component in graph.component]
        colours = [outlines[node] for node, _ in graph.edges]
        links = LineCollection(list(places[graph.edges]), colors=colours, lw=0.7, zorder=1)
        ax.add_collection(links)
        nodes = ax.scatter(
            *places.T,
            s=250 * counts / counts.max(initial=1),
            c=graph.density,
            cmap="Greys",
            vmin=0,
            vmax=1,
            edgecolors=outlines,
            lw=0.8,
            zorder=2,
        )
        found = several(graph.components, "component")
        ax.set_title(f"{name}: {found}, {graph.mass.sum():.0%} of the points", parse_math=False)
        ax.set_aspect("equal", "datalim")
        if ax is axes[-1]:
            figure.colorbar(nodes, ax=axes, label="Density, relative to the largest")
    return figure


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of square panels without scales: neither map has a unit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.3 * PANEL * count + 1.5, 1.3 * PANEL), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    return figure, list(axes)


def _draw_lines(
    ax: Axes,
    points: Sequence[tuple[str, float | None, Point]],
    colours: Mapping[str, str],
    style: str = "-",
) -> None:
    """A line for each posterior, with error bars; points without an x as levels."""
    looks: dict[str, Any] = {"ls": style, "alpha": 1 if style == "-" else 0.6}
    for posterior, colour in colours.items():
        mine = [(x, point) for name, x, point in points if name == posterior]
        marked = sorted(((x, p) for x, p in mine if x is not None), key=lambda pair: pair[0])
        if marked:
            x, line = zip(*marked, strict=True)
            mean, sd = zip(*line, strict=True)
            bars = [np.nan if s is None else s for s in sd]
            ax.errorbar(x, mean, yerr=bars, color=colour, marker="o", ms=3, capsize=3, **looks)
        for x, (mean, sd) in mine:
            if x is None:
                ax.axhline(mean, color=colour, lw=1, **looks)
                if sd is not None:
                    ax.axhspan(mean - sd, mean + sd, color=colour, alpha=0.15, lw=0)
    ax.grid(alpha=0.3)


def _colours(posteriors: Iterable[str]) -> dict[str, str]:
    return {name: f"C{i}" for i, name in enumerate(dict.fromkeys(posteriors))}


def _label_lines(figure: Figure, colours: Mapping[str, str], *, paper: bool = False) -> None:
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], color=colour, marker="o", ms=3) for colour in colours.values()]
    labels = list(colours)
    if paper:
        marks.append(Line2D([], [], color="0.4", ls="--", marker="o", ms=3, alpha=0.6))
        labels.append("paper")
    _legend(figure, marks, labels)


def _legend(figure: Figure, marks: Sequence[Line2D], labels: Sequence[str]) -> None:
    legend = figure.legend(list(marks), list(labels), loc="outside right center", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # the names are data: they may have a $ in them
