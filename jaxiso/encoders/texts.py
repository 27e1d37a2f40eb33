"""Texts of one's own → labelled vectors, for the commands that measure vectors."""

from __future__ import annotations

from jaxiso.data.rows import ArrayRows
from jaxiso.data.texts import Texts
from jaxiso.data.vectors import OpenedVectors
from jaxiso.encoders.encode import Pooling, encode


def encode_texts(
    texts: Texts,
    encoder: str,
    *,
    pooling: Pooling = "mean",
    batch_size: int | None = None,
    quiet: bool = False,
) -> OpenedVectors:
    """The sentence vectors of texts, with the texts' labels.

    Args:
        texts: as `read_texts` gives them.
        encoder: `minilm`, `mpnet` or `roberta`; a directory; or a hub id (`owner/name`).
        pooling: as in `encode`.
        batch_size: as in `encode`.
        quiet: no progress bar and no notes.

    Raises:
        InputError: as `encode`.
    """
    vectors = encode(texts.texts, encoder, pooling=pooling, batch_size=batch_size, quiet=quiet)
    return OpenedVectors(texts.path, ArrayRows(vectors), texts.labels, {})
