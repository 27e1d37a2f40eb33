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

if TYPE_CHECKING:  # what type checkers see of the table below
    from jaxiso.encoders.encode import encode as encode
    from jaxiso.metrics.clusters import calinski_harabasz_score as calinski_harabasz_score
    from jaxiso.metrics.clusters import davies_bouldin_score as davies_bouldin_score
    from jaxiso.metrics.clusters import dunn_index as dunn_index
    from jaxiso.metrics.dimension import effective_rank as effective_rank
    from jaxiso.metrics.dimension import participation_ratio as participation_ratio
    from jaxiso.metrics.isotropy import isoscore as isoscore
    from jaxiso.metrics.isotropy import isoscore_from_covariance as isoscore_from_covariance
    from jaxiso.metrics.isotropy import isotropy_score as isotropy_score
    from jaxiso.metrics.isotropy import mean_cosine as mean_cosine
    from jaxiso.metrics.posterior import active_directions as active_directions
    from jaxiso.metrics.posterior import active_units as active_units
    from jaxiso.metrics.posterior import aggregated_posterior as aggregated_posterior
    from jaxiso.metrics.posterior import gaussian_kl as gaussian_kl
    from jaxiso.metrics.posterior import mutual_information as mutual_information
    from jaxiso.metrics.silhouette import silhouette_samples as silhouette_samples
    from jaxiso.metrics.silhouette import silhouette_score as silhouette_score
    from jaxiso.metrics.text import corpus_bleu as corpus_bleu
    from jaxiso.metrics.text import rouge_n as rouge_n

__version__ = version("jaxiso")

# Each public function, and where it is: JAX takes a second to import, for which `--help` and errors
# should not wait.
_HOMES = {
    "active_directions": "metrics.posterior",
    "active_units": "metrics.posterior",
    "aggregated_posterior": "metrics.posterior",
    "calinski_harabasz_score": "metrics.clusters",
    "corpus_bleu": "metrics.text",
    "davies_bouldin_score": "metrics.clusters",
    "dunn_index": "metrics.clusters",
    "effective_rank": "metrics.dimension",
    "encode": "encoders.encode",
    "gaussian_kl": "metrics.posterior",
    "isoscore": "metrics.isotropy",
    "isoscore_from_covariance": "metrics.isotropy",
    "isotropy_score": "metrics.isotropy",
    "mean_cosine": "metrics.isotropy",
    "mutual_information": "metrics.posterior",
    "participation_ratio": "metrics.dimension",
    "rouge_n": "metrics.text",
    "silhouette_samples": "metrics.silhouette",
    "silhouette_score": "metrics.silhouette",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
