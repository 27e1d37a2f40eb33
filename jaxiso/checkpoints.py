"""Checkpoints of a run, by Orbax: a state, and what run and step it is of.

Orbax renames a checkpoint into place when it is complete. Its digest enters the manifest after
that; a crash between the two leaves one that the manifest does not know, and what it says of itself
decides.
"""

from __future__ import annotations

import errno
import os
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from jaxiso.cli.command import is_peer_lost
from jaxiso.cli.console import InputError, first_line, is_disk_full, note
from jaxiso.cli.files import folder_digest
from jaxiso.cli.machine import is_first
from jaxiso.manifest import damage, read_manifest, write_manifest

CHECKPOINTS = "checkpoints"
DAMAGED = "damaged-checkpoint-"
"""How the names begin of checkpoints that were put aside."""
UNFINISHED = "*.orbax-checkpoint-tmp*"
"""Checkpoints that were being written when the process died."""
PATTERNS = "*?[]\\"
"""Characters of a path that Orbax takes for a pattern: it cannot restore what it wrote there."""

State = TypeVar("State")


def refuse_path(directory: Path) -> None:
    """Refuses a directory that cannot hold checkpoints, before anything is computed for it.

    Raises InputError: names what is wrong with its path.
    """
    path = str(directory.absolute())
    for character in path:
        kind = unicodedata.category(character)
        if kind == "Cs":  # half a character: a byte that is not UTF-8
            raise InputError(
                f"{directory}: the path is not UTF-8, and checkpoints cannot be kept there; give "
                "another directory, or set LC_ALL=C.UTF-8 if it is your locale that is not"
            )
        if kind == "Cc" or character in PATTERNS:
            raise InputError(
                f"{directory}: the path {path!a} has {character!a} in it, with which checkpoints "
                "cannot be read again; give another directory"
            )
    try:
        is_file = directory.exists() and not directory.is_dir()
    except OSError as error:
        raise InputError(f"{directory}: cannot be used ({error.strerror})") from None
    if is_file:
        raise InputError(f"{directory}: is a file; give a directory")


def steps_of(directory: Path) -> list[int]:
    """The steps of which there are checkpoints, whole or not, in ascending order."""
    folder = directory / CHECKPOINTS
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def save_checkpoint(directory: Path, step: int, state: Any, *, rows: int, run: str) -> None:
    """Writes a checkpoint, which replaces the one before the last; all processes have to call it.

    `rows` is how many the metrics had, `run` the digest of the run's config.

    Raises OSError: the disk is full, or cannot be written to.
    """
    import orbax.checkpoint as ocp

    folder, name = directory / CHECKPOINTS, f"{CHECKPOINTS}/{step}"
    try:
        with _errors_of_orbax(folder), _manager(folder) as manager:
            if step in manager.all_steps():  # a run may end on a step it was resumed from
                return
            content = _with_place(state, step, rows, run)
            manager.save(step, args=ocp.args.StandardSave(content))
            kept = {f"{CHECKPOINTS}/{one}" for one in manager.all_steps()}
    except OSError:
        if is_first():
            remove_unfinished(directory)  # make room at least for other files
        raise
    if not is_first():
        return
    known = read_manifest(directory)
    known = {n: d for n, d in known.items() if not n.startswith(CHECKPOINTS) or n in kept}
    write_manifest(directory, known | {name: [folder_digest(directory / name)]})


def remember_checkpoint(directory: Path, step: int) -> None:
    """Lets the manifest know a checkpoint, if a crash came between the two."""
    known, name = read_manifest(directory), f"{CHECKPOINTS}/{step}"
    if name not in known:
        write_manifest(directory, known | {name: [folder_digest(directory / name)]})


def last_saved(directory: Path) -> int:
    """The step of the last checkpoint that the manifest knows; 0 for none."""
    names = [name for name in read_manifest(directory) if name.startswith(f"{CHECKPOINTS}/")]
    return max((int(name.rpartition("/")[2]) for name in names), default=0)


