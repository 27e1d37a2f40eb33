"""The one loop that trains, measures, saves, resumes and stops on signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxiso.cli.console import Progress, StopSignals, is_disk_full, note
from jaxiso.cli.machine import of_all
from jaxiso.run_files import Columns
from jaxiso.runs import Run
from jaxiso.seeds import ONE_DEVICE, Spread

SECONDS_BETWEEN_CHECKPOINTS = 600.0


@dataclass(frozen=True)
class Training:
    """What `train` drives. A state is a pytree of all seeds at once, along the first axis.

    Attributes:
        updates: how many in all.
        state: before the first update.
        step: (state, number of the update, from 1 on) → (state, units of progress).
        measure: (state, updates done) → columns of the metrics table, one value a row (arrays that
            may still be computed), or None where nothing is to be measured then. It is called
            before the first update and after each.
        what: shown before the progress bar.
        unit: plural name of a unit of progress.
        units: units in all.
        latest: what the progress bar shows of the table.
        checkpoint_every: updates between checkpoints; 0 for none but the last.
        checkpoint_at: whether there is one more after so many updates.
        spread: how states are spread over devices; by default they are on one.
    """

    updates: int
    state: Any
    step: Callable[[Any, int], tuple[Any, int]]
    measure: Callable[[Any, int], Mapping[str, Any] | None]
    what: str
    unit: str
    units: int
    latest: Callable[[Columns], str]
    checkpoint_every: int
    checkpoint_at: Callable[[int], bool] = lambda done: False
    spread: Spread = ONE_DEVICE


def train(run: Run, training: Training, *, overwrite: bool = False) -> tuple[Any, Columns, float]:
    """Trains from the last checkpoint on if there is one, and saves at the end.

    Args:
        run: the run directory.
        training: what to do.
        overwrite: the command was given --overwrite, which would delete the work saved.

    Returns:
        The last state, without the copies of `Spread`; the whole metrics table; and the seconds
        spent over all sessions.

    Raises:
        Stopped: after SIGINT or SIGTERM; a checkpoint was written first.
        InputError: the run's checkpoints or metrics are damaged.
    """
    spread, done, before = training.spread, 0, 0.0
    # Where a checkpoint's arrays are, so that a run that goes on compiles nothing anew.
    state = spread.placed(training.state)
    table: Columns = {}
    restored = run.restore({"state": spread.places(state), "seconds": np.zeros((), np.float32)})
    if restored is not None:
        done, saved, table = restored
        state, before = spread.restored(saved["state"]), float(saved["seconds"])
        note(f"{run.directory}: goes on after update {done}", quiet=run.quiet)
    started = last_saved = time.monotonic()
    kept = done
    again = "the same command without --overwrite" if overwrite else "the same command"

    def seconds() -> float:
        return before + time.monotonic() - started

    def save(done: int) -> None:
        nonlocal last_saved, kept
        jax.block_until_ready(state)
        try:
            content = {"state": spread.to_save(state), "seconds": np.asarray(seconds(), np.float32)}
            run.save(done, content, table)
        except OSError as error:
            if not is_disk_full(error):
                raise
            there = f"goes on after update {kept:,}" if kept else "starts anew"
            reason = f"{error.strerror}; make room, and {again} {there}"
            raise OSError(error.errno, reason, error.filename) from error
        last_saved, kept = time.monotonic(), done

    def is_due(done: int, late: bool) -> bool:
        if done == training.updates or training.checkpoint_at(done):
            return True
        if not training.checkpoint_every:
            return False
        return late or done % training.checkpoint_every == 0

    passed = training.units * done // training.updates
    progress = Progress(
        training.what, training.units, unit=training.unit, done=passed, quiet=run.quiet
    )
    with StopSignals() as signals, progress:
        # One measurement stays in flight, so that an accelerator never waits for the host.
        waiting = (0, training.measure(state, 0)) if done == 0 else None
        for number in range(done + 1, training.updates + 1):
            state, units = training.step(state, number)
            measured = number, training.measure(state, number)
            add_rows(table, waiting)
            waiting = measured
            late = time.monotonic() - last_saved > SECONDS_BETWEEN_CHECKPOINTS
            # Of several processes all save, and all stop, at the same update.
            received, late = map(int, of_all([signals.received or 0, late]).max(axis=0))
            stopping = received > 0
            if stopping:  # a signal that comes just now is for the next update
                signals.received = received
            if stopping or is_due(number, late > 0):
                add_rows(table, waiting)
                waiting = None
                save(number)
            progress.advance(units, training.latest(table))
            if stopping and number < training.updates:
                signals.stop_if_received(
                    f"stopped after update {number:,} of {training.updates:,}; {again} goes on "
                    "from there"
                )
    return spread.whole(state), table, seconds()


def add_rows(table: Columns, measured: tuple[int, Mapping[str, Any] | None] | None) -> None:
    """Adds the rows of a step to a metrics table; waits for the device.

    The first rows make the table; `measured` is the step and its columns.
    """
    step, columns = measured or (0, None)
    if columns is None:
        return
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    first = {"seed": arrays.pop("seed"), "step": np.full(rows, step)}
    for name, column in (first | arrays).items():
        table.setdefault(name, []).extend(column.tolist())
