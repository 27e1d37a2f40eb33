"""Paper B's evaluation of one trained model: codes of sentences, and what comes back from them.

Everything here takes the parameters of one seed. Functions that return a dict give measures by the
names that `evaluation.json` has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxiso.cli.console import first_line
from jaxiso.data.batches import Batch, Batches
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank
from jaxiso.metrics.directions import isotropy_score, log_partitions
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.posterior import (
    active_directions,
    active_units,
    aggregated_posterior,
    mutual_information,
)
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.metrics.text import corpus_bleu, rouge_n
from jaxiso.models.decoding import greedy_decode
from jaxiso.models.tokens import EOS
from jaxiso.vae.experiment import Coded, VAEConfig, log_weights, make_vae

Value = float | str
"""A measure: a finite number, or the reason why there is none."""
Measures = dict[str, Value]

DECODED_AT_ONCE = 512
DRAWS = 5
"""Draws of one z a sentence over which Tables 2 and 3 are averaged."""
LIKELIHOOD = ("nll", "nll_se", "perplexity")


def measured(measure: Callable[..., Any], *arguments: Any) -> Value:
    """What a measure gives, or why it gives nothing."""
    try:
        value = float(measure(*arguments))
    except ValueError as error:
        return first_line(error)
    return value if math.isfinite(value) else f"not a finite number ({value})"


class Codes(NamedTuple):
    """`Coded` of n sentences, in their order, on the host."""

    mean: np.ndarray
    log_variance: np.ndarray
    z: np.ndarray
    rec: np.ndarray
    kl: np.ndarray


class EvaluationPrograms(NamedTuple):
    """Compiled functions of one seed.

    Attributes:
        code: (params, batch, key) → `Coded`.
        encode: (params, batch) → posterior means; an encoder alone costs a tenth.
        weights: (params, batch, keys) → log weight of one draw a key and sentence, (keys, b).
    """

    code: Callable[[Any, Batch, Array], Coded]
    encode: Callable[[Any, Batch], Array]
    weights: Callable[[Any, Batch, Array], Array]


@lru_cache(maxsize=8)
def make_evaluation(config: VAEConfig) -> EvaluationPrograms:
    """What evaluates one seed of a model, compiled; the same for models of the same sizes."""
    model = config.model()

    def encode(params, batch):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)
        return encoded.mean

    def weights(params, batch, keys):
        encoded: Any = model.apply(params, batch.tokens, batch.lengths, method=model.encode)

        def draw(key):
            return log_weights(model, params, batch, encoded, key)[0]

        return jax.lax.map(draw, keys)

    return EvaluationPrograms(jax.jit(make_vae(config).code), jax.jit(encode), jax.jit(weights))


def code_sentences(
    programs: EvaluationPrograms, params: Any, batches: Batches, key: Array
) -> Codes:
    """The posterior, a draw of it and its likelihood, of every sentence."""
    parts = (
        (batch, programs.code(params, batch, jax.random.fold_in(key, number)))
        for number, batch in enumerate(batches.in_order())
    )
    return Codes(*_in_order(parts, batches.sentences))


def encode_sentences(programs: EvaluationPrograms, params: Any, batches: Batches) -> np.ndarray:
    """The posterior mean of every sentence, shape (n, latent)."""
    parts = ((batch, (programs.encode(params, batch),)) for batch in batches.in_order())
    return _in_order(parts, batches.sentences)[0]


def _in_order(parts: Iterable[tuple[Batch, Sequence[Array]]], n: int) -> list[np.ndarray]:
    """Arrays of batches → arrays in the sentences' order, without the rows that fill batches."""
    arrays: list[np.ndarray] = []
    for batch, found in parts:
        real = batch.rows > 0
        for i, values in enumerate(found):
            values = np.asarray(values)[real]
            if i == len(arrays):
                arrays.append(np.empty((n, *values.shape[1:]), values.dtype))
            arrays[i][batch.indices[real]] = values
    return arrays


def decode(params: Any, z: np.ndarray, longest: int) -> list[list[int]]:
    """Greedy decoding of codes, shape (n, latent) → the ids of each sentence, without eos."""
    rows = min(DECODED_AT_ONCE, len(z))
    sentences = []
    for start in range(0, len(z), rows):
        part = z[start : start + rows]
        # One shape for all parts: the last one is filled up with zeros.
        full = np.pad(part, ((0, rows - len(part)), (0, 0)))
        for ids in np.asarray(greedy_decode(params, full, longest))[: len(part)].tolist():
            sentences.append(ids[: ids.index(EOS)] if EOS in ids else ids)
    return sentences


