"""The measures of one layer's vectors; each is a value, or nothing and why.

Standard errors are the jackknife's: rows are dealt into blocks at random, and the measure is taken
without each block in turn. Rows count as independent: of tokens, those of one text are not quite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxiso.cli.console import several
from jaxiso.data.labels import Labels
from jaxiso.encoders.token_sample import CONTEXTS, TokenSample
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.contextual import (
    cosine_contributions,
    intra_sentence_similarity,
    maximum_explainable_variance,
    rogue_share,
    self_similarity,
)
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.errors import Estimate, deal, jackknife
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.neighbours import twonn
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.score.values import SAME, Value, no_clusters, number

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
    if seed is None:
        found = {
            "isoscore": value_of(isoscore, vectors, otherwise=SAME),
            "isoscore_corrected": value_of(isoscore, vectors, corrected=True, otherwise=SAME),
            "effective_rank": value_of(effective_rank, vectors, otherwise=SAME),
        }
    else:
        estimates = jackknife(vectors, seed=seed)
        found = {
            name: number(estimates[name].value, SAME, estimates[name].se)
            for name in ("isoscore", "isoscore_corrected", "effective_rank")
        }
    return found | _of_directions(vectors, seed) | {"intrinsic_dimension": _intrinsic(vectors)}


def _of_directions(vectors: np.ndarray, seed: int | None) -> Values:
    """The mean cosine, and the largest share that one dimension has in it."""
    directed = vectors[vectors.any(axis=1)]
    n = len(directed)
    if n < 2:
        few = Value(None, remark=f"{several(n, 'vector')} of {len(vectors):,} not zero")
        return {"mean_cosine": few, "rogue_share": few}

    def cosine(kept: np.ndarray) -> float:
        return float(cosine_contributions(directed[kept]).sum())

    def share(kept: np.ndarray) -> float:
        return rogue_share(directed[kept])

    some = None if n == len(vectors) else f"of the {n:,} vectors that are not zero"
    most = int(np.argmax(cosine_contributions(directed)))
    mean = with_error(cosine, n, seed)._replace(remark=some)
    largest = with_error(share, n, seed, "the mean cosine is not above zero")
    if largest.value is not None:
        largest = largest._replace(remark=f"dimension {most}")
    return {"mean_cosine": mean, "rogue_share": largest}


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

    Args:
        vectors: (n, d), finite.
        labels: of each vector.
        seed: that rows are dealt into blocks by, for standard errors; None for none.
    """
    k, n = len(labels.names), len(vectors)
    if (why := no_clusters(k, n)) is not None:
        return dict.fromkeys(CLUSTERS, Value(None, remark=why))
    measures: dict[str, Callable[..., Any]] = {
        "silhouette": silhouette_score,
        "calinski_harabasz": calinski_harabasz_score,
        "davies_bouldin": davies_bouldin_score,
    }
    found: Values = {"silhouette_cosine": Value(None, remark="a vector is zero: no cosines")}
    if vectors.any(axis=1).all():
        measures["silhouette_cosine"] = partial(silhouette_score, metric="cosine")

    def taken(measure: Callable[..., Any], kept: np.ndarray) -> float:
        return float(measure(vectors[kept], labels.codes[kept]))

    return found | {
        name: with_error(partial(taken, measure), n, seed) for name, measure in measures.items()
    }


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
        return dict.fromkeys(
            [*CONTEXT, *ADJUSTED], Value(None, remark="a vector is zero, and has no cosines")
        )
    words, whole, ids = sample.words, sample.whole, sample.ids
    drawn = vectors[sample.drawn]
    baseline = with_error(
        lambda kept: float(cosine_contributions(drawn[kept]).sum()), len(drawn), seed
    )
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


def with_error(
    measure: Callable[[np.ndarray], float],
    n: int,
    seed: int | None,
    otherwise: str = "not a number",
) -> Value:
    """What a measure gives of some of n rows, with its standard error unless seed is None.

    Args:
        measure: takes a bool array (n,), which rows to take.
        n: number of rows.
        seed: that rows are dealt into blocks by.
        otherwise: why it gives nothing, where it gives no finite number.
    """
    try:
        value = measure(np.ones(n, bool))
    except ValueError as error:
        return Value(None, remark=str(error).splitlines()[0])
    if seed is None or not math.isfinite(value):
        return number(value, otherwise)
    block, count = deal(n, seed=seed)
    try:
        without = np.array([measure(block != one) for one in range(count)])
    except ValueError:  # without some rows it is not defined
        return Value(value)
    return number(value, otherwise, Estimate(value, without).se)


def value_of(
    measure: Callable[..., Any], *arguments: Any, otherwise: str = "not a number", **options: Any
) -> Value:
    """What a measure gives, or why it gives nothing."""
    try:
        return number(float(measure(*arguments, **options)), otherwise)
    except ValueError as error:
        return Value(None, remark=str(error).splitlines()[0])


def mean_of(values: np.ndarray) -> Value:
    """The mean of values that are defined, with its standard error."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Value(None, remark="defined for fewer than two words or texts")
    return Value(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
