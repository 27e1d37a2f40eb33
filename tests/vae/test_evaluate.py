"""`python -m jaxiso.vae evaluate` as its users meet it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import jax
import numpy as np
import pytest

from jaxiso.cli.console import InputError, Stopped
from jaxiso.data.splits import Split
from jaxiso.run_files import EVALUATION
from jaxiso.runs import Run
from jaxiso.vae import evaluate as vae_evaluation
from jaxiso.vae import parts
from jaxiso.vae.options import EvaluateOptions, Part
from jaxiso.vae.parts import PARTS

from .conftest import run_main

FAST = ("--importance-samples", 4, "--likelihood-sentences", 0, "--initialisations", 2)
FAST += ("--draws", 2)
MEASURES = {
    *("rec", "kl", "active_units", "active_directions", "mutual_information"),
    *("bleu2", "bleu4", "rouge2", "rouge4", "nll", "nll_se", "perplexity"),
    *("accuracy", "accuracy_10.0%", "accuracy_1.0%", "accuracy_0.1%"),
    *("accuracy_10.0%_sd", "accuracy_1.0%_sd", "accuracy_0.1%_sd"),
    *("accuracy_deleted", "accuracy_linear", "imputation_bleu2", "imputation_bleu4"),
    *("imputation_rouge2", "imputation_rouge4", "mean_sq_norm", "logdet_cov"),
    *("isotropy_score_means", "isotropy_score_samples"),
    *("isotropy_score_means_random_signs", "isotropy_score_samples_random_signs"),
    *("isoscore_means", "effective_rank_means", "silhouette_means", "calinski_harabasz_means"),
    *("davies_bouldin_means", "mapper_components"),
}


def read(run: Path) -> dict:
    return json.loads((run / EVALUATION).read_text())


@pytest.fixture(scope="module", autouse=True)
def short_probes():
    """Classifiers that learn for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        short = partial(parts.ProbeConfig, least_updates=50, hidden=(8,), learning_rate=0.05)
        patch.setattr(parts, "ProbeConfig", short)
        yield


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory) -> Path:
    """A copy of the shared training, with all its parts measured."""
    run = tmp_path_factory.mktemp("evaluated") / "isotropic"
    shutil.copytree(trained, run)
    run_main("evaluate", run, *FAST, "--quiet")
    return run


@pytest.fixture
def copied(evaluated, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(evaluated, tmp_path / "copied"))


def test_every_part_has_a_function():
    assert tuple(PARTS) == get_args(Part)


def test_all_parts(evaluated, trained):
    found = read(evaluated)
    assert set(found["measures"]) == MEASURES and found["remarks"] == {}
    for name, measure in found["measures"].items():
        assert len(measure["values"]) == 2 and np.isfinite(measure["values"]).all(), name
        assert measure["mean"] == pytest.approx(np.mean(measure["values"]))
        assert measure["sd"] == pytest.approx(np.std(measure["values"], ddof=1))
    assert found["updates"] == 24 and found["test_sentences"] == 12
    assert found["model"] == json.loads((trained / "result.json").read_text())["model"]
    measures = {name: measure["mean"] for name, measure in found["measures"].items()}
    assert measures["accuracy"] > 60  # the classes share no word
    assert found["settings"]["classification"]["draws"] == 2
    assert 0 <= measures["active_units"] <= 4
    assert 0 < measures["nll"] < measures["rec"] + measures["kl"] + 1
    for figure in ("tsne.png", "tsne.pdf", "mapper.png", "mapper.pdf"):
        assert (evaluated / "figures" / figure).stat().st_size > 1000
    with np.load(evaluated / "latents.npz", allow_pickle=False) as latents:
        assert latents["means"].shape == (12, 4) and latents["tsne"].shape == (12, 2)
        assert set(latents["labels"]) == {0, 1} and str(latents["model"]) == found["model"]
    texts = found["texts"]
    assert len(texts["imputation"]) > 0 and len(texts["interpolation"][0]["decoded"]) == 5
    assert len(texts["prior"]) == 6


def test_what_was_measured_is_kept_until_it_is_asked_for(copied, capsys):
    before = (copied / EVALUATION).read_bytes()
    run_main("evaluate", copied, *FAST)
    shown = capsys.readouterr()
    assert "measured before; --parts measures anew" in shown.err
    for text in ("Tables 2 and 3", "Viswanath", "toy, isotropic, C = 2 (2 seeds)"):
        assert text in shown.out
    assert (copied / EVALUATION).read_bytes() == before
    run_main("evaluate", copied, *FAST, "--parts", "posterior", "geometry", "--quiet")
    assert read(copied) == json.loads(before) | {"run": "copied"}  # alone, the same numbers


