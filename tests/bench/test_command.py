"""The benchmark at sizes that take no time: options, report, tables, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxiso.bench import measure
from jaxiso.bench.__main__ import main
from jaxiso.bench.measure import clear_peak, highest_memory, memory_in_fresh_process, peak_of
from jaxiso.bench.metrics import lone_call, seven_steps
from jaxiso.bench.options import Options
from jaxiso.cli.console import InputError
from jaxiso.metrics.isotropy import isoscore

SMALL = ("--what", "metrics", "--points", "200", "--dim", "8", "--clusters", "3", "--repeats", "2")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, str]]]:
    """No process is started for the memory; which ones would have been. Settings are put back."""
    asked = []

    def memory(part: str, name: str, by: str, options: Options) -> dict[str, object]:
        asked.append((part, name, by))
        return {"peak_bytes": len(asked) * 2**20, "peak_cleared": False}

    monkeypatch.setattr(measure, "memory_in_fresh_process", memory)
    yield asked
    jax.config.update("jax_enable_compilation_cache", True)  # which the command turns off


def test_end_to_end(in_this_process, tmp_path: Path, capsys):
    file = tmp_path / "bench.json"
    main([*SMALL, "--json", str(file)])
    printed = capsys.readouterr()
    for shown in ("silhouette", "scikit-learn", "seven steps", "working_memory", "CPU", "too low"):
        assert shown in printed.out
    assert "in turns" in printed.err
    assert str(tmp_path) not in file.read_text() + printed.out
    report = json.loads(file.read_text())
    chosen = {"what": "metrics", "points": 200, "dim": 8, "clusters": 3, "repeats": 2, "seed": 0}
    assert chosen.items() <= report["options"].items()
    assert not {"json", "quiet"} & report["options"].keys()
    assert {"processor", "cores", "jax", "scikit-learn", "device"} <= report["machine"].keys()
    assert list(report["results"]) == ["metrics"]
    assert len(in_this_process) == 6
    for result in report["results"]["metrics"].values():
        assert result.get("limit") or result["difference"] < 1e-5
        least, most = result["times_faster_range"]
        assert 0 < least <= most and result["times_faster"] > 0 and result["times_less_cpu"] > 0
        ours, peer = result["jaxiso"], result["peer"]
        assert result["times_less_memory"] == peer["peak_bytes"] / ours["peak_bytes"]
        for one in (ours, peer):
            assert 0 < one["min_s"] <= one["median_s"] <= one["max_s"]
            assert one["median_cpu_s"] > 0 and "tokens_per_s" not in one


def test_memory_in_a_fresh_process():
    options = Options(points=200, dim=8, clusters=3, json=Path("never.json"))
    found = memory_in_fresh_process("metrics", "IsoScore", "jaxiso", options)
    assert found["peak_cleared"] in (True, False) and 0 <= found["peak_bytes"] < 2**30


def test_a_process_that_fails(monkeypatch: pytest.MonkeyPatch):
    done = subprocess.CompletedProcess([], -9, stdout="", stderr="\nMemoryError\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(InputError) as caught:
        memory_in_fresh_process("metrics", "silhouette", "peer", Options())
    assert str(caught.value) == (
        "measuring the memory of peer for silhouette ended with code -9 (MemoryError); try a "
        "smaller --points"
    )


def test_what_memory_is_measured_of():
    options = Options(points=200, dim=8, clusters=3)
    ours, peer = (lone_call("silhouette", by, options)() for by in ("jaxiso", "peer"))
    assert ours == pytest.approx(peer, abs=1e-5)


def test_memory_is_that_of_the_call():
    """What was held and given back before must not hide 80 MB, nor be counted."""
    np.ones(20_000_000)
    found = peak_of(lambda: np.ones(10_000_000)[0].item())
    assert 0 <= found["peak_bytes"] < 120e6
    if found["peak_cleared"]:
        assert found["peak_bytes"] > 75e6
    assert clear_peak() == found["peak_cleared"] and highest_memory() > 2**20


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
        (("--seed", str(2**70)), f"--seed {2**70}: must be at least 0 and below {2**32}"),
        (("--json", "no/such/folder.json"), "--json no/such/folder.json: must be a file"),
        (("--json", ""), "--json .: must be a file"),
        (("--what", "scaling", "--plot", ""), "--plot .: must be the name of a file"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(InputError) as caught:
        main(arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("arguments", [("--what", "speed"), ("--points", "many")])
def test_what_is_no_option_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and arguments[1] in capsys.readouterr().err


def test_help_shows_defaults_and_needs_no_heavy_import():
    code = (
        "import sys\nfrom jaxiso.bench.__main__ import main\ntry: main(['--help'])\n"
        "finally: print({'jax', 'numpy', 'sklearn', 'torch'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "set()")
    for shown in ("10662", "384", "--quiet", "--json", "--what", "small"):
        assert shown in done.stdout


def test_the_seven_steps_of_the_benchmark():
    points = np.random.default_rng(0).normal(size=(200, 8)) * np.arange(1, 9) + 3
    np.testing.assert_allclose(seven_steps(points), isoscore(points), rtol=1e-5)
