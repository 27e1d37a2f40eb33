"""Several processes that train together: the numbers of one, and what becomes of those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from commands import command, free_port

from jaxiso.embed.__main__ import main
from jaxiso.run_files import read_metrics

EMBED = ("--seeds", 3, "--checkpoint-every", 2)


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes int and float inside."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("vectors") / "vectors.npz"
    np.savez(path, X=rng.normal(size=(40, 6)).astype(np.float32), y=np.arange(40) % 3)
    return path


def by_hand(process: int, processes: int, port: int) -> tuple[list[object], dict[str, str]]:
    """The options and the environment of a process that is told all there is to know."""
    address = f"127.0.0.1:{port}"
    return ["--coordinator", address, "--processes", processes, "--process", process], {}


def by_slurm(process: int, processes: int, port: int) -> tuple[list[object], dict[str, str]]:
    """What srun sets in each task of a step; JAX takes the port from the number of the job."""
    return ["--distributed"], {
        "SLURM_JOB_ID": str(port),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": str(processes),
        "SLURM_PROCID": str(process),
        "SLURM_LOCALID": str(process),
    }


def by_open_mpi(process: int, processes: int, port: int) -> tuple[list[object], dict[str, str]]:
    """What mpirun of Open MPI sets in each process."""
    return ["--distributed"], {
        "OMPI_MCA_orte_hnp_uri": f"{port * 4096}.0;tcp://127.0.0.1:{port}",
        "OMPI_COMM_WORLD_SIZE": str(processes),
        "OMPI_COMM_WORLD_RANK": str(process),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(process),
    }


def start(processes: int, *arguments: object, launched=by_hand) -> list[subprocess.Popen[str]]:
    """Processes of a run, on this machine."""
    port, started = free_port(), []
    for process in range(processes):
        options, environment = launched(process, processes, port)
        started.append(
            subprocess.Popen(
                command("embed", *arguments, *options),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"JAX_NUM_CPU_DEVICES": "1"} | environment,
            )
        )
    return started


def ends(started: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    said = [process.communicate(timeout=300) for process in started]
    return [(p.returncode, *text) for p, text in zip(started, said, strict=True)]


def assert_same(run: Path, expected: Path) -> None:
    ours, theirs = read_metrics(run), read_metrics(expected)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-6, err_msg=name)


def test_two_processes_have_the_numbers_of_one(vectors, tmp_path):
    options = ("--vectors", vectors, *EMBED, "--updates", 4)
    main([*map(str, options), "--quiet", "--out", str(tmp_path / "one")])
    first, other = ends(start(2, *options, "--out", tmp_path / "two"))
    assert (first[0], *other) == (0, 0, "", ""), (first, other)
    assert "Pearson r" in first[1] and "Gloo" not in first[1] + first[2]
    assert_same(tmp_path / "two", tmp_path / "one")
    with np.load(tmp_path / "one/final.npz") as one, np.load(tmp_path / "two/final.npz") as two:
        np.testing.assert_allclose(one["vectors"], two["vectors"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("launched", [by_slurm, by_open_mpi])
def test_processes_of_a_launcher_find_each_other(vectors, tmp_path, launched):
    options = ("--vectors", vectors, *EMBED, "--updates", 4)
    first, other = ends(start(2, *options, "--out", tmp_path / "two", launched=launched))
    assert (first[0], *other) == (0, 0, "", ""), (first, other)
    main([*map(str, options), "--quiet", "--out", str(tmp_path / "one")])
    assert_same(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 2])
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(vectors, tmp_path, dies):
    options = ("--vectors", vectors, *EMBED, "--updates", 600, "--every", 100)
    started = start(3, *options, "--out", tmp_path / "run")
    deadline = time.monotonic() + 200
    while not (tmp_path / "run/checkpoints/4").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    started[dies].send_signal(signal.SIGKILL)
    found = ends(started)
    for number, (code, out, errors) in enumerate(found):
        if number == dies:
            assert code == -signal.SIGKILL, found
        else:
            lines = [line for line in errors.splitlines() if "ended, or cannot be reached" in line]
            assert code in (1, -signal.SIGABRT) and not out and lines, found
            assert "Traceback" not in errors and "stack trace" not in errors, found
    main([*map(str, options), "--quiet", "--out", str(tmp_path / "run")])
    main([*map(str, options), "--quiet", "--out", str(tmp_path / "one")])
    assert_same(tmp_path / "run", tmp_path / "one")


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_at_the_same_update(vectors, tmp_path):
    options = ("--vectors", vectors, *EMBED, "--updates", 300, "--every", 100)
    started = start(2, *options, "--out", tmp_path / "run")
    deadline = time.monotonic() + 200
    while not (tmp_path / "run/checkpoints/4").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    started[1].send_signal(signal.SIGTERM)
    found = ends(started)
    stops = [errors.rpartition("stopped after update ")[2].split()[0] for _, _, errors in found]
    assert [code for code, _, _ in found] == [143, 143] and stops[0] == stops[1], found
    number = int(stops[0].replace(",", ""))
    assert (tmp_path / "run/checkpoints" / str(number)).is_dir()
