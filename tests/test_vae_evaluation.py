"""`python -m jaxiso.vae evaluate` as its users meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jaxiso import vae, vae_tables
from jaxiso.errors import InputError

SMALL = ("--vocabulary", 40, "--embedding-dim", 8, "--hidden-dim", 12, "--latent-dim", 4)
SMALL += ("--batch-size", 8, "--ramp", 10, "--C", 2, "--lr", 0.01, "--epochs", 2)
FAST = ("--importance-samples", 4, "--likelihood-sentences", 0, "--initialisations", 2)
MEASURES = {
    *(
        "rec",
        "kl",
        "active_units",
        "active_directions",
        "bleu2",
        "bleu4",
        "rouge2",
        "rouge4",
        "mutual_information",
    ),
    *("nll", "nll_se", "perplexity", "accuracy", "accuracy_10.0%", "accuracy_1.0%"),
    *(
        "accuracy_0.1%",
        "accuracy_deleted",
        "accuracy_linear",
        "imputation_bleu2",
        "imputation_rouge4",
    ),
    *("mean_sq_norm", "logdet_cov", "isotropy_score_means", "isotropy_score_samples"),
    *("isoscore_means", "effective_rank_means", "silhouette_means", "calinski_harabasz_means"),
    *("davies_bouldin_means", "mapper_components"),
}


def run_main(*arguments: object) -> None:
    import jax

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        vae.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Two hundred labelled sentences; each of two classes has its own words."""
    rng = np.random.default_rng(0)
    lines = {}
    while len(lines) < 200:
        label = int(rng.integers(0, 2))
        words = [f"w{i}" for i in rng.integers(15 * label, 15 * label + 15, rng.integers(3, 9))]
        lines[" ".join(words)] = "ab"[label]
    path = tmp_path_factory.mktemp("text") / "toy.jsonl"
    rows = (json.dumps({"text": text, "label": label}) for text, label in lines.items())
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus) -> Path:
    out = tmp_path_factory.mktemp("runs") / "isotropic"
    run_main("--corpus", corpus, *SMALL, "--seeds", 2, "--out", out, "--quiet")
    return out


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory, corpus) -> Path:
    out = tmp_path_factory.mktemp("runs") / "none"
    options = ("--posterior", "none", "--seeds", 1, "--out", out, "--quiet")
    run_main("--corpus", corpus, *SMALL, *options)
    return out


@pytest.fixture(scope="module")
def evaluated(trained, corpus) -> dict:
    run_main("evaluate", trained, "--corpus", corpus, *FAST, "--quiet")
    return json.loads((trained / "evaluation.json").read_text())


def test_all_parts(evaluated, trained):
    assert set(evaluated["measures"]) >= MEASURES
    for name, measure in evaluated["measures"].items():
        assert len(measure["values"]) == 2 and np.isfinite(measure["values"]).all(), name
        assert measure["mean"] == pytest.approx(np.mean(measure["values"]))
        assert measure["sd"] == pytest.approx(np.std(measure["values"], ddof=1))
    assert evaluated["updates"] == 40 and evaluated["test_sentences"] == 20
    measures = {name: measure["mean"] for name, measure in evaluated["measures"].items()}
    assert measures["accuracy"] > 60  # the classes share no word
    assert 0 <= measures["active_units"] <= 4
    assert 0 < measures["nll"] < measures["rec"] + measures["kl"] + 1
    for figure in ("tsne.png", "tsne.pdf", "mapper.png", "mapper.pdf"):
        assert (trained / "figures" / figure).stat().st_size > 1000
    with np.load(trained / "latents.npz", allow_pickle=False) as latents:
        assert latents["means"].shape == (20, 4) and latents["tsne"].shape == (20, 2)
        assert set(latents["labels"]) == {0, 1}
    texts = evaluated["texts"]
    assert len(texts["imputation"]) > 0 and len(texts["interpolation"][0]["decoded"]) == 5
    assert len(texts["prior"]) == 6


def test_one_part_alone_gives_the_same_numbers_and_keeps_the_others(
    evaluated, trained, corpus, capsys
):
    path = trained / "evaluation.json"
    run_main("evaluate", trained, "--corpus", corpus, *FAST, "--parts", "posterior", "geometry")
    again = json.loads(path.read_text())
    assert again["measures"] == evaluated["measures"]
    shown = capsys.readouterr().out
    for text in ("Tables 2 and 3", "Mu & Viswanath", "toy, isotropic, C = 2 (2 seeds)"):
        assert text in shown


