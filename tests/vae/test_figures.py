from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from jaxiso.cli.figures import save_figure
from jaxiso.vae.figures import (
    Classification,
    Point,
    Reconstruction,
    figure_classification,
    figure_mapper,
    figure_reconstruction,
    figure_tsne,
)
from jaxiso.vae.mapper import DensityGraph

ODD = r"$\frac$_"  # would break where it is read as mathematics


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines_of(ax: Axes, style: str):
    """Colour, x and y of each line of data."""
    return [
        (
            line.get_color(),
            np.asarray(line.get_xdata()).tolist(),
            np.asarray(line.get_ydata(), float),
        )
        for line in ax.lines
        if line.get_linestyle() == style and line.get_marker() == "o"
    ]


def bars_of(ax: Axes) -> list[np.ndarray]:
    """The two ends of each error bar, shape (points, 2)."""
    found = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [np.array([segment[:, 1] for segment in bar.get_segments()], float) for bar in found]


def row(posterior: str, target: float | None, level: float, corpus: str = "dbpedia"):
    points = (Point(level, 0.5), Point(level / 10, 0.1), Point(level / 2, 2.0))
    return Reconstruction(corpus, posterior, target, *points)


def test_reconstruction_draws_means_and_deviations():
    ours = [row("isotropic", 15, 95), row("isotropic", 5, 102), row("diagonal", 5, 101)]
    figure = figure_reconstruction(ours, paper=[row("isotropic", 5, 99), row("diagonal", 5, 98)])
    assert legend_of(figure) == ["isotropic", "diagonal", "paper"]
    assert len(figure.axes) == 3
    for ax, share, sd in zip(figure.axes, (1, 1 / 10, 1 / 2), (0.5, 0.1, 2), strict=True):
        (first, x, y), (second, _, other) = lines_of(ax, "-")
        assert (first, second) == ("C0", "C1")
        assert x == [5, 15]
        np.testing.assert_allclose(y, [102 * share, 95 * share])
        np.testing.assert_allclose(other, [101 * share])
        np.testing.assert_allclose(bars_of(ax)[0], y[:, None] + [[-sd, sd]])
        dashed = lines_of(ax, "--")
        assert [colour for colour, _, _ in dashed] == ["C0", "C1"]
        np.testing.assert_allclose(dashed[0][2], [99 * share])


def test_each_corpus_has_its_panels_and_the_papers_others_none():
    ours = [row("diagonal", 5, 100, corpus) for corpus in ("dbpedia", "yahoo")]
    figure = figure_reconstruction(ours, paper=[row("other", 5, 1, "brown")])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["dbpedia"] * 3 + ["yahoo"] * 3
    assert not any(lines_of(ax, "--") for ax in figure.axes)
    assert legend_of(figure) == ["diagonal", "paper"]


def test_a_model_without_c_is_a_level_and_one_run_has_no_bar():
    lone = Reconstruction("dbpedia", "diagonal", 5, Point(100), Point(4), Point(23))
    figure = figure_reconstruction([lone, row("none", None, 66)])
    ax = figure.axes[0]
    level = next(line for line in ax.lines if line.get_color() == "C1")
    np.testing.assert_array_equal(level.get_ydata(), [66, 66])
    np.testing.assert_array_equal(level.get_xdata(), [0, 1])  # across the whole panel
    bars = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = [np.asarray(end, float) for bar in bars for end in bar.get_segments()]
    assert not any(np.isfinite(end).any() for end in ends)
    figure.draw_without_rendering()


def test_classification_by_c_and_by_share():
    def of(posterior, target, share, accuracy):
        return Classification("dbpedia", posterior, target, share, Point(accuracy, 1.0))

    rows = [of("diagonal", c, 1.0, 80 + c) for c in (50, 5, 15)]
    rows += [of("isotropic", 15, share, 60 + 30 * share) for share in (0.1, 1.0, 0.01, 0.001)]
    rows += [Classification("yahoo", "diagonal", 15, 1.0, Point(40, None))]
    figure = figure_classification(rows)
    dbpedia, yahoo, shares = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["dbpedia", "yahoo", "dbpedia, C = 15"]
    (_, x, y), (_, x2, y2) = lines_of(dbpedia, "-")
    assert (x, x2) == ([5, 15, 50], [15])
    np.testing.assert_allclose(y, [85, 95, 130])
    np.testing.assert_allclose(y2, [90])
    assert [line[1] for line in lines_of(yahoo, "-")] == [[15]]
    (_, x, y), (_, x2, y2) = lines_of(shares, "-")
    np.testing.assert_allclose(x, [100])
    np.testing.assert_allclose(x2, [0.1, 1, 10, 100])
    np.testing.assert_allclose(y2, [60.03, 60.3, 63, 90])
    assert shares.get_xscale() == "log"
    assert [tick.get_text() for tick in shares.get_xticklabels()] == ["0.1", "1", "10", "100"]
    np.testing.assert_allclose(bars_of(shares)[1], y2[:, None] + [[-1, 1]])


