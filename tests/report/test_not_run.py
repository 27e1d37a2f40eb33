"""Commands for what has not been run, and what they would cost."""

from __future__ import annotations

import shlex

import pytest
from made_runs import EMBED, write_embed, write_vae

from jaxiso.cli.parsing import parse
from jaxiso.embed.options import Options as EmbedOptions
from jaxiso.papers import embed_targets, vae_targets
from jaxiso.report.not_run import (
    cost_text,
    embed_cost,
    embed_operations,
    list_not_run,
    vae_cost,
    vae_operations,
)
from jaxiso.report.rows import best, entries_of_a
from jaxiso.report.runs import Found, find_runs
from jaxiso.vae.configs import with_defaults
from jaxiso.vae.options import Options as VAEOptions


def test_defaults_of_the_commands_are_the_papers():
    named = set()
    for one in list_not_run({}, Found([], [], [])):
        train, _, evaluate = one["command"].partition(" && ")
        python, m, module, *arguments = shlex.split(train)
        assert (python, m, one["seeds"]) == ("python", "-m", 0)
        assert one["cost"]["operations"] > 1e11
        if module == "jaxiso.embed":
            options = parse(EmbedOptions, prog="", description="", arguments=arguments)
            words = options.task in ("pos", "supersense")
            named.add((options.task, "word2vec" if words else options.encoder))
            assert options.seeds == 5 == one["of"]
        else:
            assert module == "jaxiso.vae"
            options = with_defaults(parse(VAEOptions, prog="", description="", arguments=arguments))
            assert options.C and len(options.C) == 1
            target = None if options.posterior == "none" else options.C[0]
            named.add((options.corpus, options.posterior, target))
            assert options.seeds == 3 == one["of"]
            assert evaluate == f"python -m jaxiso.vae evaluate {options.out}"
    assert named == embed_targets().keys() | vae_targets().keys()


def test_operations_by_hand():
    # 251 measurements of 635 pairs and 925 vectors, and 250 updates, of 5 seeds.
    by_hand = 251 * (635**2 * 768 / 2 + 925 * 384**2) + 250 * 3 * 635 * 768 * 2
    assert embed_operations(EMBED) == 5 * by_hand
    large = EMBED | {"items": 10**6, "vectors": 10**6, "updates": 10, "every": 4, "seeds": 1}
    measurement = 20_000**2 * 768 / 2 + 20_000 * 384**2
    assert embed_operations(large) == 4 * measurement + 10 * 3 * 10**6 * 768 * 2
    config = {"tokens": 10, "epochs": 2, "seeds": 3, "ids": 7, "posterior": "diagonal"}
    config |= {"embedding_dim": 2, "hidden_dim": 3, "latent_dim": 4}
    lstms = 4 * 3 * (2 + 3) * 2 + 4 * 3 * 4
    assert vae_operations(config) == 10 * 2 * 3 * 3 * (lstms + 3 * 7)


def test_times_are_scaled_from_the_nearest_run(tmp_path):
    write_embed(tmp_path / "wnli", seeds=1)
    write_embed(tmp_path / "wnli-hidden", seeds=1, hidden=2)  # faster, if it counted
    write_embed(tmp_path / "rte", task="rte", items=2490, vectors=4523, seeds=2)
    found = find_runs([tmp_path])
    assert embed_cost(("wnli", "minilm"), found.embed)["seconds"] == pytest.approx(50)
    assert embed_cost(("rte", "minilm"), found.embed)["seconds"] == pytest.approx(50)
    mrpc = embed_cost(("mrpc", "minilm"), found.embed)
    assert mrpc["run"].endswith("rte") and mrpc["device"] == "cpu"  # nearer in size
    scale = mrpc["operations"] / embed_operations(found.embed[0].config)
    assert mrpc["seconds"] == pytest.approx(20 * scale)
    missing = list_not_run(best(entries_of_a(found.embed)), found)
    (wnli,) = [one for one in missing if one["label"] == "wnli, minilm"]
    assert (wnli["seeds"], wnli["of"], wnli["paper"]) == (1, 5, "A")
    assert cost_text(wnli["cost"]).startswith("about 50.0 s on cpu, estimated from ")


def test_times_of_a_training(tmp_path):
    write_vae(tmp_path / "vae", None)
    write_vae(tmp_path / "iwae", None, objective="iwae", samples=5, tokens=3)
    (trained,) = find_runs([tmp_path / "vae"]).vae
    cost = vae_cost(("yahoo", "diagonal", 5.0), find_runs([tmp_path]).vae)
    scale = cost["operations"] / vae_operations(trained.config)
    assert cost["seconds"] == pytest.approx(1000 * scale)
    assert cost["operations"] == vae_operations(
        trained.config | {"tokens": 100_000 * 12.9, "seeds": 3}
    )
