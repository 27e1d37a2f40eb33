from __future__ import annotations

import numpy as np

from jaxiso.embed.figures import figure_across_training, figure_frontier, figure_relationship

METRICS = {
    "seed": [0, 0, 0, 0],
    "step": [0, 0, 1, 1],
    "isotropy": [0.0, float(np.float32(0.1))] * 2,
    "isoscore": [0.5, 0.5, 0.1, 0.2],
    "silhouette": [0.0, 0.0, 0.4, 0.3],
    "accuracy": [0.5, 0.5, 1.0, 0.9],
}


def test_frontier_shows_every_weight():
    figure = figure_frontier(METRICS, "a$_$b")
    _, labels = figure.axes[1].get_legend_handles_labels()
    assert labels == ["λ = 0", "λ = 0.1"]
    points = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    np.testing.assert_allclose(points, [[0.1, 0.4], [0.2, 0.3]])


def test_panels_show_the_mean_over_seeds():
    table = {**METRICS, "seed": [0, 1, 0, 1]}
    figure = figure_across_training(table, "a$_$b [red]")
    silhouette, raw, isoscore = (np.asarray(ax.lines[0].get_ydata()) for ax in figure.axes)
    np.testing.assert_allclose(silhouette, [0, 0.35])
    np.testing.assert_allclose(raw, [0.5, 0.15])
    assert np.max(isoscore) == 1 and np.min(isoscore) < 0.5
    assert figure.get_suptitle() == "a$_$b [red]"
    line = figure_relationship(table, "").axes[0].lines[0]
    np.testing.assert_allclose(np.asarray(line.get_xydata()), [[0.5, 0], [0.15, 0.35]])


def test_what_collapsed_labels_leave_room_for_is_drawn():
    table = {**METRICS, "seed": [0, 1, 0, 1]}
    level = figure_across_training(table, "", 0.127).axes[1].lines[1].get_ydata()
    place = figure_relationship(table, "", 0.127).axes[0].lines[1].get_xdata()
    assert np.asarray(level).tolist() == np.asarray(place).tolist() == [0.127, 0.127]
    assert len(figure_relationship(table, "", 0.0).axes[0].lines) == 1  # of two labels: at the edge


def test_runs_that_diverged_can_be_drawn(tmp_path):
    nan = float("nan")
    for start in (0.5, nan):
        table = METRICS | {
            name: [start, start, nan, nan] for name in ("isoscore", "silhouette", "accuracy")
        }
        for draw in (figure_across_training, figure_relationship, figure_frontier):
            draw(table, "").savefig(tmp_path / "figure.png", dpi=30)