def test_classification_with_all_training_data_only_is_one_row():
    figure = figure_classification([Classification("brown", "none", None, 1.0, Point(50, 1))])
    assert len(figure.axes) == 1
    assert legend_of(figure) == ["none"]


@pytest.mark.parametrize("classes", [3, 14, 30])
def test_tsne_colours_points_by_class(classes):
    rng = np.random.default_rng(0)
    maps = {name: rng.normal(size=(40, 2)) for name in ("diagonal", "isotropic")}
    labels = rng.integers(0, classes, 40)
    names = [f"class {i}" for i in range(classes)]
    figure = figure_tsne(maps, labels, names)
    assert [ax.get_title() for ax in figure.axes] == list(maps)
    assert legend_of(figure) == names
    marks = figure.legends[0].get_lines()
    expected = np.array([to_rgba(mark.get_color()) for mark in marks])
    assert len(np.unique(expected, axis=0)) == classes
    for ax, points in zip(figure.axes, maps.values(), strict=True):
        (drawn,) = ax.collections
        np.testing.assert_array_equal(drawn.get_offsets(), points)
        np.testing.assert_allclose(np.asarray(drawn.get_facecolor()), expected[labels])


def test_tsne_without_labels_has_one_colour_and_no_legend():
    figure = figure_tsne({"none": np.eye(5, 2)}, None, ())
    assert len(figure.axes[0].collections[0].get_facecolor()) == 1 and not figure.legends


def graph_of_three() -> DensityGraph:
    lens = np.array([[0.0, 0], [2, 0], [4, 0], [10, 10], [10, 12], [5, 5]])
    return DensityGraph(
        nodes=(np.array([0, 1]), np.array([0, 1, 2]), np.array([3, 4])),
        edges=np.array([[0, 1]]),
        component=np.array([0, 0, 1]),
        components=2,
        mass=np.array([0.5, 1 / 3]),
        kept=np.array([True] * 5 + [False]),
        density=np.array([0.9, 1.0, 0.2]),
        lens=lens,
    )


def no_graph() -> DensityGraph:
    none, lens = np.zeros(0), np.zeros((6, 2))
    kept = np.ones(6, bool)
    return DensityGraph((), np.zeros((0, 2), int), np.zeros(0, int), 0, none, kept, none, lens)


def test_mapper_draws_nodes_at_the_mean_of_their_points():
    figure = figure_mapper({"diagonal": no_graph(), "isotropic": graph_of_three()})
    empty, ax, _ = figure.axes  # the third is the scale of colours
    assert empty.get_title() == "diagonal: 0 components, 0% of the points"
    assert ax.get_title() == "isotropic: 2 components, 83% of the points"
    (nodes,) = (c for c in ax.collections if isinstance(c, PathCollection))
    places = [[1, 0], [2, 0], [10, 11]]
    np.testing.assert_allclose(np.asarray(nodes.get_offsets()), places)
    area = np.asarray(nodes.get_sizes())
    np.testing.assert_allclose(area / area[1], [2 / 3, 1, 2 / 3])
    (edges,) = (c for c in ax.collections if isinstance(c, LineCollection))
    np.testing.assert_allclose(edges.get_segments(), [places[:2]])
    figure.draw_without_rendering()
    brightness = np.asarray(nodes.get_facecolor())[:, :3].sum(axis=1)
    assert brightness[1] < brightness[0] < brightness[2]
    outlines = [to_rgba("C0"), to_rgba("C0"), to_rgba("C1")]
    np.testing.assert_allclose(np.asarray(nodes.get_edgecolor()), outlines)
    np.testing.assert_allclose(np.asarray(edges.get_edgecolor()), outlines[:1])


@pytest.mark.parametrize("kind", ["reconstruction", "classification", "tsne", "mapper"])
def test_names_are_written_as_they_are(kind, tmp_path):
    figure = {
        "reconstruction": lambda: figure_reconstruction([row(ODD, 5, 1, ODD)]),
        "classification": lambda: figure_classification(
            [Classification(ODD, ODD, 5, share, Point(1)) for share in (0.1, 1)]
        ),
        "tsne": lambda: figure_tsne({ODD: np.eye(2)}, np.array([0, 1]), [f"_{ODD}", "$a$"]),
        "mapper": lambda: figure_mapper({ODD: graph_of_three()}),
    }[kind]()
    if kind == "tsne":
        assert legend_of(figure) == [f"_{ODD}", "$a$"]
    png, pdf = save_figure(figure, tmp_path / "figures" / kind)
    assert png.read_bytes().startswith(b"\x89PNG") and pdf.read_bytes().startswith(b"%PDF")
