from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxiso.cli.console import InputError
from jaxiso.embed.result import (
    count_parameters,
    isoscore_of_collapsed_labels,
    make_result,
    print_result,
    remarks,
    result_table,
    unlike_the_paper,
)
from jaxiso.metrics.isotropy import isoscore

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"
SHAPE = {"vectors": 40, "dim": 6, "inputs": 2, "classes": ["a", "b", "c"], "bias": True}


def config_of(run: str) -> dict:
    return json.loads((REFERENCE / run / "config.json").read_text())["config"]


def metrics(isoscore: list[float], isotropy: float | None = None) -> dict[str, list[float]]:
    n = len(isoscore)
    table = {"seed": [0] * n, "step": list(range(n)), "isoscore": isoscore}
    table |= {"silhouette": [1 - x for x in isoscore], "loss": isoscore, "accuracy": isoscore}
    return table if isotropy is None else table | {"isotropy": [isotropy] * n}


def shown(result, unlike=None) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(result_table(result, unlike or {}))
    return capture.get()


def test_numbers_stand_beside_the_papers():
    result = make_result(config_of("wnli-minilm"), metrics([0.9, 0.5, 0.4]), seconds=1.26)
    assert result["paper"] == {
        "items": 635,
        "parameters": 356_738,
        "pearson_r": -0.8969,
        "spearman_rho": -0.99987,
    }
    assert result["not_as_in_the_paper"] == [] and result["seconds"] == 1.3
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown(result).split("\n")]
    assert ["Pearson r", "-1.0000", "-0.8969", "-0.1031"] in lines
    assert ["Parameters", "356,738", "356,738", "+0"] in lines
    assert ["IsoScore, final", "0.40000", "-", ""] in lines


def test_another_experiment_does_not_stand_beside_the_papers():
    config, table = config_of("wnli-minilm"), metrics([0.9, 0.5, 0.4])
    for changes, columns in (
        ({"seeds": 1}, 4),
        ({"loss": "triplet"}, 2),
        ({"scale": 3.0}, 2),
        ({"every": 2}, 2),
        ({"task": "mine"}, 2),
    ):
        changed = config | changes
        unlike = unlike_the_paper(changed)
        text = shown(make_result(changed, table, seconds=1), unlike)
        (line,) = [line for line in text.split("\n") if "Pearson r" in line]
        assert line.count("│") == columns + 1 and ("difference" in text) == (columns == 4)
        said = "\n".join(remarks(make_result(changed, table, seconds=1), unlike))
        assert said.startswith("Differences from the paper: ") == (changed["task"] != "mine")
        assert all(line in said for line in unlike.values())


def test_tasks_of_section_3_2_have_bounds():
    config = config_of("polarity-minilm-1seed") | {"seeds": 2}
    table = metrics([0.9, 0.5, 0.4])
    both = {name: values * 2 for name, values in table.items()} | {"seed": [0] * 3 + [1] * 3}
    text = shown(make_result(config, both, seconds=1))
    assert "< -0.998" in text and "< 0.0054" in text
    assert "< " not in shown(make_result(config_of("wnli-minilm"), both, seconds=1))


def test_what_is_unlike_the_paper_is_named():
    config = config_of("wnli-minilm")

    def said(**changes) -> str:
        tables = [metrics([0.9, 0.5], weight) for weight in changes.get("isotropy", [0.0])]
        table = {name: [value for t in tables for value in t[name]] for name in tables[0]}
        return "\n".join(make_result(config | changes, table, seconds=1)["not_as_in_the_paper"])

    assert said() == said(isotropy=[0.0]) == ""
    beyond = said(isotropy=[0.0, 1.0], hidden=7, test_items=127, trained_vectors=900, seeds=1)
    for text in (
        "isotropy",
        "hidden layer of 7 units",
        "127 items held out",
        "parameters",
        "1 see",
    ):
        assert text in beyond
    assert "triplet loss" in said(loss="triplet")
    assert said(task="mine", hidden=7) == ""  # the paper has no such task


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 40 * 6 + 3 * 13),
        ({"bias": False}, 40 * 6 + 3 * 12),
        ({"hidden": 5}, 40 * 6 + 5 * 13 + 3 * 6),
        ({"loss": "triplet"}, 40 * 6),
        ({"trained_vectors": 30}, 30 * 6 + 3 * 13),
    ],
)
def test_parameters_are_counted(changes, expected):
    assert count_parameters(SHAPE | changes) == expected


