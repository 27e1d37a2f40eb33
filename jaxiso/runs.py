"""A run directory that is written to. What is in it, and how it is read: `run_files`.

Nothing in it is ever half written: files are replaced in one step, and so are checkpoints. Metrics
are written before the checkpoint of the same step, which knows how many rows they had; later rows
are dropped and measured again, to the same bits. The config holds its own digest, and every
checkpoint has it too.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from jaxiso.checkpoints import (
    CHECKPOINTS,
    last_saved,
    latest_checkpoint,
    put_aside,
    refuse_path,
    remember_checkpoint,
    remove_unfinished,
    save_checkpoint,
    steps_of,
)
from jaxiso.cli.configs import differences
from jaxiso.cli.console import InputError, is_disk_full, note
from jaxiso.cli.files import json_bytes, locked, read_object, replacing, write_json
from jaxiso.cli.machine import is_first, of_all, origin, wait_for_all
from jaxiso.manifest import damage, expect, verify
from jaxiso.run_files import (
    CONFIG,
    FINAL,
    METRICS,
    OVERWRITING,
    RESULT,
    VOCABULARY,
    Columns,
    config_digest,
    read_config,
    read_metrics,
    read_stored,
    written_files,
)

NEEDED = (METRICS, RESULT, FINAL, VOCABULARY)
"""Without these a finished run is not whole, if it wrote them."""

State = TypeVar("State")


class RunOptions(Protocol):
    """Options of every command that has runs."""

    @property
    def overwrite(self) -> bool: ...  # noqa: D102
    @property
    def quiet(self) -> bool: ...  # noqa: D102


class Run:
    """A run directory that this process writes, and no other at the same time.

    Of several processes that train together the first one writes, and the others only call: what
    they would write is dropped, but for their parts of checkpoints.

    Args:
        directory: made where it does not exist.
        config: what determines the numbers, as plain JSON values.
        origin: versions and device: recorded, but a run goes on when they differ (with a note).
        source: where the data were found: recorded, to find them again.
        overwrite: delete what an earlier run left in the directory.
        quiet: no notes.

    Raises InputError: the directory holds a run with another config, something that is no run, or
    is in use by another process.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        *,
        origin: Mapping[str, Any],
        source: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        quiet: bool = False,
    ) -> None:
        self.directory, self.quiet = directory, quiet
        self.config: dict[str, Any] = json.loads(json.dumps(config))
        refuse_path(directory)
        _refuse_other_data(self.config)
        if not is_first():
            self.writable, self._opened = False, ExitStack()
            return
        with _writing_to(directory):
            directory.mkdir(parents=True, exist_ok=True)
            _refuse_what_is_no_run(directory)
        with ExitStack() as opened:
            self.writable = self._lock(opened)
            found = json.loads(json.dumps({"origin": origin, "source": source}))
            self._adopt(found, overwrite)
            self._opened = opened.pop_all()

    @classmethod
    def existing(cls, directory: Path, *, quiet: bool = False) -> Run:
        """Opens a run to add to it, as it is.

        Raises InputError: there is none, or another process writes it.
        """
        run = cls.__new__(cls)
        run.directory, run.quiet, run.config = directory, quiet, read_config(directory)
        refuse_path(directory)
        with ExitStack() as opened:
            run.writable = run._lock(opened)
            run._opened = opened.pop_all()
        return run

    def _lock(self, opened: ExitStack) -> bool:
        """Keeps other processes out; False where nobody can write, and a result can be shown."""
        with _writing_to(self.directory):
            try:
                # The system frees it when the process dies, however it dies.
                opened.enter_context(locked(self.directory, "writing this run"))
            except OSError as error:
                read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
                if not read_only or not (self.directory / RESULT).exists():
                    raise
                return False
        return True

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def _adopt(self, found: dict[str, Any], overwrite: bool) -> None:
        """Makes the directory one of this config, or finds that it is."""
        path, marker = self.directory / CONFIG, self.directory / OVERWRITING
        content = {"config": self.config, "config_sha256": config_digest(self.config)} | found
        if marker.exists() and not overwrite and read_object(marker) != self.config:
            raise InputError(
                f"{self.directory}: an --overwrite of this run was interrupted; give --overwrite "
                "again, or another --out"
            )
        if marker.exists() or (overwrite and path.exists()):
            write_json(marker, self.config)
            self._clear()
            write_json(path, content)
            marker.unlink()
        elif path.exists():
            self._compare(read_stored(self.directory), content)
        else:
            write_json(path, content)
        remove_unfinished(self.directory)

    def _compare(self, stored: dict[str, Any], content: dict[str, Any]) -> None:
        """Refuses another config; notes and records other versions, device or source."""
        last = stored.get("origin")
        if not isinstance(last, dict):
            raise InputError(f"{self.directory / CONFIG}: has no origin; is it a run of jaxiso?")
        changes = _changes(stored["config"], self.config)
        if changes:
            raise InputError(
                f"{self.directory}: holds a run with another configuration:\n"
                + "\n".join(f"  {line}" for line in changes)
                + "\nGive another --out, or --overwrite to delete that run and start anew."
            )
        if self.finished:
            return
        for line in _changes(last, content["origin"]):
            note(f"note: the run was started elsewhere: {line}", quiet=self.quiet)
        earlier = stored.get("earlier_origins", [])
        if last != content["origin"]:
            earlier = [*earlier, last]
        updated = stored | content | ({"earlier_origins": earlier} if earlier else {})
        if updated != stored:
            write_json(self.directory / CONFIG, updated)

    def _clear(self) -> None:
        """Deletes what a run writes, and nothing else; what a link points to stays."""
        for path in written_files(self.directory):
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                # Old checkpoints under a new config would be gone on from.
                raise InputError(
                    f"--overwrite: {path} cannot be deleted ({error.strerror or error}); delete "
                    f"{self.directory} by hand, or give another --out"
                ) from None

    @cached_property
    def finished(self) -> bool:
        """Whether the run has its result, and all that belongs to it is as it was written.

        All processes have to ask.

        Raises InputError: its metrics are damaged or missing, or another file where nothing can be
        written.
        """
        return bool(of_all([is_first() and self._is_finished()])[0, 0])

    def _is_finished(self) -> bool:
        if not (self.directory / RESULT).exists():
            return False
        for name in NEEDED:
            if name == METRICS or not self.writable:
                verify(self.directory, name)
            elif why := damage(self.directory, name):
                note(f"{self.directory / name}: {why}; it is made again")
                return False
        return not self.writable or self._has_its_model()

    def _has_its_model(self) -> bool:
        """Whether the last checkpoint is whole, unless all of them were deleted to make room."""
        last = f"{CHECKPOINTS}/{last_saved(self.directory)}"
        why = damage(self.directory, last) if steps_of(self.directory) else None
        if why:
            note(f"{self.directory / last}: {why}; it is made again")
        return why is None

    @property
    def result(self) -> dict[str, Any]:
        """The summary of a run that is `finished`, which has checked the file."""
        return read_object(self.directory / RESULT)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file of the run to write to; it takes its place, whole, when the block ends."""
        if not is_first():
            yield BytesIO()
            return
        with replacing(self.directory / name, partial(expect, self.directory, name)) as file:
            yield file

    def write_json(self, name: str, content: object) -> None:
        """Writes a JSON file of the run."""
        with self.writing(name) as file:
            file.write(json_bytes(self.directory / name, content))

    def write_metrics(self, metrics: Mapping[str, Sequence[float]]) -> None:
        """Replaces metrics.parquet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"seed": pa.int32(), "step": pa.int32()}
        columns = {
            name: pa.array(values, type=kinds.get(name, pa.float32()))
            for name, values in metrics.items()
        }
        with self.writing(METRICS) as file:
            pq.write_table(pa.table(columns), file, compression="zstd")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Writes result.json, which makes the run a finished one."""
        self.write_json(RESULT, result)
        self.finished = True

    def save(self, step: int, state: Any, metrics: Mapping[str, Sequence[float]]) -> None:
        """Writes the metrics so far, then a checkpoint that replaces the one before the last.

        All processes have to call it.

        Raises OSError: the disk is full, or cannot be written to.
        """
        self.write_metrics(metrics)
        rows = len(metrics["step"])
        save_checkpoint(self.directory, step, state, rows=rows, run=config_digest(self.config))

    def restore(self, template: State) -> tuple[int, State, Columns] | None:
        """The latest checkpoint, and the metrics up to its step; None where there is none.

        All processes have to call it.

        The template is a state of the same structure, shapes and types.

        Raises InputError: the metrics are damaged, or all checkpoints. Where an earlier one can be
        read, a damaged one is noted and put aside.
        """
        if not of_all([is_first() and (self.directory / CHECKPOINTS).is_dir()])[0, 0]:
            return None
        found, unusable = latest_checkpoint(
            self.directory, template, run=config_digest(self.config)
        )
        if found is None and unusable:
            step = max(unusable)
            raise InputError(
                f"{self.directory}/{CHECKPOINTS}/{step} cannot be read ({unusable[step]}), nor any "
                "earlier one; try again if that may pass, or give --overwrite to start anew"
            )
        wait_for_all("a checkpoint has been read")
        if is_first():
            for step, why in unusable.items():
                put_aside(self.directory, step, why)
        if found is None:
            return None
        step, state, rows = found
        if is_first():
            remember_checkpoint(self.directory, step)
        metrics = read_metrics(self.directory)
        keep = [i for i, s in enumerate(metrics["step"]) if s <= step]
        if len(keep) != rows:
            raise InputError(
                f"{self.directory / METRICS}: has {len(keep):,} rows up to update {step:,}, where "
                f"the checkpoint of that update was saved with {rows:,}; bring the file back, or "
                "give --overwrite to start anew"
            )
        return step, state, {name: [column[i] for i in keep] for name, column in metrics.items()}


def open_and_work(
    directory: Path,
    config: Mapping[str, Any],
    options: RunOptions,
    *,
    source: Mapping[str, Any],
    work: Callable[[Run], None],
    show: Callable[[Run], None],
) -> None:
    """What a command does with its run: trains unless that has been done, and shows the result.

    `work` trains, and finishes the run; `show` prints the result. `source` says where the data are.

    Raises:
        InputError: as of `Run`.
        Stopped: after SIGINT or SIGTERM.
    """
    overwrite, quiet = options.overwrite, options.quiet
    with Run(
        directory, config, origin=origin(), source=source, overwrite=overwrite, quiet=quiet
    ) as run:
        if run.finished:
            note(f"{directory}: finished before; nothing to do", quiet=quiet)
        else:
            work(run)
        if is_first():
            show(run)


def _refuse_other_data(config: Mapping[str, Any]) -> None:
    """Several processes have to train the same; also the first time that they compute together."""
    wait_for_all("all data have been read")
    ours = int(config_digest(config)[:7], 16)
    theirs = of_all([ours])[:, 0]
    if other := [str(process) for process, digest in enumerate(theirs) if digest != theirs[0]]:
        raise InputError(
            f"process {', '.join(other)}: other options or data than those of process 0; start all "
            "with the same command, but for --process, and give them the same files"
        )


@contextmanager
def _writing_to(directory: Path) -> Iterator[None]:
    """Says so where a directory cannot be written to; a full disk is another matter."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(f"{directory}: cannot be written ({error.strerror})") from None


def _refuse_what_is_no_run(directory: Path) -> None:
    found = sorted(p.name for p in directory.iterdir() if not p.name.startswith("."))
    if found and CONFIG not in found:
        raise InputError(
            f"{directory}: has files ({', '.join(found[:3])}) but no {CONFIG}, so it is "
            "no run directory; give another --out"
        )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = sorted(differences(old, new).items())
    return [f"{name}: there {there!r}, now {now!r}" for name, (there, now) in found]
