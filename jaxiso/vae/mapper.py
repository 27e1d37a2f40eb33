"""Figure 3 of paper B: the pieces that a cloud of points falls into, and its t-SNE map.

"On the Effect of Isotropy on VAE Representations of Text", Section 3.4, draws the highest-density
region of the posterior means with Mapper, which covers it with small overlapping sets and joins
those that share points. Its pieces are the connected components of that graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

LEAST_SAMPLES = 2
"""The smallest number of points in a node (paper B, Section 3.4)."""

# Lengths relative to the cloud's size below which there is nothing but rounding: float32's.
NEGLIGIBLE = 1e-6


class DensityGraph(NamedTuple):
    """The Mapper graph of the highest-density region of n points.

    Attributes:
        nodes: the points of each node, as increasing row numbers.
        edges: pairs of nodes that share points, smaller number first, shape (edges, 2).
        component: the connected component of each node, shape (nodes,); 0 has the most points.
        components: how many there are.
        mass: share of all n points in each component, shape (components,), decreasing.
        kept: whether a point is in the highest-density region, shape (n,).
        density: mean over each node's points of the density, relative to that of the densest of
            all points; shape (nodes,).
        lens: the first two principal components of the points, in units of the root mean square
            distance from their mean; shape (n, 2).
    """

    nodes: tuple[np.ndarray, ...]
    edges: np.ndarray
    component: np.ndarray
    components: int
    mass: np.ndarray
    kept: np.ndarray
    density: np.ndarray
    lens: np.ndarray


def density_graph(
    points: ArrayLike,
    *,
    outside: float = 0.05,
    least_mass: float = 0.05,
    radius: float = 1.0,
    cubes: int = 10,
    overlap: float = 0.5,
) -> DensityGraph:
    """The Mapper graph of the densest part of a cloud, and the number of its components.

    The paper names Mapper, highest-density regions and "above a threshold probability mass (≥ 0.05
    with minimum samples ≥ 2 per latent space)", and leaves the rest open. What is done here:

    1. Lens: the first two principal components.
    2. Density: a Gaussian kernel estimate on the lens, with Scott's bandwidth and the kernel
       shaped as the lens's covariance. In all d dimensions thousands of points would not suffice.
    3. Highest-density region, by Hyndman's definition: the smallest region that holds a share
       1 - `outside` of the points, so those whose density is at least the `outside`-quantile of
       the densities. (For a normal distribution on the plane this is the same as asking for a
       density of at least `outside` times the largest.)
    4. Cover: `cubes` × `cubes` rectangles over the region's lens. `cubes` and `overlap` are
       Kepler Mapper's own defaults.
    5. Nodes: the points of each rectangle, clustered in all d dimensions by DBSCAN with a minimum
       of 2 points and as radius (times `radius`) the median distance of the region's m points from
       their ⌈ln m⌉-th nearest neighbour: about ln m neighbours hold random points together.
    6. Components: those that hold at least `least_mass` of all points; the nodes of smaller ones
       are left out. The paper's threshold is read so, as the mass of each "latent space", since
       every sample has pairs of stragglers at its edge, which are nodes of their own: without a
       least mass, 5000 points of one normal distribution in 32 dimensions are 30 components.

    Moving, scaling or rotating all points alike changes none of this but by rounding. A sample of
    less than some 200 points may fall into pieces by chance. Takes O(n²·d) time.

    Args:
        points: one point a row, shape (n, d), n at least 4.
        outside: share of the points, the least dense, outside of the region; Hyndman's α.
        least_mass: smallest share of all points that a component holds. 0: count all of them.
        radius: factor of DBSCAN's radius; with a smaller one clouds fall apart.
        cubes: number of intervals along each axis of the lens.
        overlap: share of an interval that it has in common with the next.

    Returns:
        The graph. Points that nothing is near enough to are in none of its nodes.

    Raises ValueError: not a 2-d array of at least 4 points, a NaN or an infinite value, or an
    argument outside of its range.

    Reference: Singh, Mémoli and Carlsson (2007), "Topological Methods for the Analysis of High
    Dimensional Data Sets and 3D Object Recognition"; Hyndman (1996), "Computing and Graphing
    Highest Density Regions".
    """
    for name, value in (("outside", outside), ("least_mass", least_mass)):
        if not 0 <= value < 1:
            raise ValueError(f"Expected {name} of at least 0 and below 1; got {value}.")
    if not 0 < radius < np.inf:
        raise ValueError(f"Expected a finite radius above 0; got {radius}.")
    if cubes < 1 or not 0 < overlap < 1:
        raise ValueError(
            "Expected at least 1 cube, and an overlap above 0 and below 1; got "
            f"{cubes} and {overlap}."
        )
    with threadpool_limits(1):  # the threads of small products would wait for each other
        x = _standardised(points)
        lens = _principal_components(x)
        density = _relative_density(lens)
        kept = density >= np.quantile(density, outside)
        region = np.flatnonzero(kept)
        if len(region) < LEAST_SAMPLES:
            raise ValueError(f"outside={outside} leaves 1 of {len(x)} points; lower it.")
        nodes, edges = _cover(x[region], lens[region], radius, cubes, overlap)
    nodes = [region[node] for node in nodes]
    component, mass = _components(nodes, edges, len(x))

    large = mass[component] >= least_mass
    number = np.cumsum(large) - 1  # of each node, among those that stay
    edges = number[edges[large[edges].all(axis=1)]]
    nodes = tuple(node for node, stays in zip(nodes, large, strict=True) if stays)
    mass = mass[mass >= least_mass]
    return DensityGraph(
        nodes=nodes,
        edges=edges,
        component=component[large],
        components=len(mass),
        mass=mass,
        kept=kept,
        density=np.array([density[node].mean() for node in nodes]),
        lens=lens,
    )


def component_counts(
    points: ArrayLike,
    outside: Sequence[float],
    radius: Sequence[float],
    least_mass: Sequence[float] = (0.05,),
) -> np.ndarray:
    """The numbers of components that `density_graph` finds under several settings of its own.

    Paper B counts 9 with the isotropic posterior and 1 with the diagonal one, and does not say with
    which settings. Takes as long as a graph for each radius and share outside.

    Returns:
        Shape (least masses, radii, shares outside).

    Raises ValueError: as `density_graph`.
    """
    counts = np.zeros((len(least_mass), len(radius), len(outside)), np.int64)
    for row, factor in enumerate(radius):
        for column, share in enumerate(outside):
            mass = density_graph(points, outside=share, radius=factor, least_mass=0).mass
            counts[:, row, column] = [(mass >= least).sum() for least in least_mass]
    return counts


def tsne(points: ArrayLike, seed: int) -> np.ndarray:
    """A t-SNE map of points on the plane, from their principal components.

    Perplexity 30, or a third of the points where there are fewer than 90; the rest is
    scikit-learn's. Distances between far groups, and the sizes of groups, mean little in it.

    Args:
        points: one point a row, shape (n, d), n at least 4.
        seed: of the random numbers.

    Returns:
        Shape (n, 2), float32.

    Raises ValueError: not a 2-d array of at least 4 points, a NaN or an infinite value.

    Reference: van der Maaten and Hinton (2008), "Visualizing Data using t-SNE".
    """
    from sklearn.manifold import TSNE

    x = _standardised(points)
    start = _principal_components(x)
    start *= 1e-4 / (start[:, 0].std() or 1)  # small, so that the start does not decide
    perplexity = min(30.0, len(x) / 3)
    return TSNE(
        perplexity=perplexity,
        init=start,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    ).fit_transform(x)


def _standardised(points: ArrayLike) -> np.ndarray:
    """Points in double precision, about their mean, with a mean square length of 1 (or all 0)."""
    x = np.asarray(points, np.float64)
    if x.ndim != 2 or len(x) < 4 or x.shape[1] < 1:
        raise ValueError(f"Expected at least 4 points, one a row; got an array of shape {x.shape}.")
    if not np.isfinite(x).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(
            f"Input contains NaN or infinity: points[{row}, {column}] is {x[row, column]}."
        )
    x = x - x[0]  # points in one place become zeros, not rounding errors
    x = x - x.mean(axis=0)
    size = np.sqrt((x**2).sum(axis=1).mean())
    return x / size if size > 0 else x


def _principal_components(x: np.ndarray) -> np.ndarray:
    """The first two, shape (n, 2); zeros for a direction in which the points do not vary."""
    left, size, directions = np.linalg.svd(x, full_matrices=False)
    lens = np.zeros((len(x), 2))
    for axis in range(min(2, x.shape[1])):
        if size[axis] > NEGLIGIBLE * np.sqrt(len(x)):
            # Either direction would do; always the same one keeps the figure from flipping.
            sign = np.sign(directions[axis][np.argmax(np.abs(directions[axis]))])
            lens[:, axis] = sign * left[:, axis] * size[axis]
    return lens


def _relative_density(lens: np.ndarray) -> np.ndarray:
    """The density at each point over the largest one, shape (n,)."""
    from scipy.stats import gaussian_kde

    varied = lens[:, lens.any(axis=0)]
    if not varied.size:
        return np.ones(len(lens))
    density = gaussian_kde(varied.T, bw_method="scott")(varied.T)
    return density / density.max()


def _cover(
    x: np.ndarray, lens: np.ndarray, radius: float, cubes: int, overlap: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Steps 4 and 5 of `density_graph`: the points of each node, and the pairs that share some."""
    from kmapper import Cover, KeplerMapper
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    neighbour = min(len(x) - 1, int(np.ceil(np.log(len(x)))))
    distances = NearestNeighbors(n_neighbors=neighbour).fit(x).kneighbors()[0][:, -1]
    # The margin keeps two points at this very distance, or in one place, together however rounded.
    eps = radius * np.median(distances) + NEGLIGIBLE
    clusterer = DBSCAN(eps=eps, min_samples=LEAST_SAMPLES)
    # One interval spans an axis along which nothing varies.
    intervals = np.where(np.ptp(lens, axis=0) > 0, cubes, 1)
    cover = Cover(intervals, overlap)  # pyright: ignore[reportArgumentType]
    graph = KeplerMapper(verbose=0).map(
        lens, x, clusterer=clusterer, cover=cover, remove_duplicate_nodes=True
    )
    number = {name: i for i, name in enumerate(graph["nodes"])}
    links = [sorted((number[a], number[b])) for a, met in graph["links"].items() for b in met]
    nodes = [np.sort(np.array(node)) for node in graph["nodes"].values()]
    return nodes, np.array(sorted(links), np.int64).reshape(-1, 2)


def _components(
    nodes: list[np.ndarray], edges: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The component of each node, and each component's share of n points, largest first."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not nodes:
        return np.zeros(0, np.int64), np.zeros(0)
    links = csr_array((np.ones(len(edges)), tuple(edges.T)), shape=(len(nodes), len(nodes)))
    count, found = connected_components(links, directed=False)
    points = np.zeros(count, np.int64)
    for component in range(count):
        members = [node for node, of in zip(nodes, found, strict=True) if of == component]
        points[component] = len(np.unique(np.concatenate(members)))
    order = np.argsort(-points, kind="stable")
    return np.argsort(order)[found], points[order] / n
