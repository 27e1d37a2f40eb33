"""Each transform as its parameters, and how they are applied to arrays of NumPy and JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.metrics.arithmetic import dot, lengths
from jaxiso.metrics.moments import blocks


class Center(NamedTuple):
    """x - mean."""

    mean: Any


class Unit(NamedTuple):
    """x / ‖x‖."""


class Standardize(NamedTuple):
    """(x - mean)·scale, where scale is 1/σ; 0 where σ is."""

    mean: Any
    scale: Any


class Whiten(NamedTuple):
    """(x - mean)·directions, (d, k): principal directions over the roots of their variances."""

    mean: Any
    directions: Any


class AllButTheTop(NamedTuple):
    """x - mean without its part along directions, orthonormal, (d, D)."""

    mean: Any
    directions: Any


class Rogue(NamedTuple):
    """The dimensions that are kept, ascending."""

    kept: Any


class ClusterWise(NamedTuple):
    """x less the nearest of K centroids, (K, d), without its part along directions (K, d, D)."""

    centroids: Any
    directions: Any


Params = Center | Unit | Standardize | Whiten | AllButTheTop | Rogue | ClusterWise


def apply_step(params: Params, x: Any) -> Any:
    """One transform, of an array of NumPy or JAX, whose type the parameters have as well."""
    match params:
        case Center(mean):
            return x - mean[None]
        case Unit():
            on_device = isinstance(x, jax.Array)
            xp = jnp if on_device else np
            size = lengths(x) if on_device else np.linalg.norm(x, axis=1)
            return x * xp.where(size > 0, 1 / xp.where(size > 0, size, 1), 0)[:, None]
        case Standardize(mean, scale):
            return (x - mean[None]) * scale[None]
        case Whiten(mean, directions):
            return _dot(x - mean[None], directions)
        case AllButTheTop(mean, directions):
            return _without(x - mean[None], directions)
        case Rogue(kept):
            return x[:, kept]
        case ClusterWise():
            return _cluster_wise(params, x)


def nearest_centroids(centroids: Any, x: Any) -> Any:
    """The number of the nearest centroid of each vector, (n,)."""
    origin = centroids.mean(axis=0, keepdims=True)
    apart = centroids - origin
    return (_dot(x - origin, apart.T) - (apart**2).sum(axis=1)[None] / 2).argmax(axis=1)


def _cluster_wise(params: ClusterWise, x: Any) -> Any:
    nearest = nearest_centroids(params.centroids, x)
    if isinstance(x, jax.Array):

        def one(row):
            vector, code = row
            apart = vector - params.centroids[code]
            return _without(apart[None], params.directions[code])[0]

        return jax.lax.map(one, (x, nearest), batch_size=256)
    found = np.empty_like(x)
    for code in np.unique(nearest):
        mine = nearest == code
        found[mine] = _without(x[mine] - params.centroids[code], params.directions[code])
    return found


def _dot(a: Any, b: Any) -> Any:
    return dot(a, b) if isinstance(a, jax.Array) else a @ b


def _without(x: Any, directions: Any) -> Any:
    return x - _dot(_dot(x, directions), directions.T)


def apply_on_host(steps: Sequence[Params], x: np.ndarray) -> np.ndarray:
    """Steps applied in float64, in blocks of rows; the result has the type of x."""
    steps = [jax.tree.map(np.asarray, params) for params in steps]
    found = []
    for block in blocks(x):
        for params in steps:
            block = apply_step(params, block)
        found.append(block.astype(x.dtype))
    return np.concatenate(found)


def placed(params: Params, kind: Any) -> Params:
    """Parameters as arrays of JAX; whole numbers stay what they are."""

    def place(param: Any) -> jax.Array:
        whole = jnp.issubdtype(param.dtype, jnp.integer)
        return jnp.asarray(param, jnp.int32 if whole else kind)

    return jax.tree.map(place, params)
