"""Every metric on many kinds of data against float64 references: the accuracy that is documented.

One program a metric, size and precision; the kinds of data are looped over. With `pytest -s` each
test prints its worst error and where it was.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, xlogy

from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank, participation_ratio
from jaxiso.metrics.directions import isotropy_score, mean_cosine
from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.objectives import isotropy_angle
from jaxiso.metrics.silhouette import silhouette_score
from jaxiso.metrics.silhouette_programs import from_pairs

SIZES = {"more points than dimensions": (60, 6), "fewer": (24, 40)}
K = 3


def labellings(n: int) -> dict[str, np.ndarray]:
    """All of three labels, so that all share a program."""
    turns = np.arange(n) % K
    return {
        "in turn": turns,
        "blocks": np.arange(n) * K // n,
        "a single point": np.where(np.arange(n) == 5, 2, turns % 2),
    }


def kinds(n: int, d: int) -> dict[str, np.ndarray | jax.Array]:
    random = np.random.default_rng(n)
    noise = random.normal(size=(n, d)) * np.linspace(0.5, 1.5, d)
    places = 3 * random.normal(size=(K, d))[np.arange(n) % K]
    x = places + noise
    f32 = x.astype(np.float32)
    whole = random.integers(-9, 9, size=(n, d))
    far = x.copy()
    far[7] = 1e8
    return {
        "float64": x,
        "float32": f32,
        "noise": noise,
        "float16": x.astype(np.float16),
        "columns first": np.asfortranarray(x),
        "unit length": x / np.linalg.norm(x, axis=1, keepdims=True),
        "twice each": np.repeat(x[: n // 2], 2, axis=0),
        "one column constant": np.where(np.arange(d) == 2, 5, x),
        "one axis dominates": x * np.where(np.arange(d) == 1, 300, 1),
        "one point far away": far,
        "collapsed to 1e-3": (places + 1e-3 * noise).astype(np.float32),
        "collapsed to 1e-5": (places + 1e-5 * noise).astype(np.float32),
        "mean 1000, float32": f32 + np.float32(1000),
        "mean 1e8": x + 1e8,
        "mean 1e-8 of a tiny cloud": 1e-290 * x + 1e-282,
        "near float32's largest": f32 * np.float32(2e37),
        "near float32's smallest": f32 * np.float32(1e-38),
        "below float32's smallest": (x * 1e-40).astype(np.float32),
        "near float64's largest": x * 1e307,
        "near float64's smallest": x * 1e-307,
        "whole numbers": whole,
        "whole numbers above 2**24": (whole + 2**24 + 9).astype(np.int32),
        "whole numbers near 2**63": whole.astype(np.int64) + (2**63 - 20),
        "unsigned": (whole + 2**31).astype(np.uint32),
        "a JAX array": jnp.asarray(f32),
        "a JAX array of whole numbers": jnp.asarray((whole + 2**24 + 9).astype(np.int32)),
        "bfloat16": jnp.asarray(f32, jnp.bfloat16),
    }


# --- references, on points in float64, moved and scaled so that it costs no digits ---------------


def exact(points) -> np.ndarray:
    if points.dtype.kind in "iu":
        x = np.asarray(points).astype(object)  # whole numbers of any size
        x = (x - x[0]).astype(np.float64)
    else:
        x = np.asarray(points).astype(np.float64)
        x = x * 2.0 ** -np.frexp(np.abs(x).max())[1]
        x = x - np.median(x, axis=0)
    return x / (np.abs(x).max() or 1)


def silhouettes(x, labels) -> np.ndarray:
    distance = cdist(x, x)
    sums = np.stack([distance[:, labels == k].sum(axis=1) for k in range(K)], axis=1)
    counts = np.bincount(labels, minlength=K)
    own, rows = counts[labels], np.arange(len(x))
    a = sums[rows, labels] / np.maximum(own - 1, 1)
    means = sums / counts
    means[rows, labels] = np.inf
    b = means.min(axis=1)
    return np.where(own > 1, (b - a) / np.maximum(np.maximum(a, b), 1e-300), 0)


def davies_bouldin(x, labels) -> float:
    """scikit-learn's without ‖a‖² + ‖b‖² - 2a·b, which loses the way between close centroids."""
    groups = [x[labels == label] for label in range(K)]
    groups = [(g[0], g - g[0]) for g in groups]
    centroids = np.stack([first + rest.mean(axis=0) for first, rest in groups])
    radii = np.array([np.linalg.norm(g - g.mean(axis=0), axis=1).mean() for _, g in groups])
    distance = cdist(centroids, centroids) + np.diag([np.inf] * K)
    return float(((radii[:, None] + radii[None, :]) / distance).max(axis=1).mean())


def calinski_harabasz(x, labels) -> float:
    groups = [x[labels == label] for label in range(K)]
    between = sum(len(g) * np.sum((g.mean(axis=0) - x.mean(axis=0)) ** 2) for g in groups)
    within = sum(np.sum((g - g[0] - (g - g[0]).mean(axis=0)) ** 2) for g in groups)
    return float(between / (K - 1) / (within / (len(x) - K)))


def dunn(x, labels) -> float:
    distance, same = cdist(x, x), labels[:, None] == labels[None, :]
    return float(distance[~same].min() / distance[same].max())