def test_the_codes_protocol_has_measures_of_its_own(evaluated, trained, corpus):
    options = ("--protocol", "code", "--initialisations", 2, "--parts", "classification")
    run_main("evaluate", trained, "--corpus", corpus, *options, "--quiet")
    found = json.loads((trained / "evaluation.json").read_text())
    assert found["measures"]["accuracy"] == evaluated["measures"]["accuracy"]
    assert {"accuracy_code", "accuracy_deleted_code", "accuracy_linear_code"} < set(
        found["measures"]
    )
    assert found["settings"]["classification"]["protocol"] == "code"


def test_an_autoencoder_leaves_out_what_it_has_not(autoencoder, corpus, capsys):
    parts = ("--parts", "reconstruction", "likelihood", "posterior", "generation")
    run_main("evaluate", autoencoder, "--corpus", corpus, *parts)
    assert "likelihood is left out: an autoencoder" in capsys.readouterr().err
    found = json.loads((autoencoder / "evaluation.json").read_text())
    assert found["measures"]["kl"]["values"] == [0.0]
    assert "nll" not in found["measures"] and "logdet_cov" not in found["measures"]
    assert "prior" not in found["texts"] and found["texts"]["interpolation"]


def test_another_corpus_is_refused(trained, corpus, tmp_path):
    lines = corpus.read_text().splitlines()
    other = tmp_path / "toy.jsonl"
    other.write_text("\n".join(reversed(lines)) + "\n")
    with pytest.raises(InputError, match=r"not trained on the sentences of .*toy\.jsonl"):
        run_main("evaluate", trained, "--corpus", other, "--parts", "geometry")


def test_what_is_no_run_is_refused(trained, corpus, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: there is no such directory"):
        run_main("evaluate", tmp_path / "nowhere")
    embed = tmp_path / "embed"
    embed.mkdir()
    (embed / "config.json").write_text('{"config": {"experiment": "embed"}, "origin": {}}')
    with pytest.raises(InputError, match=r"is a run of jaxiso\.embed, not of jaxiso\.vae"):
        run_main("evaluate", embed)
    (embed / "config.json").write_text('{"config": {"experiment": "vae"}, "origin": {}}')
    with pytest.raises(InputError, match="has no C, corpus"):
        run_main("evaluate", embed)
    bare = tmp_path / "bare"
    shutil.copytree(trained, bare, ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(InputError, match="so there is no trained model"):
        run_main("evaluate", bare, "--corpus", corpus)
    (bare / "vocabulary.json").write_text('{"words": ["<pad>", "<bos>", "<eos>", "unk", "w1"]}')
    with pytest.raises(InputError, match="not trained on the sentences"):
        run_main("evaluate", bare, "--corpus", corpus)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--initialisations", 0), "--initialisations 0: must be at least 1"),
        (("--importance-samples", 0), "--importance-samples 0: must be at least 1"),
        (("--likelihood-sentences", -1), "--likelihood-sentences -1: must be at least 0"),
    ],
)
def test_bad_options(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        run_main("evaluate", tmp_path, *options)


def evaluation(seed: int, rec: list[float], **changes) -> dict:
    config = {
        **vae.DEFAULTS,
        "corpus": "dbpedia",
        "posterior": "diagonal",
        "objective": "vae",
        "C": 5.0,
        "seed": seed,
        "seeds": len(rec),
        "sentences": 13_843,
        "sentence_rule": "cut",
        "latent_dim": 32,
        "lr": 5e-4,
        "beta": 1.0,
        "vocabulary": 6000,
        **changes,
    }
    measures = {"rec": {"values": rec, "mean": float(np.mean(rec)), "sd": None}}
    return {"config": config, "updates": 9, "measures": measures, "texts": {}}


def test_runs_that_differ_by_their_seed_are_pooled_beside_the_paper():
    runs = [evaluation(0, [99.0]), evaluation(1, [101.0]), evaluation(0, [90.0], C=15.0)]
    five, fifteen = vae_tables.pool(runs)
    assert five.values == {"rec": [99.0, 101.0]} and fifteen.target_kl == 15
    rows = vae_tables.rows_of(vae_tables.TABLES[0], [five])
    assert rows[0][:3] == ["dbpedia, diagonal, C = 5 (2 seeds)", "100.00 ± 1.41", "-"]
    assert rows[1][:4] == ["  paper", "100.65 ± 0.08", "5.09 ± 0.01", "4.0 ± 0.0"]
    assert five.unlike_the_paper == [
        "13,843 sentences, not 140,000",
        "sentence rule cut",
        "vocabulary 6,000, not 12,000",
    ]
