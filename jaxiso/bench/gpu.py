"""What one accelerator does: the silhouette by precision, both papers' trainings, and its memory.

On a machine without one it runs too, on the CPU, where nothing is gained from it but a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import silhouette_samples as sklearn_silhouettes

from jaxiso.bench.measure import Lap, timed
from jaxiso.bench.metrics import make_data
from jaxiso.bench.options import Options
from jaxiso.bench.vae import SIZES, make_batches, programs, updates, ways
from jaxiso.cli.console import note
from jaxiso.data.tasks import Items
from jaxiso.embed.arrays import prepare
from jaxiso.embed.experiment import make_embed, over_seeds, seeds_and_weights
from jaxiso.embed.inputs import Embeddings
from jaxiso.embed.options import Options as EmbedOptions
from jaxiso.metrics.arithmetic import PRECISIONS, precision, set_precision
from jaxiso.metrics.silhouette import silhouette_samples
from jaxiso.seeds import seed_keys

PRODUCT = 8192
"""Rows and columns of the product that tells what the device can do at most."""
UPDATES = {"tiny": 3, "small": 100, "paper": 1000}
"""Of the embed experiment, by --size."""
EMBED_SEEDS = 5
MODELS = (1, 3, 9)
"""Of the VAE, side by side."""


def measurements(options: Options) -> Iterator[tuple[str, Any]]:
    """Each part's name and its figures, as soon as it is measured."""
    parts: dict[str, Callable[[Options], Any]] = {
        "silhouette": silhouettes,
        "embed": embed,
        "vae": vaes,
    }
    for name, part in parts.items():
        note(f"{name} ...", quiet=options.quiet)
        yield name, part(options)
    memory = jax.devices()[0].memory_stats() or {}
    yield (
        "memory",
        {name: memory[name] for name in ("peak_bytes_in_use", "bytes_limit") if name in memory},
    )


def silhouettes(options: Options) -> dict[str, Any]:
    """Each precision: seconds, largest error, and the share of the device's own float32 product."""
    points, labels = make_data(options)
    expected = np.asarray(sklearn_silhouettes(points.astype(np.float64), labels))
    n, d = points.shape
    limit = _product_speed(min(PRODUCT, n))
    found: dict[str, Any] = {"products_per_s": limit}
    before = precision()
    placed = jnp.asarray(points)
    for name in PRECISIONS:
        try:
            set_precision(name)
            call = partial(_largest_error, placed, labels, expected)
            first, best = _best(call, options.repeats)
        except (ValueError, jax.errors.JaxRuntimeError) as error:  # not on this device
            found[name] = {"refused": str(error).splitlines()[0]}
            continue
        finally:
            set_precision(before)
        speed = n * n * d / 2 / best.seconds  # each pair of points once
        found[name] = {
            "seconds": best.seconds,
            "first_call_s": first.seconds,
            "largest_error": best.value,
            "of_the_product": speed / limit,
        }
    return found


def _largest_error(points: Any, labels: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(np.asarray(silhouette_samples(points, labels)) - expected).max())


def _product_speed(size: int) -> float:
    """Multiply-adds a second of a square product in full float32."""
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: jnp.sum(jnp.dot(a, a, precision=jax.lax.Precision.HIGHEST)))
    _, best = _best(lambda: float(product(a)), 3)
    return size**3 / best.seconds


def embed(options: Options) -> dict[str, Any]:
    """Paper A's experiment at the size of its polarity task, measured after every update."""
    points, labels = make_data(replace(options, clusters=2))
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    codes = labels.astype(np.int32)
    rows = np.arange(len(points), dtype=np.int32)[:, None]
    items = Items("made", [], rows, codes, codes, ("a", "b"), "made")
    chosen = EmbedOptions(seeds=EMBED_SEEDS)
    data = prepare(chosen, Embeddings(points, options.dim, items, bias=False))
    functions = over_seeds(make_embed(chosen))
    keys, _ = seeds_and_weights(chosen)
    number = UPDATES[options.size]

    def run() -> float:
        states = functions.init(keys, data)
        found = functions.measure(states, data, jnp.int32(0))
        for update in range(1, number + 1):
            states = functions.step(states, data)
            found = functions.measure(states, data, jnp.int32(update))
        return float(jnp.mean(found.silhouette))

    first, best = _best(run, 1)
    return {
        "updates": number,
        "seeds": EMBED_SEEDS,
        "points": len(points),
        "seconds": best.seconds,
        "first_call_s": first.seconds,
    }


def vaes(options: Options) -> list[dict[str, Any]]:
    """Updates of the LSTM-VAE: real tokens a second of one model, and of several side by side."""
    batches, size = make_batches(options), SIZES[options.size]
    tokens = sum(int((batch.lengths * batch.rows).sum()) for batch in batches)
    found = []
    for models in MODELS:
        keys = seed_keys(options.seed, models)
        call = updates(*programs(size.config, ways()[0]), keys, batches)
        first, best = _best(call, options.repeats)
        found.append(
            {
                "models": models,
                "seconds": best.seconds,
                "first_call_s": first.seconds,
                "tokens_per_s": models * tokens / best.seconds,
            }
        )
    return found


def _best(call: Callable[[], float], repeats: int) -> tuple[Lap, Lap]:
    """The first call, which compiles, and the quickest of those that follow."""
    first = timed(call)
    return first, min((timed(call) for _ in range(repeats)), key=lambda lap: lap.seconds)
