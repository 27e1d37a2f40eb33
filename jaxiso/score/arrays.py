"""The measures of `python -m jaxiso.score`, of an array, from Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxiso.cli.console import InputError
from jaxiso.data.labels import Labels
from jaxiso.data.rows import ArrayRows
from jaxiso.data.vectors import OpenedVectors
from jaxiso.metrics.labels import as_codes
from jaxiso.metrics.neighbours import twonn
from jaxiso.metrics.spectrum import alpha_req, as_matrix, numerical_rank, rankme
from jaxiso.metrics.uniformity import sampled_uniformity
from jaxiso.score.measures import measure as measure_file
from jaxiso.score.options import Options
from jaxiso.score.transformed import of_transformed, transformed
from jaxiso.score.values import CLUSTERS, FREE, Value, number


def _twonn(x: np.ndarray, seed: int) -> Value:
    found = twonn(x)
    remark = f"{found.duplicates:,} duplicates left out" if found.duplicates else None
    return number(found.dimension)._replace(remark=remark)


def _uniformity(x: np.ndarray, seed: int) -> Value:
    found = sampled_uniformity(x, random_state=seed)
    return Value(found.value, found.standard_error or None)


FURTHER: dict[str, Callable[[np.ndarray, int], Value]] = {
    "numerical_rank": lambda x, seed: Value(int(numerical_rank(x))),
    "rankme": lambda x, seed: number(float(rankme(x)), "all vectors are zero"),
    "alpha_req": lambda x, seed: number(float(alpha_req(x)), "too few directions vary"),
    "uniformity": _uniformity,
    "twonn": _twonn,
}
"""Measures that are taken where they are named."""


def measure(
    X: Any,
    labels: Any = None,
    *,
    measures: Sequence[str] | None = None,
    transform: str = "none",
    metric: Literal["euclidean", "cosine", "sqeuclidean"] = "euclidean",
    average: Literal["micro", "macro"] = "micro",
    exact: bool = False,
    sample_size: int | None = None,
    error: bool = True,
    random_state: int = 0,
) -> dict[str, Value]:
    """All measures of an array of vectors; the numbers of `python -m jaxiso.score`.

    Args:
        X: vectors, shape (n, d), n and d at least 2: an array of any kind.
        labels: of the vectors, of any kind that can be sorted; None for measures without them.
        measures: names, to take no others: isoscore, isoscore_corrected, mu_viswanath,
            effective_rank, mean_cosine; with labels silhouette, simplified_silhouette,
            calinski_harabasz, davies_bouldin, dunn; and, only where they are named, numerical_rank,
            rankme, alpha_req, uniformity, twonn.
        transform: what is done to the vectors first, such as "center,abtt:3": see
            `jaxiso.transforms`.
        metric: distance of the silhouettes.
        average: silhouette: the mean over all vectors, or ("macro") over labels of theirs.
        exact: compare all pairs however long it takes; else silhouette and Dunn's index come from a
            sample where that would be over a minute.
        sample_size: vectors of that sample.
        error: whether to estimate standard errors: by the jackknife over 20 blocks of rows. A 95 %
            interval is then the value ± 2.09 standard errors. They take the transform as it is;
            where that makes them wrong, as whitening does, there are none.
        random_state: that it is drawn from.

    Returns:
        By name: `value` (None where it is not defined), `se` (its standard error, where it is an
        estimate; else None), `remark` (why there is no value, or what else to know) and `at_most`
        (whether the value is only a bound from above).

    Raises:
        ValueError: X, labels or an option cannot be used; says what is allowed.
    """
    known = (*FREE, *CLUSTERS, *FURTHER)
    for name in measures or ():
        if name not in known:
            raise ValueError(f"unknown measure {name!r}; allowed are {', '.join(known)}")
        if name in CLUSTERS and labels is None:
            raise ValueError(f"measure {name!r} needs labels")
    try:
        options = Options(
            files=(Path("X"),),
            labels=None if labels is None else "labels",
            metric=metric,
            average=average,
            exact=exact,
            sample_size=sample_size,
            no_error=not error,
            seed=random_state,
            transform=(transform,),
            quiet=True,
        )
        given = as_matrix(X, least=2)
        if given.shape[1] < 2:
            raise ValueError(f"X has shape {given.shape}; it must have at least 2 dimensions")
        found = OpenedVectors(Path("X"), ArrayRows(given), _labels(labels, len(given)), {})
        found, remarks = transformed(found, *options.transform)
        wanted = [name for name in measures or (*FREE, *CLUSTERS) if name not in FURTHER]
        if not set(wanted) & set(CLUSTERS):
            found = found._replace(labels=None)
        values: dict[str, Value] = {}
        if wanted:
            scores = of_transformed(measure_file(found, options, wanted), transform, remarks)
            if scores.interrupted is not None:
                raise KeyboardInterrupt
            values = {name: scores.values[name] for name in wanted if name in scores.values}
    except InputError as refused:
        flags = re.compile(r"(?<!\S)--([a-z][a-z-]*)")
        said = flags.sub(lambda flag: flag[1].replace("-", "_"), str(refused))
        raise ValueError(re.sub(r"^seed\b", "random_state", said)) from None
    x = found.rows.load()
    values |= {name: FURTHER[name](x, random_state) for name in measures or () if name in FURTHER}
    return {name: _with(value, remarks) for name, value in values.items()}


def _with(value: Value, remarks: Sequence[str]) -> Value:
    """A value whose remark also has what a transform found."""
    said = [*remarks, *([value.remark] if value.remark else [])]
    return value._replace(remark="; ".join(said) or None)


def _labels(labels: Any, n: int) -> Labels | None:
    if labels is None:
        return None
    codes, k = as_codes(labels, n)
    names = tuple(map(str, range(k)))
    return Labels(codes, names, tuple((name,) for name in names), names, False)
