"""Options of `python -m jaxiso.embed` that go beyond the paper: whole runs, crashes, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import after_update_20, command, kill_at

from jaxiso import embed, embed_training
from jaxiso.embeddings import load_embeddings
from jaxiso.errors import InputError

REFERENCE = Path(__file__).parents[1] / "runs" / "reference" / "wnli-minilm"
NEW_COLUMNS = ["calinski_harabasz", "davies_bouldin", "dunn"]
TEST_COLUMNS = ["test_isoscore", "test_silhouette", "test_accuracy"]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    """A small problem of one's own: 200 vectors in 8 dimensions, three labels."""
    rng = np.random.default_rng(0)
    y = rng.choice(["cat", "dog", "eel"], 200)
    x = (rng.normal(size=(200, 8)) + (y == "eel")[:, None]) * np.arange(1, 9) / 10
    path = tmp_path_factory.mktemp("vectors") / "mine.npz"
    np.savez(path, X=x, y=y)
    return path


def run_main(*arguments: object) -> None:
    """The command inside this process: fast, and its errors are exceptions."""
    import jax

    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        embed.main([str(argument) for argument in arguments])


def read(out: Path):
    """Metrics, result, config and final arrays of a run."""
    metrics = pq.read_table(out / "metrics.parquet")
    result = json.loads((out / "result.json").read_text())
    del result["seconds"]
    config = json.loads((out / "config.json").read_text())["config"]
    with np.load(out / "final.npz", allow_pickle=False) as final:
        return metrics, result, config, {name: final[name] for name in final.files}


WEIGHTS = ("--updates", 30, "--seeds", 2, "--isotropy", 0, 0.1, 10)
SHORT = ("--updates", 12, "--seeds", 2, "--every", 4, "--quiet")
CLASSIFIER = (*SHORT, "--hidden", 5, "--track", "--test-fraction", 0.25)
TRIPLETS = (*SHORT, "--loss", "triplet", "--triplets", 100, "--isotropy", 0.5)


@pytest.fixture(scope="module")
def runs(vectors, tmp_path_factory):
    """Whole runs, by their options: each is made once."""
    made: dict[tuple[object, ...], Path] = {}

    def run(options: tuple[object, ...]) -> Path:
        if options not in made:
            made[options] = tmp_path_factory.mktemp("runs") / "run"
            run_main("--vectors", vectors, *options, "--out", made[options])
        return made[options]

    return run


# --- isotropy in the loss ---------------------------------------------------------------------


def test_weights_of_isotropy_trade_clusters_for_isotropy(runs, vectors, capsys):
    out = runs(WEIGHTS)
    capsys.readouterr()
    run_main("--vectors", vectors, *WEIGHTS, "--out", out)  # finished: prints its result
    printed = capsys.readouterr().out
    for text in ("λ", "start", "0.1", "10", "IsoScore", "Silhouette", "Time:"):
        assert text in printed
    metrics, result, config, final = read(out)
    assert metrics.column_names[:4] == ["seed", "step", "isotropy", "isoscore"]
    assert metrics["seed"].to_pylist()[:6] == [0, 1] * 3
    weights = [float(np.float32(w)) for w in (0, 0, 0.1, 0.1, 10, 10)]
    assert metrics["isotropy"].to_pylist() == weights * 31
    assert config["isotropy"] == [0, 0.1, 10]
    assert final["vectors"].shape == (6, 200, 8) and final["bias"].shape == (6, 3)
    assert [row["isotropy"] for row in result["frontier"]] == [0, 0.1, 10]
    assert "pearson_r" in result["frontier"][0] and "pearson_r" not in result
    ends = [row["final"] for row in result["frontier"]]
    table = metrics.to_pandas()
    last = table[table["step"] == 30].groupby("isotropy").mean()
    for end, (_, row) in zip(ends, last.iterrows(), strict=True):
        for name in ("isoscore", "silhouette", "loss", "accuracy"):
            assert end[name]["mean"] == pytest.approx(row[name], rel=1e-5)
    isoscores = [end["isoscore"]["mean"] for end in ends]
    assert isoscores == sorted(isoscores) and isoscores[2] > isoscores[0] + 0.05
    assert ends[2]["silhouette"]["mean"] < ends[0]["silhouette"]["mean"]
    assert (out / "figures" / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "figures" / "figure2_across_training.png").exists()
    with pytest.raises(InputError, match=r"isotropy: there \[0.0, 0.1, 10.0\], now \[0.0\]"):
        run_main("--vectors", vectors, *WEIGHTS[:-2], "--out", out)


