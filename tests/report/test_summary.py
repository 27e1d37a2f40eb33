"""What a report begins with, of made-up runs."""

from __future__ import annotations

import pytest
from made_runs import WORDS, write_embed, write_vae

from jaxiso.report.rows import best, entries_of_a, entries_of_b
from jaxiso.report.runs import find_runs
from jaxiso.report.summary import distances_from_paper, summarise


def summary_of(folder):
    found = find_runs([folder])
    trajectories, (models, _) = entries_of_a(found.embed), entries_of_b(found.vae)
    return summarise(best([*trajectories, *models]), models)


def test_without_runs(tmp_path):
    summary = summary_of(tmp_path)
    assert [line.partition(":")[0] for line in summary.sentences] == ["Paper A", "Paper B"]
    assert summary.tables == []


def test_distances_from_paper_a(tmp_path):
    write_embed(tmp_path / "wnli")
    write_embed(tmp_path / "rte", task="rte", items=2490, vectors=4523, salt=1)
    write_embed(tmp_path / "words", **WORDS)
    write_embed(tmp_path / "other", task="cola", lr=0.1)  # no row of the paper
    entries = entries_of_a(find_runs([tmp_path]).embed)
    chosen = best(entries)
    r = {e.label: e.values["pearson_r"][0] for e in entries}
    off = distances_from_paper(list(chosen.values()), "pearson_r")
    assert off["wnli, minilm"] == pytest.approx(abs(r["wnli, minilm"] + 0.8969))
    assert "cola, minilm" not in off and len(off) == 3
    (table,) = summary_of(tmp_path).tables
    first, second = sorted((off["wnli, minilm"], off["rte, minilm"]))
    (line,) = [line for line in table if line.startswith("| Pearson's r | ")]
    assert line.startswith(f"| Pearson's r | 2 | {(first + second) / 2:.4f} | {second:.4f} | ")
    assert "| items | 2 | 0 | 0 |  |" in table
    words = off["supersense, word2vec"]
    assert (
        f"| Pearson's r, other words | 1 | {words:.4f} | {words:.4f} | supersense, word2vec |"
        in (table)
    )
    assert any("below -0.998 | 1 |" in line for line in table)
    sentences = summary_of(tmp_path).sentences
    assert sentences[0] == "Paper A: 3 of 28 setups have been run with its settings."
    assert f"within {second:.4f} of the paper's in 2 setups" in sentences[1]
    assert "other words" in sentences[2] and "in 1 setup; farthest: supersense" in sentences[2]
    assert sentences[3].endswith("in 3 of 3 setups.")


def test_what_a_run_contradicts_is_not_said(tmp_path):
    values = {"active_units": [32.0], "bleu2": [30.0], "isotropy_score_means": [0.1], "nll": [1.0]}
    more = {"active_units": [9.0], "bleu2": [40.0], "isotropy_score_means": [0.5], "nll": [2.0]}
    for posterior, found in (("isotropic", values), ("diagonal", more)):
        write_vae(tmp_path / posterior, found, posterior=posterior, hidden_dim=64)
    summary = summary_of(tmp_path)
    assert summary.sentences[-1] == (
        "Which posterior has more of a measure, the isotropic or the diagonal one with the same C, "
        "is as in the paper in all pairs for active units; in none for BLEU-2, isotropy score of "
        "the means; how these models differ from the paper's is said with their numbers."
    )
    (table,) = summary.tables
    (line,) = [line for line in table if line.startswith("| BLEU-2")]
    assert line.endswith("| 0 of 1 | 0 of 1 |") and "nll" not in "".join(table)
