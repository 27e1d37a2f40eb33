"""One small corpus and two small trainings, which the tests of the commands share."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest
from made_texts import write_corpus

from jaxiso.vae.__main__ import main
from jaxiso.vae.configs import run_config, with_defaults
from jaxiso.vae.options import Options

SIZES = ("--vocabulary", 40, "--embedding-dim", 8, "--hidden-dim", 12, "--latent-dim", 4)
SIZES += ("--batch-size", 8, "--lr", 0.01, "--epochs", 2)
SMALL = (*SIZES, "--ramp", 10, "--C", 2, "--quiet")


def run_main(*arguments: object) -> None:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        main([str(argument) for argument in arguments])


def evaluation(seed: int, rec: list[float | None], run: str = "run", **changes) -> dict:
    """What evaluation.json holds of a small training on dbpedia."""
    options = Options(corpus="dbpedia", posterior="diagonal", C=(5.0,), seed=seed, seeds=len(rec))
    config = run_config(with_defaults(options))
    config |= {"sentences": 13_843, "sentence_rule": "cut", "vocabulary": 6000, **changes}
    measures = {"rec": {"values": rec}, "kl": {"values": [5.0] * len(rec)}}
    remarks = {"rec": "diverged"} if None in rec else {}
    found = {"run": run, "config": config, "updates": 9, "texts": {}}
    return found | {"measures": measures, "remarks": remarks}


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes int and float inside, and Flax's Dense adds a bias of one dimension to rows."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("text") / "toy.jsonl")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, corpus) -> Path:
    """A finished training of two seeds: 24 updates in 2 epochs. Tests must not change it."""
    out = tmp_path_factory.mktemp("runs") / "isotropic"
    run_main("--corpus", corpus, *SMALL, "--seeds", 2, "--out", out)
    return out


@pytest.fixture(scope="session")
def autoencoder(tmp_path_factory, corpus) -> Path:
    out = tmp_path_factory.mktemp("runs") / "none"
    run_main("--corpus", corpus, *SMALL, "--posterior", "none", "--seeds", 1, "--out", out)
    return out
