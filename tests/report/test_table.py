"""The long table of a report, and its tables in Markdown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_runs import WORDS, write_embed, write_vae

from jaxiso.papers import embed_targets
from jaxiso.report.rows import best, entries_of_a, entries_of_b, others
from jaxiso.report.runs import find_runs
from jaxiso.report.table import (
    as_markdown,
    code,
    markdown_table,
    papers_markdown,
    plain,
    table_of_other_runs,
    tables_of_a,
    tables_of_b,
    tables_of_other_models,
)

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"


def row_of(records: list[dict], table: str, row: str, measure: str) -> dict:
    keys = ("table", "row", "measure")
    (one,) = [r for r in records if tuple(r[k] for k in keys) == (table, row, measure)]
    return one


def test_a_run_stands_beside_the_paper(tmp_path):
    values = write_embed(tmp_path / "wnli")
    tables = tables_of_a(best(entries_of_a(find_runs([tmp_path]).embed)))
    means = {name: value.astype(np.float32).mean(axis=1) for name, value in values.items()}
    r = np.corrcoef(means["isoscore"], means["silhouette"])[0, 1]
    table = tables["A, Table 3"]
    row = row_of(table.records, "A, Table 3", "wnli, minilm", "pearson_r")
    assert row["ours"]["mean"] == pytest.approx(r, abs=1e-5)
    assert row["difference"] == pytest.approx(r + 0.8969, abs=1e-5)
    assert row["paper"] == -0.8969 and row["unlike_the_paper"] == []
    assert (row["ours"]["seeds"], row["ours"]["sd"]) == (5, None)
    assert row["ours"]["runs"] == [(tmp_path / "wnli").as_posix()]
    text = "\n".join(as_markdown(table))
    assert f"| wnli, minilm | {r:.4f} | -0.8969 | {r + 0.8969:+.4f} |" in text
    assert "wnli, mpnet" not in text
    papers = papers_markdown(table)
    assert "| wnli, mpnet | -0.8908 | -0.99994 |" in papers
    assert not [line for line in papers if "wnli, minilm" in line]
    sizes = row_of(tables["A, Table 2"].records, "A, Table 2", "wnli, minilm", "parameters")
    assert sizes["ours"]["mean"] == 356_738 and sizes["difference"] == 0
    text = "\n".join(as_markdown(tables["A, Table 2"]))
    assert "| wnli, minilm | 635 | 635 | +0 | 356,738 | 356,738 | +0 | 5 |" in text


def test_section_3_2_gives_bounds(tmp_path):
    write_embed(tmp_path / "words", **WORDS)
    table = tables_of_a(best(entries_of_a(find_runs([tmp_path]).embed)))["A, Section 3.2"]
    label = "supersense, word2vec"
    sd = row_of(table.records, "A, Section 3.2", label, "largest_sd")
    assert sd["ours"]["mean"] > sd["paper_below"] == 0.0054
    (line,) = [line for line in as_markdown(table) if label in line]
    assert "| < -0.998 | " in line and line.count("does not hold") >= 1
    assert "the words and their vectors" in line


def test_numbers_that_are_not_finite_are_null_with_a_reason(tmp_path):
    write_embed(tmp_path / "wnli", diverged=5, seeds=1)
    table = tables_of_a(best(entries_of_a(find_runs([tmp_path]).embed)))["A, Table 3"]
    r = row_of(table.records, "A, Table 3", "wnli, minilm", "pearson_r")
    assert (r["ours"], r["missing"]) == (None, "diverged after update 5")
    (line,) = [line for line in as_markdown(table) if "wnli, minilm" in line]
    assert line.startswith("| wnli, minilm | – | -0.8969 | – | -0.99987 | 1 | `")
    write_vae(tmp_path / "vae", {"rec": [90.0], "kl": [None]})
    models, _ = entries_of_b(find_runs([tmp_path]).vae)
    (table, *_) = tables_of_other_models(others(models, best(models)))
    kl = row_of(table.records, table.title, "dbpedia, isotropic, C = 15", "kl")
    assert (kl["ours"], kl["missing"], kl["paper"]) == (None, "diverged", 15.08)
    assert "| dbpedia, isotropic, C = 15 (1 seed) | 90.00 | – |" in as_markdown(table)[2]


def test_models_stand_beside_the_paper(tmp_path):
    first = {"rec": [96.0], "active_units": [32.0], "mean_sq_norm": [0.1], "nll": [101.5]}
    write_vae(tmp_path / "a", first, seed=0)
    write_vae(tmp_path / "b", {"rec": [94.0], "active_units": [31.0]}, seed=1)
    models, _ = entries_of_b(find_runs([tmp_path]).vae)
    tables = tables_of_b(best(models))
    records = [record for table in tables for record in table.records]
    label = "dbpedia, isotropic, C = 15"
    rec = row_of(records, "B, Table 4", label, "rec")
    assert (rec["ours"]["mean"], rec["ours"]["seeds"]) == (95, 2)
    assert rec["ours"]["sd"] == pytest.approx(np.sqrt(2))
    assert (rec["paper"], rec["paper_sd"]) == (95.52, 0.08)
    assert rec["difference"] == pytest.approx(-0.52)
    norm = row_of(records, "B, Table 2", label, "mean_sq_norm")["ours"]
    assert norm["seeds"] == 1 and [Path(run).name for run in norm["runs"]] == ["a"]
    missing = row_of(records, "B, Table 3", label, "isotropy_score_means")
    assert missing["missing"] == "not measured"
    assert row_of(records, "B, Table 4", "yahoo, none", "rec")["missing"] == "not run"
    nll = row_of(records, "Likelihood by importance weights", label, "nll")
    assert (nll["ours"]["mean"], nll["paper"]) == (101.5, None)
    lines = as_markdown(tables[0])
    assert any(line.startswith(f"| {label} (2 seeds) | ours | 95.00 ± 1.41 |") for line in lines)
    assert "|  | difference | -0.52 |  | -0.5 |" in "\n".join(lines)


def test_models_of_one_name_are_told_apart(tmp_path):
    for name, hidden in (("x", 64), ("y", 32)):
        write_vae(tmp_path / name, {"rec": [50.0]}, hidden_dim=hidden)
    models, _ = entries_of_b(find_runs([tmp_path]).vae)
    (table, *_) = tables_of_other_models(others(models, best(models)))
    labels = [record["row"] for record in table.records if record["measure"] == "rec"]
    assert labels == [f"dbpedia, isotropic, C = 15 ({name})" for name in "xy"]


def test_a_model_that_is_not_finished_says_so_beside_its_numbers(tmp_path):
    for posterior in ("none", "isotropic"):
        write_vae(tmp_path / posterior, {"rec": [50.0]}, posterior=posterior, hidden_dim=64)
    (tmp_path / "none" / "result.json").unlink()
    models, _ = entries_of_b(find_runs([tmp_path]).vae)
    tables = tables_of_other_models(others(models, best(models)))
    # What only the paper has measured is not in them.
    assert [lines for table in tables if (lines := as_markdown(table))] == [
        [
            "|  | Rec. |",
            "| --- | --- |",
            "| dbpedia, none (1 seed, not finished) | 50.00 |",
            "| dbpedia, isotropic, C = 15 (1 seed) | 50.00 |",
        ]
    ]


def test_another_experiment_has_no_difference_from_the_paper(tmp_path):
    write_embed(tmp_path / "triplet", loss="triplet")
    table = table_of_other_runs(others(entries_of_a(find_runs([tmp_path]).embed), {}))
    header, _, line = as_markdown(table)
    assert "| paper |" not in header and "| difference |" not in header
    assert "the triplet loss" in line and "-0.8969" not in line


def config_of(run: Path) -> dict:
    return json.loads((run / "config.json").read_text())["config"]


def test_reference_runs_are_in_their_rows():
    found = entries_of_a(find_runs([REFERENCE]).embed)
    chosen = best(found)
    tables = tables_of_a(chosen)
    rows = [record for table in tables.values() for record in table.records]
    assert len(rows) == 4 * len(embed_targets()) + 4
    known = {(r["row"], r["measure"]): r for r in rows}
    plain = [
        p for p in REFERENCE.iterdir() if re.fullmatch(r"[a-z0-9]+-[a-z0-9]+(-1seed)?", p.name)
    ]
    of_sums = [p for p in plain if config_of(p).get("reduction") == "sum"]
    assert {"wnli-minilm", "rte-minilm"} <= {folder.name for folder in of_sums}
    for folder in of_sums:
        result = json.loads((folder / "result.json").read_text())
        row = known[f"{result['task']}, {result['encoder']}", "pearson_r"]
        assert row["ours"]["runs"] == [folder.as_posix()]
        difference = result["pearson_r"] - result["paper"]["pearson_r"]
        assert row["difference"] == pytest.approx(difference, abs=1e-12)
        if result["encoder"] != "word2vec":  # whose words are not the paper's
            assert abs(difference) < 0.0025
    for row in rows:
        if row["measure"] == "parameters" and row["ours"]:
            assert row["difference"] == 0
    rest = table_of_other_runs(others(found, chosen))
    assert {record["row"] for record in rest.records} >= {"wnli, minilm, λ = 0.8", "rte, minilm"}


def test_bars_do_not_break_a_table():
    assert markdown_table(["", "a|b"], [["x", "1"]]) == [
        "|  | a\\|b |",
        "| --- | --- |",
        "| x | 1 |",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rte, minilm", "rte, minilm"),
        ("a_b*c`d", "a\\_b\\*c\\`d"),
        ("<script>\n\n# x [y](z)", "\\<script\\> # x \\[y\\](z)"),
    ],
)
def test_names_are_shown_as_they_are(text, shown):
    assert plain(text) == shown


def test_code_with_marks_in_it():
    assert code("runs/a b") == "`runs/a b`"
    assert code("a`b\nc``d") == "``` a`b c``d ```"
