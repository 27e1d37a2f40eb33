"""The figures of paper B, composed of all models that a report has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxiso.data.corpora import CORPORA
from jaxiso.experiments.papers import VAE_TARGETS
from jaxiso.figures_vae import Classification, Point, Reconstruction
from jaxiso.report_figures import Drawn
from jaxiso.report_models import Evaluated, comparable
from jaxiso.report_papers import vae_label
from jaxiso.runs import LATENTS
from jaxiso.vae_parts import FEW

Latents = dict[str, np.ndarray]
"""Arrays of a latents.npz: means, tsne and, where there are classes, labels."""
SHARES = {"accuracy": 1.0, **{f"accuracy_{share:.1%}": share for share in FEW}}


def figures_of_b(models: Sequence[Evaluated]) -> list[Drawn]:
    """Figures 1, 2 and 3 of paper B, of models that differ in posterior and C only."""
    from jaxiso.figures_vae import figure_classification, figure_reconstruction

    chosen = comparable(models)
    rows = [row for model in chosen if (row := _reconstruction(model)) is not None]
    reported = [
        Reconstruction(*row, *(Point(*found[name]) for name in ("rec", "active_units", "bleu2")))
        for row, found in VAE_TARGETS.items()
    ]
    accuracies = [row for model in chosen for row in _accuracies(model)]
    full = [row for row in accuracies if row.share == 1]
    notes = _how_unlike(chosen)
    return [
        Drawn(
            "paper_b_figure1",
            "B",
            "Figure 1: reconstruction loss, active units and BLEU-2 against C",
            figure_reconstruction(rows, reported) if rows else None,
            [*notes, "A model without C (none: an autoencoder) is a level."],
        ),
        Drawn(
            "paper_b_figure2",
            "B",
            "Figure 2: accuracy of classifiers on the posterior means, against C and against their "
            "share of the training data",
            figure_classification(accuracies) if full else None,
            [*notes, "The paper prints no numbers for this figure."],
        ),
        *_figure3(chosen, notes),
    ]


def _how_unlike(models: Sequence[Evaluated]) -> list[str]:
    """How the models of each corpus are unlike the paper's, one line a corpus."""
    notes = []
    for corpus in dict.fromkeys(model.row[0] for model in models):
        mine = [model for model in models if model.row[0] == corpus]
        differences = dict.fromkeys(line for model in mine for line in model.differences)
        if differences:
            notes.append(f"Unlike the paper's models of {corpus}: {'; '.join(differences)}.")
    return notes


def _points(model: Evaluated, names: Sequence[str]) -> list[Point] | None:
    """Means and deviations over seeds; None where one was not measured."""
    values = model.model.values
    if any(name not in values for name in names):
        return None
    return [
        Point(float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else None)
        for v in (values[name] for name in names)
    ]


def _reconstruction(model: Evaluated) -> Reconstruction | None:
    points = _points(model, ("rec", "active_units", "bleu2"))
    return None if points is None else Reconstruction(*model.row, *points)


def _accuracies(model: Evaluated) -> list[Classification]:
    return [
        Classification(*model.row, share, points[0])
        for name, share in SHARES.items()
        if (points := _points(model, (name,))) is not None
    ]


def _figure3(models: Sequence[Evaluated], notes: Sequence[str]) -> list[Drawn]:
    """t-SNE and Mapper of as many posteriors at one C as there are, dbpedia's at 15 if it has."""
    from jaxiso.experiments.mapper import density_graph
    from jaxiso.figures_vae import figure_mapper, figure_tsne

    known, why = _codes(models)
    notes = [*notes, *why]
    tsne = Drawn(
        "paper_b_figure3_tsne",
        "B",
        "Figure 3, bottom: t-SNE of the posterior means",
        None,
        notes,
    )
    mapper = Drawn(
        "paper_b_figure3_mapper",
        "B",
        "Figure 3, top: Mapper graph of the highest-density region of the posterior means",
        None,
        notes,
    )
    if not known:
        return [tsne, mapper]
    corpus, target = max(
        known, key=lambda s: (len(known[s]), s[0] == "dbpedia", -abs(s[1] - 15), s[0])
    )
    codes = known[corpus, target]
    labels = next(iter(codes.values())).get("labels")
    notes.append(f"{corpus}, C = {target:g}, test sentences of the first seed, at most 2,000.")
    maps = {posterior: latents["tsne"] for posterior, latents in codes.items()}
    graphs = {posterior: density_graph(latents["means"]) for posterior, latents in codes.items()}
    counts = [
        f"{model.row[1]} {', '.join(f'{count:g}' for count in found)}"
        for model in models
        if (model.row[0], model.row[2]) == (corpus, target)
        and (found := model.model.values.get("mapper_components"))
    ]
    counted = (
        [f"Components over all test sentences, by seed: {'; '.join(counts)}."] if counts else []
    )
    paper = "The paper finds 1 for diagonal and 9 for isotropic (dbpedia, C = 15)."
    return [
        tsne._replace(figure=figure_tsne(maps, labels, _class_names(corpus, labels))),
        mapper._replace(figure=figure_mapper(graphs), notes=[*notes, *counted, paper]),
    ]


def _codes(
    models: Sequence[Evaluated],
) -> tuple[dict[tuple[str, float], dict[str, Latents]], list[str]]:
    """The posterior means of test sentences, by corpus and C, then posterior; and what is amiss.

    Those of one corpus and C are of the same sentences.
    """
    known: dict[tuple[str, float], dict[str, Latents]] = {}
    why: list[str] = []
    for model in models:
        corpus, posterior, target = model.row
        if target is None:
            continue
        latents, unreadable = _read_latents([run.directory / LATENTS for run in model.runs])
        why += unreadable
        if latents is None:
            continue
        codes = known.setdefault((corpus, target), {})
        first = next(iter(codes.values()), latents)
        if np.array_equal(first.get("labels", ()), latents.get("labels", ())):
            codes[posterior] = latents
        else:
            why.append(f"{vae_label(model.row)} has codes of other sentences, and is left out.")
    return known, why


def _read_latents(paths: Sequence[Path]) -> tuple[Latents | None, list[str]]:
    """The first of some files of codes that can be read, and what is wrong with those before it."""
    why = []
    for path in paths:
        if not path.exists():
            continue
        try:
            with np.load(path, allow_pickle=False) as file:
                latents = {name: file[name] for name in file.files}
            n, labels = len(latents["means"]), latents.get("labels")
            if n < 4 or latents["tsne"].shape != (n, 2) or not (labels is None or len(labels) == n):
                raise ValueError(f"{n} codes, and not as many of the rest")
            return latents, why
        except Exception as error:  # a damaged zip file raises many kinds
            why.append(f"`{path.as_posix()}` cannot be read ({type(error).__name__}: {error}).")
    return None, why


def _class_names(corpus: str, labels: np.ndarray | None) -> Sequence[str]:
    if labels is None:
        return ()
    names = CORPORA[corpus].classes
    return names if int(np.max(labels)) < len(names) else [str(i) for i in range(max(labels) + 1)]
