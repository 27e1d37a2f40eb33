"""A run directory: what was asked, what was measured, and checkpoints to go on from.

    config.json      what determines the numbers, and the versions and device they came from
    metrics.parquet  one row a seed and step, sorted by step, then seed
    result.json      the summary, written last: a run that has one is finished
    final.npz        the trained vectors and classifiers of jaxiso.embed
    checkpoints/     Orbax checkpoints of the states of all seeds
    figures/         PNG and PDF
    evaluation.json  measures of a trained VAE
    latents.npz      codes of some test sentences of a trained VAE

Nothing in it is ever half written: files are replaced in one step, and Orbax renames a checkpoint
into place when it is complete. Metrics are written before the checkpoint of the same step, so
whatever checkpoint is found, the metrics up to its step are there; later rows are dropped and
measured again, to the same bits.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from jaxiso import console
from jaxiso.errors import InputError
from jaxiso.files import read_object, replacing, write_json

CONFIG, METRICS, RESULT = "config.json", "metrics.parquet", "result.json"
FINAL, CHECKPOINTS, FIGURES = "final.npz", "checkpoints", "figures"
EVALUATION, LATENTS = "evaluation.json", "latents.npz"

State = TypeVar("State")


class Run:
    """A run directory that this process writes, and no other at the same time.

    Args:
        directory: made where it does not exist.
        config: what determines the numbers, as plain JSON values.
        origin: versions and device: recorded, but a run goes on when they differ (with a note).
        overwrite: delete what an earlier run left in the directory.
        quiet: no notes.

    Raises:
        InputError: the directory holds a run with another config, something that is no run, or is
            in use by another process.
    """

    def __init__(
        self,
        directory: Path,
        config: dict[str, Any],
        *,
        origin: dict[str, Any],
        overwrite: bool = False,
        quiet: bool = False,
    ) -> None:
        self.directory, self._quiet = directory, quiet
        if directory.exists() and not directory.is_dir():
            raise InputError(f"--out {directory}: is a file; give a directory")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._refuse_what_is_no_run()
            self._lock = FileLock(directory / ".lock", timeout=0)
            self._lock.acquire()  # the system frees it when the process dies, however it dies
        except Timeout:
            raise InputError(
                f"{directory}: another process is writing this run; wait for it, or give another "
                "--out"
            ) from None
        except OSError as error:
            raise InputError(f"--out {directory}: cannot be written ({error.strerror})") from None
        try:
            self._adopt(config, origin, overwrite)
        except BaseException:
            self._lock.release()
            raise

    def _refuse_what_is_no_run(self) -> None:
        found = sorted(p.name for p in self.directory.iterdir() if not p.name.startswith("."))
        if found and CONFIG not in found:
            raise InputError(
                f"{self.directory}: has files ({', '.join(found[:3])}) but no {CONFIG}, so it is "
                "no run directory; give another --out"
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _adopt(self, config: dict[str, Any], origin: dict[str, Any], overwrite: bool) -> None:
        """Makes the directory one of this config, or finds that it is."""
        path = self.directory / CONFIG
        for part in self.directory.rglob(".*.part"):  # of a process that was killed
            part.unlink()
        if overwrite and path.exists():
            self._clear()
        elif path.exists():
            self._compare(read_object(path), config, origin)
            return
        write_json(path, {"config": config, "origin": origin})

    def _compare(
        self, stored: dict[str, Any], config: dict[str, Any], origin: dict[str, Any]
    ) -> None:
        """Refuses another config; notes and records other versions or another device."""
        path = self.directory / CONFIG
        old, last = stored.get("config"), stored.get("origin")
        if not isinstance(old, dict) or not isinstance(last, dict):
            raise InputError(f"{path}: has no config and origin; is it a run directory of jaxiso?")
        changes = _differences(old, json.loads(json.dumps(config)))
        if changes:
            raise InputError(
                f"{self.directory}: holds a run with another configuration:\n"
                + "\n".join(f"  {line}" for line in changes)
                + "\nGive another --out, or --overwrite to delete that run and start anew."
            )
        if self.finished:
            return
        for line in _differences(last, origin):
            console.note(f"note: the run was started elsewhere: {line}", quiet=self._quiet)
        if last != origin:
            earlier = [*stored.get("earlier_origins", []), last]
            write_json(path, {"config": old, "origin": origin, "earlier_origins": earlier})

    def _clear(self) -> None:
        """Deletes what a run writes, and nothing else; the config stays, to be replaced."""
        try:
            for name in (CHECKPOINTS, FIGURES):
                if (self.directory / name).exists():
                    shutil.rmtree(self.directory / name)
            for name in (RESULT, METRICS, FINAL, EVALUATION, LATENTS):
                (self.directory / name).unlink(missing_ok=True)
        except OSError as error:
            # Old checkpoints under a new config would be gone on from.
            raise InputError(
                f"--overwrite: {error.filename} cannot be deleted ({error.strerror}); delete "
                f"{self.directory} by hand, or give another --out"
            ) from None

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return (self.directory / RESULT).exists()

    @property
    def result(self) -> dict[str, Any]:
        """The summary of a finished run."""
        return read_object(self.directory / RESULT)

    def restore(self, template: State) -> tuple[int, State, dict[str, list[float]]] | None:
        """The latest checkpoint, and the metrics up to its step; None where there is none.

        Args:
            template: a state of the same structure, shapes and types.

        Raises:
            InputError: the metrics are damaged, or all checkpoints. Where an earlier one can be
                read, a damaged one is noted and put aside.
        """
        found, unusable = _latest_checkpoint(self.directory, template)
        if found is None and unusable:
            step = max(unusable)
            raise InputError(
                f"{self.directory}/{CHECKPOINTS}/{step} cannot be read ({unusable[step]}), nor any "
                "earlier one; try again if that may pass, or give --overwrite to start anew"
            )
        for step, why in unusable.items():
            self._put_aside(step, why)
        if found is None:
            return None
        step, state = found
        metrics = read_metrics(self.directory)
        keep = [i for i, s in enumerate(metrics["step"]) if s <= step]
        return step, state, {name: [column[i] for i in keep] for name, column in metrics.items()}

    def _put_aside(self, step: int, why: str) -> None:
        """Moves a damaged checkpoint out of the way of the next one of that step."""
        aside = self.directory / f"damaged-checkpoint-{step}"
        if aside.exists():
            shutil.rmtree(aside)
        (self.directory / CHECKPOINTS / str(step)).rename(aside)
        console.note(f"{self.directory}/{CHECKPOINTS}/{step} is damaged ({why}); moved to {aside}")

    def save(self, step: int, state: Any, metrics: Mapping[str, Sequence[float]]) -> None:
        """Writes the metrics so far, then a checkpoint that replaces the one before."""
        import orbax.checkpoint as ocp

        self.write_metrics(metrics)
        with _checkpoints(self.directory) as manager:
            if step not in manager.all_steps():  # a run may end on a step it was resumed from
                manager.save(step, args=ocp.args.StandardSave(state))

    def write_metrics(self, metrics: Mapping[str, Sequence[float]]) -> None:
        """Replaces metrics.parquet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"seed": pa.int32(), "step": pa.int32()}
        columns = {
            name: pa.array(values, type=kinds.get(name, pa.float32()))
            for name, values in metrics.items()
        }
        with replacing(self.directory / METRICS) as file:
            pq.write_table(pa.table(columns), file, compression="zstd")

    def finish(self, result: dict[str, Any]) -> None:
        """Writes result.json, which makes the run a finished one."""
        write_json(self.directory / RESULT, result)


