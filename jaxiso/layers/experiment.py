"""Each encoder's vectors of all layers, and what is measured of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxiso import transforms
from jaxiso.cli.console import InputError, Progress
from jaxiso.data.labels import Labels, number_labels
from jaxiso.data.texts import Texts
from jaxiso.encoders.encode import encode
from jaxiso.encoders.token_sample import TokenSample, sample_tokens
from jaxiso.encoders.weights import find_encoder, published_name
from jaxiso.layers.measures import Values, cluster_measures, context_measures, free_measures
from jaxiso.layers.options import Options
from jaxiso.score.transformed import without_errors


class Measured(NamedTuple):
    """All that was measured of an encoder.

    Attributes:
        name: short name, hub id, or name of the folder.
        weights: SHA-256 of the weights.
        vectors: number of vectors of a layer.
        dim: dimensions.
        of: tokens in all texts; None where the vectors are of texts.
        layers: the measures of each layer; the first is the embedding layer.
        remarks: what the transforms found of the vectors, by layer.
    """

    name: str
    weights: str
    vectors: int
    dim: int
    of: int | None
    layers: list[Values]
    remarks: list[str]


def measure_encoder(texts: Texts, encoder: str, options: Options) -> Measured:
    """Encodes texts, and measures each layer.

    Raises InputError: the encoder cannot be used.
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
    if len(rows) < 4:
        raise InputError(f"{texts.path}: {len(rows)} vectors; there must be at least four")
    pipeline = transforms.parse(options.transform)
    seed = None if options.no_error else options.seed
    found: list[Values] = []
    remarks: list[str] = []
    with Progress(f"measuring {files.name}", len(states), unit="layers", quiet=quiet) as progress:
        for layer, vectors in enumerate(states):
            if pipeline.steps:
                vectors, said = transformed(pipeline, vectors, rows, f"{files.name}, layer {layer}")
                remarks += said
            values = free_measures(vectors[rows], seed=seed)
            if labels is not None:
                values |= cluster_measures(vectors[rows], labels, seed=seed)
            if sample is not None:
                values |= context_measures(vectors, sample, options.seed, values["mean_cosine"])
            values = without_errors(values, options.transform)
            if options.no_error:
                values = {name: value._replace(se=None) for name, value in values.items()}
            found.append(values)
            progress.advance()
    name = published_name(encoder) or files.name
    of = None if sample is None else sample.of
    return Measured(name, files.digest, len(rows), states.shape[2], of, found, remarks)


def transformed(
    pipeline: transforms.Pipeline, vectors: np.ndarray, rows: np.ndarray, where: str
) -> tuple[np.ndarray, list[str]]:
    """Vectors by what is fitted on some rows of them, and what was found of these.

    Raises InputError: the transform cannot be fitted; it says `where`.
    """
    try:
        fitted = pipeline.fit(vectors[rows])
        return pipeline.apply(fitted, vectors), [f"{where}: {one}" for one in fitted.remarks]
    except ValueError as error:
        raise InputError(f"--transform {pipeline}: {where}: {error}") from None


def labels_of(labels: Labels | None, rows: np.ndarray) -> Labels | None:
    """The labels of some items, numbered anew."""
    if labels is None:
        return None
    classes = labels.classes if labels.multilabel else None
    return number_labels([labels.sets[labels.codes[row]] for row in rows], classes)
