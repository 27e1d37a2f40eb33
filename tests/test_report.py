"""`python -m jaxiso.report` as its users meet it: tables, figures, and what is not there."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tyro
from made_runs import damage, set_in, write_embed, write_latents, write_vae

from jaxiso import embed, report, vae
from jaxiso.errors import InputError
from jaxiso.experiments.papers import EMBED_TARGETS, VAE_TARGETS
from jaxiso.report_document import as_json, make_report
from jaxiso.report_figures import figure_trajectories
from jaxiso.report_papers import tables_of_a
from jaxiso.report_runs import best_embed_runs, find_runs
from jaxiso.report_tables import as_json as table_json
from jaxiso.report_tables import markdown_table

REFERENCE = Path(__file__).parents[1] / "runs" / "reference"


def run_report(folder: Path, out: Path) -> tuple[dict, str]:
    report.main([str(folder), "--out", str(out), "--quiet"])
    return json.loads((out / "report.json").read_text()), (out / "report.md").read_text()


def made(*folders: Path) -> dict:
    return as_json(make_report(find_runs(folders)), "figures")


def row_of(found: dict, table: str, row: str, measure: str, where: str = "rows") -> dict:
    keys = ("table", "row", "measure")
    (one,) = [r for r in found[where] if tuple(r[k] for k in keys) == (table, row, measure)]
    return one


def test_without_any_run_all_rows_say_how_to_run_them(tmp_path):
    found, text = run_report(tmp_path, tmp_path / "report")
    assert all(row["ours"] is None and row["missing"] == "not run" for row in found["rows"])
    papers = [row for row in found["rows"] if row["table"].startswith("B, ")]
    assert len(papers) == sum(map(len, VAE_TARGETS.values()))
    # Items and parameters; r and ρ; and for Section 3.2 the largest deviation over seeds.
    setups = sum(map(len, EMBED_TARGETS.values()))
    assert len(found["rows"]) - len(papers) == 4 * setups + 4
    assert len(found["not_run"]) == setups + len(VAE_TARGETS)
    for one in found["not_run"]:
        assert f"`{one['command']}`" in text
        assert one["cost"]["operations"] > 1e11 and one["cost"]["seconds"] is None
    assert "the time is not known" in text and "Not drawn: no run of it." in text
    assert not list((tmp_path / "report").rglob("*.png"))
    # The defaults of a command are the paper's, so that no more has to be named.
    named = set()
    for one in found["not_run"]:
        train, _, evaluate = one["command"].partition(" && ")
        python, m, module, *arguments = shlex.split(train)
        assert (python, m) == ("python", "-m")
        if module == "jaxiso.embed":
            options = tyro.cli(embed.Options, args=arguments)
            words = options.task in ("pos", "supersense")
            named.add((options.task, "word2vec" if words else options.encoder))
            assert options.seeds == 5 == one["of"]
        else:
            assert module == "jaxiso.vae"
            options = vae.with_defaults(tyro.cli(vae.Options, args=arguments))
            target = None if options.posterior == "none" else options.C
            named.add((options.corpus, options.posterior, target))
            assert options.seeds == 3 == one["of"]
            assert evaluate == f"python -m jaxiso.vae evaluate {options.out}"
    setups = {(task, encoder) for task, of in EMBED_TARGETS.items() for encoder in of}
    assert named == setups | VAE_TARGETS.keys()


def test_a_run_stands_beside_the_paper(tmp_path):
    values = write_embed(tmp_path / "runs" / "wnli")
    found, text = run_report(tmp_path / "runs", tmp_path / "report")
    means = {name: value.astype(np.float32).mean(axis=1) for name, value in values.items()}
    r = np.corrcoef(means["isoscore"], means["silhouette"])[0, 1]
    row = row_of(found, "A, Table 3", "wnli, minilm", "pearson_r")
    directory = (tmp_path / "runs" / "wnli").as_posix()
    assert row["ours"]["mean"] == pytest.approx(r, abs=1e-5)
    assert row["difference"] == pytest.approx(r + 0.8969, abs=1e-5)
    assert row["paper"] == -0.8969 and row["unlike_the_paper"] == []
    assert (row["ours"]["seeds"], row["ours"]["runs"]) == (5, [directory])
    sizes = row_of(found, "A, Table 2", "wnli, minilm", "parameters")
    assert sizes["ours"]["mean"] == 356_738 and sizes["difference"] == 0
    assert f"| wnli, minilm | {r:.4f} | -0.8969 | {r + 0.8969:+.4f} |" in text
    assert "| wnli, minilm | 635 | 635 | +0 | 356,738 | 356,738 | +0 |" in text
    assert "wnli, minilm" not in [one["label"] for one in found["not_run"]]
    mpnet = next(one for one in found["not_run"] if one["label"] == "wnli, mpnet")
    assert mpnet["cost"]["run"] == directory and mpnet["cost"]["device"] == "cpu"
    drawn = {one["name"]: one["files"] for one in found["figures"]}
    assert drawn["paper_a_figure4"] == [f"figures/paper_a_figure4.{s}" for s in ("png", "pdf")]
    assert drawn["paper_a_figure2"] is None
    for file in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (tmp_path / "report" / file).stat().st_size > 1000, file


def test_most_seeds_then_the_newest(tmp_path):
    for name, seeds, age in (("old", 3, 50), ("new", 3, 10), ("few", 1, 0)):
        write_embed(tmp_path / name, seeds=seeds, salt=age)
        stamp = 1_700_000_000 - age
        os.utime(tmp_path / name / "result.json", (stamp, stamp))
    found = made(tmp_path)
    row = row_of(found, "A, Table 3", "wnli, minilm", "spearman_rho")
    assert [Path(run).name for run in row["ours"]["runs"]] == ["new"]
    assert row["unlike_the_paper"] == ["3 seed(s) instead of 5"]
    assert {Path(r["ours"]["runs"][0]).name for r in found["other_runs"]} == {"old", "few"}
    assert "has more seeds or is newer" in found["other_runs"][0]["unlike_the_paper"][0]
    (one,) = [one for one in found["not_run"] if one["label"] == "wnli, minilm"]
    assert (one["seeds"], one["of"]) == (3, 5)
    assert one["cost"]["seconds"] == pytest.approx(50, rel=1e-6)  # ten seconds a seed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 3.0}, "vectors multiplied by 3"),
        ({"every": 5}, "measured after every 5 updates"),
        ({"updates": 100}, "100 updates instead of 250"),
        ({"hidden": 16}, "a hidden layer of 16 units"),
        ({"isotropy": [0.0, 0.5]}, "a term for isotropy"),
        ({"loss": "triplet", "triplets": 64}, "the triplet loss"),
        ({"test_fraction": 0.2, "test_items": 127, "trained_vectors": 800}, "items held out"),
        ({"items": 600}, "600 items, 635 in the paper"),
        ({"task": "digits", "encoder": None, "updates": 7}, "updates 7"),
    ],
)
def test_other_settings_are_listed_apart(tmp_path, changes, said):
    write_embed(tmp_path / "it", **changes)
    found = find_runs([tmp_path])
    assert not found.not_read and not best_embed_runs(found)
    rows = [row for row in made(tmp_path)["other_runs"] if row["measure"] == "pearson_r"]
    assert len(rows) == len(changes.get("isotropy", [0]))
    for row in rows:
        assert any(said in line for line in row["unlike_the_paper"]), row
        assert row["ours"]["runs"] == [(tmp_path / "it").as_posix()]


def test_damaged_runs_are_in_the_report(tmp_path, capsys):
    write_embed(tmp_path / "runs" / "bad")
    damage("result.json")(tmp_path / "runs" / "bad")
    (tmp_path / "runs" / "notes").mkdir()  # no run, and nothing to complain about
    report.main([str(tmp_path / "runs"), "--out", str(tmp_path / "report")])
    err = capsys.readouterr().err
    assert "left out: " in err and "result.json is not a JSON file" in err and "notes" not in err
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## Directories that were left out" in text and "bad/result.json" in text


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Two seeds of one of the paper's models, one of another, and two smaller ones."""
    folder = tmp_path_factory.mktemp("runs")
    first = {"rec": [96.0], "active_units": [32.0], "bleu2": [37.0], "mean_sq_norm": [0.1]}
    first |= {"accuracy": [85.0], "accuracy_0.1%": [60.0], "accuracy_deleted": [84.0]}
    second = {"rec": [94.0], "active_units": [31.0], "bleu2": [39.0], "nll": [101.5]}
    write_vae(folder / "iso0", first, posterior="isotropic", seed=0)
    write_vae(folder / "iso1", second, posterior="isotropic", seed=1)
    write_vae(folder / "dia0", first | {"mapper_components": [3.0]}, posterior="diagonal", seed=0)
    small = {"hidden_dim": 64, "sentences": 500}
    write_vae(folder / "small", {"rec": [50.0], "silhouette_means": [0.2]}, **small)
    write_vae(folder / "ae", {"rec": [20.0]}, posterior="none", **small)
    for salt, name in enumerate(("iso0", "dia0")):
        write_latents(folder / name, salt)
    return folder


