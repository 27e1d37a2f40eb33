"""The figure of `python -m jaxiso.score`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxiso.figures import save_figure
from jaxiso.figures_score import LABELS, Drawn, figure_scores

RANDOM = np.random.default_rng(0)


def drawn(name: str, labels: int) -> Drawn:
    codes = np.repeat(np.arange(labels), 4)
    names = tuple(f"label {i}" for i in range(labels))
    found = (RANDOM.uniform(-1, 1, 4 * labels), codes, names) if labels else (None, None, ())
    return Drawn(Path(name), np.array([2.0, 1, 1e-15]), RANDOM.uniform(0, 1, 50), *found)


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
    assert len(cosines.lines) == 2
    ticks = [text.get_text() for text in silhouettes.get_yticklabels()]
    assert ticks == ["label 0", "label 1", "label 2"]
    saved = save_figure(figure, tmp_path / "figure")
    assert [path.suffix for path in saved] == [".png", ".pdf"]


def test_without_labels():
    assert len(figure_scores([drawn("a.npy", 0)]).axes) == 2


def test_largest_labels_only():
    file = drawn("a.npy", LABELS + 5)
    codes = np.sort(np.concatenate([file.codes, [LABELS + 4]]))  # type: ignore[list-item]
    file = file._replace(codes=codes, silhouettes=np.zeros(len(codes)))
    ax = figure_scores([file]).axes[2]
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert len(ticks) == LABELS and ticks[-1] == f"label {LABELS + 4}"
    assert ax.get_title() == "By label, 25 largest of 30"
