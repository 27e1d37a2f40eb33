"""What is found round a ring of devices against one: run by `test_ring` in a process of its own.

A process has the devices that it starts with, and all other tests have one.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.mesh import Rows, as_auto, spread
from jaxiso.metrics.neighbours import nearest_two
from jaxiso.metrics.pairwise import distance_sums
from jaxiso.metrics.tiles import TileShape, plan_tiles

K, D, SIZE = 4, 12, 64


def cloud(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The last label has three points, which stand together, and so on one device."""
    random = np.random.default_rng(n)
    codes = random.integers(0, K - 1, n).astype(np.int32)
    codes[-3:] = K - 1
    points = (random.normal(size=(K, D))[codes] + random.normal(size=(n, D))) / 9
    return points.astype(np.float32), codes


def sums_and_slope(mesh, points, codes, weights):
    """The sums of distances by label of each point, and the gradient of their weighted sum.

    That only where there are two or three devices, which are all cases of it.
    """

    def part(real, points, codes):
        codes = Rows(real).only(codes, fill=K)
        plan = plan_tiles(codes, K, TileShape(8, K), jnp.sum(real, dtype=jnp.int32))
        return distance_sums(points, plan, "points")

    whole = jax.shard_map(part, mesh=mesh, in_specs=jax.P("points"), out_specs=jax.P("points"))

    @jax.jit
    def program(real, points, codes, weights):
        if mesh.size not in (2, 3):
            return (whole(real, points, codes),)
        sums, pull = jax.vjp(lambda points: whole(real, points, codes), points)
        return sums, pull(weights)[0]

    on_mesh = [spread(array, mesh, size=SIZE) for array in (points, codes, weights)]
    real = np.asarray(on_mesh[0].real)
    found = program(on_mesh[0].real, *(array.rows for array in on_mesh))
    return [np.asarray(rows)[real] for rows in found]


def in_double(points, codes, weights):
    """The same from all pairs, and Dunn's index."""
    apart = points[:, None].astype(np.float64) - points[None]
    distance = np.sqrt((apart**2).sum(axis=2))
    pairs = weights[:, codes] + weights[:, codes].T
    pairs = np.divide(pairs, distance, out=np.zeros_like(distance), where=distance > 0)
    same = codes[:, None] == codes[None, :]
    dunn = distance[~same].min() / distance[same].max()
    return distance @ np.eye(K)[codes], np.einsum("ij,ijd->id", pairs, apart), dunn


def main() -> None:
    """Fails with the first number that differs."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    for devices in (1, 2, 3, 5, 8):
        mesh = jax.make_mesh((devices,), ("points",))
        for n in (40, 57):
            points, codes = cloud(n)
            weights = np.random.default_rng(1).normal(size=(n, K)).astype(np.float32)
            sums, slope, dunn = in_double(points, codes, weights)
            found = sums_and_slope(as_auto(mesh), points, codes, weights)
            close = partial(np.testing.assert_allclose, err_msg=f"{devices} devices, {n} points")
            close(found[0], sums, rtol=1e-6)
            if found[1:]:
                close(found[1], slope, rtol=0, atol=1e-6 * np.abs(slope).max())
            close(dunn_index(points, codes, mesh=mesh), dunn, rtol=1e-6)
    placed = jax.device_put(cloud(40)[0], jax.NamedSharding(mesh, jax.P("points")))
    close(dunn_index(placed, cloud(40)[1], mesh=mesh), dunn_index(*cloud(40)), rtol=1e-6)
    points, codes = cloud(57)
    slope = jax.grad(lambda x: dunn_index(x, codes, mesh=mesh))(jnp.asarray(points))
    close(slope, jax.grad(dunn_index)(jnp.asarray(points), codes), rtol=1e-4, atol=1e-6)
    close(nearest_two(points, mesh=mesh), nearest_two(points), rtol=1e-6)
    print("equal")


if __name__ == "__main__":
    main()
