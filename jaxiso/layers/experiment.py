"""Each encoder's vectors of all layers, and what is measured of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxiso.cli.console import InputError, Progress
from jaxiso.data.labels import Labels, number_labels
from jaxiso.data.texts import Texts
from jaxiso.encoders.encode import encode
from jaxiso.encoders.token_sample import TokenSample, sample_tokens
from jaxiso.encoders.weights import find_encoder, published_name
from jaxiso.layers.measures import Values, cluster_measures, context_measures, free_measures
from jaxiso.layers.options import Options


class Measured(NamedTuple):
    """All that was measured of an encoder.

    Attributes:
        name: short name, hub id, or name of the folder.
        weights: SHA-256 of the weights.
        vectors: number of vectors of a layer.
        dim: dimensions.
        of: tokens in all texts; None where the vectors are of texts.
        layers: the measures of each layer; the first is the embedding layer.
    """

    name: str
    weights: str
    vectors: int
    dim: int
    of: int | None
    layers: list[Values]


def measure_encoder(texts: Texts, encoder: str, options: Options) -> Measured:
    """Encodes texts, and measures each layer.

    Raises:
        InputError: the encoder cannot be used.
    """
    quiet, batch_size = options.quiet, options.batch_size
    files = find_encoder(encoder, quiet=True)
    sample: TokenSample | None = None
    if options.tokens:
        sample = sample_tokens(
            texts.texts,
            encoder,
            size=options.token_sample,
            seed=options.seed,
            batch_size=batch_size,
            quiet=quiet,
        )
        states, rows = sample.vectors, sample.drawn
        labels = labels_of(texts.labels, sample.texts[rows])
    else:
        states = encode(
            texts.texts,
            encoder,
            layers="all",
            pooling=options.pooling,
            batch_size=batch_size,
            quiet=quiet,
        )
        rows, labels = np.arange(len(texts.texts)), texts.labels
    if len(rows) < 3:
        raise InputError(f"{texts.path}: {len(rows)} vectors; there must be at least three")
    found: list[Values] = []
    with Progress(f"measuring {files.name}", len(states), unit="layers", quiet=quiet) as progress:
        for vectors in states:
            values = free_measures(vectors[rows])
            if labels is not None:
                values |= cluster_measures(vectors[rows], labels)
            if sample is not None:
                values |= context_measures(vectors, sample, options.seed)
            found.append(values)
            progress.advance()
    name = published_name(encoder) or files.name
    of = None if sample is None else sample.of
    return Measured(name, files.digest, len(rows), states.shape[2], of, found)


def labels_of(labels: Labels | None, rows: np.ndarray) -> Labels | None:
    """The labels of some items, numbered anew."""
    if labels is None:
        return None
    classes = labels.classes if labels.multilabel else None
    return number_labels([labels.sets[labels.codes[row]] for row in rows], classes)