def read_config(directory: Path) -> dict[str, Any]:
    """What determines the numbers of a run.

    Raises:
        InputError: the directory holds no run.
    """
    path = directory / CONFIG
    if not path.exists():
        missing = f"has no {CONFIG}" if directory.is_dir() else "there is no such directory"
        raise InputError(f"{directory}: {missing}; give the directory of a run (its --out)")
    config = read_object(path).get("config")
    if not isinstance(config, dict):
        raise InputError(f"{path}: has no config; is it a run directory of jaxiso?")
    return config


def read_checkpoint(directory: Path, template: State) -> tuple[int, State]:
    """The step and the state of the latest checkpoint that can be read; changes nothing.

    Args:
        directory: of a run.
        template: a state of the same structure, shapes and types.

    Raises:
        InputError: there is no checkpoint, or none that can be read.
    """
    folder = directory / CHECKPOINTS
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such directory, so there is no trained model; run the training "
            "again (the results of a run can be kept without its checkpoints)"
        )
    found, unusable = _latest_checkpoint(directory, template)
    for step, why in unusable.items():
        console.note(f"{folder}/{step} cannot be read ({why})")
    if found is None:
        raise InputError(f"{folder}: holds no checkpoint that can be read; run the training again")
    return found


def _latest_checkpoint(
    directory: Path, template: State
) -> tuple[tuple[int, State] | None, dict[int, str]]:
    """The latest checkpoint that can be read, and why later ones cannot."""
    import orbax.checkpoint as ocp

    unusable: dict[int, str] = {}
    with _checkpoints(directory) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            try:
                arguments = ocp.args.StandardRestore(_abstract(template))
                return (step, manager.restore(step, args=arguments)), unusable
            except Exception as error:  # orbax raises many kinds
                unusable[step] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return None, unusable


def _checkpoints(directory: Path):
    import orbax.checkpoint as ocp

    return ocp.CheckpointManager(
        (directory / CHECKPOINTS).absolute(),
        options=ocp.CheckpointManagerOptions(
            # Two, so that a damaged one leaves another to go on from.
            max_to_keep=2,
            enable_async_checkpointing=False,
        ),
    )


def read_metrics(directory: Path) -> dict[str, list[float]]:
    """The metrics table of a run directory, as columns.

    Raises:
        InputError: there is none, or it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = directory / METRICS
    try:
        return pq.read_table(path).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); is {directory} a run "
            "directory? --overwrite starts the run anew"
        ) from None


def _abstract(template: Any) -> Any:
    import jax

    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), template)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{name}: there {old.get(name, 'absent')!r}, now {new.get(name, 'absent')!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
