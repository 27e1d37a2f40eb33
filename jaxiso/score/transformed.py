"""Vectors of a file after a transform, which takes all of them into memory."""

from __future__ import annotations

from jaxiso import transforms
from jaxiso.cli.console import InputError
from jaxiso.data.rows import ArrayRows
from jaxiso.data.vectors import OpenedVectors


def transformed(found: OpenedVectors, text: str) -> tuple[OpenedVectors, tuple[str, ...]]:
    """The vectors after a transform that was fitted on them, and what was found of them.

    Args:
        found: the vectors; without a transform they stay in their file.
        text: as `jaxiso.transforms.parse` reads it.

    Raises:
        InputError: the transform cannot be fitted on them, or leaves one dimension.
    """
    if text == "none":
        return found, ()
    try:
        vectors, fitted = transforms.parse(text).fit_apply(found.rows.load())
    except ValueError as error:
        raise InputError(f"{found.path}: --transform {text}: {error}") from None
    if vectors.shape[1] < 2:
        raise InputError(
            f"{found.path}: --transform {text}: leaves one dimension; at least 2 are needed"
        )
    return found._replace(rows=ArrayRows(vectors)), fitted.remarks
