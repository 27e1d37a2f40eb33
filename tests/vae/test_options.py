"""Options of `python -m jaxiso.vae`: bounds, names of runs, configs of earlier runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxiso.cli.configs import determining
from jaxiso.cli.console import InputError
from jaxiso.papers import unlike, vae_settings
from jaxiso.vae.configs import (
    complete_config,
    default_name,
    fitted,
    kl_words,
    mark_of,
    run_config,
    targets_of,
    with_defaults,
)
from jaxiso.vae.options import EvaluateOptions, Options

CYCLICAL = {"annealing": "cyclical"}
REFERENCE = sorted((Path(__file__).parents[2] / "runs" / "reference").glob("vae-*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": (0.0,)}, r"--C 0\.0: must be a finite number above 0"),
        ({"C": (5.0, float("nan"))}, r"--C nan: must be a finite number above 0"),
        ({"beta": -1.0}, r"--beta -1\.0: must be a finite number at least 0"),
        ({"epochs": 0}, r"--epochs 0: must be at least 1"),
        ({"batch_size": 0}, r"--batch-size 0: must be at least 1"),
        ({"hidden_dim": -3}, r"--hidden-dim -3: must be at least 1"),
        ({"seed": 2**32}, r"--seed 4294967296: must be at least 0 and below 4294967296"),
        ({"vocabulary": 1}, r"--vocabulary 1: must be at least 2"),
        ({"max_length": 0}, r"--max-length 0: must be at least 1"),
        ({"checkpoint_every": -1}, r"--checkpoint-every -1: must be at least 0"),
        ({"C": ()}, r"--C: give at least one target, such as --C 5 15 50"),
        ({"C": (5.0, 15.0, 5.0)}, r"--C 5: given more than once"),
        ({"C": (5.0, 15.0), "posterior": "none"}, r"--C 5 15: --posterior none has no target KL"),
        ({"C": (5.0, 15.0), "objective": "iwae"}, r"--C 5 15: --objective iwae has no target KL"),
        ({"samples": 5}, r"--samples 5: only for --objective iwae"),
        ({"objective": "iwae", "posterior": "none"}, r"--posterior none has none"),
        (
            {"word_dropout": 1.0},
            r"--word-dropout 1\.0: must be a finite number at least 0 and below",
        ),
        ({"dropout": -0.1}, r"--dropout -0\.1: must be a finite number at least 0 and below 1"),
        ({"free_bits": -1.0}, r"--free-bits -1\.0: must be a finite number at least 0"),
        ({"annealing_updates": 9}, r"--annealing-updates 9: only with --annealing linear or"),
        (
            CYCLICAL | {"annealing_updates": 7},
            r"--annealing-updates 7: .* at least 8, two for each",
        ),
        (CYCLICAL | {"C": (5.0,)}, r"--C 5: --annealing takes the place of a target KL"),
        ({"free_bits": 0.0, "C": (5.0, 15.0)}, r"--C 5 15: --free-bits takes the place"),
        (CYCLICAL | {"ramp": 9}, r"--ramp 9: --annealing takes the place of a target KL"),
        (CYCLICAL | {"posterior": "none"}, r"--annealing: --posterior none has no KL in its loss"),
        ({"free_bits": 1.0, "objective": "iwae"}, r"--free-bits: --objective iwae has no KL"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        Options(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": ()}, "no run given"),
        ({"initialisations": 0}, "--initialisations 0: must be at least 1"),
        ({"importance_samples": 0}, "--importance-samples 0: must be at least 1"),
        ({"likelihood_sentences": -1}, "--likelihood-sentences -1: must be at least 0"),
        ({"seed": 2**70}, "--seed 1180591620717411303424: must be at least 0 and below"),
    ],
)
def test_bad_options_of_an_evaluation(options, message):
    with pytest.raises(InputError, match=message):
        EvaluateOptions(**{"runs": (Path("run"),), **options})


def test_a_paper_corpus_has_the_papers_settings():
    config = determining(with_defaults(Options(corpus="dbpedia"))) | {"sentences": 140_000}
    assert unlike(config, vae_settings("dbpedia")) == {}
    assert with_defaults(Options(corpus="dbpedia"), 100) == with_defaults(Options(corpus="dbpedia"))
    assert with_defaults(Options(corpus="own.txt"), 19_999).epochs == 40
    assert with_defaults(Options(corpus="own.txt"), 20_000).epochs == 20
    small = determining(with_defaults(Options()))
    assert small["hidden_dim"] == 128 and small["C"] == [5] and "out" not in small


def test_names_of_runs_say_what_is_unusual():
    usual = with_defaults(Options(corpus="dbpedia", posterior="diagonal"))
    assert default_name(usual, "dbpedia") == "dbpedia-diagonal-C15-3seeds-20epochs"
    several = with_defaults(Options(corpus="dbpedia", C=(5.0, 15.0, 0.5)))
    assert default_name(several, "dbpedia") == "dbpedia-isotropic-C5-15-0.5-3seeds-20epochs"
    options = Options(objective="iwae", samples=5, lr=1e-3, seed=2, checkpoint_every=3)
    name = default_name(with_defaults(options), "my/file")
    assert name == "my-file-isotropic-iwae-1seeds-40epochs-samples5-seed2-lr0.001"


def test_precision_is_recorded_where_it_is_chosen():
    """So a run of an earlier version is the same as one that leaves it alone."""
    assert "precision" not in run_config(Options())
    chosen = with_defaults(Options(corpus="dbpedia", precision="BF16_BF16_F32_X6"))
    assert run_config(chosen)["precision"] == "BF16_BF16_F32_X6"
    assert default_name(chosen, "dbpedia").endswith("-20epochs-precisionBF16_BF16_F32_X6")


def test_a_training_without_a_target():
    options = Options(annealing="cyclical", free_bits=0.5, word_dropout=0.3, corpus="dbpedia")
    chosen = fitted(options, 900)
    config = run_config(with_defaults(chosen))
    assert config["C"] is config["ramp"] is None and config["annealing_updates"] == 900
    name = "dbpedia-isotropic-3seeds-20epochs-annealingcyclical-freebits0.5-worddropout0.3"
    assert default_name(with_defaults(options), "dbpedia") == name
    assert kl_words(config) == ["cyclical annealing", "0.5 free bits", "word dropout 0.3"]
    assert set(unlike(config, vae_settings("dbpedia"))) == {
        "annealing",
        "free_bits",
        "word_dropout",
    }
    whole = config | {"experiment": "vae", "sentences": 9, "tokens": 99, "ids": 12_003}
    whole |= {"vocabulary_digest": "ab"}
    assert complete_config(whole, "run") == whole
    assert targets_of(whole) == [None] and mark_of(whole, None) == ""
    for changed in ({"annealing_updates": None}, {"C": 15.0}, {"annealing": "slow"}):
        with pytest.raises(InputError, match=r"run/config\.json: .* is it damaged\?"):
            complete_config(whole | changed, "run")
    assert kl_words({"free_bits": 0.0}) == ["plain ELBO"] and kl_words({}) == []


def test_a_rise_fits_the_length_of_the_training():
    for corpus, updates, ramp in (
        *(("dbpedia", 21_880, 5000), ("yahoo", 15_640, 5000), ("own.txt", 320, 106)),
        *(("lee", 3000, 500), ("lee", 2, 1)),
    ):
        assert fitted(Options(corpus=corpus), updates).ramp == ramp
        linear = fitted(Options(corpus=corpus, annealing="linear"), updates)
        assert (linear.ramp, linear.annealing_updates) == (None, ramp)
    assert fitted(Options(ramp=77), 9).ramp == 77
    assert fitted(Options(posterior="none"), 9).ramp is None  # as usual for the corpus
    with pytest.raises(InputError, match=r"--annealing-updates 7: .* at least 8"):
        fitted(Options(annealing="cyclical"), 7)


def test_configs_of_earlier_versions_get_later_defaults():
    config = run_config(with_defaults(Options(corpus="dbpedia"))) | {"experiment": "vae"}
    assert config["C"] == 15
    config |= {"sentences": 9, "tokens": 99, "ids": 12_003, "vocabulary_digest": "ab"}
    old = {name: value for name, value in config.items() if name not in ("batching", "beta")}
    assert complete_config(old, "run") == config
    several = complete_config(old | {"C": [5.0, 15.0]}, "run")
    assert several == config | {"C": [5.0, 15.0]}
    assert targets_of(config) == [15] and targets_of(several) == [5, 15]
    assert mark_of(config, 15.0) == "" and mark_of(several, 15.0) == "-C15"
    for changed, message in (
        ({"experiment": "embed"}, r"run: is a run of jaxiso\.embed, not of jaxiso\.vae"),
        ({"C": None}, r"run/config\.json: C None: is it damaged\?"),
        ({"C": [5.0, "x"]}, r"C \(5\.0, 'x'\): is it damaged"),
        ({"C": []}, r"--C: give at least one target.* is it damaged"),
        ({"seeds": "two"}, "seeds 'two': is it damaged"),
        ({"seeds": 0}, "--seeds 0: must be at least 1.* is it damaged"),
        ({"ramp": True}, "ramp True: is it damaged"),
        ({"posterior": "round"}, "posterior 'round': is it damaged"),
    ):
        with pytest.raises(InputError, match=message):
            complete_config(config | changed, "run")
    del config["C"], config["ids"]
    with pytest.raises(InputError, match=r"has no C, ids; is it damaged"):
        complete_config(config, "run")


@pytest.mark.parametrize("directory", REFERENCE, ids=lambda path: path.name)
def test_configs_of_the_reference_runs_are_whole(directory):
    config = json.loads((directory / "config.json").read_text())["config"]
    assert complete_config(config, directory) == config


def test_help_does_not_wait_for_jax():
    code = """
import sys
from jaxiso.vae.__main__ import main
for arguments in (["--help"], ["evaluate", "--help"]):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not {"jax", "datasets", "pandas"} & sys.modules.keys()
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Target KL, in nats" in shown.stdout and "Mapper of the means" in shown.stdout
