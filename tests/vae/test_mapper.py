from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import special_ortho_group

from jaxiso.vae.mapper import DensityGraph, component_counts, density_graph, tsne


def nine_clusters(n: int = 450, d: int = 32):
    """Normal clusters at the corners of a 3 × 3 grid in the first two dimensions."""
    label = np.arange(n) % 9
    points = np.random.default_rng(0).normal(size=(n, d))
    points[:, :2] += 12 * np.stack([label // 3, label % 3], axis=1)
    return points, label


def sets_of(graph: DensityGraph):
    """Nodes and edges without their numbers."""
    nodes = [frozenset(node.tolist()) for node in graph.nodes]
    return set(nodes), {frozenset((nodes[a], nodes[b])) for a, b in graph.edges}


def test_one_normal_cloud_is_one_piece():
    graph = density_graph(np.random.default_rng(0).normal(size=(400, 32)))
    assert graph.components == 1 and graph.mass.shape == (1,)
    assert graph.mass[0] > 0.5


def test_nine_clusters_are_nine_pieces():
    points, label = nine_clusters()
    graph = density_graph(points)
    assert graph.components == 9
    labels = [set(label[node]) for node in graph.nodes]
    assert all(len(found) == 1 for found in labels)
    piece_of_label = {min(found): c for found, c in zip(labels, graph.component, strict=True)}
    assert sorted(piece_of_label.values()) == list(range(9))
    assert graph.mass.sum() == pytest.approx(len(set(np.concatenate(graph.nodes))) / len(points))
    assert (np.diff(graph.mass) <= 0).all()


def brute_force(points: np.ndarray, outside: float, cubes: int, overlap: float):
    """Steps 1 to 5 by their definitions: kept points, and the sets of nodes and of edges."""
    x = points - points.mean(axis=0)
    _, directions = np.linalg.eigh(x.T @ x)
    lens = x @ directions[:, :-3:-1]
    white = lens / lens.std(axis=0, ddof=1)
    scott = len(x) ** (-1 / 6)
    density = np.exp(-((cdist(white, white) / scott) ** 2) / 2).sum(axis=1)
    kept = np.flatnonzero(density >= np.quantile(density, outside))

    distance = cdist(x[kept], x[kept])
    near = np.median(np.sort(distance, axis=1)[:, int(np.ceil(np.log(len(kept))))])
    near += 1e-6 * np.sqrt((x**2).sum(axis=1).mean())
    low, high = lens[kept].min(axis=0), lens[kept].max(axis=0)
    step = (high - low) / cubes
    nodes = set()
    for cell in product(range(cubes), repeat=2):
        centre = low + (np.array(cell) + 0.5) * step
        inside = np.abs(lens[kept] - centre) <= step / (2 * (1 - overlap))
        left = set(np.flatnonzero(inside.all(axis=1)))
        while left:  # grow a cluster from any point, as far as near points go
            cluster, edge = set(), {left.pop()}
            while edge:
                point = edge.pop()
                cluster.add(point)
                found = {other for other in left if distance[point, other] <= near}
                left, edge = left - found, edge | found
            if len(cluster) > 1:
                nodes.add(frozenset(kept[sorted(cluster)].tolist()))
    edges = {frozenset((a, b)) for a, b in combinations(nodes, 2) if a & b}
    return kept, nodes, edges


@pytest.mark.parametrize(("outside", "cubes", "overlap"), [(0.05, 10, 0.5), (0.3, 4, 0.2)])
def test_the_graph_is_that_of_the_definitions(outside, cubes, overlap):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(250, 5)) * [3, 2, 1, 1, 1] + 4 * rng.integers(0, 2, size=(250, 1))
    graph = density_graph(points, outside=outside, least_mass=0, cubes=cubes, overlap=overlap)
    kept, nodes, edges = brute_force(points, outside, cubes, overlap)
    np.testing.assert_array_equal(np.flatnonzero(graph.kept), kept)
    assert len(graph.nodes) == len(nodes) > graph.components and len(edges) > 0
    assert sets_of(graph) == (nodes, edges)


@pytest.mark.parametrize("change", ["moved", "scaled", "moved in float32", "rotated"])
def test_only_the_shape_of_the_cloud_counts(change):
    points, _ = nine_clusters(180, 6)
    changed = {
        "moved": points + 1e4,
        "scaled": points * 1e-7,
        "moved in float32": (points.astype(np.float32) + np.float32(4)),
        "rotated": points @ special_ortho_group.rvs(6, random_state=0),
    }[change]
    first, second = density_graph(points), density_graph(changed)
    assert first.components == second.components == 9
    assert sets_of(first) == sets_of(second)
    np.testing.assert_allclose(np.abs(first.lens), np.abs(second.lens), atol=1e-5)


def test_components_below_the_least_mass_are_left_out():
    points = np.random.default_rng(0).normal(size=(400, 4))
    everything = density_graph(points, least_mass=0)
    large = everything.mass >= 0.05
    assert large.sum() == 1 < everything.components
    graph = density_graph(points)
    assert graph.components == 1 and (graph.component == 0).all()
    np.testing.assert_array_equal(graph.mass, everything.mass[large])
    np.testing.assert_array_equal(graph.kept, everything.kept)
    nodes, edges = sets_of(everything)
    expected = {
        frozenset(everything.nodes[i].tolist()) for i in np.flatnonzero(everything.component == 0)
    }
    assert sets_of(graph) == (expected, {edge for edge in edges if edge <= expected})
    assert len(nodes) > len(expected)


def test_counts_are_those_of_the_graphs_of_each_setting():
    points, _ = nine_clusters(180, 4)
    outside, radius, least = (0.0, 0.3), (0.6, 1.0), (0.0, 0.05)
    counts = component_counts(points, outside, radius, least)
    assert counts.shape == (2, 2, 2)
    assert counts[1, 1, 0] == 9 and (counts[0] >= counts[1]).all() and counts[0, 0, 0] > 9
    for (i, mass), (j, factor), (k, share) in product(*map(enumerate, (least, radius, outside))):
        graph = density_graph(points, outside=share, radius=factor, least_mass=mass)
        assert graph.components == counts[i, j, k]


def test_the_region_holds_the_densest_points():
    points = np.random.default_rng(0).normal(size=(600, 2))
    assert density_graph(points, outside=0).kept.all()
    graph = density_graph(points)
    assert graph.kept.sum() == 570
    # For a normal distribution on the plane, the density falls to 0.05 of the largest just where
    # 0.05 of the points are farther out.
    radius = np.linalg.norm(points, axis=1)
    assert radius[graph.kept].max() == pytest.approx(np.sqrt(-2 * np.log(0.05)), rel=0.15)
    assert ((graph.density > 0) & (graph.density <= 1)).all()
    centre = [radius[node].mean() for node in graph.nodes]
    assert np.corrcoef(centre, graph.density)[0, 1] < -0.8


@pytest.mark.parametrize(
    "points",
    [
        np.full((30, 3), 0.1),
        np.outer(np.linspace(0, 1, 60), [1.0, 2.0, 3.0]),
        np.linspace(0, 1, 60)[:, None],
    ],
    ids=["a place", "a line", "one dimension"],
)
def test_points_that_vary_in_fewer_than_two_directions(points):
    graph = density_graph(points)
    assert graph.components == 1 and graph.mass[0] > 0.9
    assert not graph.lens[:, 1].any()
    assert np.isfinite(tsne(points[:8], seed=0)).all()


def test_points_that_nothing_is_near_are_in_no_node():
    graph = density_graph(np.random.default_rng(0).normal(size=(4, 5)))
    assert graph.components == 0 and graph.nodes == () and graph.edges.shape == (0, 2)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((3, 2)), {}, r"at least 4 points.*\(3, 2\)"),
        (np.zeros(9), {}, r"\(9,\)"),
        (np.array([[0.0, 1], [1, 2], [3, np.nan], [0, 0]]), {}, r"points\[2, 1\] is nan"),
        (np.eye(5), {"outside": 1}, "outside of at least 0 and below 1; got 1"),
        (np.eye(5), {"least_mass": -0.1}, "least_mass.*-0.1"),
        (np.eye(5), {"radius": 0.0}, "radius above 0; got 0.0"),
        (np.eye(5), {"overlap": 1.0}, "overlap.*1.0"),
        (np.eye(5), {"cubes": 0}, "cube.*0"),
        (np.diag(np.arange(5.0)), {"outside": 0.99}, "leaves 1 of 5 points"),
    ],
)
def test_errors_name_the_value(points, options, message):
    with pytest.raises(ValueError, match=message):
        density_graph(points, **options)


def test_tsne_keeps_groups_apart_and_repeats_itself():
    rng = np.random.default_rng(0)
    group = np.arange(30) % 3
    points = rng.normal(size=(30, 8)) + 30 * np.eye(8)[group]
    found = tsne(points, seed=3)
    assert found.shape == (30, 2)
    distance = cdist(found, found)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(group[distance.argmin(axis=1)], group)
    np.testing.assert_array_equal(tsne(points[:6], seed=3), tsne(points[:6], seed=3))
