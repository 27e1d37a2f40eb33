"""The benchmark of the metrics: the silhouette and IsoScore on random normal clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from sklearn.metrics import silhouette_score as sklearn_silhouette

from jaxiso.bench.measure import Call, Contest
from jaxiso.bench.options import Options
from jaxiso.metrics.arithmetic import dot
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.ring import all_pairs
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.metrics.tiles import tile_size

PRODUCTS = "silhouette, its limit"
PEERS = {
    "silhouette": "scikit-learn",
    PRODUCTS: "its matrix products alone",
    "IsoScore": "seven steps, NumPy",
}
"""Each metric, and what it is compared with."""


def contests(options: Options) -> Iterator[Contest]:
    """Each metric beside its peer, on the same points."""
    points, labels = make_data(options)
    for metric, peer in PEERS.items():
        calls = {by: call(metric, by, points, labels) for by in ("jaxiso", "peer")}
        work = {"limit": True} if metric == PRODUCTS else {}
        yield Contest(metric, calls, {"jaxiso": "jaxiso", "peer": peer}, work)


def make_data(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Normal clusters that overlap, in float32, with labels in random order."""
    random = np.random.default_rng(options.seed)
    labels = random.permutation(np.arange(options.points) % options.clusters)
    centres = random.normal(size=(options.clusters, options.dim)).astype(np.float32)
    points = random.standard_normal((options.points, options.dim), np.float32)
    return points + centres[labels], labels


def call(metric: str, by: str, points: np.ndarray, labels: np.ndarray) -> Call:
    """A metric of the points by jaxiso or by its peer, as a user calls it."""
    function = functions(metric, labels)[by]
    return lambda: float(function(points))


def functions(metric: str, labels: np.ndarray) -> dict[str, Callable]:
    """A metric of points, by jaxiso and by its peer."""
    if metric == "IsoScore":
        return {"jaxiso": isoscore, "peer": seven_steps}
    ours = partial(silhouette_score, labels=labels)
    if metric == PRODUCTS:
        return {"jaxiso": ours, "peer": partial(products, tile=tile_size(len(labels)))}
    return {"jaxiso": ours, "peer": partial(sklearn_silhouette, labels=labels)}


@partial(jax.jit, static_argnames="tile")
def products(points: Array, tile: int) -> Array:
    """The matrix products that an exact silhouette cannot do without: each pair of tiles once."""
    n, d = points.shape
    tiles = jnp.pad(points, ((0, -n % tile), (0, 0))).reshape(-1, tile, d)
    used = jnp.int32(len(tiles))

    def block(a, b, _):
        product = dot(a, b.T)
        return product, product.T

    def update(total, number, a, b, product):
        return total + product

    total = all_pairs(tiles, used, block, update, jnp.zeros((tile, tile)), once=True)
    return jnp.sum(total)


def seven_steps(points: np.ndarray) -> float:
    """IsoScore as published: Rudman et al. (2022), Algorithm 1, in float64."""
    d = points.shape[1]
    centred = points - points.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(centred, rowvar=False))
    variances = np.var(centred @ directions, axis=0, ddof=1)
    normalised = np.sqrt(d) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normalised - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float((d * used - 1) / (d - 1))


def lone_call(metric: str, by: str, options: Options) -> Call:
    """The call whose memory is measured; jaxiso's is compiled but has never run."""
    points, labels = make_data(options)
    if by == "peer":
        return call(metric, by, points, labels)
    function = jax.jit(functions(metric, labels)[by])
    compiled = function.lower(jax.ShapeDtypeStruct(points.shape, points.dtype)).compile()
    return lambda: float(compiled(points))
