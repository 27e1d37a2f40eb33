"""The papers' numbers in the package against the tables they were read from, and what differs."""

from __future__ import annotations

import csv

import pytest

from jaxiso import papers
from jaxiso.cli.configs import defaults, determining
from jaxiso.data.known_corpora import CORPORA
from jaxiso.data.tasks import TASKS
from jaxiso.embed.options import Options as EmbedOptions
from jaxiso.vae.configs import with_defaults
from jaxiso.vae.options import Options as VAEOptions


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_embed_targets_are_those_that_were_read_from_the_paper(targets_dir):
    read = {}
    for name in ("embed_params.csv", "embed_correlations.csv"):
        for row in rows(targets_dir / name):
            read.setdefault((row.pop("task"), row.pop("encoder")), {}).update(row)
    targets = papers.embed_targets()
    assert targets.keys() == read.keys() and len(read) == 28
    counts = ("items", "parameters", "updates", "vectors", "dim", "inputs", "classes")
    for key, row in read.items():
        target = targets[key]
        assert [getattr(target, name) for name in counts] == [int(row[name]) for name in counts]
        assert target.pearson_r == float(row["pearson_r"])
        rho = row["spearman_rho"]
        assert target.spearman_rho == (float(rho) if rho else None)
        assert target.glue == bool(rho)


def test_embed_targets_agree_with_the_tasks():
    for (name, _), target in papers.embed_targets().items():
        task = TASKS[name]
        assert (task.updates, len(task.classes)) == (target.updates, target.classes)
        assert len(task.fields) == target.inputs
        head = target.classes * (target.inputs * target.dim + task.bias)
        assert target.parameters == target.vectors * target.dim + head


def test_vae_targets_are_those_that_were_read_from_the_paper(targets_dir):
    read = {}
    renamed = {"isotropy_samples": "isotropy_score_samples", "accuracy": "accuracy_deleted"}
    renamed |= {"isotropy_means": "isotropy_score_means"}
    for name in ("vae_table4.csv", "vae_isotropy.csv", "vae_robustness.csv"):
        for row in rows(targets_dir / name):
            corpus, posterior = row.pop("corpus").lower(), row.pop("posterior")
            C = float(row.pop("C", 15) or 0)
            key = (corpus, "none", None) if posterior == "autoencoder" else (corpus, posterior, C)
            sds = {column: row.pop(column) for column in list(row) if column.endswith("_sd")}
            for column, mean in row.items():
                if mean:
                    sd = sds.get(f"{column}_sd")
                    number = papers.Reported(float(mean), float(sd) if sd else None)
                    read.setdefault(key, {})[renamed.get(column, column)] = number
    assert papers.vae_targets() == read and len(read) == 14
    assert sum(map(len, read.values())) == 120
    assert papers.vae_places()["rec"] == "Table 4"
    assert papers.vae_places()["logdet_cov"] == "Table 2"


def test_rows_that_the_papers_do_not_have():
    assert papers.embed_target("digits", None) is None
    assert papers.embed_target("rte", "word2vec") is None
    assert papers.vae_target("dbpedia", "isotropic", 20.0) == {}
    assert papers.vae_target("dbpedia", "isotropic", 15)["rec"].mean == 95.52


def test_options_are_the_papers_by_default():
    ours = determining(EmbedOptions()) | {"test_items": 0, "updates": 1000}
    assert {name: ours[name] for name in papers.EMBED} == papers.EMBED
    ours = defaults(VAEOptions) | determining(with_defaults(VAEOptions(corpus="dbpedia")))
    assert {name: ours[name] for name in papers.VAE} == papers.VAE
    assert (ours["seeds"], ours["C"]) == (papers.VAE_SEEDS, [papers.VAE_C])
    for name, facts in papers.VAE_CORPORA.items():
        sizes = CORPORA[name].sizes
        assert sizes is not None
        assert facts == {"sentences": sizes[0], "sentence_rule": CORPORA[name].rule}


RTE = {"items": 2490, "parameters": 1_738_370, **papers.EMBED, "updates": 250}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"seeds": 1}, ["1 seed, not 5"]),
        ({"seeds": 2, "updates": 1000}, ["2 seeds, not 5", "1,000 updates, not 250"]),
        ({"every": 5}, ["measured after every 5 updates, not after each"]),
        ({"lr": 0.01}, ["learning rate 0.01, not 0.001"]),
        ({"scale": 3.0}, ["vectors multiplied by 3"]),
        ({"isotropy": [0.0]}, []),  # the paper's loss, in other words
        (
            {"isotropy": [0.0, 0.5]},
            ["a term for isotropy in the loss; --isotropy 0 is the paper's"],
        ),
        ({"hidden": 128}, ["a hidden layer of 128 units before the linear classifier"]),
        ({"loss": "triplet"}, ["the triplet loss, without a classifier"]),
        ({"test_items": 498}, ["498 items held out"]),
        ({"items": 2491}, ["2,491 items, not 2,490"]),
        ({"parameters": 1}, ["1 parameter, not 1,738,370"]),
        # The sample matters only where it changes what is measured.
        ({"sample": 0}, []),
        ({"sample": 2490}, []),
        ({"sample": 100}, ["measured on 100 items, not on samples of 20,000"]),
        ({"track": True, "seed": 3}, []),
    ],
)
def test_what_is_unlike_paper_a(change, said):
    found = papers.unlike(RTE | change, papers.embed_settings("rte", "minilm"))
    lines = list(found.values())
    assert len(lines) == len(said)
    assert all(line.startswith(start) for line, start in zip(lines, said, strict=True))


def test_samples_of_a_task_that_has_more_items():
    config = papers.EMBED | {"items": 67_349, "sample": 0}
    assert list(papers.unlike(config, papers.EMBED).values()) == [
        "measured on all items, not on samples of 20,000"
    ]
    assert papers.unlike(config | {"sample": 30_000}, papers.EMBED).keys() == {"sample"}


def test_words_are_never_the_papers_and_options_may_be_absent():
    assert list(papers.unlike({}, papers.embed_settings("pos", "word2vec"))) == ["words"]
    assert papers.unlike({}, papers.embed_settings("rte", "minilm")) == {}
    assert papers.unlike({"hidden": None, "max_length": None}, papers.EMBED | papers.VAE) == {}


def test_fewer_seeds_and_other_words_are_the_same_experiment():
    of_words = papers.embed_settings("pos", "word2vec")
    for config, paper, kept in (
        ({"seeds": 1}, papers.EMBED, set()),
        ({"seeds": 1, "scale": 3.0, "items": 9}, papers.EMBED | {"items": 8}, {"scale", "items"}),
        ({"items": 9, "hidden": 3}, of_words, {"hidden"}),
    ):
        assert papers.decisive(papers.unlike(config, paper)).keys() == kept


def test_what_is_unlike_paper_b():
    ours = papers.VAE | {"sentences": 500, "sentence_rule": "cut", "epochs": 46, "max_length": 16}
    ours |= {"hidden_dim": 64, "lr": 0.001, "beta": 2.0, "seeds": 1, "C": 3.0}
    assert list(papers.unlike(ours, papers.vae_settings("dbpedia")).values()) == [
        "500 sentences, not 140,000",
        "sentence rule cut, not first",
        "46 epochs, not 20",
        "max length 16",
        "hidden dim 64, not 512",
        "learning rate 0.001, not 0.0005",
        "beta 2.0, not 1.0",
    ]
    assert "sentences" not in papers.unlike(ours, papers.vae_settings("lee"))
