"""The figure of `python -m jaxiso.score`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxiso.cli.figures import save_figure
from jaxiso.data.rows import ArrayRows
from jaxiso.score.figures import LABELS, PAIRS, Drawn, figure_scores, to_draw
from jaxiso.score.pairs import Silhouettes
from jaxiso.score.values import Scores

RANDOM = np.random.default_rng(0)


def drawn(name: str, labels: int) -> Drawn:
    names = tuple(f"label {i}" for i in range(labels)) or None
    codes, counts = np.repeat(np.arange(labels), 4), np.full(labels, 4)
    of = Silhouettes(RANDOM.uniform(-1, 1, 4 * labels), codes, counts) if labels else None
    scores = Scores(Path(name), 4 * labels, 3, names, {}, {}, of)
    return Drawn(scores, np.array([2.0, 1, 1e-15]), RANDOM.uniform(0, 1, 50))


def test_files_over_each_other(tmp_path):
    figure = figure_scores([drawn("_a$b.npy", 3), drawn("b.npy", 0)])
    variances, cosines, silhouettes = figure.axes
    lines = [np.asarray(line.get_ydata()) for line in variances.lines]
    for line in filter(len, lines):  # the legend's are empty
        np.testing.assert_allclose(line, [2 / 3, 1 / 3])  # no rounding errors
    legend = variances.get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert [text.strip("\u200b").replace("\\", "") for text in texts] == ["_a$b.npy", "b.npy"]
    assert len(cosines.lines) == 2 and cosines.get_xticks().tolist() == [-1, -0.5, 0, 0.5, 1]
    figure.draw_without_rendering()
    assert {text.get_text() for text in variances.get_xticklabels(minor=True)} <= {""}
    ticks = [text.get_text() for text in silhouettes.get_yticklabels()]
    assert ticks == ["label 0", "label 1", "label 2"]
    saved = save_figure(figure, tmp_path / "figure")
    assert [path.suffix for path in saved] == [".png", ".pdf"]


def test_without_labels():
    assert len(figure_scores([drawn("a.npy", 0)]).axes) == 2


def test_largest_labels_only():
    file = drawn("a.npy", LABELS + 5)
    assert file.scores.silhouettes is not None
    codes = np.sort(np.append(file.scores.silhouettes.codes, LABELS + 4))
    of = Silhouettes(np.zeros(codes.shape), codes, np.bincount(codes))
    ax = figure_scores([file._replace(scores=file.scores._replace(silhouettes=of))]).axes[2]
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert len(ticks) == LABELS and ticks[-1] == f"label {LABELS + 4}"
    assert ax.get_title() == "By label, 25 largest of 30"


def test_what_is_drawn():
    x = RANDOM.normal(size=(250, 4)).astype(np.float32)
    scores = drawn("a.npy", 0).scores._replace(eigenvalues=np.array([2.0, 1]))
    found = to_draw(scores, ArrayRows(x), seed=3)
    assert len(found.cosines) == PAIRS and found.variances.tolist() == [2, 1]
    assert len(to_draw(scores, ArrayRows(x[:9]), seed=3).cosines) == 36


def test_names_that_are_no_text(tmp_path):
    saved = save_figure(figure_scores([drawn("v\udcff.npy", 0)]), tmp_path / "figure")
    assert all(path.stat().st_size > 1000 for path in saved)
