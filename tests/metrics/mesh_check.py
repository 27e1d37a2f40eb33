"""Every linear measure on several devices against one: run by `test_mesh` in a process of its own.

A process has the devices that it starts with, and all other tests have one.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank, participation_ratio
from jaxiso.metrics.directions import isotropy_score, mean_cosine
from jaxiso.metrics.isotropy import isoscore, isoscore_star
from jaxiso.metrics.silhouette import (
    sampled_silhouette,
    silhouette_samples,
    silhouette_score,
    simplified_silhouette_score,
)

K, D = 4, 5
FREE = [
    isoscore,
    partial(isoscore, corrected=True),
    participation_ratio,
    effective_rank,
    mean_cosine,
    isotropy_score,
    partial(isoscore_star, reference_covariance=np.diag(np.arange(1.0, D + 1))),
]
SILHOUETTES = [
    silhouette_score,
    partial(silhouette_score, metric="cosine"),
    partial(simplified_silhouette_score, average="macro"),
]
LABELLED = [calinski_harabasz_score, davies_bouldin_score, *SILHOUETTES]


def cloud(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The last label has three points, which stand together, and so on one device."""
    random = np.random.default_rng(0)
    labels = random.integers(0, K - 1, n)
    labels[-3:] = K - 1
    points = 3 * random.normal(size=(K, D))[labels] + random.normal(size=(n, D)) + 1
    return (points * np.linspace(0.2, 0.5, D)).astype(np.float32), labels


def close(found, expected, what) -> None:
    """To 1e-6, or to what float32 holds of larger numbers."""
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6, err_msg=str(what))


def main() -> None:
    """Fails with the first measure that differs."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    clouds = {n: cloud(n) for n in (120, 121)}
    for measure in FREE + LABELLED:
        arguments = {n: (x, y) if measure in LABELLED else (x,) for n, (x, y) in clouds.items()}
        expected = {n: float(measure(*arguments[n])) for n in arguments}
        for devices in (1, 2, 3, 5, 8):
            mesh = jax.make_mesh((devices,), ("points",))
            for n in arguments:
                close(measure(*arguments[n], mesh=mesh), expected[n], (measure, devices, n))
        mesh = jax.make_mesh((3,), ("rows",))
        if measure in (isoscore, davies_bouldin_score):
            x, *labels = arguments[120]
            placed = jax.device_put(x, jax.NamedSharding(mesh, jax.P("rows")))
            close(measure(placed, *labels, mesh=mesh), expected[120], (measure, "spread before"))
        x, *labels = arguments[121]
        slope = jax.grad(lambda x: measure(x, *labels, mesh=mesh))(jnp.asarray(x))  # noqa: B023
        one = np.asarray(jax.grad(measure)(jnp.asarray(x), *labels))
        np.testing.assert_allclose(slope, one, rtol=1e-4, atol=1e-5 * np.abs(one).max())
    silhouettes(*clouds[121])
    print("equal")


def silhouettes(points: np.ndarray, labels: np.ndarray) -> None:
    """Of single points, in their order, and of a sample."""
    mesh = jax.make_mesh((3,), ("points",))
    for metric in ("euclidean", "sqeuclidean"):
        samples = partial(silhouette_samples, points, labels, metric=metric)
        close(samples(mesh=mesh), samples(), (metric, "samples"))
        sampled = partial(sampled_silhouette, points, labels, 30, metric=metric)
        close(sampled(mesh=mesh).silhouettes, sampled().silhouettes, (metric, "a sample"))
    try:
        silhouette_score(
            np.where(points == points[7], 0, points), labels, metric="cosine", mesh=mesh
        )
    except ValueError as error:
        assert "points[7] is zero" in str(error)
    else:
        raise AssertionError("a zero vector has no direction")


if __name__ == "__main__":
    main()