def test_frontier_shows_every_weight():
    from jaxiso.figures import figure_frontier

    metrics = {
        "seed": [0, 0, 0, 0],
        "step": [0, 0, 1, 1],
        "isotropy": [0.0, float(np.float32(0.1))] * 2,
        "isoscore": [0.5, 0.5, 0.1, 0.2],
        "silhouette": [0.0, 0.0, 0.4, 0.3],
        "accuracy": [0.5, 0.5, 1.0, 0.9],
    }
    figure = figure_frontier(metrics, "a$_$b")
    _, labels = figure.axes[1].get_legend_handles_labels()
    assert labels == ["λ = 0", "λ = 0.1"]
    points = np.concatenate([c.get_offsets() for c in figure.axes[0].collections])
    np.testing.assert_allclose(points, [[0.1, 0.4], [0.2, 0.3]])


def test_a_diverged_weight_is_named():
    from jaxiso.embed_tables import remarks

    frontier = [{"isotropy": 0.1, "diverged_at": 3}, {"isotropy": 1.0, "diverged_at": None}]
    said = remarks({"frontier": frontier, "not_as_in_the_paper": [], "thinned": False})
    assert said == ["Diverged with λ = 0.1: not finite from update 3 on; lower --lr or --scale"]


# --- the others -------------------------------------------------------------------------------


def test_all_of_a_classifiers_options_at_once(runs, vectors, capsys):
    out = runs(CLASSIFIER)
    capsys.readouterr()
    run_main("--vectors", vectors, *CLASSIFIER, "--out", out)
    printed = capsys.readouterr().out
    for text in ("Dunn, final", "ρ(Davies-Bouldin, Silhouette)", "Accuracy, held out, start"):
        assert text in printed
    metrics, result, config, final = read(out)
    basic = ["seed", "step", "isoscore", "silhouette", "loss", "accuracy"]
    assert metrics.column_names == basic + NEW_COLUMNS + TEST_COLUMNS
    assert {k: config[k] for k in ("hidden", "track", "test_fraction")} == {
        "hidden": 5,
        "track": True,
        "test_fraction": 0.25,
    }
    assert config["test_items"] == final["held_out"].sum() == 50
    assert result["parameters"] == 150 * 8 + 5 * 9 + 3 * 6
    shapes = {name: array.shape for name, array in final.items()}
    assert shapes == {
        "vectors": (2, 200, 8),
        "kernel": (2, 5, 3),
        "bias": (2, 3),
        "hidden_kernel": (2, 8, 5),
        "hidden_bias": (2, 5),
        "held_out": (200,),
    }
    start = np.load(vectors)["X"].astype(np.float32)
    np.testing.assert_array_equal(final["vectors"][0][final["held_out"]], start[final["held_out"]])
    assert set(result["agreement"]) == set(NEW_COLUMNS)
    assert result["final"]["test_accuracy"]["mean"] is not None


def test_the_triplet_loss_has_no_classifier(runs):
    metrics, result, config, final = read(runs(TRIPLETS))
    assert set(final) == {"vectors"} and result["parameters"] == 200 * 8
    assert (config["loss"], config["triplets"]) == ("triplet", 100)
    assert metrics.column_names[2:] == ["isotropy", "isoscore", "silhouette", "loss", "accuracy"]
    assert 0 < result["frontier"][0]["final"]["accuracy"]["mean"] < 1


def test_deviations_from_the_paper_are_named():
    from jaxiso.embed_result import deviations

    config = json.loads((REFERENCE / "config.json").read_text())["config"]
    assert deviations(config) == []
    assert deviations(config | {"isotropy": [0.0]}) == []
    beyond = {"isotropy": [0.0, 1.0], "hidden": 7, "test_items": 127, "trained_vectors": 900}
    said = "\n".join(deviations(config | beyond))
    for text in ("isotropy", "hidden layer of 7 units", "127 of 635 items held out", "parameters"):
        assert text in said
    assert "triplet loss" in "\n".join(deviations(config | {"loss": "triplet"}))


