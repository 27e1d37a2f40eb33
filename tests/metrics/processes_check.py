"""Linear measures of points that two processes have in parts: run twice by `test_mesh`."""

from __future__ import annotations

import sys

import jax
import numpy as np

from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.isotropy import isoscore, mean_cosine
from jaxiso.metrics.mesh import spread_own


def main(address: str, process: int) -> None:
    """Fails where a measure of both parts is not that of the whole."""
    jax.distributed.initialize(address, 2, process)
    mesh = jax.make_mesh((4,), ("points",))
    random = np.random.default_rng(0)
    points, labels = random.normal(size=(41, 5)).astype(np.float32) + 1, np.arange(41) % 3
    rows = slice(0, 30) if process == 0 else slice(30, None)
    mine, codes = spread_own(points[rows], mesh), spread_own(labels[rows], mesh)
    for measure in (isoscore, effective_rank, mean_cosine):
        np.testing.assert_allclose(measure(mine), measure(points), rtol=3e-6)
    for measure in (calinski_harabasz_score, davies_bouldin_score):
        expected = measure(points, labels)
        np.testing.assert_allclose(measure(mine, codes, num_labels=3), expected, rtol=3e-6)
    # The same array in every process, an array of all of them, and one with a hole.
    np.testing.assert_allclose(isoscore(points, mesh=mesh), isoscore(points), rtol=3e-6)
    sharding = jax.NamedSharding(mesh, jax.P("points"))
    placed = jax.make_array_from_callback((40, 5), sharding, lambda index: points[:40][index])
    np.testing.assert_allclose(isoscore(placed, mesh=mesh), isoscore(points[:40]), rtol=3e-6)
    points[3, 2] = np.nan
    assert np.isnan(isoscore(spread_own(points[rows], mesh)))
    print("equal")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
