"""The measures of one layer's vectors; each is a value, or nothing and why.

Standard errors are the jackknife's: rows are dealt into blocks at random, and the measure is taken
without each block in turn. Rows count as independent: of tokens, those of one text are not quite.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxiso.cli.console import several
from jaxiso.data.labels import Labels
from jaxiso.data.rows import ArrayRows
from jaxiso.encoders.token_sample import CONTEXTS, TokenSample
from jaxiso.metrics.contextual import (
    cosine_contributions,
    intra_sentence_similarity,
    maximum_explainable_variance,
    self_similarity,
)
from jaxiso.metrics.neighbours import twonn
from jaxiso.score.cloud import Cloud
from jaxiso.score.free import free_measures as measures_of_vectors
from jaxiso.score.measures import cluster_measures as measures_of_labels
from jaxiso.score.options import Options
from jaxiso.score.values import Value, with_error

# Measures by table, each with what figures call it and, having less room, tables.
ISOTROPY = {
    "isoscore": ("IsoScore", "IsoScore"),
    "isoscore_corrected": ("IsoScore, corrected", "corrected"),
    "mean_cosine": ("Mean cosine", "Mean cosine"),
    "rogue_share": ("Largest share of the mean cosine", "Rogue share"),
}
DIMENSION = {
    "effective_rank": ("Effective rank", "Effective rank"),
    "intrinsic_dimension": ("Intrinsic dimension", "Intrinsic dimension"),
}
CLUSTERS = {
    "silhouette": ("Silhouette", "Silhouette"),
    "silhouette_cosine": ("Silhouette, cosine", "cosine"),
    "calinski_harabasz": ("Calinski–Harabasz", "Calinski–Harabasz"),
    "davies_bouldin": ("Davies–Bouldin", "Davies–Bouldin"),
}
CONTEXT = {
    "self_similarity": ("Self-similarity", "Self-similarity"),
    "intra_sentence_similarity": ("Intra-sentence similarity", "Intra-sentence"),
    "maximum_explainable_variance": ("Max. explainable variance", "Max. explainable"),
}
ADJUSTED = {
    f"{name}_adjusted": (f"{title}, adjusted", short) for name, (title, short) in CONTEXT.items()
}
TABLES = {
    "isotropy": ISOTROPY,
    "dimension": DIMENSION,
    "labels as clusters": CLUSTERS,
    "words in context": CONTEXT,
    "words in context, less tokens drawn at random": ADJUSTED,
}

Values = dict[str, Value]


def free_measures(vectors: np.ndarray, *, seed: int | None) -> Values:
    """The measures that need no labels.

    Args:
        vectors: (n, d), finite; n at least 4, d at least 2.
        seed: that rows are dealt into blocks by, for standard errors; None for none.
    """
    cloud = Cloud(ArrayRows(vectors), pooled=False)
    found: Values = {}
    share = _rogue_share(vectors)
    for known in measures_of_vectors(cloud, seed, partitions=False):
        found |= known.values
        if "rogue_share" in known.estimates:
            share = with_error(share, known.estimates["rogue_share"])
    return found | {"rogue_share": share, "intrinsic_dimension": _intrinsic(vectors)}


def _rogue_share(vectors: np.ndarray) -> Value:
    """The largest share that one dimension has in the mean cosine, and which one it is."""
    directed = vectors[vectors.any(axis=1)]
    if len(directed) < 2:
        return Value(None, remark=f"{len(directed)} of {len(vectors):,} vectors is not zero")
    parts = cosine_contributions(directed)
    if not parts.sum() > 0:
        return Value(None, remark="the mean cosine is not above zero")
    return Value(float(parts.max() / parts.sum()), remark=f"dimension {np.argmax(parts)}")


def _intrinsic(vectors: np.ndarray) -> Value:
    """TwoNN's dimension; its error is value / √n, as for the maximum likelihood of n ratios."""
    try:
        found = twonn(vectors)
    except ValueError as error:
        return Value(None, remark=str(error))
    if not math.isfinite(found.dimension):
        return Value(None, remark="the ratios of distances do not determine it")
    same = f"without {several(found.duplicates, 'vector')} that repeat another"
    return Value(
        found.dimension,
        found.dimension / math.sqrt(found.points),
        same if found.duplicates else None,
    )


def cluster_measures(vectors: np.ndarray, labels: Labels, *, seed: int | None) -> Values:
    """How well labels are clusters.

    Vectors are (n, d), finite; the seed is as in `free_measures`.
    """
    cloud = Cloud(ArrayRows(vectors), pooled=False)
    files = (Path("vectors"),)
    options = Options(files, no_error=seed is None, seed=seed or 0, quiet=True)
    cosine = replace(options, metric="cosine")
    found: Values = {}
    k = len(labels.names)
    for known in measures_of_labels(cloud, labels.codes, k, options, tuple(CLUSTERS)):
        found |= known.values
    for known in measures_of_labels(cloud, labels.codes, k, cosine, ("silhouette",)):
        if "silhouette" in known.values:
            found["silhouette_cosine"] = known.values["silhouette"]
    return {name: found[name] for name in CLUSTERS}


def context_measures(
    vectors: np.ndarray, sample: TokenSample, seed: int, baseline: Value
) -> Values:
    """Ethayarajh's measures of one layer: means over words, and over texts.

    Adjusted, self-similarity and intra-sentence similarity are less the mean cosine of tokens drawn
    at random, and the explainable variance of a word less that of as many such tokens: it depends
    on their number, which the paper leaves open.

    Args:
        vectors: float32 (m, d), of the sample's tokens.
        sample: which tokens these are.
        seed: of the tokens that words are compared with.
        baseline: the mean cosine of the tokens that were drawn at random.
    """
    used = np.unique(np.concatenate([sample.drawn, sample.words, sample.whole]))
    if not vectors[used].any(axis=1).all():
        return dict.fromkeys(
            [*CONTEXT, *ADJUSTED], Value(None, remark="a vector is zero, and has no cosines")
        )
    words, whole, ids = sample.words, sample.whole, sample.ids
    found: Values = dict.fromkeys(
        [*CONTEXT, *ADJUSTED], Value(None, remark=f"no token is in {CONTEXTS} texts or more")
    )
    if len(words):
        similar = self_similarity(vectors[words], ids[words], sample.texts[words])
        explained = maximum_explainable_variance(vectors[words], ids[words])
        random = np.random.default_rng([seed, 0xADD])
        others = random.permutation(sample.drawn)[: len(words)]
        chance = maximum_explainable_variance(vectors[others], ids[words])
        found |= {
            "self_similarity": mean_of(similar),
            "self_similarity_adjusted": less(mean_of(similar), baseline),
            "maximum_explainable_variance": mean_of(explained),
            "maximum_explainable_variance_adjusted": mean_of(explained - chance),
        }
    within = np.zeros(0)
    if len(whole):
        within = intra_sentence_similarity(vectors[whole], sample.texts[whole])
    return found | {
        "intra_sentence_similarity": mean_of(within),
        "intra_sentence_similarity_adjusted": less(mean_of(within), baseline),
    }


def less(value: Value, other: Value) -> Value:
    """The difference of two values, whose errors are taken for independent."""
    if value.value is None or other.value is None:
        return value if value.value is None else other
    return Value(value.value - other.value, math.hypot(value.se or 0.0, other.se or 0.0))


def mean_of(values: np.ndarray) -> Value:
    """The mean of values that are defined, with its standard error."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Value(None, remark="defined for fewer than two words or texts")
    return Value(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
