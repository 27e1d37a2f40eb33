"""What a metrics table says: correlations across training, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

QUANTITIES = ("isoscore", "silhouette", "loss", "accuracy")


def by_step(metrics: Mapping[str, Sequence[float]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A metrics table as arrays.

    Args:
        metrics: columns seed, step and the quantities, one row a seed and step.

    Returns:
        The measured steps, shape (t,), and each quantity in float64, shape (t, seeds).
    """
    steps, row = np.unique(np.asarray(metrics["step"]), return_inverse=True)
    seeds, column = np.unique(np.asarray(metrics["seed"]), return_inverse=True)
    found = {}
    for name in QUANTITIES:
        found[name] = np.full((len(steps), len(seeds)), np.nan)
        found[name][row, column] = metrics[name]
    return steps, found


def summarise(metrics: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Correlations of IsoScore and silhouette over the seed-averaged trajectory, and the end.

    Args:
        metrics: as for `by_step`.

    Returns:
        `pearson_r` and `spearman_rho` (None where one of the two never moves, or is not finite);
        for each quantity `start` and `final` mean and standard deviation over seeds (n - 1; None
        for one seed); `largest_sd`, the largest standard deviation over seeds of IsoScore or
        silhouette at any step, which paper A reports in Section 3.2; and `diverged_at`, the first
        step at which some quantity is not finite. None stands for every number that is not finite.
    """
    steps, values = by_step(metrics)
    isoscore, silhouette = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
    pearson, spearman = correlations(isoscore, silhouette)
    seeds = values["isoscore"].shape[1]
    finite = np.isfinite(np.stack(list(values.values()))).all(axis=(0, 2))
    sd = {name: v.std(axis=1, ddof=1) if seeds > 1 else None for name, v in values.items()}
    both = [s for s in (sd["isoscore"], sd["silhouette"]) if s is not None]

    def at(place: int) -> dict[str, dict[str, float | None]]:
        return {
            name: {
                "mean": _finite(values[name][place].mean()),
                "sd": None if (s := sd[name]) is None else _finite(s[place]),
            }
            for name in QUANTITIES
        }

    return {
        "pearson_r": pearson,
        "spearman_rho": spearman,
        "start": at(0),
        "final": at(-1),
        "largest_sd": _finite(np.max(both)) if both else None,
        "diverged_at": int(steps[~finite][0]) if not finite.all() else None,
    }


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
