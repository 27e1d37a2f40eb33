"""Run directories: what they refuse, what they restore, and that nothing is half written."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_object
from jaxiso.manifest import verify
from jaxiso.run_files import read_checkpoint, read_config, read_metrics, read_stored
from jaxiso.runs import Run

CONFIG = {"task": "toy", "seeds": 2, "dropped": {"no label": 1}}


class State(NamedTuple):
    params: dict[str, jax.Array]
    key: jax.Array


def state(value: float) -> State:
    return State({"w": jnp.full((3, 2), value, jnp.float32)}, jax.random.key(5))


def metrics(steps: int) -> dict[str, list[float]]:
    values = [float(step) / 7 for step in range(steps)]
    return {"seed": [0] * steps, "step": list(range(steps)), "isoscore": values}


def open_run(path: Path, config=None, **options) -> Run:
    return Run(path, CONFIG if config is None else config, origin={"jax": "1"}, **options)


def damage(checkpoint: Path) -> None:
    for file in checkpoint.rglob("*"):
        if file.is_file() and "d" in file.parent.name:
            file.write_bytes(b"damage")


def test_what_is_saved_is_restored(tmp_path):
    with open_run(tmp_path / "run") as run:
        assert run.restore(state(0)) is None and not run.finished
        run.save(2, state(2.5), metrics(3))
        run.save(4, state(4.5), metrics(5))
    with open_run(tmp_path / "run") as run:
        restored = run.restore(state(0))
        assert restored is not None
        step, found, columns = restored
        assert step == 4 and isinstance(found, State)
        np.testing.assert_array_equal(found.params["w"], np.full((3, 2), 4.5))
        assert (
            jax.random.key_data(found.key).tolist()
            == jax.random.key_data(jax.random.key(5)).tolist()
        )
        assert columns["step"] == [0, 1, 2, 3, 4]
        assert columns["isoscore"] == np.asarray(metrics(5)["isoscore"], np.float32).tolist()


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    # Killed after the metrics of step 4 were written, and before its checkpoint was complete.
    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        run.write_metrics(metrics(5))
        restored = run.restore(state(0))
    assert restored is not None and restored[0] == 2 and restored[2]["step"] == [0, 1, 2]


def test_a_damaged_checkpoint_is_left_out(tmp_path, capsys):
    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        run.save(4, state(4), metrics(5))
        damage(tmp_path / "checkpoints" / "4")
        restored = run.restore(state(0))
        assert restored is not None and restored[0] == 2
        assert "checkpoints/4 is damaged" in capsys.readouterr().err
        run.save(4, state(40), metrics(5))
        again = run.restore(state(0))
    assert again is not None and again[0] == 4 and float(again[1].params["w"][0, 0]) == 40
    assert (tmp_path / "damaged-checkpoint-4").is_dir()


def test_what_may_pass_deletes_nothing(tmp_path, monkeypatch):
    """Out of memory, or a file system that is away for a while."""
    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        run.save(4, state(4), metrics(5))

        def fail(*_, **__):
            raise MemoryError("17 GiB")

        monkeypatch.setattr(ocp.CheckpointManager, "restore", fail)
        with pytest.raises(InputError, match=r"checkpoints/4 cannot be read.*17 GiB.*try again"):
            run.restore(state(0))
        monkeypatch.undo()
        restored = run.restore(state(0))
    assert restored is not None and restored[0] == 4


def test_another_config_is_refused_with_the_difference(tmp_path):
    open_run(tmp_path).__exit__(None, None, None)
    with pytest.raises(InputError, match=r"seeds: there 2, now 3\n.*--overwrite"):
        open_run(tmp_path, {**CONFIG, "seeds": 3})
    with pytest.raises(InputError, match=r"lr: there 'absent', now 0\.1"):
        open_run(tmp_path, {**CONFIG, "lr": 0.1})
    with open_run(tmp_path, {**CONFIG, "seeds": 3}, overwrite=True) as run:
        assert read_object(tmp_path / "config.json")["config"]["seeds"] == 3
        assert run.restore(state(0)) is None


def test_overwrite_deletes_the_run_and_nothing_else(tmp_path):
    with open_run(tmp_path) as run:
        run.save(1, state(1), metrics(2))
        run.finish({"r": -1.0})
    for name in ("notes.txt", "evaluation.json", "latents.npz"):
        (tmp_path / name).write_text("of the earlier run, or mine")
    with open_run(tmp_path, overwrite=True) as run:
        assert not run.finished
        assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == [
            "config.json",
            "notes.txt",
        ]


def test_other_versions_are_noted(tmp_path, capsys):
    open_run(tmp_path).__exit__(None, None, None)
    with Run(tmp_path, CONFIG, origin={"jax": "2"}):
        assert "jax: there '1', now '2'" in capsys.readouterr().err
    stored = read_object(tmp_path / "config.json")
    assert stored["origin"] == {"jax": "2"} and stored["earlier_origins"] == [{"jax": "1"}]


def test_folders_of_something_else_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"thesis\.tex.*no run directory"):
        open_run(tmp_path)
    with pytest.raises(InputError, match="no run directory"):
        open_run(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file"):
        open_run(tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="cannot be written"):
        open_run(Path("/proc/nowhere"))


def test_one_process_at_a_time(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from jaxiso.cli.command import run_command\n"
        "from jaxiso.runs import Run\n"
        "run_command(lambda: Run(pathlib.Path(sys.argv[1]), {}, origin={}))"
    )
    with open_run(tmp_path):
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
        )
    assert other.returncode == 2
    assert "another process is writing this run" in other.stderr


@pytest.mark.parametrize("content", ["", "[1]", "{", "\x00", "{}", '{"config": 3}'])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        open_run(tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path):
    open_run(tmp_path).__exit__(None, None, None)
    (tmp_path / "figures").mkdir()
    for name in (".jaxiso-abc.part", "figures/.jaxiso-def.part"):
        (tmp_path / name).write_bytes(b"half")
    open_run(tmp_path).__exit__(None, None, None)
    assert not list(tmp_path.rglob(".*.part"))


def test_damaged_metrics_are_named(tmp_path):
    with pytest.raises(InputError, match=r"metrics\.parquet: cannot be read"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"metrics\.parquet: cannot be read"):
        read_metrics(tmp_path)


def test_result_is_plain_json(tmp_path):
    with open_run(tmp_path) as run:
        run.finish({"pearson_r": None, "ρ": -0.5})
        assert run.finished and run.result == {"pearson_r": None, "ρ": -0.5}
        with pytest.raises(ValueError, match="Out of range"):
            run.finish({"pearson_r": float("nan")})
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["ρ"] == -0.5


def test_reading_a_checkpoint_changes_nothing(tmp_path, capsys):
    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        run.save(4, state(4), metrics(5))
    damage(tmp_path / "checkpoints" / "4")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    step, found = read_checkpoint(tmp_path, state(0))
    assert step == 2 and float(found.params["w"][0, 0]) == 2
    assert "checkpoints/4 cannot be read" in capsys.readouterr().err
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    assert read_config(tmp_path) == CONFIG
    damage(tmp_path / "checkpoints" / "2")
    with pytest.raises(InputError, match="holds no checkpoint that can be read"):
        read_checkpoint(tmp_path, state(0))


def finished_run(directory: Path) -> None:
    with open_run(directory) as run:
        run.save(2, state(2), metrics(3))
        run.save(4, state(4), metrics(5))
        with run.writing("final.npz") as file:
            np.savez(file, x=np.arange(5))
        run.write_json("vocabulary.json", ["a", "b"])
        run.finish({"r": -1.0})


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    path.write_bytes(content)


def test_nothing_to_do(tmp_path):
    finished_run(tmp_path)
    with open_run(tmp_path) as run:
        assert run.finished and run.result == {"r": -1.0}


@pytest.mark.parametrize("name", ["final.npz", "result.json", "vocabulary.json"])
@pytest.mark.parametrize("how", [flip, Path.unlink])
def test_a_finished_run_makes_a_damaged_file_again(tmp_path, capsys, name, how):
    finished_run(tmp_path)
    how(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: is (missing|not as it was written)"):
        verify(tmp_path, name)
    with open_run(tmp_path, quiet=True) as run:
        assert not run.finished and not run.finished
        notes = capsys.readouterr().err
        assert (name in notes and notes.count("made again") == 1) or name == "result.json"
        restored = run.restore(state(0))
        assert restored is not None and restored[0] == 4


@pytest.mark.parametrize("how", [flip, Path.unlink])
def test_damaged_metrics_cannot_be_made_again(tmp_path, how):
    finished_run(tmp_path)
    how(tmp_path / "metrics.parquet")
    with pytest.raises(InputError, match=r"metrics\.parquet: is .*--overwrite"):
        open_run(tmp_path)
    with open_run(tmp_path, overwrite=True) as run:
        assert run.restore(state(0)) is None


def test_metrics_of_fewer_steps_are_refused(tmp_path):
    for manifest in (True, False):
        directory = tmp_path / str(manifest)
        with open_run(directory) as run:
            run.save(2, state(2), metrics(3))
            run.save(4, state(4), metrics(5))
        table = pq.read_table(directory / "metrics.parquet")
        pq.write_table(table.slice(0, 3), directory / "metrics.parquet")
        if not manifest:
            (directory / "manifest.json").unlink()
        with (
            open_run(directory) as run,
            pytest.raises(InputError, match=r"metrics\.parquet: (is not as|has 3 rows up to)"),
        ):
            run.restore(state(0))


def test_a_renamed_checkpoint_is_no_other(tmp_path, capsys):
    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        run.save(6, state(6), metrics(7))
    (tmp_path / "checkpoints" / "6").rename(tmp_path / "checkpoints" / "5")
    with open_run(tmp_path) as run:
        restored = run.restore(state(0))
        assert restored is not None and restored[0] == 2
    assert "checkpoint of update 6, renamed" in capsys.readouterr().err


def test_a_checkpoint_of_another_run_is_refused(tmp_path, capsys):
    for lr in (0.1, 0.2):
        with open_run(tmp_path / str(lr), {"lr": lr}) as run:
            run.save(2, state(lr), metrics(3))
            if lr == 0.2:
                run.save(4, state(lr), metrics(5))
    shutil.copytree(tmp_path / "0.2" / "checkpoints" / "4", tmp_path / "0.1" / "checkpoints" / "4")
    with open_run(tmp_path / "0.1", {"lr": 0.1}) as run:
        restored = run.restore(state(0))
        assert restored is not None and restored[0] == 2
    assert "belongs to a run with another configuration" in capsys.readouterr().err


def test_a_flipped_bit_is_found_everywhere(tmp_path):
    """In each file of a checkpoint, of the config and of the manifest."""
    finished_run(tmp_path / "run")
    files = [p for p in sorted((tmp_path / "run").rglob("*")) if p.is_file() and p.stat().st_size]
    assert len(files) > 12
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(tmp_path / "run", copy)
        flip(copy / file.relative_to(tmp_path / "run"))
        harmless = file.name == "config.json" or file.is_relative_to(tmp_path / "run/checkpoints/2")
        try:
            with open_run(copy, quiet=True) as run:
                assert run.finished is harmless, file
                restored = run.restore(state(0))
                assert restored is not None and restored[0] in (2, 4)
                assert float(restored[1].params["w"][0, 0]) == restored[0]
        except InputError as error:
            assert str(copy) in str(error)


def test_a_changed_config_is_refused(tmp_path):
    open_run(tmp_path).__exit__(None, None, None)
    path = tmp_path / "config.json"
    text = path.read_text()
    path.write_text(text.replace('"seeds": 2', '"seeds": 3'))
    with pytest.raises(InputError, match=r"config\.json: is not as it was written"):
        read_config(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: is not as it was written"):
        open_run(tmp_path, {**CONFIG, "seeds": 3})


def test_a_finished_run_is_read_as_it_ended_or_not_at_all(tmp_path):
    finished_run(tmp_path)
    assert read_checkpoint(tmp_path, state(0))[0] == 4
    shutil.rmtree(tmp_path / "checkpoints" / "4")
    with pytest.raises(InputError, match=r"trained model is missing.*goes on after update 2"):
        read_checkpoint(tmp_path, state(0))
    with open_run(tmp_path) as run:
        assert not run.finished
    shutil.rmtree(tmp_path / "checkpoints")
    with open_run(tmp_path) as run:
        assert run.finished  # deleted to make room, as the reference runs are kept
    with pytest.raises(InputError, match="no such directory, so there is no trained model"):
        read_checkpoint(tmp_path, state(0))


def test_two_crashes_leave_a_known_file(tmp_path, monkeypatch):
    """The old file is still good after two writes that each died just before its replacement."""
    with open_run(tmp_path) as run:
        run.write_json("vocabulary.json", 1)
        for content in (2, 3):
            monkeypatch.setattr(Path, "replace", die_on("vocabulary.json", Path.replace))
            with pytest.raises(KeyboardInterrupt):
                run.write_json("vocabulary.json", content)
            monkeypatch.undo()
            verify(tmp_path, "vocabulary.json")
        flip(tmp_path / "vocabulary.json")
        with pytest.raises(KeyboardInterrupt):
            monkeypatch.setattr(Path, "replace", die_on("vocabulary.json", Path.replace))
            run.write_json("vocabulary.json", 4)
        with pytest.raises(InputError):  # writing over it does not make a damaged file good
            verify(tmp_path, "vocabulary.json")


def die_on(name: str, replace):
    def watched(self: Path, target: Path):
        if target.name == name:
            raise KeyboardInterrupt
        return replace(self, target)

    return watched


@pytest.mark.parametrize("name", ["G[x]", "a*b", "what?", "a\\b", "a\nb", "a\x7fb", "\udcff"])
def test_paths_that_checkpoints_cannot_be_read_from(tmp_path, name):
    with pytest.raises(InputError, match="give another directory"):
        open_run(tmp_path / name / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["Ünïcode 👩‍🔬", "a b{c}#d%20,e", "~x$y'z\"", "x" * 250])
def test_paths_that_work(tmp_path, name):
    with open_run(tmp_path / name) as run:
        run.save(2, state(2), metrics(3))
        assert run.restore(state(0)) is not None


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        open_run(tmp_path / ("x" * 300))
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_moved_to_such_a_path(tmp_path):
    finished_run(tmp_path / "run")
    moved = (tmp_path / "run").rename(tmp_path / "run[1]")
    with pytest.raises(InputError, match="has '\\[' in it"):
        read_checkpoint(moved, state(0))
    with pytest.raises(InputError, match="has '\\[' in it"):
        Run.existing(moved)


def test_files_of_the_user_stay(tmp_path):
    """In a folder that was never a run, and that looks empty."""
    mine = [tmp_path / ".d" / ".movie.part", tmp_path / ".lock", tmp_path / ".x.part"]
    mine[0].parent.mkdir()
    for path in mine:
        path.write_text("mine")
    for overwrite in (False, True, True):
        with open_run(tmp_path, overwrite=overwrite) as run:
            run.save(2, state(2), metrics(3))
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_overwrite_leaves_what_links_point_to(tmp_path):
    finished_run(tmp_path / "run")
    for name in ("figures", "checkpoints", "metrics.parquet"):
        target = tmp_path / f"elsewhere-{name}"
        link = tmp_path / "run" / name
        if link.exists():
            link.rename(target)
        else:
            target.mkdir()
            (target / "figure.png").write_text("mine")
        link.symlink_to(target)
    before = sorted(p for p in tmp_path.glob("elsewhere*/**/*"))
    with open_run(tmp_path / "run", {"seeds": 9}, overwrite=True) as run:
        assert run.restore(state(0)) is None and not run.finished
        run.save(2, state(2), metrics(3))
    assert sorted(p for p in tmp_path.glob("elsewhere*/**/*")) == before
    assert (tmp_path / "elsewhere-metrics.parquet").exists()


def test_what_cannot_be_deleted_is_named(tmp_path, monkeypatch):
    finished_run(tmp_path)

    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(InputError, match=r"checkpoints cannot be deleted \(Permission denied\)"):
        open_run(tmp_path, {"seeds": 9}, overwrite=True)
    monkeypatch.undo()
    with pytest.raises(InputError, match="was interrupted"):  # by whoever reads it, too
        read_config(tmp_path)
    with pytest.raises(InputError, match="was interrupted; give --overwrite"):
        open_run(tmp_path)
    with open_run(tmp_path, {"seeds": 9}) as run:  # what the command asked for goes on
        assert run.restore(state(0)) is None
    assert read_config(tmp_path) == {"seeds": 9}


def read_only(monkeypatch) -> None:
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)


def test_a_finished_run_on_a_read_only_disk_shows_its_result(tmp_path, monkeypatch):
    finished_run(tmp_path / "run")
    flip_later = tmp_path / "run" / "final.npz"
    with open_run(tmp_path / "unfinished"):
        pass
    read_only(monkeypatch)
    with Run(tmp_path / "run", CONFIG, origin={"jax": "2"}) as run:
        assert run.finished and run.result == {"r": -1.0} and not run.writable
        with pytest.raises(OSError, match="Read-only") as error:
            run.write_json("evaluation.json", {})
        assert error.value.filename == str(tmp_path / "run" / "evaluation.json")
    with pytest.raises(InputError, match=r"unfinished: cannot be written \(Read-only"):
        open_run(tmp_path / "unfinished")
    with pytest.raises(OSError, match="Read-only"):
        open_run(tmp_path / "run", overwrite=True)
    monkeypatch.undo()
    flip(flip_later)
    read_only(monkeypatch)
    with pytest.raises(InputError, match=r"final\.npz: is not as it was written"):
        open_run(tmp_path / "run")


def test_errors_of_orbax_are_one_error_with_the_path(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing: [OS error 28: ENOSPC No space left]")

    with open_run(tmp_path) as run:
        run.save(2, state(2), metrics(3))
        monkeypatch.setattr(ocp.CheckpointManager, "save", fail)
        with pytest.raises(OSError, match="No space left") as error:
            run.save(4, state(4), metrics(5))
        assert error.value.errno == errno.ENOSPC
        assert error.value.filename == str(tmp_path / "checkpoints")
        monkeypatch.undo()
        restored = run.restore(state(0))
        assert restored is not None and restored[0] == 2


def test_an_existing_run_is_opened_as_it_is(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        Run.existing(tmp_path / "none")
    finished_run(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    with Run.existing(tmp_path) as run:
        run.write_json("evaluation.json", {"a": 1})
        assert run.config == CONFIG
        with pytest.raises(InputError, match="another process is writing this run"):
            Run.existing(tmp_path)
    assert (tmp_path / "config.json").read_bytes() == before
    verify(tmp_path, "evaluation.json")
    flip(tmp_path / "evaluation.json")
    with pytest.raises(InputError, match=r"evaluation\.json: is not as it was written"):
        verify(tmp_path, "evaluation.json")


def test_a_run_without_a_manifest_is_read(tmp_path):
    """As those that are kept in runs/reference are."""
    finished_run(tmp_path)
    (tmp_path / "manifest.json").unlink()
    stored = read_object(tmp_path / "config.json")
    del stored["config_sha256"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert read_config(tmp_path) == CONFIG
    assert len(read_metrics(tmp_path)["step"]) == 5
    with open_run(tmp_path) as run:
        assert run.finished


@pytest.mark.parametrize("content", ["", "{}", '{"artefacts": [1]}', '{"artefacts": {"a": 1}}'])
def test_a_damaged_manifest_is_named(tmp_path, content):
    finished_run(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        open_run(tmp_path)
    with open_run(tmp_path, overwrite=True) as run:
        assert not run.finished


def test_where_the_data_were_is_recorded(tmp_path, capsys):
    Run(tmp_path, CONFIG, origin={}, source={"corpus": "a.txt"}).__exit__(None, None, None)
    Run(tmp_path, CONFIG, origin={}, source={"corpus": "b.txt"}).__exit__(None, None, None)
    assert read_stored(tmp_path)["source"] == {"corpus": "b.txt"}
    assert "earlier_origins" not in read_stored(tmp_path) and not capsys.readouterr().err
    with pytest.raises(InputError, match="cannot be written as UTF-8"):
        Run(tmp_path / "x", CONFIG, origin={}, source={"corpus": "/data/\udcff.txt"})


def test_checkpoints_that_were_deleted_are_forgotten(tmp_path):
    with open_run(tmp_path) as run:
        for step in (2, 4):
            run.save(step, state(step), metrics(step + 1))
    shutil.rmtree(tmp_path / "checkpoints")
    with open_run(tmp_path) as run:
        assert run.restore(state(0)) is None
        run.save(2, state(9), metrics(3))
        restored = run.restore(state(0))
        assert restored is not None and float(restored[1].params["w"][0, 0]) == 9


def test_a_link_to_a_run(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(InputError, match="cannot be written"):
        open_run(tmp_path / "link")
    finished_run(tmp_path / "run")
    assert read_checkpoint(tmp_path / "link", state(0))[0] == 4
    with open_run(tmp_path / "link") as run:
        assert run.finished
        with pytest.raises(InputError, match="another process"):
            open_run(tmp_path / "run")
