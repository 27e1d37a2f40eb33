"""How the benchmark finds out how time grows, at sizes that take no time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from jaxiso.bench import scaling
from jaxiso.bench.__main__ import main
from jaxiso.bench.metrics import make_data
from jaxiso.bench.options import Options
from jaxiso.cli.console import InputError


def rows(power: float, start: float = 0.0) -> list[dict]:
    points = [1000, 2000, 5000, 10_000, 20_000, 50_000]
    return [{"points": n, "cpu": start + 1e-6 * n**power} for n in points]


@pytest.mark.parametrize(("power", "start"), [(1, 0), (2, 0), (1, 2e-3), (2, 2.0)])
def test_the_exponent_is_that_of_the_growth_not_of_the_start(power, start):
    assert scaling.exponent(rows(power, start)) == pytest.approx(power, abs=0.35 if start else 1e-9)


def test_no_exponent_of_too_few_sizes():
    assert scaling.exponent([]) is None
    assert scaling.exponent(rows(1)[:3]) is None  # one of them is the quickest
    assert scaling.exponent(rows(0, 5.0)) is None


def test_sizes_are_1_2_5():
    n, found = 1000, []
    for _ in range(6):
        found.append(n)
        n = scaling._next(n)
    assert found == [1000, 2000, 5000, 10_000, 20_000, 50_000]


@pytest.mark.parametrize("by", ["jaxiso", "scikit-learn"])
def test_a_series_measures_each_size_until_the_largest(by, capsys):
    options = Options(what="scaling", most_points=2500, dim=3, clusters=4)
    scaling.sizes("silhouette, Euclidean", by, options)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["points"] for row in found] == [1000, 2000]
    points, labels = make_data(Options(points=2500, dim=3, clusters=4))
    expected = silhouette_score(points[:2000], labels[:2000])
    assert found[1]["value"] == pytest.approx(expected, abs=1e-5)
    assert all(row["cpu"] > 0 and row["peak_bytes"] >= 0 for row in found)


def test_a_series_ends_where_a_size_would_take_too_long(capsys):
    scaling.sizes("mean cosine", "jaxiso", Options(what="scaling", dim=3, seconds=1e-9))
    assert capsys.readouterr().out == ""


def test_every_peer_is_beside_a_measure_of_ours():
    names = [name for name, by in scaling.all_series() if by == "jaxiso"]
    assert names == list(scaling.OURS) and {name for name, _ in scaling.peers()} <= set(names)
    assert len(scaling.all_series()) == len(scaling.OURS) + len(scaling.peers())


def test_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    """One measure, one device, and two processes."""
    monkeypatch.setattr(scaling, "all_series", lambda: [("IsoScore", "jaxiso")])
    monkeypatch.setattr(scaling, "DEVICES", (1,))
    monkeypatch.setattr(scaling, "PROCESSES", (1, 2))
    json_file, plot = tmp_path / "found.json", tmp_path / "scaling.png"
    sizes = ("--points", "301", "--most-points", "1000", "--dim", "4", "--repeats", "1")
    main(["--what", "scaling", *sizes, "--json", str(json_file), "--plot", str(plot), "--quiet"])
    shown = capsys.readouterr().out
    assert "IsoScore" in shown and "1,000" in shown and "devices" in shown
    found = json.loads(json_file.read_text())["results"]["scaling"]
    assert [row["devices"] for row in found["devices"]] == [1, 2]
    values = [row["value"] for row in found["devices"]]
    np.testing.assert_allclose(values, values[0], atol=1e-6)
    assert plot.is_file() and plot.with_suffix(".pdf").is_file()


def test_a_process_that_fails_ends_the_benchmark():
    with pytest.raises(InputError, match=r"ended with code 1 .*KeyError"):
        scaling._child("sizes('no such', 'jaxiso', Options(most_points=1000))")


def test_a_plot_is_of_scaling_only():
    with pytest.raises(InputError, match="--plot x: only with --what scaling"):
        Options(plot=Path("x"))
