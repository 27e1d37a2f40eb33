"""The benchmark of the metrics: the silhouette and IsoScore on random normal clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxiso.bench_measure import Call, Contest, measure

if TYPE_CHECKING:
    import numpy as np

    from jaxiso.bench import Options

# Each metric, and what it is compared with.
PEERS = {"silhouette": "scikit-learn", "IsoScore": "seven steps, NumPy"}
COLUMNS = ("median", "fastest", "first call", "memory", "value")


def run(options: Options) -> dict[str, Any]:
    """The figures of each metric."""
    points, labels = make_data(options)
    return {
        metric: measure(
            Contest(
                "metrics",
                metric,
                {
                    "jaxiso": our_call(metric, points, labels),
                    "peer": peer_call(metric, points, labels),
                },
                {"jaxiso": "jaxiso", "peer": peer},
                "--points",
            ),
            options,
        )
        for metric, peer in PEERS.items()
    }


def lone_call(metric: str, by: str, options: Options) -> Call:
    """The call whose memory is measured."""
    return (compiled_call if by == "jaxiso" else peer_call)(metric, *make_data(options))


def make_data(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Normal clusters that overlap, in float32, with labels in random order."""
    import numpy as np

    random = np.random.default_rng(options.seed)
    labels = random.permutation(np.arange(options.points) % options.clusters)
    centres = random.normal(size=(options.clusters, options.dim)).astype(np.float32)
    points = random.standard_normal((options.points, options.dim), np.float32)
    points += centres[labels]
    return points, labels


def our_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Call:
    """The function of jaxiso as a user calls it."""
    from jaxiso.metrics.isotropy import isoscore
    from jaxiso.metrics.silhouette import silhouette_score

    if metric == "silhouette":
        return lambda: float(silhouette_score(points, labels))
    return lambda: float(isoscore(points))


def peer_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Call:
    """The same from the peer, on the same array."""
    if metric == "silhouette":
        from sklearn.metrics import silhouette_score

        return lambda: float(silhouette_score(points, labels))
    return lambda: seven_steps(points)


def seven_steps(points: np.ndarray) -> float:
    """IsoScore as published: Rudman et al. (2022), Algorithm 1, in float64."""
    import numpy as np

    d = points.shape[1]
    centred = points - points.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(np.cov(centred, rowvar=False))
    variances = np.var(centred @ directions, axis=0, ddof=1)
    normalised = np.sqrt(d) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(normalised - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float((d * used - 1) / (d - 1))


def compiled_call(metric: str, points: np.ndarray, labels: np.ndarray) -> Call:
    """As `our_call`, compiled but never run, so that the one call is all that is seen."""
    import jax

    from jaxiso.metrics.isotropy import isoscore
    from jaxiso.metrics.silhouette import silhouette_score

    ours = (lambda x: silhouette_score(x, labels)) if metric == "silhouette" else isoscore
    compiled = jax.jit(ours).lower(jax.ShapeDtypeStruct(points.shape, points.dtype)).compile()
    return lambda: float(compiled(points))


def title(report: dict[str, Any]) -> str:
    """What was measured, and by what rules."""
    options = report["options"]
    memory = report["machine"]["working_memory_mib"]
    return (
        f"{options['points']:,} points × {options['dim']}, {options['clusters']} clusters; "
        f"scikit-learn's working_memory {memory} MiB"
    )


def cells(figures: dict[str, Any]) -> list[str]:
    """What `COLUMNS` show of one call."""
    seconds = [f"{figures[name]:.4f} s" for name in ("median_s", "min_s", "first_call_s")]
    return [*seconds, f"{figures['peak_bytes'] / 2**20:,.0f} MiB", f"{figures['value']:.6f}"]


def ratios(result: dict[str, Any]) -> list[str]:
    """What `COLUMNS` show of two calls: how many times less jaxiso took."""
    less = result["times_less_memory"]
    fastest = result["peer"]["min_s"] / result["jaxiso"]["min_s"]
    memory = "–" if less is None else f"{less:.1f}×"
    times = [f"{result['times_faster']:.1f}×", f"{fastest:.1f}×", ""]
    return [*times, memory, f"± {result['difference']:.0e}"]
