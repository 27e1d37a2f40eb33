"""What a metrics table says: correlations across training, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxiso.cli.console import several
from jaxiso.run_files import Columns, rows_where

INDICES = ("calinski_harabasz", "davies_bouldin", "dunn")
KEYS = ("seed", "step", "isotropy")  # what a row is of; all other columns are measured
NAMES = {
    "isoscore": "IsoScore",
    "silhouette": "Silhouette",
    "loss": "Loss",
    "accuracy": "Accuracy",
    "calinski_harabasz": "Calinski-Harabasz",
    "davies_bouldin": "Davies-Bouldin",
    "dunn": "Dunn",
    "test_isoscore": "IsoScore, held out",
    "test_silhouette": "Silhouette, held out",
    "test_accuracy": "Accuracy, held out",
}
"""How people call the columns."""

Metrics = Mapping[str, Sequence[float]]


def by_step(metrics: Metrics) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A metrics table as arrays.

    Args:
        metrics: columns seed, step and the quantities, one row a seed and step; of one weight of
            isotropy only, see `of_isotropy`.

    Returns:
        The measured steps, shape (t,), and each quantity in float64, shape (t, seeds).
    """
    steps, row = np.unique(np.asarray(metrics["step"]), return_inverse=True)
    seeds, column = np.unique(np.asarray(metrics["seed"]), return_inverse=True)
    found = {}
    for name in (name for name in metrics if name not in KEYS):
        found[name] = np.full((len(steps), len(seeds)), np.nan)
        found[name][row, column] = metrics[name]
    return steps, found


def of_isotropy(metrics: Metrics, isotropy: float) -> Columns:
    """The rows of a metrics table that have one weight of isotropy in the loss."""
    return rows_where(metrics, "isotropy", isotropy)


def summarise(metrics: Metrics) -> dict[str, Any]:
    """Correlations of IsoScore and silhouette over the seed-averaged trajectory, and the end.

    Returns:
        `pearson_r` and `spearman_rho`; for each quantity `start` and `final` mean and standard
        deviation over seeds (n - 1); `largest_sd`, the largest standard deviation over seeds of
        IsoScore or silhouette at any step, which paper A reports in Section 3.2; and `diverged_at`,
        the first measured step at which the loss is not finite, or None. Where Calinski-Harabasz,
        Davies-Bouldin and Dunn were measured, `agreement` has the correlations of each with
        silhouette and IsoScore. None stands for every number that is not defined or not finite,
        and `undefined` says why, by the number's name.
    """
    steps, values = by_step(metrics)
    seeds = values["loss"].shape[1]
    means = {name: value.mean(axis=1) for name, value in values.items()}
    with np.errstate(invalid="ignore"):  # values that are infinite have none
        sds = {n: v.std(axis=1, ddof=1) for n, v in values.items()} if seeds > 1 else {}

    def at(place: int) -> dict[str, dict[str, float | None]]:
        return {
            name: {
                "mean": _finite(means[name][place]),
                "sd": _finite(sds[name][place]) if sds else None,
            }
            for name in values
        }

    def correlated(a: str, b: str) -> dict[str, float | None]:
        found = correlations(means[a], means[b])
        return dict(zip(("pearson_r", "spearman_rho"), found, strict=True))

    finite = np.isfinite(values["loss"]).all(axis=1)
    summary: dict[str, Any] = {
        **correlated("isoscore", "silhouette"),
        "start": at(0),
        "final": at(-1),
        "largest_sd": _finite(max(sds["isoscore"].max(), sds["silhouette"].max())) if sds else None,
        "diverged_at": None if finite.all() else int(steps[~finite][0]),
    }
    tracked = [name for name in INDICES if name in values]
    if tracked:
        summary["agreement"] = {
            name: {to: correlated(name, to) for to in ("silhouette", "isoscore")}
            for name in tracked
        }
    return summary | {"undefined": _undefined(summary, steps, means, seeds)}


def _undefined(
    summary: Mapping[str, Any], steps: np.ndarray, means: Mapping[str, np.ndarray], seeds: int
) -> dict[str, str]:
    """Why numbers of a summary are None."""
    diverged = summary["diverged_at"]

    def why(*names: str) -> str:
        for name in names:
            bad = ~np.isfinite(means[name])
            if bad.any() and diverged is not None:
                return f"diverged after update {diverged:,}"
            if bad.any():
                return f"{NAMES[name]} is not defined after update {steps[bad][0]:,}"
        flat = [NAMES[name] for name in names if np.ptp(means[name]) == 0]
        return f"{flat[0]} never moves" if flat else f"{several(len(steps), 'measurement')} only"

    found = {}
    if summary["pearson_r"] is None:
        found["pearson_r"] = found["spearman_rho"] = why("isoscore", "silhouette")
    if summary["largest_sd"] is None:
        found["largest_sd"] = "of one seed" if seeds == 1 else why("isoscore", "silhouette")
    for when in ("start", "final"):
        for name, measured in summary[when].items():
            if measured["mean"] is None:
                found[f"{when} {name}"] = why(name)
    for name, others in summary.get("agreement", {}).items():
        for other, measured in others.items():
            if measured["pearson_r"] is None:
                found[f"agreement {name} {other}"] = why(name, other)
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def correlations(a: np.ndarray, b: np.ndarray) -> tuple[float | None, float | None]:
    """Pearson's r and Spearman's ρ, as in paper A, Section 3.2 and Table 3.

    Both are None where they are not defined: fewer than two values, values without spread, or such
    as are not finite.
    """
    if len(a) < 2 or not all(np.isfinite(x).all() and np.ptp(x) > 0 for x in (a, b)):
        return None, None
    from scipy.stats import rankdata

    def pearson(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.corrcoef(x, y)[0, 1])

    return pearson(a, b), pearson(rankdata(a), rankdata(b))


def log_normalised(isoscore: np.ndarray) -> np.ndarray:
    """Log-normalised IsoScore as Figures 2 and 4 plot it: its logarithm, rescaled to 0 … 1.

    The paper does not define the term; this is the logarithm with the smallest value of the
    trajectory at 0 and the largest at 1. Correlations are taken on the raw scores.
    """
    logs = np.log(np.maximum(isoscore, np.finfo(np.float32).tiny))
    known = logs[np.isfinite(logs)]  # a run that diverged has no scores at its end
    if not len(known):
        return logs
    spread = np.ptp(known)
    return (logs - known.min()) / (spread if spread > 0 else 1)
