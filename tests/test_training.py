"""The one loop: whatever happens to it, it ends in the same numbers."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from commands import run_here
from crashes import Death, Disk

from jaxiso import training as module
from jaxiso.cli.console import InputError, Stopped
from jaxiso.run_files import FINAL, read_checkpoint, read_metrics
from jaxiso.runs import Run
from jaxiso.training import Training, add_rows, train

UPDATES = 3


def toy(**options: Any) -> Training:
    """Two seeds whose state is one number each."""
    usual: dict[str, Any] = {
        "updates": UPDATES,
        "state": {"x": jnp.arange(2, dtype=jnp.float32)},
        "step": lambda state, number: ({"x": state["x"] * 3 + jnp.float32(number)}, 1),
        "measure": lambda state, done: {"seed": np.arange(2), "x": state["x"] / 7},
        "what": "toy",
        "unit": "updates",
        "units": UPDATES,
        "latest": lambda table: "",
        "checkpoint_every": 1,
    }
    return Training(**usual | options)


def work(directory: Path, *, lr: float = 0.1, overwrite: bool = False, **options: Any) -> None:
    """A command in small."""
    with Run(directory, {"lr": lr}, origin={"jax": "1"}, overwrite=overwrite, quiet=True) as run:
        if not run.finished:
            state, _, _ = train(run, toy(**options), overwrite=overwrite)
            with run.writing(FINAL) as file:
                np.savez(file, x=np.asarray(state["x"]) * np.float32(lr))
            run.finish({"last": float(state["x"][0]), "lr": lr})


def numbers(directory: Path) -> dict[str, Any]:
    """All that a finished run holds."""
    with Run.existing(directory) as run, np.load(directory / FINAL) as final:
        assert run.finished
        return read_metrics(directory) | run.result | {"final": final["x"].tolist()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, Any]:
    """The numbers of a run that nothing happens to."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    work(directory)
    return numbers(directory)


def test_the_table_has_every_step(expected):
    assert expected["step"] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert expected["seed"] == [0, 1] * 4
    np.testing.assert_allclose(expected["x"], np.array([0, 1, 1, 4, 5, 14, 18, 45]) / 7, rtol=1e-6)
    assert expected["last"] == 18 and expected["final"] == pytest.approx([1.8, 4.5])


@pytest.mark.parametrize("every", [0, 1, 2, 50])
def test_how_often_it_saves_changes_no_number(tmp_path, expected, every):
    work(tmp_path / "run", checkpoint_every=every)
    assert numbers(tmp_path / "run") == expected


def test_what_is_not_measured_is_no_row(tmp_path):
    def measure(state, done):
        return {"seed": np.arange(2), "x": state["x"]} if done % 2 else None

    work(tmp_path / "run", measure=measure)
    assert read_metrics(tmp_path / "run")["step"] == [1, 1, 3, 3]


def test_one_more_checkpoint_where_asked(tmp_path):
    saved: list[int] = []

    class Watched(Run):
        def save(self, step, state, metrics):
            saved.append(step)

    with Watched(tmp_path / "run", {}, origin={}) as run:
        train(run, toy(updates=9, checkpoint_every=4, checkpoint_at=lambda done: done == 5))
    assert saved == [4, 5, 8, 9]


