"""The figure of `python -m jaxiso.layers`: each measure by layer, the encoders over each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxiso.layers.experiment import Measured
from jaxiso.layers.measures import ADJUSTED, CONTEXT, TABLES

COLUMNS = 4
# Measures drawn in one panel with another, as a dashed line.
BESIDE = {
    "isoscore_corrected": "isoscore",
    "silhouette_cosine": "silhouette",
    **dict(zip(ADJUSTED, CONTEXT, strict=True)),
}
DASHED = {"isoscore": "dashed: corrected", "silhouette": "dashed: cosine"}


def figure_layers(found: Sequence[Measured]) -> Figure:
    """A panel a measure, layers to the right; bars are standard errors."""
    titles = {name: title for names in TABLES.values() for name, (title, _) in names.items()}
    names = [name for name in titles if name in found[0].layers[0] and name not in BESIDE]
    rows = math.ceil(len(names) / COLUMNS)
    figure = Figure(figsize=(3.4 * COLUMNS, 2.8 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, COLUMNS)).ravel()
    for ax, name in zip(axes, names, strict=False):
        for i, one in enumerate(found):
            _draw(ax, one, name, f"C{i % 10}", "-")
            for other in (other for other, where in BESIDE.items() if where == name):
                if other in one.layers[0]:
                    _draw(ax, one, other, f"C{i % 10}", "--")
        ax.set_title(titles[name], fontsize="medium")
        dashed = DASHED.get(name, "dashed: adjusted" if name in CONTEXT else "")
        ax.set_xlabel(f"Layer ({dashed})" if dashed else "Layer")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.3)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    # Not by `label=`: a name that starts with _ would be left out, and $ would be mathematics.
    for i, one in enumerate(found):
        shown = "\u200b" + one.name.replace("$", r"\$")
        axes[0].plot([], [], color=f"C{i % 10}", label=shown)
    axes[0].legend(fontsize="small")
    return figure


def _draw(ax: Axes, one: Measured, name: str, colour: str, style: str) -> None:
    values = [values[name] for values in one.layers]
    y = [math.nan if value.value is None else value.value for value in values]
    bars = [value.se or 0.0 for value in values]
    # The embedding layer of some pooling is one place, of which little is defined.
    if any(map(math.isfinite, y)):
        ax.errorbar(
            range(len(y)), y, bars, color=colour, ls=style, marker=".", lw=1.2, elinewidth=1
        )
