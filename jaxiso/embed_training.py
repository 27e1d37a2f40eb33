"""The training loop of `python -m jaxiso.embed`: updates, measurements, checkpoints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxiso import console
from jaxiso.embed_checks import held_out

if TYPE_CHECKING:
    from jax import Array

    from jaxiso.embed import Options
    from jaxiso.embeddings import Embeddings
    from jaxiso.experiments.embed_data import EmbedConfig, EmbedData
    from jaxiso.experiments.embed_measures import Measurements
    from jaxiso.runs import Run

SECONDS_BETWEEN_CHECKPOINTS = 600.0


def prepare_data(
    options: Options, embeddings: Embeddings, vectors: np.ndarray
) -> tuple[EmbedConfig, EmbedData]:
    """The experiment's config and arrays, for vectors as they came from their encoder."""
    from jaxiso.experiments.embed_data import prepare

    items = embeddings.items
    return prepare(
        vectors * np.float32(options.scale),
        items.index,
        items.targets,
        items.clusters,
        classes=len(items.classes),
        bias=embeddings.bias,
        sample=options.sample or None,
        learning_rate=options.lr,
        hidden=options.hidden,
        triplets=options.triplets if options.loss == "triplet" else None,
        track=options.track,
        held_out=held_out(options, items),
    )


def prepare_seeds(options: Options, seeds: int) -> tuple[Array, Array | None]:
    """The key of everything that is trained side by side, and its weight of isotropy in the loss.

    Args:
        options: with the weights.
        seeds: number of seeds; all of them are trained with each weight.

    Returns:
        Keys and weights of shape (weights · seeds,), weight by weight; no weights where none are
        asked for.
    """
    import jax.numpy as jnp

    from jaxiso.experiments.seeds import seed_keys

    keys = seed_keys(options.seed, seeds)
    if options.isotropy is None:
        return keys, None
    weights = jnp.asarray(options.isotropy, jnp.float32)
    return jnp.tile(keys, len(weights)), jnp.repeat(weights, seeds)


class Table:
    """The metrics so far, as columns: a row for each step, weight of isotropy and seed.

    Args:
        isotropy: the weights, if there are any: their column is there only then.
        columns: an earlier table to go on with.
    """

    def __init__(
        self,
        isotropy: tuple[float, ...] | None = None,
        columns: dict[str, list[float]] | None = None,
    ) -> None:
        self._isotropy = isotropy
        self.columns = columns or {}

    def add(self, step: int, measurements: Measurements) -> None:
        """Adds the rows of a step; waits for the device."""
        values = {
            name: np.asarray(value)
            for name, value in measurements._asdict().items()
            if value is not None
        }
        rows = len(values["isoscore"])
        weights = self._isotropy or (0.0,)
        seeds = np.tile(np.arange(rows // len(weights)), len(weights))
        columns = {"seed": seeds, "step": np.full(rows, step)}
        if self._isotropy is not None:
            columns["isotropy"] = np.repeat(np.asarray(weights, np.float32), rows // len(weights))
        for name, column in (columns | values).items():
            self.columns.setdefault(name, []).extend(column.tolist())

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

    updates = options.updates
    assert embeddings.vectors is not None and updates is not None
    config, data = prepare_data(options, embeddings, embeddings.vectors)
    programs = embed.over_seeds(embed.make_embed(config))
    keys, weights = prepare_seeds(options, options.seeds)
    states = programs.init(keys, data)
    table, done, before = Table(options.isotropy), 0, 0.0
    restored = run.restore({"states": states, "seconds": jnp.float32(0)})
    if restored is not None:
        done, saved, columns = restored
        states, before = saved["states"], float(saved["seconds"])
        table = Table(options.isotropy, columns)
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
            states = programs.step(states, data, weights)
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
    write_result(run, table.columns, params, held_out(options, embeddings.items), seconds=seconds())


def _is_due(step: int, options: Options, last_saved: float) -> bool:
    if not options.checkpoint_every:
        return False
    late = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
    return late or step % options.checkpoint_every == 0