def latest_checkpoint(
    directory: Path, template: State | None, *, run: str
) -> tuple[tuple[int, State, int] | None, dict[int, str]]:
    """The latest checkpoint that can be read; changes nothing.

    Args:
        directory: of the run.
        template: a state of the same structure, shapes and types. What has a sharding is read to
            where that says, and all else to one device; NumPy's arrays stay such. None to read what
            was saved, as dicts, lists and arrays of NumPy.
        run: digest of the run's config.

    Returns:
        Its step, its state and its rows of metrics, or None; and why later ones cannot be read.
    """
    import jax
    import numpy as np
    import orbax.checkpoint as ocp

    folder = directory / CHECKPOINTS
    ours = _with_place(template, 0, 0, run)
    one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def place(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return x
        to = getattr(x, "sharding", None) or one
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=to)

    abstract = jax.tree.map(place, ours)
    unusable: dict[int, str] = {}
    with _errors_of_orbax(folder), _manager(folder) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if why := damage(directory, f"{CHECKPOINTS}/{step}"):
                unusable[step] = why
                continue
            try:
                if template is None:
                    abstract = _saved_as(folder, step)
                found: Any = manager.restore(step, args=ocp.args.StandardRestore(abstract))
            except Exception as error:  # Orbax raises many kinds
                if is_peer_lost(error):
                    raise
                unusable[step] = f"{type(error).__name__}: {first_line(error)}"
                continue
            if not np.array_equal(np.asarray(found["run"]), ours["run"]):
                unusable[step] = "it belongs to a run with another configuration"
            elif int(found["step"]) != step:
                unusable[step] = f"it is the checkpoint of update {int(found['step'])}, renamed"
            else:
                return (step, found["state"], int(found["rows"])), unusable
    return None, unusable


def _saved_as(folder: Path, step: int) -> Any:
    """The structure, shapes and types of a checkpoint, as arrays of NumPy."""
    import jax
    import numpy as np
    import orbax.checkpoint as ocp

    handler: Any = ocp.StandardCheckpointHandler()
    with ocp.CheckpointManager(folder.absolute(), item_handlers=handler) as manager:
        found: Any = manager.item_metadata(step)
    return jax.tree.map(lambda x: np.empty(x.shape, x.dtype), found.tree)


def put_aside(directory: Path, step: int, why: str) -> None:
    """Moves a damaged checkpoint out of the way of the next one of that step, and says so."""
    aside = directory / f"{DAMAGED}{step}"
    if aside.exists():
        shutil.rmtree(aside)
    (directory / CHECKPOINTS / str(step)).rename(aside)
    known = read_manifest(directory)
    known.pop(f"{CHECKPOINTS}/{step}", None)
    write_manifest(directory, known)
    note(f"{directory}/{CHECKPOINTS}/{step} is damaged ({why}); moved to {aside}")


def remove_unfinished(directory: Path) -> None:
    """Deletes checkpoints that were being written when a process died."""
    for part in (directory / CHECKPOINTS).glob(UNFINISHED):
        shutil.rmtree(part, ignore_errors=True)


def _with_place(state: Any, step: int, rows: int, run: str) -> dict[str, Any]:
    import numpy as np

    return {
        "state": state,
        "step": np.asarray(step, np.int32),
        "rows": np.asarray(rows, np.int32),
        "run": np.frombuffer(bytes.fromhex(run), np.uint8),
    }


def _manager(folder: Path):
    import orbax.checkpoint as ocp

    return ocp.CheckpointManager(
        folder.absolute(),
        options=ocp.CheckpointManagerOptions(
            # Two, so that a damaged one leaves another to go on from.
            max_to_keep=2,
            enable_async_checkpointing=False,
        ),
    )


@contextmanager
def _errors_of_orbax(folder: Path) -> Iterator[None]:
    """Turns what Orbax raises where a disk is full or a folder cannot be read into one message."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if is_peer_lost(error):
            raise
        code, reason = errno.EIO, f"cannot be written or read ({first_line(error)})"
        if is_disk_full(error):
            code, reason = errno.ENOSPC, os.strerror(errno.ENOSPC)
        raise OSError(code, reason, str(folder)) from error