def test_parameters_are_the_papers():
    for run in ("wnli-minilm", "rte-mpnet", "polarity-minilm-1seed", "snli-minilm-1seed"):
        config = config_of(run)
        result = make_result(config, metrics([0.9, 0.5]), seconds=1)
        assert result["parameters"] == result["paper"]["parameters"]


def test_frontier_has_a_row_for_each_weight():
    config = config_of("wnli-minilm") | {"isotropy": [0.0, 0.5], "every": 2}
    one, other = metrics([0.9, 0.2], 0.0), metrics([0.9, 0.7], 0.5)
    result = make_result(config, {name: one[name] + other[name] for name in one}, seconds=1)
    assert [row["isotropy"] for row in result["frontier"]] == [0, 0.5]
    assert "pearson_r" in result["frontier"][0] and "pearson_r" not in result
    text = shown(result)
    for part in ("λ", "start", "0.20000", "0.70000", "-1.0000 *"):
        assert part in text


def test_a_diverged_run_says_so_and_shows_no_nan():
    nan = float("nan")
    result = make_result(config_of("wnli-minilm"), metrics([0.9, 0.5, nan, nan]), seconds=1)
    assert result["pearson_r"] is None and result["diverged_at"] == 2
    assert result["undefined"]["pearson_r"] == "diverged after update 2"
    json.dumps(result, allow_nan=False)
    text = shown(result)
    assert "not defined" in text and "nan" not in text.lower()
    assert [line for line in remarks(result, {}) if "Diverged after update 2:" in line]
    weighed = config_of("wnli-minilm") | {"isotropy": [0.5]}
    result = make_result(weighed, metrics([0.9, nan], 0.5), seconds=1)
    assert any("Diverged with λ = 0.5 after update 1:" in line for line in remarks(result, {}))
    assert "nan" not in shown(result).lower()


def test_what_is_not_defined_has_its_reason_below_the_table():
    result = make_result(config_of("wnli-minilm"), metrics([0.5, 0.5, 0.5]), seconds=1)
    assert remarks(result, {}) == ["Not defined: IsoScore never moves"]


def test_results_of_earlier_versions_are_shown(capsys):
    folders = [p.parent for p in REFERENCE.glob("*/result.json")]
    folders = [f for f in folders if config_of(f.name)["experiment"] == "embed"]
    assert len(folders) > 10
    for folder in folders:
        print_result(
            folder, config_of(folder.name), json.loads((folder / "result.json").read_text())
        )
    shown = capsys.readouterr().out
    assert shown.count("Time:") == len(folders) and "seed(s)" not in shown


def test_a_damaged_result_is_named(tmp_path):
    for result in ({}, {"task": 1}, {"task": "a", "encoder": None, "thinned": 0, "paper": []}):
        with pytest.raises(InputError, match=r"result\.json is damaged.*delete it"):
            print_result(tmp_path, config_of("wnli-minilm"), result)


def test_numbers_of_reference_runs_are_made_again():
    """From their metrics, as they were then."""
    import pyarrow.parquet as pq

    folder = REFERENCE / "wnli-minilm"
    table = pq.read_table(folder / "metrics.parquet").to_pydict()
    old = json.loads((folder / "result.json").read_text())
    new = make_result(config_of("wnli-minilm"), table, seconds=old["seconds"])
    assert {name: new[name] for name in old} == old and np.isfinite(old["pearson_r"])


def test_collapsed_labels_leave_room_for_isotropy():
    """The corners of a regular simplex, many points at each, have just that IsoScore."""
    for labels, dim in ((2, 7), (5, 7), (8, 7), (20, 7)):
        room = isoscore_of_collapsed_labels({"inputs": 1, "clusters": labels, "dim": dim})
        corners = np.eye(labels) - 1 / labels  # of labels - 1 dimensions
        if labels <= dim:
            points = np.zeros((labels, dim))
            points[:, :labels] = corners
            assert room == pytest.approx(float(isoscore(np.repeat(points, 3, axis=0))), abs=1e-6)
        else:
            assert room == 1
    assert isoscore_of_collapsed_labels({"inputs": 2, "clusters": 2, "dim": 7}) is None
