"""The measures of one layer's vectors; each is a value, or nothing and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxiso.data.labels import Labels
from jaxiso.encoders.token_sample import TokenSample
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.contextual import (
    cosine_contributions,
    intra_sentence_similarity,
    maximum_explainable_variance,
    self_similarity,
)
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.score.measures import Value

SAME = "all vectors are the same"
# By name, how figures call a measure, and how tables do, which have less room.
FREE = {
    "isoscore": ("IsoScore", "IsoScore"),
    "isoscore_corrected": ("IsoScore, corrected", "corrected"),
    "mean_cosine": ("Mean cosine", "Mean cosine"),
    "rogue_share": ("Largest share of the mean cosine", "Rogue share"),
    "effective_rank": ("Effective rank", "Eff. rank"),
    "intrinsic_dimension": ("Intrinsic dimension", "Intr. dim."),
}
CLUSTERS = {
    "silhouette": ("Silhouette", "Silhouette"),
    "silhouette_cosine": ("Silhouette, cosine", "cosine"),
    "calinski_harabasz": ("Calinski–Harabasz", "Calinski–Harabasz"),
    "davies_bouldin": ("Davies–Bouldin", "Davies–Bouldin"),
}
CONTEXT = {
    "self_similarity": ("Self-similarity", "Self-sim."),
    "self_similarity_adjusted": ("Self-similarity, adjusted", "adjusted"),
    "intra_sentence_similarity": ("Intra-sentence similarity", "Intra-sent."),
    "intra_sentence_similarity_adjusted": ("Intra-sentence similarity, adjusted", "adjusted"),
    "maximum_explainable_variance": ("Maximum explainable variance", "Max. expl."),
    "maximum_explainable_variance_adjusted": ("Max. explainable variance, adjusted", "adjusted"),
}

Values = dict[str, Value]


def free_measures(vectors: np.ndarray) -> Values:
    """The measures that need no labels.

    Args:
        vectors: float32 (n, d), finite; n at least 3, d at least 2.
    """
    directed = vectors[vectors.any(axis=1)]
    left_out = len(vectors) - len(directed)
    remark = f"of the {len(directed):,} vectors that are not zero" if left_out else None
    cosine = rogue = Value(None, remark="fewer than two vectors are not zero")
    if len(directed) > 1:
        contributions = cosine_contributions(directed)
        total, most = float(contributions.sum()), int(np.argmax(contributions))
        cosine = Value(total, remark=remark)
        rogue = Value(None, remark="the mean cosine is not above zero")
        if total > 0:
            rogue = Value(float(contributions[most] / total), remark=f"dimension {most}")
    return {
        "isoscore": value_of(isoscore, vectors, otherwise=SAME),
        "isoscore_corrected": value_of(isoscore, vectors, corrected=True, otherwise=SAME),
        "mean_cosine": cosine,
        "rogue_share": rogue,
        "effective_rank": value_of(effective_rank, vectors, otherwise=SAME),
    }


def cluster_measures(vectors: np.ndarray, labels: Labels) -> Values:
    """How well labels are clusters.

    Args:
        vectors: float32 (n, d), finite.
        labels: of each vector.
    """
    k, n = len(labels.names), len(vectors)
    if not 1 < k < n:
        why = "there is only one label" if k == 1 else "every vector has a label of its own"
        return dict.fromkeys(CLUSTERS, Value(None, remark=why))
    codes: Any = labels.codes
    found = {
        name: value_of(measure, vectors, codes)
        for name, measure in (
            ("silhouette", silhouette_score),
            ("calinski_harabasz", calinski_harabasz_score),
            ("davies_bouldin", davies_bouldin_score),
        )
    }
    if vectors.any(axis=1).all():
        cosine = value_of(silhouette_score, vectors, codes, metric="cosine")
    else:
        cosine = Value(None, remark="a vector is zero, and has no cosines")
    return found | {"silhouette_cosine": cosine}


def context_measures(vectors: np.ndarray, sample: TokenSample, seed: int) -> Values:
    """Ethayarajh's measures of one layer: means over words, and over texts.

    Adjusted, self-similarity and intra-sentence similarity are less the mean cosine of tokens drawn
    at random, and the explainable variance of a word less that of as many such tokens: it depends
    on their number, which the paper leaves open.

    Args:
        vectors: float32 (m, d), of the sample's tokens.
        sample: which tokens these are.
        seed: of the tokens that words are compared with.
    """
    used = np.unique(np.concatenate([sample.drawn, sample.words, sample.whole]))
    if not vectors[used].any(axis=1).all():
        return dict.fromkeys(CONTEXT, Value(None, remark="a vector is zero, and has no cosines"))
    words, whole, ids = sample.words, sample.whole, sample.ids
    baseline = float(cosine_contributions(vectors[sample.drawn]).sum())
    found: Values = dict.fromkeys(CONTEXT, Value(None, remark="no token is in as many texts"))
    if len(words):
        similar = self_similarity(vectors[words], ids[words], sample.texts[words])
        explained = maximum_explainable_variance(vectors[words], ids[words])
        random = np.random.default_rng([seed, 0xADD])
        others = random.choice(sample.drawn, len(words))
        chance = maximum_explainable_variance(vectors[others], ids[words])
        found |= {
            "self_similarity": mean_of(similar),
            "self_similarity_adjusted": mean_of(similar - baseline),
            "maximum_explainable_variance": mean_of(explained),
            "maximum_explainable_variance_adjusted": mean_of(explained - chance),
        }
    within = np.zeros(0)
    if len(whole):
        within = intra_sentence_similarity(vectors[whole], sample.texts[whole])
    return found | {
        "intra_sentence_similarity": mean_of(within),
        "intra_sentence_similarity_adjusted": mean_of(within - baseline),
    }


def value_of(
    measure: Callable[..., Any], *arguments: Any, otherwise: str = "not a number", **options: Any
) -> Value:
    """What a measure gives, or why it gives nothing."""
    try:
        value = float(measure(*arguments, **options))
    except ValueError as error:
        return Value(None, remark=str(error).splitlines()[0])
    return Value(value) if np.isfinite(value) else Value(None, remark=otherwise)


def mean_of(values: np.ndarray) -> Value:
    """The mean of values that are defined, with its standard error."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Value(None, remark="defined for fewer than two words or texts")
    return Value(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
