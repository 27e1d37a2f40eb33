"""Several processes, of two devices each, that measure together: the numbers of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import free_port

from jaxiso.score.__main__ import main

N, D = 61, 6
MANY = """
from jaxiso.cli.command import run_command
from jaxiso.score import pairs
from jaxiso.score.__main__ import main
pairs.QUICK = 0
run_command(main)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Two files of 61 vectors; the last ten of one label, which the first process has none of."""
    folder = tmp_path_factory.mktemp("vectors")
    random = np.random.default_rng(0)
    y = np.r_[random.integers(0, 3, N - 10), np.full(10, 3)]
    x = (random.normal(size=(N, D)) + 2 * y[:, None]).astype(np.float32)
    x[4] = 0
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    lists = pa.array(x.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"emb": lists}), folder / "x.parquet", row_group_size=9)
    return [folder / "x.npy", folder / "x.parquet"]


def together(processes: int, *arguments: object) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each process; all pairs are too many for each by itself."""
    by_hand = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", processes, "--process")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, *map(str, (*arguments, *by_hand, process))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
        )
        for process in range(processes)
    ]
    said = [process.communicate(timeout=300) for process in started]
    return [(p.returncode, *text) for p, text in zip(started, said, strict=True)]


def numbers(printed: str, *, pairs: bool) -> list[float]:
    """Values and errors; of silhouettes from pairs that processes share there are no errors."""
    files = json.loads(printed)["files"]
    rows = [file["measures"] for file in files]
    rows += [row for file in files for row in file["by_label"]]
    found = [(name, v) for row in rows for name, v in row.items() if isinstance(v, dict)]
    errors = [v["se"] or -1.0 for name, v in found if not (pairs and name == "silhouette")]
    return [*(v["value"] for _, v in found), *errors]


def same_numbers(capsys, *options: object) -> None:
    main([*map(str, options), "--json", "--quiet"])
    pairs = "--metric" not in options
    expected = numbers(capsys.readouterr().out, pairs=pairs)
    first, other = together(2, *options, "--json")
    assert (first[0], *other) == (0, 0, "", ""), (first, other)
    assert numbers(first[1], pairs=pairs) == pytest.approx(expected, rel=1e-6)
    assert "61 vectors of 6 dimensions, 4 labels" in first[2]


def test_two_processes_have_the_numbers_of_one(files, capsys):
    labels = files[0].with_name("y.npy")
    same_numbers(capsys, *files, "--labels", labels, "--by-label")


@pytest.mark.slow
def test_samples_and_other_metrics(files, capsys):
    labels = files[0].with_name("y.npy")
    same_numbers(
        capsys, *files, "--labels", labels, "--by-label", "--no-error", "--metric", "cosine"
    )
    same_numbers(capsys, *files, "--labels", labels, "--by-label", "--metric", "cosine")
    first, other = together(2, files[1], "--labels", labels, "--sample-size", 30)
    assert (first[0], *other) == (0, 0, "", ""), (first, other)
    assert "exact against all, of 30 of 61 vectors" in first[1]


@pytest.mark.slow
def test_a_process_whose_vectors_are_bad_ends_the_others(files):
    x = np.load(files[0])
    x[50] = np.nan  # of the second process's part
    np.save(files[0].with_name("bad.npy"), x)
    (other, out, _), (code, _, said) = together(2, files[0].with_name("bad.npy"))
    assert code == 2 and "bad.npy, array[50]: the vector has a value that is" in said
    assert other != 0 and not out
