"""Vectors of a file after a transform, which takes all of them into memory."""

from __future__ import annotations

from collections.abc import Mapping

from jaxiso import transforms
from jaxiso.cli.console import InputError
from jaxiso.cli.transforms import read_steps
from jaxiso.data.rows import ArrayRows
from jaxiso.data.vectors import OpenedVectors
from jaxiso.score.values import Scores, Value

CENTRING = {"center", "standardize", "abtt", "cluster"}
OF_THE_MEAN = {"mean_cosine", "rogue_share"}
"""Measures that hardly vary where each sample is centred by itself."""


def transformed(found: OpenedVectors, text: str) -> tuple[OpenedVectors, tuple[str, ...]]:
    """The vectors after a transform that was fitted on them, and what was found of them.

    Without a transform they stay in their file.

    Raises InputError: the transform cannot be fitted on them, or leaves one dimension.
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


def of_transformed(scores: Scores, text: str, found: tuple[str, ...]) -> Scores:
    """What was measured of vectors after a transform, without errors that are not theirs."""
    values = without_errors(scores.values, text)
    if scores.sampled is not None and "silhouette" in values:  # its error is that of the sampling
        values["silhouette"] = scores.values["silhouette"]
    estimates = {
        n: e for n, e in scores.estimates.items() if n in values and values[n].se is not None
    }
    rows = scores.rows and [
        row._replace(values=without_errors(row.values, text)) for row in scores.rows
    ]
    return scores._replace(
        values=values, estimates=estimates, rows=rows, transform=text, found=found
    )


def without_errors(values: Mapping[str, Value], text: str) -> dict[str, Value]:
    """Values without the standard errors that do not hold after a transform.

    The jackknife keeps the transform as it is, but other vectors would be given another one. Once
    they are whitened that changes how all measures vary, and once they are centred how their mean
    cosine does; other errors agreed with the spread over samples.
    """
    steps = {step.name for step in read_steps(text)}
    wrong = set(values) if "whiten" in steps else OF_THE_MEAN if steps & CENTRING else set()
    return {n: value._replace(se=None) if n in wrong else value for n, value in values.items()}
