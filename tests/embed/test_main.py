"""`python -m jaxiso.embed` as its users meet it: whole runs, interruptions, damage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import after_update_20, command, kill_at
from safetensors.numpy import save_file
from tiny_encoder import (  # pyright: ignore[reportMissingImports]
    BERT_CONFIG,
    WORDS,
    random_bert,
    write_json,
    write_sentence_files,
)

from jaxiso import training
from jaxiso.cli.console import InputError, Stopped
from jaxiso.embed import inputs

BASIC = ["seed", "step", "isoscore", "silhouette", "loss", "accuracy"]
TRACKED = ["calinski_harabasz", "davies_bouldin", "dunn"]
TEST = ["test_isoscore", "test_silhouette", "test_accuracy"]

# Each update measures a random sample, so that these draws have to be the same after a crash too.
WHOLE = ("--updates", 24, "--seeds", 2, "--sample", 50, "--checkpoint-every", 2)
SHORT = ("--updates", 12, "--seeds", 2, "--every", 4, "--quiet")
CLASSIFIER = (*SHORT, "--hidden", 5, "--track", "--test-fraction", 0.25)
TRIPLETS = (*SHORT, "--loss", "triplet", "--triplets", 100, "--isotropy", 0, 0.1, 10, "--lr", 0.01)


@pytest.fixture(scope="module")
def runs(vectors, run_main, tmp_path_factory):
    """Whole runs, by their options: each is made once."""
    made: dict[tuple[object, ...], Path] = {}

    def run(options: tuple[object, ...]) -> Path:
        if options not in made:
            made[options] = tmp_path_factory.mktemp("runs") / "run"
            run_main("--vectors", vectors, *options, "--out", made[options])
        return made[options]

    return run


def read(out: Path):
    """Metrics, result, config and final arrays of a run."""
    metrics = pq.read_table(out / "metrics.parquet")
    result = json.loads((out / "result.json").read_text())
    del result["seconds"]
    config = json.loads((out / "config.json").read_text())["config"]
    with np.load(out / "final.npz", allow_pickle=False) as final:
        return metrics, result, config, {name: final[name] for name in final.files}


def assert_same(killed: Path, whole: Path) -> None:
    ours, theirs = read(killed), read(whole)
    assert ours[0].equals(theirs[0]) and ours[1:3] == theirs[1:3]
    assert ours[3].keys() == theirs[3].keys()
    for name in ours[3]:
        assert ours[3][name].tobytes() == theirs[3][name].tobytes(), name


# --- whole runs -------------------------------------------------------------------------------


def test_a_run_from_start_to_end(runs, run_main, vectors, capsys):
    out = runs(WHOLE)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.name[0] != "."}
    capsys.readouterr()
    run_main("--vectors", vectors, *WHOLE, "--out", out)
    again = capsys.readouterr()
    for text in ("mine", "Pearson r", "Spearman ρ", "± ", "Time:", str(out)):
        assert text in again.out
    assert "finished before; nothing to do" in again.err
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.name[0] != "."} == before

    metrics, result, config, final = read(out)
    assert metrics.column_names == BASIC
    assert metrics["step"].to_pylist() == [s for s in range(25) for _ in range(2)]
    assert metrics["seed"].to_pylist() == [0, 1] * 25
    average = metrics.to_pandas().groupby("step").mean()
    expected = np.corrcoef(average["isoscore"], average["silhouette"])[0, 1]
    assert result["pearson_r"] == pytest.approx(expected)
    assert result["parameters"] == 60 * 8 + 3 * 9
    assert result["paper"] is None and not result["thinned"] and result["undefined"] == {}
    assert config["classes"] == ["cat", "dog", "eel"] and config["hidden"] is None
    stored = json.loads((out / "config.json").read_text())
    assert {"jax", "python", "device"} <= stored["origin"].keys()
    assert stored["source"]["vectors"] == str(vectors)
    shapes = {name: array.shape for name, array in final.items()}
    assert shapes == {"vectors": (2, 60, 8), "kernel": (2, 8, 3), "bias": (2, 3)}
    # Adam moves a number by about its learning rate each time.
    assert 0.02 < np.abs(final["vectors"] - np.load(vectors)["X"]).max() < 0.03
    for figure in ("figure2_across_training", "figure3_relationship"):
        assert (out / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / "figures" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")

    with pytest.raises(InputError, match=r"seeds: there 2, now 3"):
        run_main("--vectors", vectors, *WHOLE, "--seeds", 3, "--out", out)


def test_with_no_task_it_is_parity(run_main, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_main("--updates", 2, "--seeds", 1)
    assert "parity" in capsys.readouterr().out
    out = tmp_path / "runs" / "parity-1seeds-2updates"
    assert read(out)[3]["vectors"].shape == (1, 1797, 64)
    run_main("--updates", 1, "--seeds", 1, "--overwrite", "--out", out)
    assert read(out)[0].num_rows == 2


def test_all_of_a_classifiers_options_at_once(runs, run_main, vectors, capsys):
    out = runs(CLASSIFIER)
    capsys.readouterr()
    run_main("--vectors", vectors, *CLASSIFIER, "--out", out)
    streams = capsys.readouterr()
    for text in ("Dunn, final", "ρ(Davies-Bouldin, Silhouette)", "Accuracy, held out, start"):
        assert text in streams.out
    assert "not comparable with the paper" in streams.out and streams.err == ""  # thinned
    metrics, result, config, final = read(out)
    assert metrics.column_names == BASIC + TRACKED + TEST
    assert metrics["step"].to_pylist() == [0, 0, 4, 4, 8, 8, 12, 12]
    expected = {"hidden": 5, "track": True, "test_fraction": 0.25, "test_items": 15}
    assert expected.items() <= config.items() and final["held_out"].sum() == 15
    assert result["parameters"] == 45 * 8 + 5 * 9 + 3 * 6
    shapes = {name: array.shape for name, array in final.items() if name != "vectors"}
    assert shapes == {
        "kernel": (2, 5, 3),
        "bias": (2, 3),
        "hidden_kernel": (2, 8, 5),
        "hidden_bias": (2, 5),
        "held_out": (60,),
    }
    start = np.load(vectors)["X"].astype(np.float32)
    np.testing.assert_array_equal(final["vectors"][0][final["held_out"]], start[final["held_out"]])
    assert set(result["agreement"]) == set(TRACKED)
    assert result["final"]["test_accuracy"]["mean"] is not None


def test_weights_of_isotropy_trade_clusters_for_isotropy(runs, run_main, vectors, capsys):
    """With the triplet loss, which has no classifier."""
    out = runs(TRIPLETS)
    capsys.readouterr()
    run_main("--vectors", vectors, *TRIPLETS, "--out", out)  # finished: prints its result
    printed = capsys.readouterr().out
    for text in ("λ", "start", "0.1", "10", "IsoScore", "Silhouette", "Time:"):
        assert text in printed
    metrics, result, config, final = read(out)
    assert metrics.column_names == [*BASIC[:2], "isotropy", *BASIC[2:]]
    assert metrics["seed"].to_pylist()[:6] == [0, 1] * 3
    weights = [float(np.float32(w)) for w in (0, 0, 0.1, 0.1, 10, 10)]
    assert metrics["isotropy"].to_pylist() == weights * 4
    assert config["isotropy"] == [0, 0.1, 10] and config["loss"] == "triplet"
    assert set(final) == {"vectors"} and final["vectors"].shape == (6, 60, 8)
    assert result["parameters"] == 60 * 8
    assert [row["isotropy"] for row in result["frontier"]] == [0, 0.1, 10]
    ends = [row["final"] for row in result["frontier"]]
    table = metrics.to_pandas()
    last = table[table["step"] == 12].groupby("isotropy").mean()
    for end, (_, row) in zip(ends, last.iterrows(), strict=True):
        for name in BASIC[2:]:
            assert end[name]["mean"] == pytest.approx(row[name], rel=1e-5)
    isoscores = [end["isoscore"]["mean"] for end in ends]
    assert isoscores == sorted(isoscores) and isoscores[2] > isoscores[0] + 0.05
    assert ends[2]["silhouette"]["mean"] < ends[0]["silhouette"]["mean"]
    assert (out / "figures" / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "figures" / "figure2_across_training.png").exists()


def test_a_run_that_diverges_ends_with_a_result(run_main, tmp_path, vectors, capsys):
    """Also: a file name with the marks of formulas and of markup in it."""
    odd = tmp_path / "a$_$b [red].npz"
    odd.write_bytes(vectors.read_bytes())
    run_main("--vectors", odd, *WHOLE, "--lr", 1e30, "--updates", 3, "--out", tmp_path / "run")
    streams = capsys.readouterr()
    for text in ("a$_$b [red]", "not defined", "Diverged after update 1: numbers left"):
        assert text in streams.out
    assert "nan" not in (streams.out + streams.err).lower()
    metrics, result, _, _ = read(tmp_path / "run")
    for name in BASIC[2:]:
        values = np.reshape(metrics[name].to_pylist(), (4, 2))
        assert np.isfinite(values[0]).all() and np.isnan(values[2:]).all(), name
    assert result["diverged_at"] == 1 and result["pearson_r"] is None
    assert result["final"]["accuracy"] == {"mean": None, "sd": None}
    assert set(result["undefined"].values()) == {"diverged after update 1"}


def test_dry_run_trains_nothing(run_main, tmp_path, vectors, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--vectors", vectors, "--updates", 6, "--every", 4, "--seeds", 1, "--quiet")
    run_main(*options, "--test-fraction", 0.25, "--dry-run")
    printed = capsys.readouterr().out
    expected = ("60 × 8", "held out      15", "387 a seed, 1 seed", "GiB", "6 updates, 3 measure")
    for text in expected:
        assert text in printed
    assert list(tmp_path.iterdir()) == []


def test_sentences_are_encoded_first(run_main, tmp_path, monkeypatch, capsys):
    """Pairs of sentences that share some, with an encoder of one's own."""
    monkeypatch.setenv("JAXISO_CACHE", str(tmp_path / "cache"))
    encoder, out = tmp_path / "tiny", tmp_path / "run"
    encoder.mkdir()
    write_json(encoder / "config.json", BERT_CONFIG)
    save_file(random_bert(), encoder / "model.safetensors")
    write_sentence_files(encoder, "bert")
    texts = [f"the film is {one} and {other}" for one in WORDS[5:11] for other in WORDS[5:9]]
    rows = [
        {"sentence1": text, "sentence2": texts[i // 3], "label": i % 2}
        for i, text in enumerate(texts)
    ]
    (tmp_path / "glue" / "wnli").mkdir(parents=True)
    (tmp_path / "glue" / "wnli" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ("--task", "wnli", "--encoder", encoder, "--data-dir", tmp_path, "--seeds", 1)
    run_main(*options, "--updates", 1, "--out", out)
    _, result, config, final = read(out)
    assert config["encoder"] == "custom-tiny" and config["inputs"] == 2 and config["items"] == 24
    assert config["updates"] == 1 and result["paper"] is None
    assert final["vectors"].shape == (1, len(texts), 16) and final["kernel"].shape == (1, 32, 2)
    assert "wnli, custom-tiny" in capsys.readouterr().out
    (encoder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(InputError, match="vectors_sha256: there"):  # it encodes differently
        run_main(*options, "--updates", 1, "--out", out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "encoder"),
    [("wnli", "minilm"), ("rte", "minilm"), ("cola", "minilm"), ("wnli", "mpnet")],
)
def test_paper_tasks_with_five_seeds(run_main, tmp_path, data_dir, task, encoder):
    run_main("--task", task, "--encoder", encoder, "--data-dir", data_dir, "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["pearson_r"] == pytest.approx(result["paper"]["pearson_r"], abs=0.003)
    assert result["spearman_rho"] == pytest.approx(result["paper"]["spearman_rho"], abs=0.0005)


# --- interruptions ----------------------------------------------------------------------------


def test_a_killed_run_ends_in_the_same_bits(runs, run_main, tmp_path, vectors, capsys):
    options = ("--vectors", vectors, *WHOLE, "--out", tmp_path / "run")
    kill_at(command("embed", *options), tmp_path / "run", after_update_20)
    assert not (tmp_path / "run" / "result.json").exists()
    run_main(*options)
    assert "goes on after update" in capsys.readouterr().err
    assert_same(tmp_path / "run", runs(WHOLE))


def test_a_polite_interruption_saves_first(runs, run_main, tmp_path, vectors, monkeypatch):
    """Of a run with weights of isotropy, and of random triples, which have to be the same too."""
    out = tmp_path / "run"
    arguments = ("--vectors", vectors, *TRIPLETS, "--checkpoint-every", 0, "--out", out)
    add_rows = training.add_rows

    def stop_at_8(table, measured):
        if measured is not None and measured[0] == 8 and measured[1] is not None:
            os.kill(os.getpid(), signal.SIGTERM)
        add_rows(table, measured)

    with monkeypatch.context() as patch:
        patch.setattr(training, "add_rows", stop_at_8)
        with pytest.raises(Stopped, match="of 12; the same command goes on from there") as stopped:
            run_main(*arguments)
    assert stopped.value.code == 143
    (checkpoint,) = (out / "checkpoints").iterdir()
    assert 8 <= int(checkpoint.name) < 12
    assert max(pq.read_table(out / "metrics.parquet")["step"].to_pylist()) == 8
    run_main(*arguments)
    assert_same(out, runs(TRIPLETS))


def test_a_run_is_not_gone_on_with_on_other_data(runs, run_main, tmp_path, vectors):
    out = runs(WHOLE)
    arrays = dict(np.load(vectors))
    changed = tmp_path / "mine.npz"
    np.savez(changed, X=arrays["X"], y=np.roll(arrays["y"], 1))
    with pytest.raises(InputError, match="data_sha256: there"):
        run_main("--vectors", changed, *WHOLE, "--out", out)
    np.savez(changed, X=arrays["X"] + 1, y=arrays["y"])
    with pytest.raises(InputError, match="vectors_sha256: there"):
        run_main("--vectors", changed, *WHOLE, "--out", out)


# --- damage -----------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("final.npz", Path.unlink, "final.npz: is missing; it is made again"),
        ("final.npz", flip, "final.npz: is not as it was written"),
        ("result.json", flip, "result.json: is not as it was written"),
        ("result.json", Path.unlink, "goes on after update 24"),
    ],
)
def test_damaged_ends_are_made_again(runs, run_main, vectors, capsys, name, damage, said):
    """From the last checkpoint, without an update."""
    out = runs(WHOLE)
    before = read(out)
    damage(out / name)
    capsys.readouterr()
    run_main("--vectors", vectors, *WHOLE, "--out", out)
    assert said in capsys.readouterr().err
    after = read(out)
    assert after[0].equals(before[0]) and after[1:3] == before[1:3]
    assert {k: v.tobytes() for k, v in after[3].items()} == {
        k: v.tobytes() for k, v in before[3].items()
    }


def test_damaged_metrics_are_refused(run_main, runs, vectors):
    out = runs(WHOLE)
    content = (out / "metrics.parquet").read_bytes()
    flip(out / "metrics.parquet")
    try:
        with pytest.raises(InputError, match=r"metrics\.parquet.*is not as it was written"):
            run_main("--vectors", vectors, *WHOLE, "--out", out)
    finally:
        (out / "metrics.parquet").write_bytes(content)


# --- errors -----------------------------------------------------------------------------------


def test_errors_are_one_message_and_exit_code_2(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        command("embed", "--task", "mrpc", "--data-dir", tmp_path),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert "glue/mrpc/train.jsonl" in done.stderr and "load_dataset" in done.stderr


def test_interrupted_while_encoding(run_main, data_dir, tmp_path, monkeypatch):
    """Nothing is saved yet, and the run can be made by the same command."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(inputs, "encode_texts", stop)
    monkeypatch.setattr(inputs, "find_encoder", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        run_main("--task", "wnli", "--data-dir", data_dir, "--out", tmp_path / "run", "--quiet")
    kept = [path.name for path in (tmp_path / "run").iterdir() if path.name[0] != "."]
    assert kept == ["config.json"]