def singular(x) -> np.ndarray:
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    return values[values > 1e-14 * values[0]] / values[0]


def excess(x) -> float:
    """tr(C)² / ‖C‖² - 1 without cancellation."""
    v = singular(x) ** 2
    return float(2 * sum(v[i] * v[i + 1 :].sum() for i in range(len(v))) / (v**2).sum())


def entropy_rank(x) -> float:
    share = singular(x) / singular(x).sum()
    return float(np.exp(-xlogy(share, share).sum()))


def angle(x) -> float:
    v = singular(x) ** 2
    v = np.pad(v, (0, x.shape[1] - len(v)))
    return float(np.arctan2(np.linalg.norm(v - v.mean()), v.mean() * np.sqrt(len(v))))


def cosines(points) -> float:
    x = np.asarray(points).astype(np.float64)
    x = x / np.abs(x).max(axis=1, keepdims=True)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return float((x @ x.T)[~np.eye(len(x), dtype=bool)].mean())


def partitions(points) -> float:
    x = np.asarray(points).astype(np.float64)
    along = x @ np.linalg.svd(x, full_matrices=True)[2].T
    logs = logsumexp(np.concatenate([along, -along], axis=1), axis=0)
    return float(np.exp(logs.min() - logs.max()))


# --- the table: metric, reference, and the relative and absolute error that float32 is allowed ----

FREE = {
    "isoscore": (isoscore, lambda x: excess(x) / (x.shape[1] - 1), 1e-4, 1e-10),
    "participation_ratio": (participation_ratio, lambda x: 1 + excess(x), 1e-5, 0),
    "effective_rank": (effective_rank, entropy_rank, 2e-4, 0),
    "isotropy_angle": (isotropy_angle, angle, 0, 2e-6),
}
SEEN = {  # from the origin
    "mean_cosine": (mean_cosine, cosines, 1e-5, 1e-7),
    "isotropy_score": (isotropy_score, partitions, 2e-4, 1e-30),
}
LABELLED = {
    "silhouette_score": (silhouette_score, lambda x, y: silhouettes(x, y).mean(), 0, 2e-6),
    "silhouettes_in_jax": (from_pairs, silhouettes, 0, 4e-6),
    "calinski_harabasz_score": (calinski_harabasz_score, calinski_harabasz, 1e-4, 0),
    "davies_bouldin_score": (davies_bouldin_score, davies_bouldin, 1e-4, 0),
    "dunn_index": (dunn_index, dunn, 1e-4, 0),
}
METRICS = FREE | SEEN | LABELLED
# Where distances of very different sizes meet, small ones are lost in the rounding of large ones.
ROUGH = {"silhouette_score": 2e-4, "silhouettes_in_jax": 1e-3, "dunn_index": 1e-3}
OUTSIDE = ("largest", "smallest", "tiny")  # of the range where the origin is seen


def cases(name: str, size: str, *, double: bool):
    """Kind of data, arguments and reference of each case of a metric."""
    n, d = SIZES[size]
    _, reference, _, _ = METRICS[name]
    for kind, points in kinds(n, d).items():
        if double and points.dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
            continue  # stays float32
        if name in FREE:
            yield kind, (points,), reference(exact(points))
        elif name in LABELLED:
            x = exact(points)
            for labelling, labels in labellings(n).items():
                yield f"{kind}, labels {labelling}", (points, labels), reference(x, labels)
        elif not any(word in kind for word in OUTSIDE):
            yield kind, (points,), reference(np.asarray(points, np.float64))


def check(name: str, size: str, *, double: bool):
    """Compares all cases before it fails, and says which is the worst."""
    metric, _, rtol, atol = METRICS[name]
    worst, count = (0.0, "", 0.0, 0.0), 0
    for kind, arguments, expected in cases(name, size, double=double):
        found = np.asarray(metric(*arguments))
        assert found.dtype == (np.float64 if double else np.float32)
        assert found.shape == np.shape(expected)
        found, expected = np.ravel(found), np.ravel(expected)
        rough = "collapsed" in kind or "far away" in kind
        if double:
            allowed = (1e-9 if rough else 1e-10) * np.maximum(1, np.abs(expected))
        else:
            allowed = rtol * np.abs(expected) + (ROUGH.get(name, atol) if rough else atol)
            if "dominates" in kind and "silhouette" in name:
                allowed = 3 * allowed  # points may be much closer than their norms say
        used = np.abs(found - expected) / np.maximum(allowed, 1e-300)
        at = int(np.argmax(np.where(np.isnan(used), np.inf, used)))
        count += 1
        if not used[at] <= worst[0]:
            worst = float(used[at]), kind, float(found[at]), float(expected[at])
    print(f"{name}: {count} cases, worst {worst[0]:.2g} of what is allowed: {worst[1:]}")
    assert worst[0] <= 1, worst


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", METRICS)
def test_float32(name, size):
    check(name, size, double=False)


@pytest.mark.parametrize("name", METRICS)
def test_float64(name):
    with jax.enable_x64(True):
        for size in SIZES if name in SEEN | FREE else list(SIZES)[:1]:
            check(name, size, double=True)
