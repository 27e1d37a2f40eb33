"""`python -m jaxiso.embed --dry-run`: what a run would take, without training anything."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jaxiso.console import duration, note

if TYPE_CHECKING:
    from jaxiso.embed import Options
    from jaxiso.embeddings import Embeddings


def print_estimate(options: Options, embeddings: Embeddings) -> None:
    """Prints shapes, parameters, memory and time of a run.

    Memory is what XLA plans for the compiled programs of all seeds. Time is that of one update and
    one measurement of one seed, measured here on random vectors, times their number; encoding the
    texts comes on top.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxiso.embed import run_config
    from jaxiso.embed_result import count_parameters
    from jaxiso.embed_training import prepare_data, prepare_seeds
    from jaxiso.experiments import embed

    items = embeddings.items
    vectors = embeddings.vectors
    if vectors is None:
        rows = int(items.index.max()) + 1
        vectors = np.random.default_rng(0).normal(size=(rows, embeddings.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    config, data = prepare_data(options, embeddings, vectors)
    programs = embed.over_seeds(embed.make_embed(config))
    keys, weights = prepare_seeds(options, options.seeds)
    states = jax.eval_shape(programs.init, keys, data)
    memory = max(
        _bytes(programs.step.lower(states, data, weights)),
        _bytes(programs.measure.lower(states, data, jnp.int32(0))),
    )
    note("timing one update and one measurement of one seed ...", quiet=options.quiet)
    one = replace(options, isotropy=options.isotropy and options.isotropy[:1])
    step, measure = _seconds(programs, *prepare_seeds(one, 1), data)
    updates = options.updates or embeddings.updates
    measured = updates // options.every + (updates % options.every > 0) + 1
    total = len(keys) * (updates * step + measured * measure)
    n, inputs = items.index.shape
    parameters = count_parameters(run_config(options, embeddings))
    sampled = f" (measured on {config.sample:,} at a time)" if config.sample else ""
    print(f"items         {n:,}{sampled}, of {inputs} vector(s) each")
    if data.test is not None:
        print(f"held out      {len(data.test.rows):,} of them")
    print(f"vectors       {vectors.shape[0]:,} × {vectors.shape[1]}")
    print(f"classes       {config.classes}, {config.clusters} clusters")
    weighed = options.isotropy or ()
    several = f" with each of {len(weighed)} weight(s) of isotropy" if weighed else ""
    print(f"parameters    {parameters:,} a seed, {options.seeds} seed(s){several}")
    print(f"memory        {memory / 2**30:.2f} GiB on {jax.devices()[0].device_kind}")
    print(f"one seed      {step:.3f} s an update, {measure:.3f} s a measurement")
    print(f"whole run     about {duration(total)} for {updates} updates, {measured} measurements")
    if embeddings.vectors is None:
        print(f"not included  encoding {vectors.shape[0]:,} texts with {embeddings.encoder}, once")


def _bytes(lowered: Any) -> int:
    stats = lowered.compile().memory_analysis()
    used = stats.argument_size_in_bytes + stats.output_size_in_bytes + stats.temp_size_in_bytes
    return int(used - stats.alias_size_in_bytes)


def _seconds(programs: Any, keys: Any, weights: Any, data: Any) -> tuple[float, float]:
    """Time of an update and of a measurement, the best of two, after one to compile."""
    import jax
    import jax.numpy as jnp

    states = programs.init(keys, data)
    times: list[tuple[float, float]] = []
    for _ in range(3):
        start = time.perf_counter()
        states = jax.block_until_ready(programs.step(states, data, weights))
        middle = time.perf_counter()
        jax.block_until_ready(programs.measure(states, data, jnp.int32(1)))
        times.append((middle - start, time.perf_counter() - middle))
    return min(t[0] for t in times[1:]), min(t[1] for t in times[1:])