def test_time_is_a_reason_to_save(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with Run(tmp_path / "often", {}, origin={}) as run:
        monkeypatch.setattr(run, "save", lambda step, state, metrics: saved.append(step))
        saved: list[int] = []
        train(run, toy(checkpoint_every=50))
        assert saved == [1, 2, 3]
        saved.clear()
        train(run, toy(checkpoint_every=0))
        assert saved == [3]


def test_rows_are_added_by_seed_and_step():
    table: dict[str, list[float]] = {}
    add_rows(table, None)
    add_rows(table, (0, None))
    add_rows(table, (7, {"x": jnp.ones(2), "seed": np.arange(2)}))
    assert table == {"seed": [0, 1], "step": [7, 7], "x": [1.0, 1.0]}
    assert list(table) == ["seed", "step", "x"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_first(tmp_path, expected, number):
    def step(state, update):
        if update == 2:
            os.kill(os.getpid(), number)
        return toy().step(state, update)

    directory = tmp_path / "run"
    with pytest.raises(Stopped, match=r"stopped after update 2 of 3; the same command goes on"):
        work(directory, step=step, checkpoint_every=50)
    assert read_checkpoint(directory, {"state": toy().state, "seconds": jnp.float32(0)})[0] == 2
    work(directory)
    assert numbers(directory) == expected


def test_a_signal_in_the_last_update_is_no_reason_to_stop(tmp_path, expected):
    def step(state, update):
        if update == UPDATES:
            os.kill(os.getpid(), signal.SIGTERM)
        return toy().step(state, update)

    work(tmp_path / "run", step=step)
    assert numbers(tmp_path / "run") == expected


def test_stopping_says_to_leave_overwrite_out(tmp_path):
    def step(state, update):
        os.kill(os.getpid(), signal.SIGINT)
        return toy().step(state, update)

    with pytest.raises(Stopped, match="without --overwrite"):
        work(tmp_path / "run", step=step, overwrite=True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestWhateverHappens:
    """At every file operation in turn (in some of them, unless by `pytest -m slow`)."""

    @pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
    def test_death_leaves_the_same_numbers(self, tmp_path, monkeypatch, expected, stride):
        number = 0
        for number in itertools.count(0, stride):
            folder = tmp_path / str(number)
            mine = folder / "run" / ".d" / ".movie.part"
            mine.parent.mkdir(parents=True)
            mine.write_text("mine")
            disk = Disk(monkeypatch, folder, fails_at=number)
            try:
                work(folder / "run")
            except Death:
                pass
            else:
                break
            finally:
                monkeypatch.undo()
            last = disk.operations[-1]
            work(folder / "run")
            assert numbers(folder / "run") == expected, last
            assert mine.read_text() == "mine"
            left = [p for p in folder.rglob("*") if "tmp" in p.name or "damaged" in p.name]
            assert not left and list(folder.rglob("*.part")) == [mine], last
        assert number > 100

    @pytest.mark.parametrize("stride", [8, pytest.param(1, marks=pytest.mark.slow)])
    def test_a_full_disk_is_one_message(self, tmp_path, monkeypatch, expected, stride):
        number = 0
        for number in itertools.count(0, stride):
            folder = tmp_path / str(number)
            folder.mkdir()
            disk = Disk(monkeypatch, folder, fails_at=number, full=True)
            ended = run_here(lambda to=folder / "run": work(to))
            monkeypatch.undo()
            if ended.code == 0:
                break
            last = disk.operations[-1]
            assert ended.code == 1 and ended.err.count("\n") == 1, (last, ended.err)
            assert ended.err.startswith(f"error: {folder}"), (last, ended.err)
            assert "No space left" in ended.err and ".part" not in ended.err, (last, ended.err)
            work(folder / "run")
            assert numbers(folder / "run") == expected, last
        assert number > 60

    @pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
    def test_an_interrupted_overwrite(self, tmp_path, monkeypatch, expected, stride):
        """The old run or the new one, never a mixture."""
        work(tmp_path / "old")
        (tmp_path / "old" / "damaged-checkpoint-1").mkdir()
        (tmp_path / "old" / "figures").mkdir()
        for name in ("notes.txt", "figures/mine.txt", "figures/ours.png"):
            (tmp_path / "old" / name).write_text("")
        number = 0
        for number in itertools.count(0, stride):
            folder = tmp_path / str(number)
            shutil.copytree(tmp_path / "old", folder / "run")
            disk = Disk(monkeypatch, folder, fails_at=number)
            try:
                with Run(folder / "run", {"lr": 0.5}, origin={"jax": "1"}, overwrite=True):
                    pass
            except Death:
                pass
            else:
                break
            finally:
                monkeypatch.undo()
            last = disk.operations[-1]
            try:
                work(folder / "run")
                assert numbers(folder / "run") == expected, last
            except InputError as error:
                assert "overwrite" in str(error), last
            try:
                work(folder / "run", lr=0.5)
            except InputError:
                work(folder / "run", lr=0.5, overwrite=True)
            found = numbers(folder / "run")
            assert found["lr"] == 0.5 and found["final"] == [9, 22.5], last
            assert (folder / "run" / "notes.txt").exists()
            assert (folder / "run" / "figures" / "mine.txt").exists()
            assert not (folder / "run" / "figures" / "ours.png").exists()
        assert number > 40