def test_the_codes_protocol_has_measures_of_its_own(copied):
    before = read(copied)
    run_main("evaluate", copied, *FAST, "--protocol", "code", "--quiet")
    found = read(copied)
    assert {"accuracy_code", "accuracy_deleted_code"} < found["measures"].keys() - MEASURES
    assert found["measures"].items() >= before["measures"].items()
    assert found["settings"]["classification"] == before["settings"]["classification"]
    assert found["settings"]["classification_code"]["protocol"] == "code"


def test_seeds_count_once(evaluated, copied, capsys):
    run_main("evaluate", evaluated, evaluated, copied, *FAST)
    shown = capsys.readouterr()
    assert "(2 seeds)" in shown.out and "(4 seeds)" not in shown.out
    assert f"{evaluated}: is the same run as {evaluated}; it counts once" in shown.err
    assert f"{copied}: has seeds of another run" in shown.err


def test_measures_of_another_model_are_dropped(copied, capsys):
    found = read(copied)
    with Run.existing(copied) as run:
        run.write_json(EVALUATION, found | {"model": "another"})
    run_main("evaluate", copied, *FAST, "--parts", "geometry")
    assert "is of another model" in capsys.readouterr().err
    again = read(copied)
    assert again["model"] == found["model"] and "logdet_cov" not in again["measures"]
    assert again["settings"].keys() == {"geometry"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"measures"', "not JSON"),
        ('{"config": {}, "settings": {}, "texts": {}, "measures": [1]}', "measures is missing, or"),
        ('{"config": {}, "settings": {}, "texts": {}, "measures": {"rec": 1}}', "measure 'rec'"),
    ],
    ids=["deep", "cut", "a list", "no values"],
)
def test_a_damaged_evaluation_is_put_aside(copied, capsys, content, message):
    (copied / "manifest.json").unlink()  # else it would do to be not as it was written
    (copied / EVALUATION).write_text(content)
    run_main("evaluate", copied, *FAST, "--parts", "geometry")
    shown = capsys.readouterr().err
    assert message in shown and "damaged-evaluation.json" in shown
    assert (copied / "damaged-evaluation.json").read_text() == content
    assert read(copied)["measures"].keys() >= {"silhouette_means"}


def test_an_evaluation_that_was_changed_is_put_aside(copied, capsys):
    (copied / EVALUATION).write_text((copied / EVALUATION).read_text().replace("e", "e "))
    run_main("evaluate", copied, *FAST, "--parts", "geometry")
    assert "not as it was written" in capsys.readouterr().err
    assert read(copied)["settings"].keys() == {"geometry"}


def test_what_was_measured_before_a_signal_is_kept(copied, monkeypatch):
    (copied / EVALUATION).unlink()
    geometry = PARTS["geometry"]

    def interrupted(seed, rng):
        if seed.number == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return geometry(seed, rng)

    monkeypatch.setitem(PARTS, "geometry", interrupted)
    with pytest.raises(Stopped, match="stopped after geometry; what was measured is kept") as stop:
        run_main("evaluate", copied, "--parts", "geometry", "posterior", "--quiet")
    assert stop.value.code == 130
    assert read(copied)["settings"].keys() == {"geometry"}


GEOMETRY = {"silhouette_means", "calinski_harabasz_means", "davies_bouldin_means"}
ACCURACIES = {name for name in MEASURES if name.startswith("accuracy")}
NOT_MEASURED = {
    "few": (
        ("likelihood", "posterior", "figures"),
        {"logdet_cov": "2 sentences do not span 4", "mapper_components": "at least 4 points"}
        | {"nll_se": "one sentence has no standard error"},
    ),
    "one class": (("geometry",), dict.fromkeys(GEOMETRY, "Number of labels is 1")),
    "distinct": (("geometry",), dict.fromkeys(GEOMETRY, "Number of labels is 12")),
    "no labels": (
        ("classification", "geometry"),
        dict.fromkeys(GEOMETRY | ACCURACIES, "the corpus has no labels"),
    ),
}


