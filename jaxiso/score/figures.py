"""The figure of `python -m jaxiso.score`: variances, cosines, and silhouettes by label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from jaxiso.data.rows import Rows
from jaxiso.metrics.directions import random_cosines
from jaxiso.score.result import names_of
from jaxiso.score.values import Scores

PAIRS = 20_000
"""Pairs of vectors, for the histogram of cosines."""
SOME = 5_000
"""Vectors that they are of, drawn at random, where there are more."""
LABELS = 25
"""Labels that silhouettes are shown of."""


class Drawn(NamedTuple):
    """What is drawn of one file.

    Attributes:
        scores: what was measured.
        variances: eigenvalues of the covariance, largest first.
        cosines: of random pairs of vectors.
    """

    scores: Scores
    variances: np.ndarray
    cosines: np.ndarray


def to_draw(scores: Scores, rows: Rows, seed: int) -> Drawn:
    """Takes from a file's vectors what is drawn of them, so that they need not be kept."""
    random = np.random.default_rng([seed, 2])
    some = np.sort(random.permutation(len(rows))[:SOME])
    variances = np.zeros(0) if scores.eigenvalues is None else scores.eigenvalues
    return Drawn(scores, variances, random_cosines(rows.take(some), PAIRS, seed))


def figure_scores(files: Sequence[Drawn]) -> Figure:
    """The variances along the principal components, cosines of pairs, and silhouettes by label.

    Files are drawn over each other, a colour each.
    """
    labels = _largest_labels(files)
    panels = 3 if labels else 2
    height = max(3.4, 0.24 * len(labels) + 1)
    figure = Figure(figsize=(4.5 * panels, height), layout="constrained")
    axes = figure.subplots(1, panels)
    names = names_of([file.scores for file in files])
    for i, (name, file) in enumerate(zip(names, files, strict=True)):
        _draw_variances(axes[0], file, f"C{i % 10}")
        _draw_cosines(axes[1], file, f"C{i % 10}")
        # Not by `label=`: a name that starts with _ would be left out, and $ would be mathematics.
        axes[0].plot([], [], color=f"C{i % 10}", label="\u200b" + name.replace("$", r"\$"))
        if labels:
            _draw_silhouettes(axes[2], file, labels, f"C{i % 10}", (i + 0.5) / len(files) - 0.5)
    axes[0].set(title="Variances", xlabel="Principal component", ylabel="Share of the variance")
    axes[0].set(xscale="log", yscale="log")
    axes[0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=99))
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].xaxis.set_minor_formatter("")  # for few dimensions they would lie over each other
    axes[0].legend(loc="lower left", fontsize="small")
    axes[1].set(title="Cosines of pairs", xlabel="Cosine", ylabel="Density", xlim=(-1, 1))
    axes[1].set_xticks(np.linspace(-1, 1, 5))
    if labels:
        total = len({name for file in files for name in file.scores.labels or ()})
        which = f", {len(labels)} largest of {total:,}" if total > len(labels) else ""
        axes[2].set(title=f"By label{which}", xlabel="Silhouette: median and middle half")
        axes[2].set_yticks(range(len(labels)))
        axes[2].set_yticklabels(
            [label if len(label) <= 40 else f"{label[:37]}…" for label in labels], fontsize="small"
        )
        for text in axes[2].get_yticklabels():
            text.set_parse_math(False)
        axes[2].set_ylim(len(labels) - 0.5, -0.5)
    for ax in axes:
        ax.grid(alpha=0.3)
    return figure


def _largest_labels(files: Sequence[Drawn]) -> list[str]:
    """The labels with the most silhouettes, in label order as each first comes."""
    counts: dict[str, int] = {}
    for file in files:
        names, silhouettes = file.scores.labels, file.scores.silhouettes
        if names is not None and silhouettes is not None:
            found = np.bincount(silhouettes.codes, minlength=len(names))
            for name, count in zip(names, found.tolist(), strict=True):
                counts[name] = counts.get(name, 0) + count
    most = set(sorted(counts, key=lambda name: -counts[name])[:LABELS])
    return [name for name in counts if name in most]


def _draw_variances(ax: Axes, file: Drawn, colour: str) -> None:
    total = file.variances.sum()
    share = file.variances / (total if total > 0 else 1)
    share = share[share > 1e-12]  # the rest are rounding errors
    ax.plot(np.arange(1, len(share) + 1), share, color=colour, marker=".", markersize=3)


def _draw_cosines(ax: Axes, file: Drawn, colour: str) -> None:
    if len(file.cosines):
        bins = np.linspace(-1, 1, 81)
        density, _ = np.histogram(file.cosines.clip(-1, 1), bins, density=True)
        ax.stairs(density, bins, color=colour, fill=True, alpha=0.3)
        ax.axvline(float(file.cosines.mean()), color=colour, lw=1)


def _draw_silhouettes(ax: Axes, file: Drawn, labels: list[str], colour: str, offset: float) -> None:
    silhouettes = file.scores.silhouettes
    if silhouettes is None:
        return
    code_of = {name: code for code, name in enumerate(file.scores.labels or ())}
    for y, label in enumerate(labels):
        mine = silhouettes.values[silhouettes.codes == code_of.get(label, -1)]
        if len(mine):
            low, middle, high = np.quantile(mine, [0.25, 0.5, 0.75])
            ax.plot([low, high], [y + 0.8 * offset] * 2, color=colour, lw=2, alpha=0.5)
            ax.plot(middle, y + 0.8 * offset, "o", color=colour, markersize=4)
