"""The benchmark end to end, at sizes that take no time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SMALL = ("--what", "metrics", "--points", "200", "--dim", "8", "--clusters", "3", "--repeats", "2")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jaxiso.bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_end_to_end(tmp_path: Path):
    file = tmp_path / "bench.json"
    done = bench(*SMALL, "--json", str(file))
    assert done.returncode == 0, done.stderr
    for shown in ("silhouette", "IsoScore", "scikit-learn", "seven steps", "working_memory"):
        assert shown in done.stdout
    assert "in turns" in done.stderr
    assert str(tmp_path) not in file.read_text() + done.stdout
    report = json.loads(file.read_text())
    chosen = {"what": "metrics", "points": 200, "dim": 8, "clusters": 3, "repeats": 2, "seed": 0}
    assert chosen.items() <= report["options"].items()
    assert not {"json", "quiet"} & report["options"].keys()
    assert {"processor", "cores", "jax", "scikit-learn", "device"} <= report["machine"].keys()
    assert list(report["results"]) == ["metrics"]
    for result in report["results"]["metrics"].values():
        assert result["difference"] < 1e-5
        assert result["times_faster"] > 0
        for by in ("jaxiso", "peer"):
            assert 0 < result[by]["min_s"] <= result[by]["median_s"] <= result[by]["max_s"]
            assert 0 <= result[by]["peak_bytes"] < 2**30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--points", "2"), "--points 2: must be at least 3"),
        (("--dim", "1"), "--dim 1: must be at least 2"),
        (("--clusters", "1"), "--clusters 1: must be at least 2"),
        (("--points", "9", "--clusters", "9"), "--clusters 9: must be less than --points (9)"),
        (("--repeats", "0"), "--repeats 0: must be at least 1"),
        (("--updates", "0"), "--updates 0: must be at least 1"),
        (("--seeds", "0"), "--seeds 0: must be at least 1"),
        (("--what", "speed"), "speed"),
        (("--json", "no/such/folder.json"), "--json no/such/folder.json: must be a file"),
        (("--points", "many"), "many"),
    ],
)
def test_bad_options_end_with_code_2(arguments, message):
    done = bench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_shows_defaults_and_needs_no_heavy_import():
    code = "import sys, jaxiso.bench; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert not {"jax", "numpy", "sklearn", "rich", "torch"} & set(loaded.split())
    done = bench("--help")
    assert done.returncode == 0
    for shown in ("10662", "384", "--quiet", "--json", "--what", "small"):
        assert shown in done.stdout


def test_memory_is_that_of_the_call():
    """What was held and given back before must not hide 80 MB, nor be counted."""
    code = (
        "import numpy as np; from jaxiso.bench_measure import clear_peak, highest_memory\n"
        "np.ones(50_000_000); cleared = clear_peak(); before = highest_memory()\n"
        "np.ones(10_000_000); print(cleared, highest_memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    cleared, grown = done.stdout.split()
    assert 0 <= int(grown) < 120e6
    if cleared == "True":
        assert int(grown) > 75e6


def test_the_seven_steps_of_the_benchmark():
    from jaxiso.bench_metrics import seven_steps
    from jaxiso.metrics.isotropy import isoscore

    points = np.random.default_rng(0).normal(size=(50, 4)) * np.arange(1, 5) + 3
    np.testing.assert_allclose(seven_steps(points), isoscore(points), rtol=1e-5)