def reconstruction(params: Any, codes: Codes, sentences: Sequence[np.ndarray]) -> Measures:
    """Table 4: rec, KL, active units, and BLEU and ROUGE of what greedy decoding makes of means.

    The sentences are ids with eos.
    """
    decoded = decode(params, codes.mean, max(map(len, sentences)))
    known: Value = float(np.log(len(codes.z)))  # an autoencoder's code is a point
    if codes.log_variance.shape[1]:
        known = measured(mutual_information, codes.mean, codes.log_variance, codes.z)
    return {
        "rec": measured(codes.rec.mean),
        "kl": measured(codes.kl.mean),
        "active_units": measured(active_units, codes.mean),
        "active_directions": measured(active_directions, codes.mean),
        "mutual_information": known,
        **likeness(decoded, sentences),
    }


def likeness(decoded: Sequence[Sequence[int]], sentences: Sequence[np.ndarray]) -> dict[str, float]:
    """BLEU-2/4 and ROUGE-2/4, in percent, of decoded ids against ids with eos."""
    originals = [ids[:-1].tolist() for ids in sentences]
    return {
        "bleu2": corpus_bleu(decoded, originals, 2),
        "bleu4": corpus_bleu(decoded, originals, 4),
        "rouge2": rouge_n(decoded, originals, 2),
        "rouge4": rouge_n(decoded, originals, 4),
    }


def likelihood(
    programs: EvaluationPrograms, params: Any, batches: Batches, key: Array, samples: int
) -> Measures:
    """Importance-weighted estimate of -log p(x), and the perplexity that follows from it.

    The mean of `samples` weights p(x, z) / q(z|x) estimates p(x) without bias, so this -log p(x) is
    an upper bound on average, and tightens with more samples (Burda et al., 2016).

    Returns:
        nll: nats a sentence. nll_se: its standard error over the sentences. perplexity: per token,
        the end-of-sentence token counted as one.
    """

    def parts():
        for number, batch in enumerate(batches.in_order()):
            keys = jax.random.split(jax.random.fold_in(key, number), samples)
            weights = programs.weights(params, batch, keys)
            yield batch, (jax.nn.logsumexp(weights, axis=0) - jnp.log(float(samples)),)

    log_p = _in_order(parts(), batches.sentences)[0].astype(np.float64)
    n = len(log_p)
    return {
        "nll": measured(lambda: -log_p.mean()),
        "nll_se": measured(lambda: log_p.std(ddof=1) / np.sqrt(n))
        if n > 1
        else "one sentence has no standard error",
        "perplexity": measured(lambda: np.exp(-log_p.sum() / batches.tokens)),
    }


def posterior_shape(codes: Codes, rng: np.random.Generator) -> Measures:
    """Tables 2 and 3: the aggregated posterior, and isotropy scores of means and samples.

    Each is the mean over `DRAWS` draws of one z for every sentence. An autoencoder has scores of
    its codes only. Besides Mu and Viswanath's score with both signs of every eigenvector, the mean
    over random signs is given, as the papers leave the sign to the eigensolver.
    """
    found: Measures = {
        "isotropy_score_means": measured(isotropy_score, codes.mean),
        "isotropy_score_means_random_signs": measured(random_sign_score, codes.mean, rng),
    }
    if not codes.log_variance.shape[1]:
        return found
    n, d = codes.mean.shape
    draws: dict[str, list[Value]] = {}
    for _ in range(DRAWS):
        noise = rng.standard_normal(codes.mean.shape, np.float32)
        z = codes.mean + np.exp(codes.log_variance / 2) * noise
        drawn: Measures = {
            "mean_sq_norm": measured(lambda z=z: aggregated_posterior(z).mean_sq_norm),
            "logdet_cov": measured(lambda z=z: aggregated_posterior(z).logdet_cov)
            if n > d
            else f"{n} sentences do not span {d} latent dimensions: log 0",
            "isotropy_score_samples": measured(isotropy_score, z),
            "isotropy_score_samples_random_signs": measured(random_sign_score, z, rng),
        }
        for name, value in drawn.items():
            draws.setdefault(name, []).append(value)
    for name, values in draws.items():
        why = next((value for value in values if isinstance(value, str)), None)
        found[name] = why or measured(np.mean, values)
    return found


def random_sign_score(points: np.ndarray, rng: np.random.Generator, draws: int = 1000) -> float:
    """Mu and Viswanath's score with one sign an eigenvector, the mean over random signs."""
    partitions = np.asarray(log_partitions(points))
    d = partitions.shape[1]
    chosen = partitions[rng.integers(0, 2, (draws, d)), np.arange(d)]
    return float(np.exp(chosen.min(axis=1) - chosen.max(axis=1)).mean())


def geometry(means: np.ndarray, labels: np.ndarray | None) -> Measures:
    """Both papers' measures of the same posterior means: isotropy, and how well classes cluster."""
    found: Measures = {
        "isoscore_means": measured(isoscore, means),
        "effective_rank_means": measured(effective_rank, means),
    }
    clusters = {
        "silhouette_means": silhouette_score,
        "calinski_harabasz_means": calinski_harabasz_score,
        "davies_bouldin_means": davies_bouldin_score,
    }
    for name, score in clusters.items():
        found[name] = "the corpus has no labels"
        if labels is not None:
            found[name] = measured(score, means, labels)
    return found
