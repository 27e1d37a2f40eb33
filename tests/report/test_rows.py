"""What stands beside the rows of the papers: trajectories, and models pooled over seeds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from made_runs import WORDS, set_in, write_embed, write_vae

from jaxiso.report.rows import best, comparable, entries_of_a, entries_of_b, label_of, others
from jaxiso.report.runs import find_runs
from jaxiso.runs import Run


def trajectories(folder: Path):
    return entries_of_a(find_runs([folder]).embed)


def models(folder: Path):
    return entries_of_b(find_runs([folder]).vae)


def names(entry) -> list[str]:
    return [run.directory.name for run in entry.runs]


def test_a_weight_of_zero_is_the_papers_loss_and_stand_in_words_count(tmp_path):
    write_embed(tmp_path / "zero", isotropy=[0.0])
    write_embed(tmp_path / "words", **WORDS)
    chosen = best(trajectories(tmp_path))
    assert [names(entry) for entry in chosen.values()] == [["words"], ["zero"]]
    words = chosen["supersense", "word2vec"]
    assert words.differences == [] and len(words.remarks) == 1
    assert words.remarks[0].startswith("the words and their vectors")
    assert len(chosen["wnli", "minilm"].metrics["step"]) == 8 * 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 3.0}, "vectors multiplied by 3"),
        ({"every": 5}, "measured after every 5 updates"),
        ({"isotropy": [0.0, 0.5]}, "a term for isotropy"),
        ({"test_fraction": 0.2, "test_items": 127, "trained_vectors": 800}, "127 items held out"),
        ({"task": "digits", "encoder": None, "updates": 7}, "7 updates, not 1,000"),
    ],
)
def test_other_settings_reproduce_no_row(tmp_path, changes, said):
    write_embed(tmp_path / "it", **changes)
    found = trajectories(tmp_path)
    assert len(found) == len(changes.get("isotropy", [0]))
    assert best(found) == {}
    for entry in others(found, {}):
        assert any(said in line for line in entry.unlike), entry.unlike
        assert entry.label.startswith("digits" if "task" in changes else "wnli, minilm")
        assert (entry.unlike[0] == "the paper has no such row") == ("task" in changes)


def test_vectors_and_corpora_of_ones_own_are_in_no_paper(tmp_path):
    write_embed(tmp_path / "rte", task="rte", encoder=None, seeds=2)
    write_vae(tmp_path / "own", {"bleu2": [1.0]}, corpus="own-dbpedia", seed=4)
    for entries in (trajectories(tmp_path), models(tmp_path)[0]):
        assert best(entries) == {}
        (entry,) = others(entries, best(entries))
        assert entry.unlike[0] == "the paper has no such row"


def test_most_seeds_then_the_newest(tmp_path):
    for name, seeds, age in (("old", 3, 50), ("new", 3, 10), ("few", 1, 0)):
        write_embed(tmp_path / name, seeds=seeds, salt=age)
        stamp = 1_700_000_000 - age
        os.utime(tmp_path / name / "result.json", (stamp, stamp))
    found = trajectories(tmp_path)
    chosen = best(found)
    (entry,) = chosen.values()
    assert names(entry) == ["new"] and entry.remarks == ["3 seeds, not 5"]
    rest = {names(other)[0]: other.unlike for other in others(found, chosen)}
    assert rest.keys() == {"old", "few"} and rest["few"][1] == "1 seed, not 5"
    assert all(why[0].endswith("has more seeds or is newer") for why in rest.values())


def test_a_mean_of_the_loss_is_remarked_and_comes_after_a_sum(tmp_path):
    write_embed(tmp_path / "sum", seeds=1)
    write_embed(tmp_path / "mean", reduction="mean")
    found = trajectories(tmp_path)
    (entry,) = best(found).values()
    assert names(entry) == ["sum"] and entry.remarks == ["1 seed, not 5"]
    (rest,) = others(found, best(found))
    assert rest.unlike[0].endswith("/sum, which has a sum of the loss")
    (entry,) = best([one for one in found if one is not entry]).values()
    assert names(entry) == ["mean"] and len(entry.remarks) == 1
    assert entry.remarks[0].startswith("a mean of the loss over items")


def test_a_diverged_run_says_so(tmp_path):
    write_embed(tmp_path / "run", diverged=5)
    (entry,) = trajectories(tmp_path)
    assert "pearson_r" not in entry.values and "isoscore_final" not in entry.values
    assert entry.missing["pearson_r"] == "diverged after update 5"
    assert entry.missing["isoscore_final"] == "diverged after update 5"
    assert entry.values["isoscore_start"] and entry.values["items"] == [635]


def test_models_are_pooled_over_seeds(tmp_path):
    write_vae(tmp_path / "a", {"rec": [96.0], "kl": [15.0]}, seed=0)
    write_vae(tmp_path / "b", {"rec": [94.0]}, seed=1)
    write_vae(tmp_path / "other", {"rec": [94.0]}, seed=2, hidden_dim=64)
    (large, small), doubles = models(tmp_path)
    assert large.label == "dbpedia, isotropic, C = 15" == label_of(large.row)
    assert sorted(large.values["rec"]) == [94.0, 96.0] and large.values["kl"] == [15.0]
    assert (large.seeds, names(large), large.differences, doubles) == (2, ["a", "b"], [], [])
    assert small.differences == ["hidden dim 64, not 512"]
    assert best([large, small]) == {("dbpedia", "isotropic", 15.0): large}


def test_shared_seeds_count_once(tmp_path):
    write_vae(tmp_path / "one", {"rec": [90.0]}, seed=0)
    write_vae(tmp_path / "three", {"rec": [90.0, 91.0, 92.0]}, seed=0, seeds=3)
    write_vae(tmp_path / "more", {"rec": [93.0]}, seed=7)
    shutil.copytree(tmp_path / "more", tmp_path / "copy")
    for name, stamp in (("more", 1_700_000_001), ("copy", 1_700_000_000)):
        os.utime(tmp_path / name / "result.json", (stamp, stamp))
    (entry,), doubles = models(tmp_path)
    assert sorted(entry.values["rec"]) == [90.0, 91.0, 92.0, 93.0] and entry.seeds == 4
    assert sorted(path.name for path in doubles) == ["copy", "one"]


def test_a_number_written_in_two_ways_is_no_crash(tmp_path):
    write_vae(tmp_path / "a", {"rec": [90.0]}, seed=0)
    write_vae(tmp_path / "b", {"rec": [91.0]}, seed=1)
    set_in("evaluation.json", lambda e: e["config"].update(C=15))(tmp_path / "b")
    found, doubles = models(tmp_path)
    assert sorted(names(entry)[0] for entry in found) == ["a", "b"] and not doubles


def test_what_keeps_a_model_from_being_the_papers(tmp_path):
    write_vae(tmp_path / "early", {"rec": [90.0], "kl": [None]})
    set_in("result.json", lambda result: result.update(updates=200))(tmp_path / "early")
    classification = {"protocol": "paper", "initialisations": 2}
    change = set_in(
        "evaluation.json", lambda e: e["settings"].update(classification=classification)
    )
    change(tmp_path / "early")
    (entry,), _ = models(tmp_path)
    assert entry.differences == [
        "evaluated after 100 of 200 updates",
        "2 probes of each kind, not 10",
        "no kl: diverged",
    ]
    assert "kl" not in entry.values and entry.missing["kl"] == "diverged"


def test_a_training_that_is_not_finished_says_so(tmp_path):
    for posterior in ("none", "isotropic"):
        write_vae(tmp_path / posterior, {"rec": [90.0]}, posterior=posterior)
    (tmp_path / "none" / "result.json").unlink()
    with Run.existing(tmp_path / "none", quiet=True) as run:
        run.write_metrics({"seed": [0, 0], "step": [10, 20], "epoch": [1, 2]})
    (early, whole), _ = models(tmp_path)
    assert early.differences == ["not finished: evaluated after 100 of 200 updates"]
    assert not whole.differences and comparable([early, whole]) == [early, whole]
    (tmp_path / "none" / "metrics.parquet").unlink()
    (early, _), _ = models(tmp_path)
    assert early.differences == ["not finished: evaluated after 100 updates"]
    (tmp_path / "none" / "evaluation.json").unlink()
    found = find_runs([tmp_path])
    assert len(found.vae) == 1 and "so it is not finished" in found.not_read[0][1]


def test_a_bound_is_no_row_of_the_paper(tmp_path):
    write_vae(tmp_path / "bound", {"nll": [90.0]}, objective="iwae", samples=5)
    (entry,), _ = models(tmp_path)
    assert entry.row == ("dbpedia", "isotropic", None) and best([entry]) == {}


def test_comparable_models_differ_in_posterior_and_c_only(tmp_path):
    for posterior, hidden in (("isotropic", 512), ("diagonal", 512), ("isotropic", 64)):
        options = {"posterior": posterior, "hidden_dim": hidden}
        write_vae(tmp_path / f"{posterior}{hidden}", {"rec": [90.0]}, **options)
    write_vae(tmp_path / "ae", {"rec": [20.0]}, posterior="none", hidden_dim=64)
    pooled, _ = models(tmp_path)
    assert len(pooled) == 4
    assert [model.row[1] for model in comparable(pooled)] == ["diagonal", "isotropic"]
    smaller = comparable([model for model in pooled if model.differences])
    assert [model.row[1] for model in smaller] == ["none", "isotropic"]
