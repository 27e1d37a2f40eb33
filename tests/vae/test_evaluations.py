"""Evaluations of runs that differ by their seeds only, pooled."""

from __future__ import annotations

from jaxiso.vae.evaluations import pool

from .conftest import evaluation


def test_a_seed_counts_once():
    three, one, other = (
        evaluation(0, [1.0, 2.0, 3.0], "three"),
        evaluation(0, [1.0], "one"),
        evaluation(7, [4.0], "other"),
    )
    (model,) = pool([one, other, three, evaluation(7, [4.0], "copy")])
    assert model.values["rec"] == [4.0, 1.0, 2.0, 3.0] and model.doubles == ["one", "copy"]


def test_what_is_trained_against_collapse_has_a_name_of_its_own():
    free = {"C": None, "ramp": None, "free_bits": 0.5, "dropout": 0.2}
    without, target = pool([evaluation(0, [1.0], dropout=0.2), evaluation(0, [2.0], **free)])
    assert target.name == "dbpedia, diagonal, C = 5, dropout 0.2" and target.reported
    assert without.name == "dbpedia, diagonal, 0.5 free bits, dropout 0.2"
    assert without.target_kl is None and not without.reported
    assert without.unlike_the_paper[-2:] == [
        "0.5 free bits (nats a dimension), no target C",
        "dropout 0.2",
    ]
