"""Which runs a report is made from: damaged ones, stand-ins, costs, and sets of models."""

from __future__ import annotations

import pytest
from made_runs import EMBED, damage, set_in, write_embed, write_vae

from jaxiso.report_costs import embed_cost, embed_operations, vae_cost, vae_operations
from jaxiso.report_models import comparable, pool_runs
from jaxiso.report_papers import tables_of_a
from jaxiso.report_runs import best_embed_runs, find_runs
from jaxiso.report_tables import as_markdown


def test_a_weight_of_zero_is_the_papers_loss_and_stand_in_words_count(tmp_path):
    write_embed(tmp_path / "zero", isotropy=[0.0])
    words = {"task": "supersense", "encoder": "word2vec", "updates": 1000, "items": 2275}
    words |= {
        "vectors": 2275,
        "dim": 300,
        "inputs": 1,
        "classes": list("abcdefghijklmnopqrstuvwxyz"),
    }
    write_embed(tmp_path / "words", **words)
    best = best_embed_runs(find_runs([tmp_path]))
    assert [run.directory.name for run in best.values()] == ["words", "zero"]
    (_, section, _, _) = tables_of_a(best)
    row = next(row for row in section.rows if row.label == "supersense, word2vec")
    assert row.unlike[0].startswith("the words and their vectors") and len(row.unlike) == 1
    assert row.cells["spearman_rho"].holds is not None
    assert row.cells["largest_sd"].holds is False  # the noise is larger than 0.0054
    assert "| < -0.998 | " in "\n".join(as_markdown(section))


@pytest.mark.parametrize(
    "spoil",
    [
        damage("config.json"),
        damage("result.json"),
        damage("metrics.parquet"),
        lambda folder: (folder / "result.json").unlink(),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "metrics.parquet").unlink(),
        set_in("result.json", lambda result: result.pop("pearson_r")),
        set_in("result.json", lambda result: result.update(pearson_r="high")),
        set_in("result.json", lambda result: result.update(seconds=float("nan"))),
        set_in("result.json", lambda result: result["final"].clear()),
        set_in("config.json", lambda file: file["config"].pop("items")),
        set_in("config.json", lambda file: file["config"].update(dim=0)),
        set_in("config.json", lambda file: file["config"].update(experiment="other")),
        set_in("config.json", lambda file: file["config"].update(task=["wnli"])),
    ],
)
def test_a_damaged_run_is_named_and_the_others_are_shown(tmp_path, capsys, spoil):
    write_embed(tmp_path / "runs" / "bad", seeds=6)
    write_embed(tmp_path / "runs" / "good")
    spoil(tmp_path / "runs" / "bad")
    found = find_runs([tmp_path / "runs"])
    assert [run.directory.name for run in found.embed] == ["good"]
    ((path, why),) = found.not_read
    assert path.name == "bad" and str(path) in why and "Traceback" not in why


def test_costs_are_counted_and_scaled(tmp_path):
    # 251 measurements of 635 pairs and 925 vectors, and 250 updates, of 5 seeds.
    by_hand = 251 * (635**2 * 768 / 2 + 925 * 384**2) + 250 * 3 * 635 * 768 * 2
    assert embed_operations(EMBED) == 5 * by_hand
    large = EMBED | {"items": 10**6, "vectors": 10**6, "updates": 10, "every": 4, "seeds": 1}
    measurement = 20_000**2 * 768 / 2 + 20_000 * 384**2
    assert embed_operations(large) == 4 * measurement + 10 * 3 * 10**6 * 768 * 2
    write_embed(tmp_path / "wnli", seeds=1)
    write_embed(tmp_path / "rte", task="rte", items=2490, vectors=4523, seeds=2)
    runs = find_runs([tmp_path]).embed
    assert embed_cost(("wnli", "minilm"), runs).seconds == pytest.approx(50)
    assert embed_cost(("rte", "minilm"), runs).seconds == pytest.approx(50)
    mrpc = embed_cost(("mrpc", "minilm"), runs)
    assert mrpc.run is not None and mrpc.run.endswith("rte")  # nearer in size
    assert mrpc.seconds is not None
    assert mrpc.seconds / 50 == pytest.approx(
        mrpc.operations / embed_operations(runs[0].config) / 2.5
    )
    write_vae(tmp_path / "vae", {"rec": [1.0]}, seeds=1)
    trained = find_runs([tmp_path]).vae
    cost = vae_cost(("yahoo", "diagonal", 5), trained)
    assert cost.seconds == pytest.approx(1000 * cost.operations / vae_operations(trained[0].config))


def test_figures_show_models_that_differ_in_posterior_and_c_only(tmp_path):
    for posterior, hidden in (("isotropic", 512), ("diagonal", 512), ("isotropic", 64)):
        options = {"posterior": posterior, "hidden_dim": hidden}
        write_vae(tmp_path / f"{posterior}{hidden}", {"rec": [90.0]}, **options)
    write_vae(tmp_path / "ae", {"rec": [20.0]}, posterior="none", hidden_dim=64)
    models = tmp_path
    pooled = pool_runs(find_runs([models]).vae)
    assert len(pooled) == 4
    assert [model.row[1] for model in comparable(pooled)] == ["diagonal", "isotropic"]
    smaller = comparable([model for model in pooled if model.differences])
    assert [model.row[1] for model in smaller] == ["none", "isotropic"]
