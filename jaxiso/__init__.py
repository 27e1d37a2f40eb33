"""jaxiso: the geometry of embeddings in JAX.

    >>> import jaxiso
    >>> jaxiso.isoscore(X)                    # how evenly the points use their directions
    >>> jaxiso.silhouette_score(X, labels)    # how well the labels are clusters

Points are arrays of any kind, one point a row. Commands: `python -m jaxiso` lists them, such as
`python -m jaxiso score FILE`, which measures your own vectors.

Public names:
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers see of the table below
    from jaxiso import papers as papers
    from jaxiso import transforms as transforms
    from jaxiso.cli.console import InputError as InputError
    from jaxiso.encoders.encode import encode as encode
    from jaxiso.load import load_run as load_run
    from jaxiso.load import load_runs as load_runs
    from jaxiso.metrics import objectives as objectives
    from jaxiso.metrics.clusters import calinski_harabasz_score as calinski_harabasz_score
    from jaxiso.metrics.clusters import davies_bouldin_score as davies_bouldin_score
    from jaxiso.metrics.contextual import cosine_contributions as cosine_contributions
    from jaxiso.metrics.contextual import intra_sentence_similarity as intra_sentence_similarity
    from jaxiso.metrics.contextual import (
        maximum_explainable_variance as maximum_explainable_variance,
    )
    from jaxiso.metrics.contextual import rogue_share as rogue_share
    from jaxiso.metrics.contextual import self_similarity as self_similarity
    from jaxiso.metrics.dimension import effective_rank as effective_rank
    from jaxiso.metrics.dimension import participation_ratio as participation_ratio
    from jaxiso.metrics.directions import isotropy_score as isotropy_score
    from jaxiso.metrics.directions import mean_cosine as mean_cosine
    from jaxiso.metrics.dunn import dunn_index as dunn_index
    from jaxiso.metrics.isotropy import isoscore as isoscore
    from jaxiso.metrics.isotropy import isoscore_from_covariance as isoscore_from_covariance
    from jaxiso.metrics.isotropy import isoscore_star as isoscore_star
    from jaxiso.metrics.neighbours import twonn as twonn
    from jaxiso.metrics.posterior import active_directions as active_directions
    from jaxiso.metrics.posterior import active_units as active_units
    from jaxiso.metrics.posterior import aggregated_posterior as aggregated_posterior
    from jaxiso.metrics.posterior import gaussian_kl as gaussian_kl
    from jaxiso.metrics.posterior import mutual_information as mutual_information
    from jaxiso.metrics.silhouette import sampled_silhouette as sampled_silhouette
    from jaxiso.metrics.silhouette import silhouette_in_batches as silhouette_in_batches
    from jaxiso.metrics.silhouette import silhouette_samples as silhouette_samples
    from jaxiso.metrics.silhouette import silhouette_score as silhouette_score
    from jaxiso.metrics.silhouette import (
        simplified_silhouette_samples as simplified_silhouette_samples,
    )
    from jaxiso.metrics.silhouette import simplified_silhouette_score as simplified_silhouette_score
    from jaxiso.metrics.spectrum import alpha_req as alpha_req
    from jaxiso.metrics.spectrum import numerical_rank as numerical_rank
    from jaxiso.metrics.spectrum import rankme as rankme
    from jaxiso.metrics.text import corpus_bleu as corpus_bleu
    from jaxiso.metrics.text import rouge_n as rouge_n
    from jaxiso.metrics.uniformity import sampled_uniformity as sampled_uniformity
    from jaxiso.metrics.uniformity import uniformity as uniformity
    from jaxiso.score.arrays import measure as measure
    from jaxiso.vae.mapper import component_counts as component_counts

__version__ = version("jaxiso")

# Each public name: the module where it is (or that it is), and what help(jaxiso) says of it. JAX
# takes a second to import, for which `--help` and errors should not wait.
_PUBLIC = {
    "InputError": ("cli.console", "raised where a file or an encoder cannot be used"),
    "active_directions": ("metrics.posterior", "in how many directions posterior means vary"),
    "active_units": ("metrics.posterior", "in how many dimensions posterior means vary"),
    "aggregated_posterior": ("metrics.posterior", "log determinant and mean of a VAE's codes"),
    "alpha_req": ("metrics.spectrum", "α-ReQ: how fast the variances decay"),
    "calinski_harabasz_score": ("metrics.clusters", "spread between labels over spread within"),
    "component_counts": ("vae.mapper", "components of the Mapper graphs of a cloud of points"),
    "corpus_bleu": ("metrics.text", "BLEU of a corpus"),
    "cosine_contributions": ("metrics.contextual", "what each dimension adds to the mean cosine"),
    "davies_bouldin_score": ("metrics.clusters", "nearness of labels over their size; low: apart"),
    "dunn_index": ("metrics.dunn", "smallest gap between labels over largest diameter"),
    "effective_rank": ("metrics.dimension", "directions used, by entropy of singular values"),
    "encode": ("encoders.encode", "texts to vectors, of any layer of an encoder"),
    "gaussian_kl": ("metrics.posterior", "KL of Gaussian posteriors from the prior"),
    "intra_sentence_similarity": (
        "metrics.contextual",
        "cosines of a text's tokens with their mean",
    ),
    "isoscore": ("metrics.isotropy", "how evenly all directions are used, 0 to 1"),
    "isoscore_from_covariance": ("metrics.isotropy", "IsoScore of a covariance matrix"),
    "isoscore_star": ("metrics.isotropy", "IsoScore of a batch, steadied by a larger sample"),
    "isotropy_score": ("metrics.directions", "Mu and Viswanath's, seen from the origin"),
    "load_run": ("load", "config, metrics and trained models of a run"),
    "load_runs": ("load", "all runs in a folder"),
    "maximum_explainable_variance": (
        "metrics.contextual",
        "what one static vector explains of a word's",
    ),
    "mean_cosine": ("metrics.directions", "mean cosine between two points"),
    "measure": ("score.arrays", "all measures of an array, as jaxiso.score has them"),
    "mutual_information": ("metrics.posterior", "between sentences and their codes"),
    "numerical_rank": ("metrics.spectrum", "directions that vary, other than by rounding"),
    "objectives": ("metrics.objectives", "paper A's objectives, its Equations 1 to 5, on points"),
    "papers": ("papers", "the published numbers and settings of both papers"),
    "participation_ratio": ("metrics.dimension", "directions used, by variances"),
    "rankme": ("metrics.spectrum", "RankMe: entropy of singular values, not centred"),
    "rogue_share": ("metrics.contextual", "largest share of the mean cosine in one dimension"),
    "rouge_n": ("metrics.text", "ROUGE-n of a corpus"),
    "sampled_silhouette": ("metrics.silhouette", "the mean of all, ± its error, from a sample"),
    "sampled_uniformity": ("metrics.uniformity", "uniformity by random pairs, ± its error"),
    "self_similarity": ("metrics.contextual", "cosines of a word's vectors across texts"),
    "silhouette_in_batches": ("metrics.silhouette", "a sampled silhouette, batch by batch"),
    "silhouette_samples": ("metrics.silhouette", "the silhouette of each point"),
    "silhouette_score": ("metrics.silhouette", "how well labels are clusters, -1 to 1"),
    "simplified_silhouette_samples": ("metrics.silhouette", "of distances to centroids"),
    "simplified_silhouette_score": ("metrics.silhouette", "the mean of those"),
    "transforms": ("transforms", "center, whiten, all-but-the-top, …: fit, then apply"),
    "twonn": ("metrics.neighbours", "intrinsic dimension, by two neighbours of each point"),
    "uniformity": ("metrics.uniformity", "how evenly directions cover the sphere"),
}

__all__ = list(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]

__doc__ = f"{__doc__}\n" + "\n".join(f"    {n:30}{line}" for n, (_, line) in _PUBLIC.items())


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, _ = _PUBLIC[name]
    module = import_module(f"{__name__}.{home}")
    if home.endswith(name) and not hasattr(module, name):
        return module
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, *(name for name in globals() if name.startswith("__"))])
