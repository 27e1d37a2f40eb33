"""What a metrics table says: correlations across training, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

QUANTITIES = ("isoscore", "silhouette", "loss", "accuracy")
INDICES = ("calinski_harabasz", "davies_bouldin", "dunn")
KEYS = ("seed", "step", "isotropy")  # what a row is of; all other columns are measured


def by_step(metrics: Mapping[str, Sequence[float]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
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


def of_isotropy(
    metrics: Mapping[str, Sequence[float]], isotropy: float
) -> dict[str, Sequence[float]]:
    """The rows of a metrics table that have one weight of isotropy in the loss.

    Args:
        metrics: with a column `isotropy`, in single precision.
        isotropy: the weight.
    """
    keep = np.asarray(metrics["isotropy"], np.float32) == np.float32(isotropy)
    return {name: np.asarray(values)[keep].tolist() for name, values in metrics.items()}


def summarise(metrics: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Correlations of IsoScore and silhouette over the seed-averaged trajectory, and the end.

    Args:
        metrics: as for `by_step`.

    Returns:
        `pearson_r` and `spearman_rho` (None where one of the two never moves, or is not finite);
        for each quantity `start` and `final` mean and standard deviation over seeds (n - 1; None
        for one seed); `largest_sd`, the largest standard deviation over seeds of IsoScore or
        silhouette at any step, which paper A reports in Section 3.2; and `diverged_at`, the first
        step at which one of `QUANTITIES` is not finite. Where Calinski-Harabasz, Davies-Bouldin and
        Dunn were measured, `agreement` has the correlations of each with silhouette and IsoScore.
        None stands for every number that is not finite.
    """
    steps, values = by_step(metrics)
    isoscore, silhouette = (values[name].mean(axis=1) for name in ("isoscore", "silhouette"))
    pearson, spearman = correlations(isoscore, silhouette)
    seeds = values["isoscore"].shape[1]
    finite = np.isfinite(np.stack([values[name] for name in QUANTITIES])).all(axis=(0, 2))
    with np.errstate(invalid="ignore"):  # values that are infinite have none
        sd = {name: v.std(axis=1, ddof=1) if seeds > 1 else None for name, v in values.items()}
    spread = [s for s in (sd["isoscore"], sd["silhouette"]) if s is not None]

    def at(place: int) -> dict[str, dict[str, float | None]]:
        return {
            name: {
                "mean": _finite(values[name][place].mean()),
                "sd": None if (s := sd[name]) is None else _finite(s[place]),
            }
            for name in values
        }

    summary: dict[str, object] = {
        "pearson_r": pearson,
        "spearman_rho": spearman,
        "start": at(0),
        "final": at(-1),
        "largest_sd": _finite(np.max(spread)) if spread else None,
        "diverged_at": int(steps[~finite][0]) if not finite.all() else None,
    }
    tracked = [name for name in INDICES if name in values]
    if tracked:
        both = {"silhouette": silhouette, "isoscore": isoscore}
        summary["agreement"] = {
            name: {to: _named(values[name].mean(axis=1), other) for to, other in both.items()}
            for name in tracked
        }
    return summary


def _named(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    return dict(zip(("pearson_r", "spearman_rho"), correlations(a, b), strict=True))


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
