"""Running a model over texts, batch by batch, under a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxiso.cli.console import InputError, Progress, note
from jaxiso.encoders.batches import fill_batch, plan_batches
from jaxiso.encoders.models import Model, open_model
from jaxiso.encoders.tokens import Tokens, tokenize
from jaxiso.encoders.weights import EncoderFiles


class TokenBatch(NamedTuple):
    """A batch of texts that has been encoded, token by token.

    Attributes:
        texts: int (m,), which texts.
        mask: bool (rows, tokens), False on padding and on special tokens; rows ≥ m.
        states: float32 (layers, rows, tokens, dim).
    """

    texts: np.ndarray
    mask: np.ndarray
    states: np.ndarray


def open_texts(
    texts: Sequence[str], files: EncoderFiles, *, quiet: bool = False
) -> tuple[Model, Tokens]:
    """A model that is ready to run, and the texts as its tokens.

    Raises InputError: the model's files cannot be used, or a text has no tokens.
    """
    model = open_model(files)
    found = tokenize(texts, files.directory, model.text)
    if found.cut:
        note(
            f"note: {found.cut:,} of {len(texts):,} texts are longer than {model.text.max_tokens} "
            f"tokens, all that {files.name} takes; the rest of them is left out",
            quiet=quiet,
        )
    empty = next((i for i, ids in enumerate(found.ids) if not len(ids)), None)
    if empty is not None:
        raise InputError(
            f"text {empty} ({texts[empty]!r}) has no tokens, and {files.name} adds none of its "
            "own: leave out texts that are empty"
        )
    note(f"{files.name}: weights from {files.origin}", quiet=quiet)
    return model, found


def token_places(tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tokens of all texts in a row, special ones left out.

    Returns:
        int32 ids (n,); int32 (n,), which text each is from; where each text begins, (texts + 1,).
    """
    ids = [one[~special] for one, special in zip(tokens.ids, tokens.special, strict=True)]
    counts = [len(one) for one in ids]
    owners = np.repeat(np.arange(len(ids), dtype=np.int32), counts)
    return np.concatenate([np.zeros(0, np.int32), *ids]), owners, np.cumsum([0, *counts])


def batches(
    model: Model, tokens: Tokens, name: str, batch_size: int | None, *, quiet: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields which texts, their ids and mask, batch by batch, under a progress bar."""
    lengths = np.array([len(one) for one in tokens.ids])
    plan = plan_batches(lengths, model.text.max_tokens, model.tokens_per_batch, batch_size)
    with Progress(f"encoding with {name}", len(lengths), unit="texts", quiet=quiet) as progress:
        for batch in plan:
            yield batch.texts, *fill_batch(batch, tokens.ids, model.text.pad_id)
            progress.advance(len(batch.texts))


def token_batches(
    model: Model,
    tokens: Tokens,
    files: EncoderFiles,
    layers: tuple[int, ...],
    batch_size: int | None,
    *,
    quiet: bool,
) -> Iterator[TokenBatch]:
    """Yields the states of all tokens, batch by batch, under a progress bar."""
    for mine, ids, mask in batches(model, tokens, files.name, batch_size, quiet=quiet):
        words = mask.copy()
        for row, text in enumerate(mine):
            words[row, : len(tokens.ids[text])] = ~tokens.special[text]
        yield TokenBatch(mine, words, model.states(ids, mask, layers, None))