@pytest.mark.parametrize("kind", NOT_MEASURED)
def test_what_cannot_be_measured_is_nothing_with_its_reason(copied, monkeypatch, kind):
    load = vae_evaluation.load_trained_text
    count, labels = {
        "few": (2, np.zeros(2, np.int32)),
        "one class": (12, np.zeros(12, np.int32)),
        "distinct": (12, np.arange(12, dtype=np.int32)),
        "no labels": (12, None),
    }[kind]

    def changed(*arguments):
        text = load(*arguments)
        test = Split(text.corpus.test.sentences[:count], labels)
        return text._replace(corpus=replace(text.corpus, test=test))

    monkeypatch.setattr(vae_evaluation, "load_trained_text", changed)
    chosen, expected = NOT_MEASURED[kind]
    some = ("--importance-samples", 4, "--likelihood-sentences", 1)
    run_main("evaluate", copied, *some, "--parts", *chosen, "--quiet")
    found = read(copied)
    assert found["measures"].keys() == MEASURES and found["remarks"].keys() == expected.keys()
    assert all(why in found["remarks"][name] for name, why in expected.items())
    for name, measure in found["measures"].items():
        assert (measure["mean"] is None) == (None in measure["values"]) == (name in expected)


def test_a_model_that_diverged_has_no_measures(copied, monkeypatch):
    load = vae_evaluation.load_models

    def diverged(directory):
        (trained,) = load(directory)
        params = [trained.params[0], jax.tree.map(lambda x: x * np.nan, trained.params[1])]
        return [trained._replace(params=params)]

    monkeypatch.setattr(vae_evaluation, "load_models", diverged)
    chosen = ("reconstruction", "likelihood", "classification", "posterior", "geometry", "figures")
    run_main("evaluate", copied, *FAST, "--parts", *chosen, "--quiet")
    found = read(copied)
    assert set(found["remarks"].values()) == {"seed 1 diverged in training"}
    assert found["remarks"].keys() == {n for n in MEASURES if not n.startswith("imputation")}
    assert found["measures"]["bleu2"]["values"][1] is None


def test_an_autoencoder_has_no_likelihood(autoencoder, tmp_path, capsys):
    run = shutil.copytree(autoencoder, tmp_path / "none")
    run_main(
        *("evaluate", run, "--parts", "reconstruction", "likelihood", "posterior", "generation")
    )
    shown = capsys.readouterr().out
    assert "no nll, nll_se, perplexity: an autoencoder has no likelihood of a sentence" in shown
    assert "Likelihood by importance weights" not in shown and "(1 seed)" in shown
    found = read(run)
    assert found["measures"]["kl"]["values"] == [0.0]
    assert found["measures"]["nll"]["values"] == [None] and "logdet_cov" not in found["measures"]
    assert "prior" not in found["texts"] and found["texts"]["interpolation"]


def test_a_text_that_has_gone_is_asked_for(copied, corpus, tmp_path):
    stored = json.loads((copied / "config.json").read_text())
    stored["source"]["corpus"] = str(copied / "gone.jsonl")
    (copied / "config.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"gone\.jsonl: no such file[^\n]*\nGive --corpus or"):
        run_main("evaluate", copied, "--parts", "geometry")
    moved = shutil.copy(corpus, tmp_path / "renamed.jsonl")
    run_main("evaluate", copied, "--corpus", moved, "--parts", "geometry", "--quiet")


def test_a_run_of_an_earlier_version_finds_a_file_named_like_a_corpus(copied, corpus, tmp_path):
    (model,) = vae_evaluation.load_models(copied)
    # It kept no digests, and the name without "own-".
    kept = {name: of for name, of in model.config.items() if not name.endswith("_sha256")}
    old = model._replace(config=kept | {"corpus": "yahoo"})
    file = shutil.copy(corpus, tmp_path / "yahoo.jsonl")
    options = EvaluateOptions((copied,), corpus=str(file))
    assert len(vae_evaluation.load_trained_text(old, options).train) > 0
    with pytest.raises(InputError, match="corpus: then 'yahoo', now 'other'"):
        other = shutil.copy(corpus, tmp_path / "other.jsonl")
        vae_evaluation.load_trained_text(old, replace(options, corpus=str(other)))


def test_what_is_no_run_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match=r"nowhere: there is no such directory"):
        run_main("evaluate", tmp_path / "nowhere")
    embed = tmp_path / "embed"
    embed.mkdir()
    (embed / "config.json").write_text('{"config": {"experiment": "embed"}, "origin": {}}')
    with pytest.raises(InputError, match=r"is a run of jaxiso\.embed, not of jaxiso\.vae"):
        run_main("evaluate", embed)
    bare = tmp_path / "bare"
    shutil.copytree(trained, bare, ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(InputError, match="so there is no trained model"):
        run_main("evaluate", bare)
    damaged = shutil.copytree(trained, tmp_path / "damaged")
    (damaged / "vocabulary.json").write_text('{"words": []}')
    with pytest.raises(InputError, match=r"vocabulary\.json: is not as it was written"):
        run_main("evaluate", damaged)