def test_a_run_as_in_the_paper_has_the_config_it_always_had(vectors):
    embeddings = load_embeddings("digits", vectors_file=vectors)
    stored = json.loads((REFERENCE / "config.json").read_text())["config"]
    options = embed.Options(vectors=vectors, updates=5)
    assert list(embed.run_config(options, embeddings)) == list(stored)
    assert embed.run_name(options, embeddings) == "mine-5seeds-5updates"
    new = {"isotropy": (0, 0.1), "hidden": 8, "track": True, "test_fraction": 0.2}
    named = embed.run_name(embed.Options(vectors=vectors, updates=5, **new), embeddings)
    assert named == "mine-5seeds-5updates-isotropy0-0.1-hidden8-track-test0.2"
    triplets = embed.Options(vectors=vectors, updates=5, loss="triplet")
    assert embed.run_name(triplets, embeddings) == "mine-5seeds-5updates-triplet4096"


def test_dry_run_counts_weights_and_held_out_items(tmp_path, vectors, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--vectors", vectors, "--seeds", 1, "--isotropy", 2, "--test-fraction", 0.25)
    run_main(*options, "--dry-run")
    printed = capsys.readouterr().out
    for text in ("held out      50", "1,227 a seed, 1 seed(s) with each of 1 weight(s)"):
        assert text in printed
    assert list(tmp_path.iterdir()) == []


# --- crashes ----------------------------------------------------------------------------------


def assert_same(killed: Path, whole: Path) -> None:
    ours, theirs = read(killed), read(whole)
    assert ours[0].equals(theirs[0]) and ours[1:3] == theirs[1:3]
    assert ours[3].keys() == theirs[3].keys()
    for name in ours[3]:
        assert ours[3][name].tobytes() == theirs[3][name].tobytes(), name


def test_a_killed_run_with_weights_ends_in_the_same_bits(runs, tmp_path, vectors, capsys):
    options = ("--vectors", vectors, *WEIGHTS, "--checkpoint-every", 2, "--out", tmp_path / "run")
    kill_at(command("embed", *options), tmp_path / "run", after_update_20)
    assert not (tmp_path / "run" / "result.json").exists()
    capsys.readouterr()
    run_main(*options)
    assert "goes on after update" in capsys.readouterr().err
    assert_same(tmp_path / "run", runs(WEIGHTS))


@pytest.mark.parametrize("beyond", [CLASSIFIER, TRIPLETS])
def test_interrupted_runs_end_in_the_same_bits(runs, tmp_path, vectors, beyond, monkeypatch):
    out = tmp_path / "run"
    options = ("--vectors", vectors, *beyond, "--checkpoint-every", 5, "--out", out)
    add = embed_training.Table.add

    def fail_at_8(table, step, measurements):
        if step == 8:
            raise KeyboardInterrupt
        add(table, step, measurements)

    with monkeypatch.context() as patch:
        patch.setattr(embed_training.Table, "add", fail_at_8)
        with pytest.raises(KeyboardInterrupt):
            run_main(*options)
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["5"]
    run_main(*options)
    assert_same(out, runs(beyond))


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--isotropy", "1", "nan"], r"--isotropy nan: each weight must be 0, or a number from"),
        (["--isotropy", "-1"], r"--isotropy -1: each weight"),
        (["--isotropy", "1e39"], r"--isotropy 1e\+39: each weight"),
        (["--isotropy", "1", "0.5", "1.0"], r"--isotropy 1: given more than once"),
        (["--isotropy"], r"--isotropy: give at least one weight"),
        (["--hidden", "0"], r"--hidden 0: must be at least 1"),
        (["--triplets", "9"], r"--triplets 9: only with --loss triplet"),
        (["--loss", "triplet", "--triplets", "0"], r"--triplets 0: must be at least 1"),
        (["--loss", "triplet", "--hidden", "4"], r"--hidden 4: the triplet loss has no classif"),
        (["--test-fraction", "1"], r"--test-fraction 1\.0: must be above 0 and below 1"),
        (["--test-fraction", "0.002"], r"of 200 items it would hold out 0, with 0 diff.*larger"),
        (["--test-fraction", "0.985"], r"of 200 items it would keep 3, with .*smaller"),
    ],
)
def test_bad_options(options, message, vectors, tmp_path):
    with pytest.raises(InputError, match=message):
        run_main("--vectors", vectors, "--out", tmp_path / "run", *options)
    assert not (tmp_path / "run").exists()
