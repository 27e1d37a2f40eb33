"""The training loop of `python -m jaxiso.embed`: updates, measurements, checkpoints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxiso import console

if TYPE_CHECKING:
    from jaxiso.embed import Options
    from jaxiso.embeddings import Embeddings
    from jaxiso.experiments.embed import EmbedConfig, EmbedData, Measurements
    from jaxiso.runs import Run

COLUMNS = ("seed", "step", "isoscore", "silhouette", "loss", "accuracy")
SECONDS_BETWEEN_CHECKPOINTS = 600.0


def prepare_data(
    options: Options, embeddings: Embeddings, vectors: np.ndarray
) -> tuple[EmbedConfig, EmbedData]:
    """The experiment's config and arrays, for vectors as they came from their encoder."""
    from jaxiso.experiments import embed

    items = embeddings.items
    return embed.prepare(
        vectors * np.float32(options.scale),
        items.index,
        items.targets,
        items.clusters,
        classes=len(items.classes),
        bias=embeddings.bias,
        sample=options.sample or None,
        learning_rate=options.lr,
    )


class Table:
    """The metrics so far, as columns, one row a seed and step."""

    def __init__(self, columns: dict[str, list[float]] | None = None) -> None:
        self.columns = columns or {name: [] for name in COLUMNS}

    def add(self, step: int, measurements: Measurements) -> None:
        """Adds a row for each seed; waits for the device."""
        values = {name: np.asarray(v) for name, v in measurements._asdict().items()}
        seeds = len(values["isoscore"])
        self.columns["seed"] += range(seeds)
        self.columns["step"] += [step] * seeds
        for name, value in values.items():
            self.columns[name] += value.tolist()

    def latest(self) -> str:
        """IsoScore and silhouette of the last measured step, for the progress bar."""
        isoscore, silhouette = self.columns["isoscore"][-1], self.columns["silhouette"][-1]
        return f"IsoScore {isoscore:.4f}, silhouette {silhouette:.4f}"


def train(run: Run, options: Options, embeddings: Embeddings) -> None:
    """Trains and measures, from the last checkpoint on if there is one, and writes the result.

    Raises:
        Stopped: after SIGINT or SIGTERM; a checkpoint was written first.
    """
    import jax
    import jax.numpy as jnp

    from jaxiso.embed_result import write_result
    from jaxiso.experiments import embed
    from jaxiso.experiments.seeds import seed_keys

    updates = options.updates
    assert embeddings.vectors is not None and updates is not None
    config, data = prepare_data(options, embeddings, embeddings.vectors)
    programs = embed.over_seeds(embed.make_embed(config))
    states = programs.init(seed_keys(options.seed, options.seeds), data)
    table, done, before = Table(), 0, 0.0
    restored = run.restore({"states": states, "seconds": jnp.float32(0)})
    if restored is not None:
        done, saved, columns = restored
        states, before, table = saved["states"], float(saved["seconds"]), Table(columns)
        console.note(f"{run.directory}: goes on after update {done}", quiet=options.quiet)
    started = last_saved = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - started

    what = " ".join(part for part in (embeddings.name, embeddings.encoder) if part)
    progress = console.Progress(what, updates, unit="updates", done=done, quiet=options.quiet)
    with console.StopSignals() as signals, progress:
        if done == 0:
            table.add(0, programs.measure(states, data, jnp.int32(0)))
        # One measurement stays in flight, so that an accelerator never waits for the host.
        waiting: tuple[int, Any] | None = None
        for step in range(done + 1, updates + 1):
            states = programs.step(states, data)
            measured = None
            if step % options.every == 0 or step == updates:
                measured = step, programs.measure(states, data, jnp.int32(step))
            if waiting is not None:
                table.add(*waiting)
            waiting = measured
            stopping = signals.received is not None
            if stopping or step == updates or _is_due(step, options, last_saved):
                if waiting is not None:
                    table.add(*waiting)
                    waiting = None
                run.save(step, {"states": states, "seconds": jnp.float32(seconds())}, table.columns)
                last_saved = time.monotonic()
            progress.advance(info=table.latest())
            if stopping and step < updates:
                signals.stop_if_received(step, updates, overwrite=options.overwrite)
    params = jax.tree.map(np.asarray, states.params)
    write_result(run, table.columns, params, seconds=seconds())


def _is_due(step: int, options: Options, last_saved: float) -> bool:
    if not options.checkpoint_every:
        return False
    late = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
    return late or step % options.checkpoint_every == 0
