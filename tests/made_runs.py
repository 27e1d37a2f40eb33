"""Run directories with made-up numbers, and how to damage them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from jaxiso import vae
from jaxiso.embed_result import make_result
from jaxiso.runs import Run

ORIGIN = {"device": "cpu: cpu"}
EMBED = {
    "experiment": "embed",
    **{"task": "wnli", "encoder": "minilm", "seeds": 5, "seed": 0, "updates": 250, "every": 1},
    **{"lr": 0.001, "scale": 1.0, "sample": 20_000, "items": 635, "vectors": 925, "dim": 384},
    **{"inputs": 2, "classes": ["a", "b"], "multilabel": False, "clusters": 2, "bias": True},
}


def write_embed(out: Path, *, salt: int = 0, **changes) -> dict[str, np.ndarray]:
    """A finished run with a made-up trajectory; returns its (steps, seeds) values."""
    config = {**EMBED, **changes}
    seeds, steps = config["seeds"], 8
    rng = np.random.default_rng((salt, seeds))
    falls = np.linspace(1, 0.1, steps)[:, None]
    noise = rng.normal(0, 0.01, (2, steps, seeds))
    values = {"isoscore": falls**2 + noise[0] / 10, "silhouette": 0.5 - 0.4 * falls + noise[1]}
    values |= {"loss": np.exp(falls) + 0 * noise[0], "accuracy": 1 - falls / 2 + 0 * noise[0]}
    metrics = {name: value.ravel().tolist() for name, value in values.items()}
    metrics["step"] = np.repeat(np.arange(steps), seeds).tolist()
    metrics["seed"] = np.tile(np.arange(seeds), steps).tolist()
    weights = config.get("isotropy", [None])
    table = {name: column * len(weights) for name, column in metrics.items()}
    if "isotropy" in config:
        table["isotropy"] = np.repeat(weights, steps * seeds).tolist()
    with Run(out, config, origin=ORIGIN, quiet=True) as run:
        run.write_metrics(table)
        run.finish(make_result(config, table, seconds=10.0 * seeds))
    return values


def write_vae(out: Path, measures: dict[str, list[float]], **changes) -> None:
    """A finished and evaluated training; by default with the paper's settings."""
    asked = ("corpus", "posterior", "C", "seed", "seeds", "hidden_dim")
    options = {"corpus": "dbpedia", "seeds": 1, **{k: changes[k] for k in asked if k in changes}}
    config = dict(vars(vae.with_defaults(vae.Options(**options))))
    for name in ("data_dir", "out", "overwrite", "dry_run", "quiet", "checkpoint_every"):
        del config[name]
    config |= {"experiment": "vae", "sentences": 140_000, "tokens": 3_000_000, "ids": 12_003}
    config |= {"vocabulary_digest": "ab", "cut": {}, **changes}
    with Run(out, config, origin=ORIGIN, quiet=True) as run:
        run.finish({"updates": 100, "seconds": 1000.0})
    found = {name: {"values": v, "mean": float(np.mean(v))} for name, v in measures.items()}
    texts = {"imputation": [{"original": "a b c d", "left": "a", "imputed": "a b e"}]}
    settings = {"classification": {"seed": 0, "protocol": "paper", "initialisations": 10}}
    evaluation = {"run": out.name, "updates": 100, "test_sentences": 60, "config": config}
    evaluation |= {"settings": settings, "measures": found, "texts": texts}
    (out / "evaluation.json").write_text(json.dumps(evaluation))


def write_latents(out: Path, salt: int) -> None:
    rng = np.random.default_rng(salt)
    np.savez(
        out / "latents.npz",
        means=rng.normal(size=(60, 4)).astype(np.float32),
        tsne=rng.normal(size=(60, 2)).astype(np.float32),
        labels=np.arange(60) % 14,
    )


def damage(name: str):
    def cut(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-20])

    return cut


def set_in(name: str, change):
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return apply
