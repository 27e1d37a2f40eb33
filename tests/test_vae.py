"""`python -m jaxiso.vae` as its users meet it: whole runs, crashes, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import after_config, after_update_20, command, during_a_checkpoint, finish, kill_at

from jaxiso import vae
from jaxiso.errors import InputError

SMALL = ("--vocabulary", 40, "--embedding-dim", 8, "--hidden-dim", 12, "--latent-dim", 4)
SMALL += ("--batch-size", 8, "--seeds", 2, "--ramp", 10, "--C", 2, "--lr", 0.01)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> Path:
    """Sixty sentences of three to eight words, from a grammar of two moods."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    lines = []
    for _ in range(60):
        start = rng.integers(0, 2) * 15
        lines.append(" ".join(rng.choice(words[start : start + 15], rng.integers(3, 9))))
    path = tmp_path_factory.mktemp("text") / "toy.txt"
    path.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    return path


def run_main(*arguments: object) -> None:
    import jax

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        vae.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("posterior", ["isotropic", "none"])
def test_a_run_from_start_to_end(tmp_path, sentences, capsys, posterior):
    out = tmp_path / "run"
    options = ("--corpus", sentences, *SMALL, "--posterior", posterior, "--epochs", 3)
    run_main(*options, "--out", out)
    shown = capsys.readouterr()
    for text in ("Reconstruction", "Active units", "3 epochs", str(out)):
        assert text in shown.out
    table = pq.read_table(out / "metrics.parquet").to_pandas()
    assert table["epoch"].tolist() == [1, 1, 2, 2, 3, 3] and table["seed"].tolist() == [0, 1] * 3
    assert np.isfinite(table.to_numpy()).all()
    assert table["train_rec"].iloc[-1] < table["train_rec"].iloc[0]
    assert (table["dev_active_units"] <= 4).all() and (table["dev_active_units"] >= 0).all()
    if posterior == "none":
        assert (table["dev_kl"] == 0).all()
        np.testing.assert_allclose(table["dev_loss"], table["dev_rec"], rtol=1e-6)
    else:
        assert (table["dev_mutual_information"] < np.log(len(table)) + 3).all()
    words = json.loads((out / "vocabulary.json").read_text())["words"]
    assert len(words) == 34  # thirty words, unk and three marks
    run_main(*options, "--out", out)
    again = capsys.readouterr()
    assert again.out == shown.out and "finished before" in again.err
    other = "diagonal"
    with pytest.raises(InputError, match=f"posterior: there '{posterior}', now 'diagonal'"):
        run_main(*options, "--posterior", other, "--out", out)


def test_killed_runs_end_in_the_same_bits(tmp_path, sentences):
    options = ("--corpus", sentences, *SMALL, "--epochs", 5, "--checkpoint-every", 4)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert finish(command("vae", *options, "--out", whole)).returncode == 0
    again = command("vae", *options, "--out", killed)
    for moment in (after_config, during_a_checkpoint, after_update_20):
        kill_at(again, killed, moment)
        assert not (killed / "result.json").exists()
    last = finish(again)
    assert last.returncode == 0, last.stderr
    assert "goes on after update" in last.stderr
    ours, theirs = (pq.read_table(f / "metrics.parquet") for f in (killed, whole))
    assert ours.num_rows == 10 and ours.equals(theirs)


def test_default_corpus_is_announced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_main("--dry-run", *SMALL, "--max-length", 8)
    shown = capsys.readouterr()
    assert "corpus: lee" in shown.err and "times the computing of this one" in shown.err
    assert "python -m jaxiso.vae --corpus dbpedia --posterior isotropic --C 15" in shown.err
    assert "parameters" in shown.out and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--C", "0"], r"--C 0\.0: must be a finite number above 0"),
        (["--C", "nan"], r"--C nan: must be a finite number above 0"),
        (["--beta", "-1"], r"--beta -1\.0: must be a finite number of at least 0"),
        (["--epochs", "0"], r"--epochs 0: must be at least 1"),
        (["--batch-size", "0"], r"--batch-size 0: must be at least 1"),
        (["--seed", "4294967296"], r"--seed 4294967296: must be below"),
        (["--samples", "5"], r"--samples 5: only for --objective iwae"),
        (["--objective", "iwae", "--posterior", "none"], r"--posterior none has none"),
        (["--corpus", "dbpedai"], r"dbpedia"),
        (["--vocabulary", "1"], r"nothing but unk"),
        (["--max-length", "0"], r"max length 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        run_main(*options)