def test_models_are_pooled_over_seeds(models, tmp_path):
    found, text = run_report(models, tmp_path)
    label = "dbpedia, isotropic, C = 15"
    row = row_of(found, "B, Table 4", label, "rec")
    assert row["ours"]["mean"] == 95 and row["ours"]["seeds"] == 2
    assert row["ours"]["sd"] == pytest.approx(np.sqrt(2))
    assert (row["paper"], row["paper_sd"]) == (95.52, 0.08)
    assert row["difference"] == pytest.approx(-0.52)
    assert [Path(run).name for run in row["ours"]["runs"]] == ["iso0", "iso1"]
    norm = row_of(found, "B, Table 2", label, "mean_sq_norm")["ours"]
    assert norm["seeds"] == 1 and [Path(run).name for run in norm["runs"]] == ["iso0"]
    assert row_of(found, "B, Table 3", label, "isotropy_score_means")["missing"] == "not measured"
    robust = row_of(found, "B, Section 3.2", label, "accuracy_deleted")
    assert robust["difference"] == pytest.approx(0.5)
    assert f"| {label} (2 seeds) | ours | 95.00 ± 1.41 | not measured | 31.5 ± 0.7 |" in text
    assert "|  | difference | -0.52 |" in text
    assert "imputed   a b e" in text
    # The smaller ones are no rows of the paper's tables.
    other = [row for row in found["other_runs"] if row["measure"] == "rec"]
    assert [row["ours"]["mean"] for row in other] == [20.0, 50.0]
    assert other[0]["row"] == "dbpedia, none" and "hidden dim 64, not 512" in text
    assert row_of(found, "B, Table 4", "dbpedia, none", "rec")["ours"] is None
    missing = {one["label"]: one["seeds"] for one in found["not_run"] if one["paper"] == "B"}
    assert (missing[label], missing["dbpedia, none"]) == (2, 0)
    drawn = {one["name"]: one for one in found["figures"]}
    for name in ("figure1", "figure2", "figure3_tsne", "figure3_mapper"):
        for file in drawn[f"paper_b_{name}"]["files"]:
            assert (tmp_path / file).stat().st_size > 1000
    notes = drawn["paper_b_figure3_mapper"]["notes"]
    assert "Components over all test sentences, by seed: diagonal 3." in notes
    # What cannot be drawn any more is deleted.
    again, _ = run_report(tmp_path, tmp_path)
    assert again["rows"][-1]["ours"] is None and not list(tmp_path.rglob("*.png"))


