"""Exact silhouettes of any rows of concrete points: which way is the shortest for which input.

| input | way | cost of m rows |
| --- | --- | --- |
| few points, Euclidean | `host`, pairs in NumPy | m·n·d |
| all of many points, Euclidean | `pairwise`, pairs in JAX | n²·d/2 |
| some of many points, Euclidean | `host` (on accelerators or a mesh in JAX) | m·n·d |
| cosine, squared, simplified | `host_labels` (on accelerators `label_sums`) | n·d + m·d·K |
| scipy.sparse | `host` and `host_labels`, sparse products | the same, of what is not zero |
| given distances | `host` | m·n |
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jaxtyping import Int

from jaxiso.metrics import host, host_labels
from jaxiso.metrics.host import Silhouettes
from jaxiso.metrics.labels import as_codes, as_given_codes
from jaxiso.metrics.mesh import power_of_two
from jaxiso.metrics.points import checked_points
from jaxiso.metrics.silhouette_programs import from_centroids, from_directions, from_pairs, of_rows
from jaxiso.metrics.tiles import TileShape, tile_shape

METRICS = ("euclidean", "cosine", "sqeuclidean", "precomputed")
AVERAGES = ("micro", "macro")

# Chosen rows that make a tile.
ROWS = 128


class RowSilhouettes(NamedTuple):
    """Silhouettes that are computed when they are asked for.

    Attributes:
        codes: the label of each point as a number, shape (n,).
        k: how many labels there are; some may not occur.
        of: gives the silhouettes of an array of rows, or of all rows for None, in float64.
    """

    codes: Int[np.ndarray, " n"]
    k: int
    of: Silhouettes


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raises a ValueError that lists what is allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")


def silhouettes_of_rows(
    X: Any,
    labels: Any,
    metric: str,
    *,
    simplified: bool = False,
    mesh: Any = None,
    num_labels: int | None = None,
) -> RowSilhouettes:
    """Checks concrete points and labels, and prepares them.

    Args:
        X: points, or distances; dense or scipy.sparse.
        labels: of any kind, or codes 0 to `num_labels` - 1.
        metric: one of `METRICS`.
        simplified: whether distances are those to centroids.
        mesh: devices that share the work.
        num_labels: the number of labels, if they are codes.

    Raises:
        ValueError: as `jaxiso.metrics.silhouette.silhouette_score`.
    """
    sparse = hasattr(X, "tocsr")
    if mesh is not None and (sparse or metric == "precomputed"):
        what = "sparse points" if sparse else "metric='precomputed'"
        raise ValueError(f"{what} cannot be spread over a mesh: leave out mesh=.")
    points = _checked_sparse(X) if sparse else _checked_dense(X)
    if metric == "precomputed":
        _check_distances(points)
    n = points.shape[0]
    codes, k = codes_of(labels, n, num_labels)
    if not isinstance(codes, np.ndarray):  # other processes have a part of them
        codes = np.asarray(process_allgather(codes, tiled=True))
    if not 1 < np.count_nonzero(np.bincount(codes, minlength=k)) < n:
        return RowSilhouettes(
            codes, k, lambda rows: np.full(n if rows is None else len(rows), np.nan)
        )
    if metric == "precomputed":
        of = host.precomputed(points, codes, k)
    elif sparse and simplified:
        raise ValueError("The simplified silhouette takes dense points: give X.toarray().")
    elif sparse and metric == "euclidean":
        of = host.sparse_euclidean(points, codes, k)
    elif sparse:
        of = host_labels.sparse_squared(points, codes, k, metric)
    elif metric == "euclidean" and not simplified:
        of = _of_pairs(points, codes, k, mesh)
    else:
        of = _of_centroids(points, codes, k, metric, simplified, mesh)
    return RowSilhouettes(codes, k, of)


def codes_of(labels: Any, n: int, num_labels: int | None) -> tuple[Any, int]:
    """Codes 0 to k - 1, of NumPy unless they are traced, and their number k."""
    if num_labels is None:
        return as_codes(labels, n)
    return as_given_codes(labels, n, num_labels), num_labels


def _checked_dense(X: Any) -> np.ndarray | jax.Array:
    on_cpu = isinstance(X, jax.Array) and all(d.platform == "cpu" for d in X.devices())
    return checked_points(np.asarray(X) if on_cpu and X.is_fully_addressable else X)


def _checked_sparse(X: Any) -> Any:
    X = X.tocsr()
    if X.ndim != 2 or not X.shape[0] or not X.shape[1]:
        raise ValueError(f"Expected a 2D array of points, one a row; got shape {X.shape}.")
    if X.dtype.kind not in "iuf":
        raise ValueError(f"Expected real numbers as points; got dtype {X.dtype}.")
    bad = ~np.isfinite(X.data)
    if bad.any():
        entries = X.tocoo()
        first = int(np.argmax(~np.isfinite(entries.data)))
        row, column = int(entries.row[first]), int(entries.col[first])
        raise ValueError(
            f"Input contains NaN or infinity: points[{row}, {column}] is {entries.data[first]}."
        )
    return X


def _check_distances(distances: Any) -> None:
    n, m = distances.shape
    if n != m:
        raise ValueError(
            f"With metric='precomputed' X holds the distances of all pairs, shape (n, n); got "
            f"{(n, m)}."
        )
    smallest = 0.0
    if distances.dtype.kind == "f":  # as in scikit-learn
        smallest = 100 * float(np.finfo(distances.dtype).eps)
    itself = np.abs(distances.diagonal())
    if (itself > smallest).any():
        row = int(np.argmax(itself > smallest))
        raise ValueError(
            f"The precomputed distance matrix contains non-zero elements on the diagonal: "
            f"X[{row}, {row}] is {itself[row]}. Use np.fill_diagonal(X, 0)."
        )
    if distances.min() < 0:
        raise ValueError(f"Precomputed distances must not be negative; got {distances.min()}.")


def _of_pairs(points: Any, codes: np.ndarray, k: int, mesh: Any) -> Silhouettes:
    if mesh is None and host.is_small(*points.shape):
        return host.euclidean(host.as_double(np.asarray(points)), codes, k)
    on_host = mesh is None and isinstance(points, np.ndarray) and jax.default_backend() == "cpu"
    some = host.rows_of_many(points, codes, k) if on_host else None
    given = {"num_labels": k, "mesh": mesh}

    def of(rows: np.ndarray | None = None) -> np.ndarray:
        if rows is None:
            return np.asarray(from_pairs(points, codes, **given))
        if some is not None:
            return some(rows)
        chosen = np.resize(rows, power_of_two(max(len(rows), ROWS)))  # in one of few sizes
        width = tile_shape(np.bincount(codes[chosen], minlength=k), tile=ROWS).width
        shape = TileShape(ROWS, power_of_two(width))
        found = of_rows(points, codes, chosen=chosen, chosen_shape=shape, **given)
        return np.asarray(found)[: len(rows)]

    return of


def _of_centroids(
    points: Any, codes: np.ndarray, k: int, metric: str, simplified: bool, mesh: Any
) -> Silhouettes:
    few = points.shape[0] * points.shape[1] * k <= host.WORK
    if mesh is None and (few or isinstance(points, np.ndarray)):
        points = np.asarray(points)
        return host_labels.without_pairs(points, codes, k, metric, simplified=simplified)
    given = {"simplified": simplified, "num_labels": power_of_two(k), "mesh": mesh}
    if metric != "cosine":
        return partial(_some, from_centroids(points, codes, kind=metric, **given))
    found = from_directions(points, codes, **given)
    if np.isnan(found).any():
        host_labels.refuse_zeros(points)
    return partial(_some, found)


def _some(values: Any, rows: np.ndarray | None) -> np.ndarray:
    return values if rows is None else values[rows]
