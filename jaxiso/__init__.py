"""jaxiso: the geometry of embeddings in JAX.

    >>> import jaxiso
    >>> jaxiso.isoscore(X)                    # how evenly the points use their directions
    >>> jaxiso.silhouette_score(X, labels)    # how well the labels are clusters

Commands: `python -m jaxiso.embed`, `python -m jaxiso.bench`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxiso.metrics.isotropy import isoscore, isoscore_from_covariance
    from jaxiso.metrics.silhouette import silhouette_samples, silhouette_score

__version__ = version("jaxiso")

__all__ = ["isoscore", "isoscore_from_covariance", "silhouette_samples", "silhouette_score"]

_HOMES = {
    "isoscore": "jaxiso.metrics.isotropy",
    "isoscore_from_covariance": "jaxiso.metrics.isotropy",
    "silhouette_samples": "jaxiso.metrics.silhouette",
    "silhouette_score": "jaxiso.metrics.silhouette",
}


def __getattr__(name: str) -> Any:
    # JAX takes a second to import; `--help` and errors should not wait for it.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jaxiso' has no attribute {name!r}")
