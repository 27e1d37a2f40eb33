"""The figures of both papers, composed of all runs that a report has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxiso.cli.console import first_line
from jaxiso.data.known_corpora import CORPORA
from jaxiso.embed.trajectory import by_step, log_normalised
from jaxiso.manifest import verify
from jaxiso.papers import embed_targets, vae_targets
from jaxiso.report.rows import Entry, Row, comparable, label_of
from jaxiso.report.runs import path_text
from jaxiso.vae import figures as vae
from jaxiso.vae.figures import Classification, Point, Reconstruction
from jaxiso.vae.mapper import density_graph

FIGURES, SUFFIXES = "figures", (".png", ".pdf")
PER_LINE = 4
Latents = dict[str, np.ndarray]
"""Arrays of a latents.npz: means, tsne and, where there are classes, labels."""
SHARES = {"accuracy": 1.0, "accuracy_10.0%": 0.1, "accuracy_1.0%": 0.01, "accuracy_0.1%": 0.001}
FIGURE1 = ("rec", "active_units", "bleu2")


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

    def as_json(self) -> dict[str, Any]:
        """It as report.json has it."""
        files = [f"{FIGURES}/{self.name}{suffix}" for suffix in SUFFIXES] if self.figure else None
        named = {name: getattr(self, name) for name in ("name", "paper", "title", "notes")}
        return {**named, "files": files}


def figures_of_a(best: Mapping[Row, Entry]) -> list[Drawn]:
    """Figures 2, 3 and 4 of paper A, of the runs that reproduce its rows."""
    across = "silhouette, and log-normalised IsoScore, across training"
    shown = (
        (2, f"Figure 2: {across}", figure_trajectories, False),
        (3, "Figure 3: silhouette against IsoScore", figure_relationships, False),
        (4, f"Figure 4: {across}, GLUE", figure_trajectories, True),
    )
    figures = []
    for number, title, draw, glue in shown:
        rows = [row for row, target in embed_targets().items() if target.glue == glue]
        runs = {row: best[row] for row in rows if row in best}
        notes, missing = [], [label_of(row) for row in rows if row not in runs]
        if runs:
            counts = sorted({entry.seeds for entry in runs.values()})
            seeds = " or ".join(map(str, counts))
            notes.append(f"Means over {seeds} seed{'s' * (counts != [1])}.")
        if missing:
            notes.append(f"Not run: {'; '.join(missing)}.")
        if any(entry.remarks for entry in runs.values()):
            notes.append("Differences from the paper are said in the tables.")
        figure = draw(runs) if runs else None
        figures.append(Drawn(f"paper_a_figure{number}", "A", title, figure, notes))
    return figures


def figure_trajectories(runs: Mapping[Row, Entry]) -> Figure:
    """Paper A, Figures 2 and 4: two panels a task, a line an encoder; shaded: range of seeds."""
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
        for encoder in (name for of, name in runs if of == task):
            steps, values = by_step(runs[task, encoder].metrics)
            drawn = values["silhouette"], log_normalised(values["isoscore"])
            colour = f"C{encoders.index(encoder)}"
            for ax, value in zip(pair, drawn, strict=True):
                ax.plot(steps, value.mean(axis=1), color=colour)
                ends = value.min(axis=1), value.max(axis=1)
                ax.fill_between(steps, *ends, color=colour, alpha=0.25, lw=0)
        for ax, label in zip(pair, ("Silhouette", "Log-norm. IsoScore"), strict=True):
            ax.set_visible(True)
            ax.grid(alpha=0.3)
            if column == 0:
                ax.set_ylabel(label)
        pair[0].set_title(task)
        pair[1].set_xlabel("Updates")
    marks = [Line2D([], [], color=f"C{i}") for i in range(len(encoders))]
    figure.legend(marks, encoders, loc="outside right center", frameon=False)
    return figure


def figure_relationships(runs: Mapping[Row, Entry]) -> Figure:
    """Paper A, Figure 3: silhouette against IsoScore, both averaged over seeds, a panel a task."""
    columns, lines = min(2, len(runs)), math.ceil(len(runs) / 2)
    figure = Figure(figsize=(4 * columns + 1, 3.2 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    last = max(max(entry.metrics["step"]) for entry in runs.values())
    points: Any = None
    for ax, (row, entry) in zip(axes.flat, runs.items(), strict=False):
        steps, values = by_step(entry.metrics)
        isoscore, silhouette = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
        ax.plot(isoscore, silhouette, color="0.7", lw=1, zorder=1)
        points = ax.scatter(isoscore, silhouette, c=steps, s=8, vmin=0, vmax=last, zorder=2)
        ax.set(xlabel="IsoScore", ylabel="Silhouette", title=label_of(row))
        ax.grid(alpha=0.3)
    figure.colorbar(points, ax=axes, label="Updates")
    return figure


def figures_of_b(models: Sequence[Entry]) -> list[Drawn]:
    """Figures 1, 2 and 3 of paper B, of models that differ in posterior and C only."""
    chosen = comparable(models)
    rows = [Reconstruction(*m.row, **points) for m in chosen if (points := _points(m, FIGURE1))]
    reported = [
        Reconstruction(*row, **{name: found[name] for name in FIGURE1})
        for row, found in vae_targets().items()
    ]
    accuracies = [
        Classification(*model.row, share=share, accuracy=accuracy)
        for model in chosen
        for name, share in SHARES.items()
        if (accuracy := model.measured(name))
    ]
    full = any(row.share == 1 for row in accuracies)
    notes = _how_unlike(chosen)
    one = "Figure 1: reconstruction loss, active units and BLEU-2 against C"
    two = (
        "Figure 2: accuracy of classifiers on the posterior means, against C and against their "
        "share of the training data"
    )
    level = "A model without C (none: an autoencoder) is a level."
    unprinted = "The paper prints no numbers for this figure."
    figure1 = vae.figure_reconstruction(rows, reported) if rows else None
    figure2 = vae.figure_classification(accuracies) if full else None
    return [
        Drawn("paper_b_figure1", "B", one, figure1, [*notes, level]),
        Drawn("paper_b_figure2", "B", two, figure2, [*notes, unprinted]),
        *_figure3(chosen, notes),
    ]


def _how_unlike(models: Sequence[Entry]) -> list[str]:
    """How the models of each corpus differ from the paper's: all of them, then one by one."""
    notes = []
    for corpus in dict.fromkeys(model.row[0] for model in models):
        of_corpus = [model for model in models if model.row[0] == corpus]
        in_all = [d for d in of_corpus[0].differences if all(d in m.differences for m in of_corpus)]
        if in_all:
            notes.append(f"Differences from the paper's models of {corpus}: {'; '.join(in_all)}.")
        for model in of_corpus:
            if own := [line for line in model.differences if line not in in_all]:
                notes.append(f"{model.label}: {'; '.join(own)}.")
    return notes