def test_shared_seeds_count_once(tmp_path):
    write_vae(tmp_path / "one", {"rec": [90.0]}, seed=0)
    write_vae(tmp_path / "three", {"rec": [90.0, 91.0, 92.0]}, seed=0, seeds=3)
    write_vae(tmp_path / "more", {"rec": [93.0]}, seed=7)
    found = made(tmp_path)
    row = row_of(found, "B, Table 4", "dbpedia, isotropic, C = 15", "rec")
    assert row["ours"]["seeds"] == 4 and row["ours"]["mean"] == pytest.approx(91.5)
    assert [Path(one["run"]).name for one in found["not_read"]] == ["one"]
    assert "dbpedia, isotropic, C = 15" not in [one["label"] for one in found["not_run"]]


def test_evaluations_that_do_not_fit_the_training(tmp_path):
    write_vae(tmp_path / "bare", {"rec": [90.0]})
    (tmp_path / "bare" / "evaluation.json").unlink()
    write_vae(tmp_path / "early", {"rec": [90.0]})
    set_in("result.json", lambda result: result.update(updates=200))(tmp_path / "early")
    write_vae(tmp_path / "other", {"rec": [90.0]})
    set_in("evaluation.json", lambda e: e["config"].update(seed=3))(tmp_path / "other")
    write_vae(tmp_path / "few", {"accuracy": [90.0]}, seed=1)
    change = set_in(
        "evaluation.json", lambda e: e["settings"]["classification"].update(initialisations=2)
    )
    change(tmp_path / "few")
    found = made(tmp_path)
    assert [Path(run).name for run in found["not_evaluated"]] == ["bare"]
    ((path, why),) = [one.values() for one in found["not_read"]]
    assert path.endswith("other") and "another configuration" in why
    assert all(row["ours"] is None for row in found["rows"])
    (row,) = [row for row in found["other_runs"] if row["measure"] == "rec"]
    assert "evaluated after 100 of 200 updates" in row["unlike_the_paper"]
    assert "2 probes of each kind, not 10" in row["unlike_the_paper"]


