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


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def test_held_out_items_and_tracked_indices_are_drawn():
    more = {
        "test_isoscore": [0.4, 0.4, 0.3, 0.3],
        "test_silhouette": [0.1, 0.1, 0.2, 0.2],
        "test_accuracy": [0.4, 0.4, 0.6, 0.7],
        "dunn": [1.0, 1.0, 2.0, 4.0],
    }
    table = {**METRICS, **more, "seed": [0, 1, 0, 1]}
    axes = figure_across_training(table, "").axes
    labels = [ax.get_ylabel() for ax in axes]
    assert labels[:2] == ["Silhouette", "IsoScore"] and labels[3:] == ["Accuracy", "Dunn"]
    shown = {ax.get_ylabel(): np.asarray(ax.lines[-1].get_ydata()) for ax in axes}
    np.testing.assert_allclose(shown["Silhouette"], [0.1, 0.2])
    np.testing.assert_allclose(shown["Accuracy"], [0.4, 0.65])
    np.testing.assert_allclose(shown["Dunn"], [1, 3])
    assert legend(axes[0]) == ["mean of 2 seeds", "held-out items", "range of seeds"]
    held_out = figure_relationship(table, "").axes[0].lines[1]
    np.testing.assert_allclose(np.asarray(held_out.get_xydata()), [[0.4, 0.1], [0.3, 0.2]])
    frontier = figure_frontier({**METRICS, **more}, "")
    assert [ax.get_ylabel() for ax in frontier.axes] == ["Silhouette", "Accuracy", "Dunn"]
    hollow = frontier.axes[1].collections[-1].get_offsets()
    np.testing.assert_allclose(np.asarray(hollow), [[0.1, 0.6], [0.2, 0.7]])


def test_a_range_that_cannot_be_seen_has_no_legend():
    one = {name: values[::2] for name, values in METRICS.items()}
    narrow = {**METRICS, "seed": [0, 1, 0, 1], "silhouette": [0.0, 0.0, 0.4, 0.401]}
    for table in (one, narrow):
        ax = figure_across_training(table, "").axes[0]
        assert legend(ax) == [] and not ax.collections
    assert "range of seeds" in legend(figure_across_training(narrow, "").axes[1])


def test_long_titles_go_on_in_the_next_line():
    title = "rte, minilm: " + "--hidden 128 " * 10
    found = figure_relationship(METRICS, title).get_suptitle()
    assert "\n" in found and found.split() == title.split()


def test_runs_that_diverged_can_be_drawn(tmp_path):
    nan = float("nan")
    for start in (0.5, nan):
        table = METRICS | {
            name: [start, start, nan, nan] for name in ("isoscore", "silhouette", "accuracy")
        }
        for draw in (figure_across_training, figure_relationship, figure_frontier):
            draw(table, "").savefig(tmp_path / "figure.png", dpi=30)
