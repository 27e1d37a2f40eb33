"""Run directories: what they refuse, what they restore, and that nothing is half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxiso.errors import InputError
from jaxiso.files import read_object
from jaxiso.runs import Run, read_checkpoint, read_config, read_metrics

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
        "import sys, pathlib; from jaxiso.console import run_command; from jaxiso.runs import Run\n"
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
    for name in (".final.npz.abc.part", "figures/.figure2.png.abc.part"):
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
