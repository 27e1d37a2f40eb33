"""`python -m jaxiso.vae` as its users meet it: whole runs, kills, divergence, other data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import command, kill_at

from jaxiso.cli.configs import determining
from jaxiso.cli.console import InputError
from jaxiso.run_files import read_config
from jaxiso.seeds import ONE_DEVICE
from jaxiso.vae.configs import complete_config, default_name, with_defaults
from jaxiso.vae.evaluate import load_models
from jaxiso.vae.experiment import VAEConfig, make_vae
from jaxiso.vae.options import Options
from jaxiso.vae.text import announce, announce_kl, load_text, load_training
from jaxiso.vae.train import MEASURED, measure, start

from .conftest import SIZES, SMALL, run_main


def table_of(run: Path):
    return pq.read_table(run / "metrics.parquet")


def test_a_run_from_start_to_end(trained, corpus, capsys):
    run_main("--corpus", corpus, *SMALL[:-1], "--seeds", 2, "--out", trained)
    shown = capsys.readouterr()
    assert "finished before; nothing to do" in shown.err
    for text in ("Reconstruction", "Active units", "2 epochs", str(trained)):
        assert text in shown.out
    table = table_of(trained).to_pandas()
    assert table["epoch"].tolist() == [1, 1, 2, 2] and table["seed"].tolist() == [0, 1, 0, 1]
    assert table["step"].tolist() == [12, 12, 24, 24]
    assert np.isfinite(table.to_numpy()).all()
    assert table["train_rec"].iloc[-1] < table["train_rec"].iloc[0]
    assert (table["dev_active_units"] <= 4).all() and (table["dev_active_units"] >= 0).all()
    assert (table["dev_mutual_information"] < np.log(12) + 1e-5).all()
    stored = json.loads((trained / "config.json").read_text())
    assert stored["source"] == {"corpus": str(corpus), "data_dir": None}
    config = stored["config"]
    assert {config["corpus"], config["experiment"]} == {"toy", "vae"}
    assert all(len(config[f"{split}_sha256"]) == 64 for split in ("train", "dev", "test"))
    words = json.loads((trained / "vocabulary.json").read_text())["words"]
    assert len(words) == 34 == config["ids"]  # thirty words, unk and three marks


def test_an_autoencoder_has_no_kl(autoencoder):
    table = table_of(autoencoder).to_pandas()
    assert (table["dev_kl"] == 0).all()
    np.testing.assert_allclose(table["dev_loss"], table["dev_rec"], rtol=1e-6)
    np.testing.assert_allclose(table["dev_mutual_information"], np.log(12), rtol=1e-6)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
@pytest.mark.parametrize("what", ["words", "labels"])
def test_a_run_does_not_go_on_with_other_data_of_the_same_counts(
    trained, corpus, tmp_path, what, split
):
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    config = read_config(trained)
    sentences = getattr(load_text(config, str(corpus), data_dir=None, quiet=True).corpus, split)
    chosen = " ".join(sentences.sentences[0])
    row = next(row for row in rows if row["text"] == chosen)
    if what == "words":
        row["text"] = " ".join(reversed(chosen.split()))
    else:
        row["label"] = "ab"[row["label"] == "a"]
    changed = tmp_path / "toy.jsonl"
    changed.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(InputError, match=rf"another configuration:\n  {split}_sha256: there '"):
        run_main("--corpus", changed, *SMALL, "--seeds", 2, "--out", trained)
    with pytest.raises(InputError, match=f"its {split} sentences, their labels or .* are others"):
        run_main("evaluate", trained, "--corpus", changed, "--parts", "geometry")


def after_update_14(out: Path) -> bool:
    """In the middle of the second epoch."""
    folder = out / "checkpoints"
    return folder.is_dir() and any(p.name.isdigit() and int(p.name) >= 14 for p in folder.iterdir())


def test_a_killed_run_ends_in_the_same_bits(trained, corpus, tmp_path, capsys):
    options = ("--corpus", corpus, *SMALL[:-1], "--seeds", 2, "--checkpoint-every", 2)
    out = tmp_path / "killed"
    kill_at(command("vae", *options, "--out", out), out, after_update_14)
    assert not (out / "result.json").exists()
    run_main(*options, "--out", out)
    assert "goes on after update" in capsys.readouterr().err
    assert table_of(out).equals(table_of(trained))
    ours, theirs = (json.loads((run / "result.json").read_text()) for run in (out, trained))
    assert ours["model"] == theirs["model"]


def test_a_run_against_collapse(corpus, tmp_path, capsys):
    """Its weight of the KL is recorded; it resumes to the bit, and can be evaluated."""
    out = tmp_path / "run"
    cures = ("--annealing", "cyclical", "--annealing-updates", 20, "--free-bits", 0.1)
    cures += ("--word-dropout", 0.3, "--dropout", 0.2, "--seeds", 2)
    run_main("--corpus", corpus, *SIZES, *cures, "--out", out)
    shown = capsys.readouterr().err
    assert "weight of the KL (cyclical annealing): rises to 1 over 20 of 24 updates" in shown
    table = table_of(out).to_pandas()
    np.testing.assert_allclose(table["beta"], [0.4, 0.4, 1, 1])  # the second in a cycle of five
    elbo = table["dev_rec"] + table["dev_kl"]
    assert (table["dev_loss"] >= elbo - 1e-4).all() and (table["dev_loss"] < elbo + 0.4).all()
    config = read_config(out)
    assert (config["C"], config["ramp"], config["free_bits"]) == (None, None, 0.1)
    with pytest.raises(InputError, match=r"annealing_updates: there 20, now 24"):
        run_main("--corpus", corpus, *SIZES, *cures[:2], *cures[4:], "--out", out, "--quiet")
    model = json.loads((out / "result.json").read_text())["model"]
    shutil.rmtree(out / "checkpoints" / "24")
    (out / "result.json").unlink()
    run_main("--corpus", corpus, *SIZES, *cures, "--out", out, "--quiet")
    assert json.loads((out / "result.json").read_text())["model"] == model
    assert table_of(out).to_pandas().equals(table)
    (trained,) = load_models(out)
    assert trained.digest == model and trained.config == complete_config(config, out)


def test_a_rise_that_does_not_end_is_warned_of(capsys):
    def said(**chosen: Any) -> str:
        config = {"C": 15.0, "ramp": 106, "posterior": "diagonal", "objective": "vae", "beta": 1.0}
        sizes = {"ids": 9, "embedding_dim": 8, "hidden_dim": 8, "latent_dim": 4}
        announce_kl(config | sizes | chosen, 320, quiet=False)
        return capsys.readouterr().err

    assert said() == "target KL: rises to 15 nats over 106 of 320 updates\n"
    shown = said(ramp=5000, C=[5.0, 15.0])
    assert "warning: --ramp 5000: the training is shorter, and ends at 0.32, 0.96 of 5, 15" in shown
    elbo = {"C": None, "ramp": None, "annealing": "linear", "annealing_updates": 638}
    shown = said(**elbo)
    assert (
        "warning: --annealing-updates 638: the training is shorter, and ends at 0.5 of 1" in shown
    )
    assert said(C=None, ramp=None, free_bits=0.0) == said(posterior="none") == ""


def test_a_run_that_diverges_says_when(corpus, tmp_path, capsys):
    options = ("--lr", "1e30", "--epochs", 1, "--checkpoint-every", 5)
    run_main("--corpus", corpus, *SMALL, "--seeds", 1, *options, "--out", tmp_path / "run")
    shown = capsys.readouterr().out
    assert "–" in shown and "seed 0 diverged at update 2 (epoch 1)" in shown
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["updates"] == 12 and result["dev_loss"] == {"mean": None, "sd": None}
    assert result["remarks"]["train_rec"] == "seed 0 diverged at update 2 (epoch 1)"
    table = table_of(tmp_path / "run").to_pandas()
    assert table[["train_loss", "dev_rec", "dev_active_units"]].isna().to_numpy().all()


def test_the_loss_of_iwae_is_its_bound_on_all_splits(corpus):
    options = with_defaults(Options(corpus=str(corpus), quiet=True, batch_size=8, vocabulary=40))
    text = load_text(determining(options), str(corpus), data_dir=None, quiet=True)
    config: dict[str, Any] = {"posterior": "diagonal", "objective": "iwae", "C": 50.0, "seeds": 1}
    config |= {"ids": 34, "embedding_dim": 8, "hidden_dim": 12, "latent_dim": 4, "samples": 3}
    config |= {"seed": 0, "ramp": 5, "beta": 1.0, "lr": 0.1}
    models, state = start(config, ONE_DEVICE)
    states = state["seeds"]
    (found,) = measure(models, states, text.dev, config)
    params = jax.tree.map(lambda x: x[0], states.params)
    losses, count = 0.0, 0
    key = jax.random.key(3)
    bound = jax.jit(make_vae(VAEConfig.of(config)).losses)
    for batch in text.dev.in_order():
        mean = bound(params, batch, key, 50.0).loss
        losses, count = losses + float(mean) * batch.rows.sum(), count + batch.rows.sum()
    assert found["loss"] == pytest.approx(losses / count, abs=1)
    assert found["loss"] == pytest.approx(found["rec"] + found["kl"], abs=1)  # not |KL - 50|
    assert set(found) == set(MEASURED)


def test_default_corpus_is_announced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = ("--vocabulary", 40, "--embedding-dim", 8, "--hidden-dim", 12, "--max-length", 8)
    run_main("--dry-run", *sizes)
    shown = capsys.readouterr()
    assert "corpus: lee" in shown.err and "times the computing of this one" in shown.err
    assert "python -m jaxiso.vae --corpus dbpedia --posterior isotropic --C 15" in shown.err
    assert "a seed, 1 seed\n" in shown.out and list(tmp_path.iterdir()) == []


def test_a_corpus_that_is_not_known(corpus):
    with pytest.raises(InputError, match="dbpedia"):
        run_main("--corpus", "dbpedai")


def test_a_small_corpus_has_a_small_model(corpus, capsys):
    options = Options(corpus=str(corpus), hidden_dim=12)
    text, config = load_training(options)
    announce(text, config, quiet=False)
    assert "fewer than 20,000 sentences" in capsys.readouterr().err
    assert config["tokens"] == text.train.tokens and config["seeds"] == 1 and config["C"] == 5
    assert (config["hidden_dim"], config["vocabulary"], config["max_length"]) == (12, 3000, None)
    assert complete_config(config, "run") == config
    name = default_name(options, text.corpus.name, config["sentences"])
    assert name == "toy-isotropic-C5-1seeds-40epochs-hiddendim12"


def test_an_unk_that_is_never_trained_is_said(tmp_path, capsys):
    corpus = tmp_path / "own"
    corpus.mkdir()
    for split, word in (("train", "a"), ("validation", "c"), ("test", "c")):
        lines = [json.dumps({"text": f"{word} b d e {word}"})] * 40
        (corpus / f"{split}.jsonl").write_text("\n".join(lines))
    load_training(Options(corpus=str(corpus)))
    assert "a --vocabulary below 5 leaves some" in capsys.readouterr().err
    load_training(Options(corpus=str(corpus), vocabulary=4))
    assert "--vocabulary" not in capsys.readouterr().err


def test_operations_grow_with_the_vocabulary():
    small, large = (VAEConfig(ids, "diagonal", 8, 12, 4) for ids in (100, 1100))
    assert large.operations() - small.operations() == 3 * 12 * 1000