def test_trajectories_have_two_panels_a_task_and_a_line_an_encoder(tmp_path):
    values = write_embed(tmp_path / "a", seeds=2)
    write_embed(tmp_path / "b", encoder="mpnet", dim=768)
    scored = write_embed(tmp_path / "c", task="rte", items=2490, vectors=4523)["isoscore"]
    figure = figure_trajectories(best_embed_runs(find_runs([tmp_path])))
    shown = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(shown) == ["rte", "wnli"]
    lines = shown["wnli"].get_lines()
    assert len(lines) == 2 and len(shown["rte"].get_lines()) == 1
    mean = values["silhouette"].mean(axis=1)
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata(), float), mean, atol=1e-6)
    (scores,) = [ax for ax in figure.axes if ax.get_ylabel() == "Log-norm. IsoScore"]
    logs = np.log(scored)
    expected = ((logs - logs.min()) / np.ptp(logs)).mean(axis=1)
    drawn = np.asarray(scores.get_lines()[0].get_ydata(), float)
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["minilm", "mpnet"]


def test_the_reference_runs_are_in_their_rows():
    found = find_runs([REFERENCE])
    assert not [why for path, why in found.not_read if "vae" not in path.name]
    rows = [row for table in tables_of_a(best_embed_runs(found)) for row in table_json(table)]
    assert len(rows) == 4 * sum(map(len, EMBED_TARGETS.values())) + 4
    known = {(r["row"], r["measure"]): r for r in rows}
    expected = {"cola-minilm", "rte-minilm", "rte-mpnet", "wnli-minilm", "wnli-mpnet"}
    expected |= {f"{name}-1seed" for name in ("polarity-minilm", "snli-minilm", "sst2-minilm")}
    for name in expected | {"pos-word2vec-1seed", "supersense-word2vec-1seed"}:
        result = json.loads((REFERENCE / name / "result.json").read_text())
        row = known[f"{result['task']}, {result['encoder']}", "pearson_r"]
        assert row["ours"]["runs"] == [(REFERENCE / name).as_posix()]
        difference = result["pearson_r"] - result["paper"]["pearson_r"]
        assert row["difference"] == pytest.approx(difference, abs=1e-12)
        if name in expected:
            assert abs(difference) < 0.005
    for row in rows:
        if row["measure"] == "parameters" and row["ours"]:
            assert row["difference"] == 0


def test_bars_do_not_break_a_table():
    assert markdown_table(["", "a|b"], [["x", "1"]]) == [
        "|  | a\\|b |",
        "| --- | --- |",
        "| x | 1 |",
    ]


def test_paths_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="nowhere: there is no such directory"):
        report.main([str(tmp_path / "nowhere")])
    write_embed(tmp_path / "run")
    with pytest.raises(InputError, match=r"--out .*is a run directory"):
        report.main(["--out", str(tmp_path / "run")])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*cannot be written"):
        report.main([str(tmp_path), "--out", str(tmp_path / "file" / "x")])
    with pytest.raises(InputError, match="file: is a file"):
        report.main([str(tmp_path / "file")])
