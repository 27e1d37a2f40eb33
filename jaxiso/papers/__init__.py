"""The published numbers and settings of both papers.

A: "Isotropy, Clusters, and Classifiers" (Mickus, Grönroos & Attieh 2024), in `embed.csv`.
B: "On the Effect of Isotropy on VAE Representations of Text" (Zhang, Buntine & Shareghi 2022), in
`vae.csv`.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jaxiso.cli.configs import differences

EMBED: dict[str, Any] = {
    **{"seeds": 5, "updates": 1000, "every": 1, "lr": 1e-3, "scale": 1.0, "sample": 20_000},
    **{"isotropy": None, "star": None, "hidden": None, "loss": "cross-entropy", "test_items": 0},
    # No reduction of the loss: the text says a mean, the numbers are those of a sum, so neither is
    # unlike the paper; see `jaxiso.embed.experiment`.
    "transform": "none",
}
"""Settings of paper A; its GLUE tasks have 250 updates."""

VAE: dict[str, Any] = {
    **{"ramp": 5000, "epochs": 20, "batch_size": 128, "vocabulary": 12_000, "max_length": None},
    **{"embedding_dim": 200, "hidden_dim": 512, "latent_dim": 32, "lr": 5e-4, "beta": 1.0},
    **{"annealing": None, "free_bits": None, "word_dropout": 0.0, "dropout": 0.0},
}
"""Settings of all models of paper B, Section 3."""
VAE_SEEDS, VAE_C, VAE_PROBES = 3, 15.0, 10
"""Of paper B: runs that a number is the mean of; C of Tables 2 and 3; classifiers of each kind."""
VAE_CORPORA: dict[str, dict[str, Any]] = {
    "dbpedia": {"sentences": 140_000, "sentence_rule": "first"},
    "yahoo": {"sentences": 100_000, "sentence_rule": "first"},
}
"""What paper B's models are trained on: the number of sentences, and which of a text's."""

RHO_BELOW, SD_BELOW = -0.998, 0.0054
"""Paper A, Section 3.2, instead of numbers: bounds of all its Spearman ρ, and of the largest
standard deviation over seeds of IsoScore or silhouette at any step."""


class EmbedTarget(NamedTuple):
    """A row of paper A: a task and encoder.

    Attributes:
        items: number of items (Tables 1 and 2).
        parameters: number of trainable parameters (Tables 1 and 2).
        pearson_r: of IsoScore and silhouette across training (Section 3.2 and Table 3).
        spearman_rho: likewise; None in Section 3.2, see `RHO_BELOW`.
        updates: of training.
        vectors: number of distinct sentences or words, which the parameters imply.
        dim: of a vector.
        inputs: vectors of an item.
        classes: of the linear head.
        glue: whether the task is one of GLUE (Tables 2 and 3).
    """

    items: int
    parameters: int
    pearson_r: float
    spearman_rho: float | None
    updates: int
    vectors: int
    dim: int
    inputs: int
    classes: int
    glue: bool


class Reported(NamedTuple):
    """A number of a paper, or ours beside it: a mean over runs, and their standard deviation.

    The deviation is None where it is not given, or of one run.
    """

    mean: float
    sd: float | None = None

    @classmethod
    def over(cls, values: Sequence[float]) -> Reported:
        """Of one number a seed, at least one."""
        sd = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), sd)


VAERow = tuple[str, str, float | None]
"""Corpus, posterior (`none` for the autoencoder) and C (None for it)."""


def _rows(name: str) -> list[dict[str, str]]:
    lines = (files(__name__) / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _number(text: str) -> float | None:
    return float(text) if text else None


@cache
def embed_targets() -> dict[tuple[str, str], EmbedTarget]:
    """All rows of paper A by task and encoder, in the order of its tables."""
    found = {}
    for row in _rows("embed.csv"):
        counts = {
            name: int(row[name])
            for name in ("items", "parameters", "updates", "vectors", "dim", "inputs", "classes")
        }
        found[row["task"], row["encoder"]] = EmbedTarget(
            pearson_r=float(row["pearson_r"]),
            spearman_rho=_number(row["spearman_rho"]),
            glue=row["table"] == "Table 3",
            **counts,
        )
    return found


def embed_target(task: str, encoder: str | None) -> EmbedTarget | None:
    """Paper A's row for a task and encoder, if it has one."""
    return embed_targets().get((task, encoder or ""))


