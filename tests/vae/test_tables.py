"""Evaluations pooled and beside the paper's."""

from __future__ import annotations

from pathlib import Path

import pytest

from jaxiso.papers import Reported
from jaxiso.vae.evaluations import pool, read_evaluation
from jaxiso.vae.tables import TABLES, print_tables, rows_of, spread

from .conftest import evaluation

REFERENCE = sorted((Path(__file__).parents[2] / "runs" / "reference").glob("vae-*"))


def test_runs_that_differ_by_their_seed_are_one_row():
    runs = [evaluation(0, [99.0]), evaluation(1, [101.0]), evaluation(0, [90.0], C=15.0)]
    five, fifteen = pool(runs)
    assert five.values["rec"] == [99.0, 101.0] and fifteen.target_kl == 15
    rows = rows_of(TABLES[0], [five])
    assert rows[0][:4] == [
        "dbpedia, diagonal, C = 5 (2 seeds)",
        "100.00 ± 1.41",
        "5.00 ± 0.00",
        "–",
    ]
    assert five.unlike_the_paper == [
        "13,843 sentences, not 140,000",
        "sentence rule cut, not first",
        "vocabulary 6,000, not 12,000",
    ]


def test_the_papers_numbers_stand_below_its_own_experiment_only(capsys):
    papers = {"sentences": 140_000, "sentence_rule": "first", "vocabulary": 12_000}
    same, other = evaluation(0, [99.0], **papers), evaluation(0, [99.0])
    _, paper = rows_of(TABLES[0], pool([same]))
    assert paper[:4] == ["  paper", "100.65 ± 0.08", "5.09 ± 0.01", "4"]
    assert len(rows_of(TABLES[0], pool([other]))) == 1
    print_tables([same])
    shown = capsys.readouterr().out
    assert "100.65" in shown and "± 0.08" in shown and "Differences" not in shown
    print_tables([other])
    shown = capsys.readouterr().out
    assert "  paper" not in shown and "100.65" not in shown
    assert "Differences from the paper of dbpedia, diagonal, C = 5: 13,843 sentences" in shown


def test_tables_have_frames_and_are_narrow(capsys):
    names = {column.name for table in TABLES for column in table.columns}
    found = evaluation(0, [99.123, -101.5, 1000.0], corpus="a-long-name_of_a_corpus.jsonl")
    found["measures"] = {name: {"values": [99.123, -101.5, 1000.0]} for name in names}
    print_tables([found])
    lines = capsys.readouterr().out.splitlines()
    frames = [line for line in lines if line[:1] in "┏┃│└"]
    assert len(frames) > 5 * len(TABLES) and max(map(len, frames)) <= 100
    assert not any("…" in line for line in frames)


def test_a_measure_that_a_seed_lacks_has_no_mean(capsys):
    (model,) = pool([evaluation(0, [99.0, None]), evaluation(2, [101.0])])
    assert "rec" not in model.values and model.remarks == {"rec": "diverged"}
    print_tables([evaluation(0, [None])])
    shown = capsys.readouterr().out
    assert "–" in shown and "dbpedia, diagonal, C = 5, no rec: diverged" in shown
    print_tables([evaluation(0, [99.0]), evaluation(0, [99.0], "copy")])
    shown = capsys.readouterr()
    assert "(1 seed)" in shown.out and "copy: has seeds of another run" in shown.err


def test_numbers_and_their_deviations():
    def of(digits: int, *values: float) -> str:
        return spread(*Reported.over(values), digits)

    assert of(2, 3.0) == "3.00" and of(0, 4.0) == "4" and spread(None, None, 2) == "–"
    assert of(0, 3.0, 5.0) == "4.0 ± 1.4" and of(0, 4.0, 4.0) == "4"
    assert of(2, 3.0, 3.0) == "3.00 ± 0.00" and spread(*Reported(1.0), 1) == "1.0"


@pytest.mark.skipif(not REFERENCE, reason="no reference runs in this checkout")
def test_evaluations_of_earlier_versions_are_read(capsys):
    found = [read_evaluation(directory) for directory in REFERENCE]
    evaluations = [evaluation for evaluation in found if evaluation is not None]
    assert len(evaluations) == len(REFERENCE) and read_evaluation(REFERENCE[0].parent) is None
    print_tables(evaluations)
    shown = capsys.readouterr().out
    assert all(table.title in shown for table in TABLES)
    assert "dbpedia, diagonal, C = 15 (1 seed)" in shown
    said = "Differences from the paper of dbpedia, none; dbpedia, diagonal, C = 5"
    assert shown.count("Differences from the paper") == 1 and said in shown
