"""jaxiso: the geometry of embeddings in JAX.

    >>> import jaxiso
    >>> jaxiso.isoscore(X)                    # how evenly the points use their directions
    >>> jaxiso.silhouette_score(X, labels)    # how well the labels are clusters

Commands: `python -m jaxiso.score` measures your own vectors; `jaxiso.embed` and `jaxiso.vae` run
the papers' experiments, `jaxiso.report` shows their tables, `jaxiso.bench` measures speed.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxiso.metrics.clusters import (
        calinski_harabasz_score,
        davies_bouldin_score,
        dunn_index,
    )
    from jaxiso.metrics.isotropy import (
        effective_rank,
        isoscore,
        isoscore_from_covariance,
        isotropy_score,
        mean_cosine,
        participation_ratio,
    )
    from jaxiso.metrics.silhouette import silhouette_samples, silhouette_score

__version__ = version("jaxiso")

__all__ = [
    "calinski_harabasz_score",
    "davies_bouldin_score",
    "dunn_index",
    "effective_rank",
    "isoscore",
    "isoscore_from_covariance",
    "isotropy_score",
    "mean_cosine",
    "participation_ratio",
    "silhouette_samples",
    "silhouette_score",
]

_HOMES = {
    "jaxiso.metrics.clusters": ("calinski_harabasz_score", "davies_bouldin_score", "dunn_index"),
    "jaxiso.metrics.isotropy": (
        "effective_rank",
        "isoscore",
        "isoscore_from_covariance",
        "isotropy_score",
        "mean_cosine",
        "participation_ratio",
    ),
    "jaxiso.metrics.silhouette": ("silhouette_samples", "silhouette_score"),
}


def __getattr__(name: str) -> Any:
    # JAX takes a second to import; `--help` and errors should not wait for it.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'jaxiso' has no attribute {name!r}")
