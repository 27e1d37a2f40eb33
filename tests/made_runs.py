"""Run directories with made-up numbers, and how to damage them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso.embed.options import full_config
from jaxiso.embed.result import make_result
from jaxiso.manifest import MANIFEST
from jaxiso.run_files import EVALUATION, LATENTS
from jaxiso.runs import Run
from jaxiso.vae.configs import run_config, with_defaults
from jaxiso.vae.options import Options

ORIGIN = {"device": "cpu: cpu"}
EMBED: dict[str, Any] = {
    "experiment": "embed",
    **{"task": "wnli", "encoder": "minilm", "seeds": 5, "seed": 0, "updates": 250, "every": 1},
    **{"lr": 0.001, "scale": 1.0, "sample": 20_000, "items": 635, "vectors": 925, "dim": 384},
    **{"inputs": 2, "classes": ["a", "b"], "multilabel": False, "clusters": 2, "bias": True},
}
WORDS: dict[str, Any] = {
    **{"task": "supersense", "encoder": "word2vec", "updates": 1000, "items": 2275},
    **{"vectors": 2275, "dim": 300, "inputs": 1, "classes": list("abcdefghijklmnopqrstuvwxyz")},
}


def write_embed(
    out: Path, *, salt: int = 0, diverged: int | None = None, **changes: Any
) -> dict[str, np.ndarray]:
    """A finished run with a made-up trajectory; returns its (steps, seeds) values.

    Args:
        out: the run directory.
        salt: for other numbers.
        diverged: the first of its 8 steps that is not finite.
        changes: to its config.
    """
    config = full_config({"reduction": "sum", **EMBED, **changes})
    seeds, steps = config["seeds"], 8
    rng = np.random.default_rng((salt, seeds))
    falls = np.linspace(1, 0.1, steps)[:, None]
    noise = rng.normal(0, 0.01, (2, steps, seeds))
    values = {"isoscore": falls**2 + noise[0] / 10, "silhouette": 0.5 - 0.4 * falls + noise[1]}
    values |= {"loss": np.exp(falls) + 0 * noise[0], "accuracy": 1 - falls / 2 + 0 * noise[0]}
    if diverged is not None:
        for value in values.values():
            value[diverged:] = np.nan
    metrics = {name: value.ravel().tolist() for name, value in values.items()}
    metrics["step"] = np.repeat(np.arange(steps), seeds).tolist()
    metrics["seed"] = np.tile(np.arange(seeds), steps).tolist()
    table, weights = metrics, config["isotropy"]
    if weights:
        table = {name: column * len(weights) for name, column in metrics.items()}
        table["isotropy"] = np.repeat(weights, steps * seeds).tolist()
    with Run(out, config, origin=ORIGIN, quiet=True) as run:
        run.write_metrics(table)
        run.finish(make_result(config, table, seconds=10.0 * seeds))
    return values


def write_vae(
    out: Path, measures: Mapping[str, Sequence[float | None]] | None, **changes: Any
) -> None:
    """A finished training; by default with the paper's settings.

    Args:
        out: the run directory.
        measures: of its evaluation, by name, one value a seed; None for no evaluation.
        changes: to its config.
    """
    options = with_defaults(Options(corpus="dbpedia", seeds=1))
    config = {"experiment": "vae", **run_config(options), "sentence_rule": "first"}
    config |= {"sentences": 140_000, "tokens": 3_000_000, "ids": 12_003}
    config |= {"vocabulary_digest": "ab", "cut": {}, **changes}
    texts = {"imputation": [{"original": "a b c d", "left": "a", "imputed": "a b e"}]}
    settings = {"classification": {"seed": 0, "protocol": "paper", "initialisations": 10}}
    model = f"digest of {out.name}"
    with Run(out, config, origin=ORIGIN, quiet=True) as run:
        run.finish({"updates": 100, "seconds": 1000.0, "model": model})
        if measures is not None:
            found = {name: {"values": v, "mean": None, "sd": None} for name, v in measures.items()}
            remarks = {name: "diverged" for name, v in measures.items() if None in v}
            evaluation = {"run": out.name, "model": model, "updates": 100, "test_sentences": 60}
            evaluation |= {"config": config, "settings": settings, "measures": found}
            run.write_json(EVALUATION, evaluation | {"remarks": remarks, "texts": texts})


def write_latents(out: Path, salt: int) -> None:
    """Codes of 60 sentences."""
    rng = np.random.default_rng(salt)
    with Run.existing(out, quiet=True) as run, run.writing(LATENTS) as file:
        np.savez(
            file,
            means=rng.normal(size=(60, 4)).astype(np.float32),
            tsne=rng.normal(size=(60, 2)).astype(np.float32),
            labels=np.arange(60) % 14,
        )


def damage(name: str) -> Callable[[Path], None]:
    """Cuts the end of a file of a run."""

    def cut(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-20])

    return cut


def set_in(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Changes a JSON file of a run that has no digests yet, by which it would be told."""

    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        content.pop("config_sha256", None)
        (folder / name).write_text(json.dumps(content))
        (folder / MANIFEST).unlink(missing_ok=True)

    return apply