@cache
def vae_targets() -> dict[VAERow, dict[str, Reported]]:
    """All models of paper B, with their numbers by the names of `evaluation.json`."""
    found: dict[VAERow, dict[str, Reported]] = {}
    for row in _rows("vae.csv"):
        model = found.setdefault((row["corpus"], row["posterior"], _number(row["C"])), {})
        model[row["measure"]] = Reported(float(row["mean"]), _number(row["sd"]))
    return found


def vae_target(corpus: str, posterior: str, C: float | None) -> dict[str, Reported]:
    """Paper B's numbers of a model; empty where it has no such model."""
    return vae_targets().get((corpus, posterior, C), {})


@cache
def vae_places() -> dict[str, str]:
    """Where paper B reports each measure, such as `Table 4`."""
    return {row["measure"]: row["table"] for row in _rows("vae.csv")}


def embed_settings(task: str, encoder: str | None) -> dict[str, Any]:
    """Paper A's settings for a task and encoder, with its numbers of items and parameters."""
    target = embed_target(task, encoder)
    if target is None:
        return EMBED
    facts = {name: getattr(target, name) for name in ("updates", "items", "parameters")}
    return ({"words": "its own"} if encoder == "word2vec" else {}) | EMBED | facts


def vae_settings(corpus: str) -> dict[str, Any]:
    """Paper B's settings for a corpus; seeds and C, which differ between its models, are not in."""
    return VAE_CORPORA.get(corpus, {}) | VAE


SAID = {
    "words": "the words and their vectors, which cannot be redistributed: these are others, unless "
    "you brought the paper's own",
    "every": "measured after every {0:,} updates, not after each",
    "lr": "learning rate {0:g}, not {1:g}",
    "scale": "vectors multiplied by {0:g}",
    "transform": "vectors transformed: {0}",
    "isotropy": "a term for isotropy in the loss; --isotropy 0 is the paper's loss",
    "star": "IsoScore* with ζ = {0:g} in that term",
    "hidden": "a hidden layer of {0:,} units before the linear classifier",
    "loss": "the {0} loss, without a classifier",
    "test_items": "{0:,} items held out",
    "sentence_rule": "sentence rule {0}, not {1}",
    "annealing": "{0} annealing of the KL's weight, no target C",
    "free_bits": "{0:g} free bits (nats a dimension), no target C",
    "word_dropout": "word dropout {0:g}",
    "dropout": "dropout {0:g}",
}
"""What is said of a setting that is not the paper's: {0} is ours, {1} the paper's."""
COUNTED = ("seeds", "updates", "epochs", "items", "parameters", "sentences")


def unlike(config: Mapping[str, Any], paper: Mapping[str, Any]) -> dict[str, str]:
    """In what a run differs from the paper's: a line for people, by the setting's name.

    Args:
        config: the run's; a setting that it lacks, or that is None, is as in the paper.
        paper: `embed_settings` or `vae_settings`; what is not in it is not compared.
    """
    chosen = {name: value for name, value in config.items() if value is not None}
    ours = {**paper, "words": "others", **chosen}
    if not any(ours.get("isotropy") or ()):  # a weight of 0 is the paper's loss
        ours["isotropy"] = None
    items, sample, most = ours.get("items", 0), ours.get("sample"), paper.get("sample", 0)
    if min(items, sample or items) == min(items, most):  # the same items are measured
        ours["sample"] = most
    found = differences({name: ours[name] for name in paper}, paper)
    return {name: _line(name, *values) for name, values in found.items()}


def decisive(differences: Mapping[str, str]) -> dict[str, str]:
    """Those that make a run another experiment than the paper's, so not to be compared with it.

    Fewer seeds only blur the same numbers; and the words of pos and supersense, with their number,
    are always others, since those of the paper cannot be had.
    """
    others = ("seeds", *(("words", "items", "parameters") if "words" in differences else ()))
    return {name: line for name, line in differences.items() if name not in others}


def _line(name: str, ours: Any, theirs: Any) -> str:
    if name in SAID:
        return SAID[name].format(ours, theirs)
    if name in COUNTED:
        return f"{ours:,} {name if ours != 1 else name.removesuffix('s')}, not {theirs:,}"
    if name == "sample":
        return f"measured on {f'{ours:,}' if ours else 'all'} items, not on samples of {theirs:,}"
    shown = f"{name.replace('_', ' ')} {ours:,}"
    return shown if theirs is None else f"{shown}, not {theirs:,}"
