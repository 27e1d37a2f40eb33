"""`python -m jaxiso.embed --dry-run`: what a run would take, without training anything."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso.cli.console import duration, note, several
from jaxiso.embed.arrays import EmbedData, prepare
from jaxiso.embed.experiment import make_embed, over_seeds, seeds_and_weights
from jaxiso.embed.inputs import Embeddings
from jaxiso.embed.options import Options
from jaxiso.embed.result import count_parameters
from jaxiso.seeds import Spread


def print_estimate(
    options: Options,
    embeddings: Embeddings,
    config: Mapping[str, Any],
    held_out: np.ndarray | None = None,
) -> None:
    """Prints shapes, parameters, memory and time of a run.

    Memory is what XLA plans for the compiled programs of all seeds that a device has. Time is that
    of one update and one measurement of one seed, measured here on random vectors, times their
    number; encoding the texts comes on top.

    Vectors of texts that are not encoded yet are made up.
    """
    updates, seeds, weighed = options.updates, options.seeds, options.isotropy or ()
    assert updates is not None
    encoded = embeddings.vectors is not None
    if not encoded:
        shape = config["vectors"], config["dim"]
        made_up = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        made_up /= np.linalg.norm(made_up, axis=1, keepdims=True)
        embeddings = embeddings._replace(vectors=made_up)
    data = prepare(options, embeddings, held_out)
    programs = over_seeds(make_embed(options))
    models = seeds * max(len(weighed), 1)
    spread = Spread.over(models)
    memory = _memory(programs, options, data, spread.each)
    note("timing one update and one measurement of one seed ...", quiet=options.quiet)
    step, measure = _seconds(
        programs, replace(options, seeds=1, isotropy=weighed[:1] or None), data
    )
    measured = updates // options.every + (updates % options.every > 0) + 1
    total = spread.each * (updates * step + measured * measure)
    some = f" (measured on {options.sample:,} at a time)" if data.train.plan is None else ""
    each = f" with each of {several(len(weighed), 'weight')} of isotropy" if weighed else ""
    print(f"items         {config['items']:,}{some}, of {several(config['inputs'], 'vector')} each")
    if held_out is not None:
        print(f"held out      {config['test_items']:,} of them")
    print(f"vectors       {config['vectors']:,} × {config['dim']}")
    print(f"classes       {data.classes}, {data.clusters} clusters")
    print(f"parameters    {count_parameters(config):,} a seed, {several(seeds, 'seed')}{each}")
    on = jax.devices()[0].device_kind
    if spread.mesh is not None:
        on = f"each of {spread.mesh.size} devices ({on})"
    print(f"memory        {memory / 2**30:.2f} GiB on {on}")
    print(f"one seed      {step:.3f} s an update, {measure:.3f} s a measurement")
    print(f"whole run     about {duration(total)} for {updates} updates, {measured} measurements")
    if not encoded:
        print(f"not included  encoding {config['vectors']:,} texts with {config['encoder']}, once")


def _memory(programs: Any, options: Options, data: EmbedData, models: int) -> int:
    """Bytes that the larger of the two programs takes, with so many models on a device."""
    keys, weights = seeds_and_weights(options)
    keys, weights = keys[:models], None if weights is None else weights[:models]
    states = jax.eval_shape(programs.init, keys, data)
    lowered = (
        programs.step.lower(states, data, weights),
        programs.measure.lower(states, data, jnp.int32(0)),
    )
    planned: list[Any] = [one.compile().memory_analysis() for one in lowered]
    return max(
        used.argument_size_in_bytes
        + used.output_size_in_bytes
        + used.temp_size_in_bytes
        - used.alias_size_in_bytes
        for used in planned
    )


def _seconds(programs: Any, options: Options, data: EmbedData) -> tuple[float, float]:
    """Time of an update and of a measurement, the best of two, after one to compile."""
    keys, weights = seeds_and_weights(options)
    states = programs.init(keys, data)
    times: list[tuple[float, float]] = []
    for _ in range(3):
        start = time.perf_counter()
        states = jax.block_until_ready(programs.step(states, data, weights))
        middle = time.perf_counter()
        jax.block_until_ready(programs.measure(states, data, jnp.int32(1)))
        times.append((middle - start, time.perf_counter() - middle))
    return min(t[0] for t in times[1:]), min(t[1] for t in times[1:])