def _points(model: Entry, names: Sequence[str]) -> dict[str, Point]:
    """Means and deviations over seeds; empty where one was not measured."""
    found = {name: point for name in names if (point := model.measured(name))}
    return found if len(found) == len(names) else {}


def _figure3(models: Sequence[Entry], notes: Sequence[str]) -> list[Drawn]:
    """t-SNE and Mapper of as many posteriors at one C as there are, dbpedia's at 15 if it has."""
    known, why = _codes(models)
    density = "Figure 3, top: Mapper graph of the highest-density region of the posterior means"
    below = "Figure 3, bottom: t-SNE of the posterior means"
    tsne = Drawn("paper_b_figure3_tsne", "B", below, None, [*notes, *why])
    mapper = tsne._replace(name="paper_b_figure3_mapper", title=density)
    if not known:
        return [tsne, mapper]
    corpus, target = max(
        known, key=lambda s: (len(known[s]), s[0] == "dbpedia", -abs(s[1] - 15), s[0])
    )
    codes = known[corpus, target]
    labels = next(iter(codes.values())).get("labels")
    maps = {posterior: latents["tsne"] for posterior, latents in codes.items()}
    graphs = {posterior: density_graph(latents["means"]) for posterior, latents in codes.items()}
    which = f"{corpus}, C = {target:g}, test sentences of the first seed, at most 2,000."
    counts = [
        f"{model.row[1]} {', '.join(f'{count:g}' for count in found)}"
        for model in models
        if (model.row[0], model.row[2]) == (corpus, target)
        and (found := model.values.get("mapper_components"))
    ]
    by_seed = [f"Components over all test sentences, by seed: {'; '.join(counts)}."] * bool(counts)
    paper = "The paper finds 1 for diagonal and 9 for isotropic (dbpedia, C = 15)."
    names: Sequence[str] = () if labels is None else CORPORA[corpus].classes
    if labels is not None and max(labels) >= len(names):
        names = [str(i) for i in range(max(labels) + 1)]
    return [
        tsne._replace(figure=vae.figure_tsne(maps, labels, names), notes=[*tsne.notes, which]),
        mapper._replace(
            figure=vae.figure_mapper(graphs), notes=[*mapper.notes, which, *by_seed, paper]
        ),
    ]


def _codes(
    models: Sequence[Entry],
) -> tuple[dict[tuple[str, float], dict[str, Latents]], list[str]]:
    """The posterior means of test sentences, by corpus and C, then posterior; and what is amiss.

    Those of one corpus and C are of the same sentences.
    """
    known: dict[tuple[str, float], dict[str, Latents]] = {}
    why: list[str] = []
    for model in models:
        corpus, posterior, target = model.row
        if target is None or (latents := _read_latents(model, why)) is None:
            continue
        codes = known.setdefault((corpus, target), {})
        first = next(iter(codes.values()), latents)
        if np.array_equal(first.get("labels", ()), latents.get("labels", ())):
            codes[posterior] = latents
        else:
            why.append(f"{model.label} has codes of other sentences, and is left out.")
    return known, why


def _read_latents(model: Entry, why: list[str]) -> Latents | None:
    """Codes of the first of a model's runs that can be read; says `why` others cannot."""
    for path in (run.latents for run in model.runs):
        if not path.exists():
            continue
        try:
            verify(path.parent, path.name)
            with np.load(path, allow_pickle=False) as file:
                latents = {name: file[name] for name in file.files}
            n, labels = len(latents["means"]), latents.get("labels")
            if n < 4 or latents["tsne"].shape != (n, 2) or not (labels is None or len(labels) == n):
                raise ValueError(f"{n} codes, and not as many of the rest")
            if not all(np.isfinite(latents[name]).all() for name in ("means", "tsne")):
                raise ValueError("its codes are not finite")
            return latents
        except Exception as error:  # a damaged zip file raises many kinds
            why.append(f"{path_text(path)} cannot be read ({first_line(error)}).")
    return None
