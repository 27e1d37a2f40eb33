"""What each transform learns of the vectors that it is fitted on, in float64 on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxiso.metrics.arrays import distinct_rows
from jaxiso.metrics.moments import blocks
from jaxiso.metrics.spectrum import PrincipalAxes, principal_axes
from jaxiso.transforms.steps import (
    AllButTheTop,
    Center,
    ClusterWise,
    Params,
    Rogue,
    Standardize,
    Unit,
    Whiten,
    apply_on_host,
)

ROGUE = 3
"""Dimensions that `rogue` leaves out: Timkey and van Schijndel find 1 to 5 that dominate."""
CLUSTERS, REMOVED = 27, 12
"""Of `cluster`: what Rajaee and Pilehvar take for BERT."""
SEED = 0
"""Of k-means."""


class Sample(NamedTuple):
    """Vectors that a transform is fitted on.

    Attributes:
        x: (n, d) float32 or float64.
        noise: (d,) how large the rounding errors of a dimension may be, that came in with x.
    """

    x: np.ndarray
    noise: np.ndarray

    def axes(self, rows: Any = slice(None)) -> tuple[PrincipalAxes, int]:
        """Principal axes of these rows, and how many of them vary more than by rounding."""
        axes = principal_axes(self.x[rows])
        return axes, axes.rank(float(np.linalg.norm(self.noise)) * np.sqrt(axes.n))

    def after(self, params: Params) -> Sample:
        """The transformed vectors; their noise is that of the original ones, carried along."""
        x = apply_on_host([params], self.x)
        if isinstance(params, Rogue):
            return Sample(x, self.noise[params.kept])
        if isinstance(params, Standardize):
            return Sample(x, self.noise * params.scale)
        if isinstance(params, Unit):
            return Sample(
                x,
                self.noise
                * np.linalg.norm(root_mean_squares(x))
                / np.linalg.norm(root_mean_squares(self.x)),
            )
        if isinstance(params, Whiten):
            return Sample(x, np.finfo(x.dtype).eps * root_mean_squares(x))
        return Sample(x, self.noise)


Found = tuple[Params, tuple[str, ...]]
"""What a fit gives: parameters and remarks."""


def fit_center(sample: Sample) -> Found:
    """The mean."""
    return Center(_mean(sample.x)), ()


def fit_unit(sample: Sample) -> Found:
    """Nothing to learn; counts the vectors that are zero."""
    zero = int((~sample.x.any(axis=1)).sum())
    what = f"unit: {zero:,} of {len(sample.x):,} vectors are zero, and stay so"
    return Unit(), (what,) * bool(zero)


def fit_standardize(sample: Sample) -> Found:
    """Means and standard deviations of the population."""
    x = sample.x
    mean = _mean(x)
    deviation = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for block in blocks(x)) / len(x))
    constant = deviation <= np.maximum(sample.noise, np.finfo(np.float64).eps * np.abs(mean))
    remark = (
        f"standardize: {constant.sum():,} of {x.shape[1]:,} dimensions do not vary, and become zero"
    )
    scale = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
    return Standardize(mean, scale), (remark,) * bool(constant.any())


def fit_whiten(sample: Sample, k: int | None = None) -> Found:
    """Principal directions over the roots of their variances, the largest first.

    Raises:
        ValueError: k is more than the rank, or no direction varies.
    """
    axes, rank = sample.axes()
    n, d = sample.x.shape
    if rank == 0 or (k or 0) > rank:
        many = "" if k is None else f":{k}"
        raise ValueError(
            f"whiten{many}: the {n:,} vectors vary in {rank:,} of {d:,} directions only; "
            + (f"give whiten:k with k from 1 to {rank:,}" if rank else "there is nothing to whiten")
        )
    remarks = []
    if k is None and rank < d:
        remarks.append(
            f"whiten: {rank:,} of {d:,} directions vary; the other {d - rank:,} are projected out"
        )
    if rank == n - 1 and (k or rank) == rank:
        remarks.append(
            f"whiten: {n:,} vectors have at most {n - 1:,} directions, and whitened in all of them "
            "they are equally far from each other, whatever they were; take more vectors, or fewer "
            "components"
        )
    k = k or rank
    scale = np.sqrt(n - 1) / axes.singular[:k]
    return Whiten(axes.mean, axes.directions[:k].T * scale[None]), tuple(remarks)


def fit_abtt(sample: Sample, removed: int | None = None) -> Found:
    """The mean and the first D principal directions; by default d / 100, as its authors advise.

    Raises:
        ValueError: nothing would be left.
    """
    d = sample.x.shape[1]
    removed = removed or max(1, round(d / 100))
    axes, rank = sample.axes()
    if removed >= rank:
        raise ValueError(
            f"abtt:{removed}: the {len(sample.x):,} vectors vary in {rank:,} of {d:,} directions, "
            f"so nothing would be left; D must be below {rank:,}"
        )
    return AllButTheTop(axes.mean, axes.directions[:removed].T), ()


def fit_rogue(sample: Sample, dropped: int | None = None) -> Found:
    """The dimensions but the k with the largest absolute mean.

    They are left out, not set to zero: lengths, distances and cosines are the same, but IsoScore
    counts the dimensions that there are.

    Raises:
        ValueError: no dimension would be left, or the means are zero.
    """
    dropped = dropped or ROGUE
    d = sample.x.shape[1]
    if dropped >= d:
        raise ValueError(f"rogue:{dropped}: there are {d:,} dimensions; k must be below {d:,}")
    mean = np.abs(_mean(sample.x))
    if (mean <= sample.noise).all():
        raise ValueError("rogue: all dimensions have mean zero; put it before center")
    kept = np.sort(np.argsort(-mean, kind="stable")[dropped:])
    return Rogue(kept), ()


def fit_cluster(sample: Sample, k: int | None = None, removed: int | None = None) -> Found:
    """Centroids of k-means, and the first D principal directions of each cluster.

    Raises:
        ValueError: fewer different vectors than clusters, or no more than D dimensions.
    """
    from sklearn.cluster import KMeans  # a second that no other transform needs

    k, removed = k or CLUSTERS, removed or REMOVED
    x, d = sample.x, sample.x.shape[1]
    different = len(distinct_rows(x))
    if different < k or removed >= d:
        raise ValueError(
            f"cluster:{k},{removed}: there are {different:,} different vectors of {d:,} dimensions"
            f"; K can be at most {different:,}, and D must be below {d:,}"
        )
    # Until nothing changes, so that each centroid is the mean of those it is nearest to.
    found = KMeans(k, n_init="auto", random_state=SEED, tol=0, max_iter=1000).fit(x)
    centroids, directions, flat = np.empty((k, d)), np.zeros((k, d, removed)), 0
    for code in range(k):
        axes, rank = sample.axes(found.labels_ == code)
        many = min(removed, rank)
        flat += rank <= removed
        centroids[code] = axes.mean
        directions[code, :, :many] = axes.directions[:many].T
    remark = (
        f"cluster: {flat:,} of {k:,} clusters vary in at most D = {removed} directions: all zero"
    )
    return ClusterWise(centroids, directions), (remark,) * bool(flat)


def _mean(x: np.ndarray) -> np.ndarray:
    first = x[0].astype(np.float64)  # so that vectors in one place become zeros
    return first + sum((block - first).sum(axis=0) for block in blocks(x)) / len(x)


def root_mean_squares(x: np.ndarray) -> np.ndarray:
    """Root mean square of each dimension."""
    return np.sqrt(sum((block**2).sum(axis=0) for block in blocks(x)) / len(x))


FITS: dict[str, Callable[..., Found]] = {
    "center": fit_center,
    "unit": fit_unit,
    "standardize": fit_standardize,
    "whiten": fit_whiten,
    "abtt": fit_abtt,
    "rogue": fit_rogue,
    "cluster": fit_cluster,
}
