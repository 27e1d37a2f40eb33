"""A run of several target KLs: every model is the one of a run with that target alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jaxiso.report.rows import entries_of_b
from jaxiso.report.runs import find_runs
from jaxiso.vae.evaluate import load_models
from jaxiso.vae.evaluations import read_evaluation

from .conftest import SMALL, run_main

PARTS = ("--parts", "reconstruction", "generation", "--quiet")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, corpus) -> dict[str, Path]:
    """Two seeds with two targets, and one of these targets alone; both evaluated."""
    folder = tmp_path_factory.mktemp("targets")
    found = {"both": folder / "both", "alone": folder / "alone"}
    for name, targets in (("both", (1, 4)), ("alone", (4,))):
        options = ("--corpus", corpus, *SMALL, "--seeds", 2, "--ramp", 5, "--C", *targets)
        run_main(*options, "--out", found[name])
        run_main("evaluate", found[name], *PARTS)
    run_main("evaluate", found["both"], "--parts", "figures", "--quiet")
    return found


def read(run: Path, name: str):
    return json.loads((run / name).read_text())


def test_each_model_is_that_of_its_target_alone(runs):
    tables = {
        name: pq.read_table(run / "metrics.parquet").to_pandas() for name, run in runs.items()
    }
    both, alone = tables["both"], tables["alone"]
    assert "C" not in alone and both.columns[:4].tolist() == ["seed", "step", "C", "epoch"]
    assert both["C"].tolist() == [1, 1, 4, 4] * 2 and both["seed"].tolist() == [0, 1] * 4
    np.testing.assert_allclose(both[both["C"] == 4].drop(columns="C"), alone, rtol=1e-5, atol=1e-5)
    kl = both[both["step"] == 24].groupby("C")["dev_kl"].mean()
    assert kl[4] > kl[1] + 1
    configs = {name: read(run, "config.json")["config"]["C"] for name, run in runs.items()}
    assert configs == {"both": [1, 4], "alone": 4}


def test_results_are_told_apart(runs, corpus, capsys):
    both, alone = (read(runs[name], "result.json") for name in ("both", "alone"))
    assert [found["C"] for found in both["targets"]] == [1, 4] and both["updates"] == 24
    for name in ("dev_rec", "train_loss"):
        found = both["targets"][1][name]
        assert found["mean"] == pytest.approx(alone[name]["mean"], rel=1e-5)
        assert found["mean"] != both["targets"][0][name]["mean"]
    assert "targets" not in alone and "C" not in alone
    options = ("--corpus", corpus, *SMALL, "--seeds", 2, "--ramp", 5, "--C", 1, 4)
    run_main(*options, "--out", runs["both"])
    shown = capsys.readouterr().out
    assert "both, C = 1, after 24 updates" in shown and "both, C = 4, after 24 updates" in shown


def test_evaluations_are_told_apart(runs, capsys):
    marks = ("-C1", "-C4")
    files = [
        f"{name}{mark}{end}"
        for mark in marks
        for name, end in (("latents", ".npz"), ("evaluation", ".json"))
    ]
    assert all((runs["both"] / name).exists() for name in files)
    assert not (runs["both"] / "evaluation.json").exists()
    assert all((runs["both"] / "figures" / f"tsne{mark}.png").exists() for mark in marks)
    one, four = (read_evaluation(runs["both"], mark) for mark in marks)
    alone = read_evaluation(runs["alone"])
    assert one and four and alone
    assert (one["config"]["C"], four["config"]) == (1, alone["config"])
    for name, measure in alone["measures"].items():
        if not name.startswith(("bleu", "rouge")):  # a word may be a near tie
            assert four["measures"][name]["values"] == pytest.approx(measure["values"], rel=1e-4)
    assert one["measures"]["kl"]["mean"] < four["measures"]["kl"]["mean"] - 1
    first, last = load_models(runs["both"])
    assert first.digest == last.digest == one["model"] and len(first.params) == 2
    run_main("evaluate", runs["both"], *PARTS[:2])
    shown = capsys.readouterr().out
    assert "toy, isotropic, C = 1 (2 seeds)" in shown and "C = 4 (2 seeds)" in shown
    run_main("evaluate", runs["both"], "--parts", "generation")
    assert "C = 4 wrote:" in capsys.readouterr().out


def test_a_report_has_a_row_of_each(runs):
    found = find_runs([runs["both"]])
    assert not found.not_read
    entries, doubles = entries_of_b(found.vae)
    assert [entry.row for entry in entries] == [("toy", "isotropic", 1), ("toy", "isotropic", 4)]
    assert not doubles and [entry.seeds for entry in entries] == [2, 2]
    assert [entry.runs[0].latents.name for entry in entries] == ["latents-C1.npz", "latents-C4.npz"]
    both = find_runs([runs["both"], runs["alone"]])
    entries, doubles = entries_of_b(both.vae)  # the seeds of one run are those of the other
    assert len(entries) == 2 and len(doubles) == 1


def test_overwriting_leaves_no_file_of_a_target(runs, corpus, tmp_path):
    copied = shutil.copytree(runs["both"], tmp_path / "both")
    (copied / "evaluation-notes.json").write_text("mine")
    options = ("--corpus", corpus, *SMALL, "--seeds", 1, "--C", 2, "--epochs", 1)
    run_main(*options, "--out", copied, "--overwrite")
    left = {path.name for path in copied.glob("*-*") if not path.name.startswith(".")}
    assert left == {"evaluation-notes.json"}
