"""What `python -m jaxiso.score` measures: files of vectors, or texts that are encoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jaxiso.cli.files import plain_name
from jaxiso.data.rows import ArrayRows
from jaxiso.data.texts import read_texts
from jaxiso.data.vectors import OpenedVectors, open_vectors
from jaxiso.encoders.encode import encode
from jaxiso.encoders.weights import find_encoder
from jaxiso.score.cloud import part_of_process
from jaxiso.score.options import Options


def open_inputs(options: Options) -> Iterator[OpenedVectors]:
    """Yields the vectors of each file, or of the texts by each encoder, when it comes to them.

    Of several processes each reads its own part of a file's vectors; texts all of them encode.

    Raises InputError: a file, its labels or an encoder cannot be used.
    """
    if options.texts is not None:
        yield from _encoded(options)
        return
    for path in options.files:
        yield open_vectors(
            path,
            options.labels,
            label_column=options.label_column,
            array=options.array,
            part=part_of_process(),
            quiet=options.quiet,
        )


def _encoded(options: Options) -> Iterator[OpenedVectors]:
    """The sentence vectors of texts, by each encoder; called by the file and, of several, by it."""
    assert options.texts is not None
    texts = read_texts(
        options.texts,
        options.labels,
        text_field=options.text_field,
        label_column=options.label_column,
        data_dir=options.data_dir,
        limit=options.limit,
        seed=options.seed,
        quiet=options.quiet,
    )
    for encoder in options.encoder:  # the absence of one is found out before another is run
        find_encoder(encoder, quiet=options.quiet)
    for encoder in options.encoder:
        vectors = encode(texts.texts, encoder, quiet=options.quiet)
        path = texts.path
        if len(options.encoder) > 1:
            path = Path(f"{path}, {plain_name(encoder)}")
        yield OpenedVectors(path, ArrayRows(vectors), texts.labels, {})
