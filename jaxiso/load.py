"""Runs from Python: what was asked, what was measured, and the trained models, ready to apply.

>>> run = jaxiso.load_run("runs/wnli-minilm-5seeds-250updates")
>>> run.metrics.groupby("step").mean()
>>> jaxiso.isoscore(run.vectors[0])         # of the first seed, after training
>>> [run.result["pearson_r"] for run in jaxiso.load_runs("runs") if run.result]
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxiso.checkpoints import steps_of
from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_object
from jaxiso.data.batches import Batches
from jaxiso.data.sentences import split_words
from jaxiso.data.vocabulary import Vocabulary
from jaxiso.embed.options import full_config
from jaxiso.embed.result import final_params
from jaxiso.manifest import verify
from jaxiso.metrics.spectrum import as_matrix
from jaxiso.models.decoding import greedy_decode
from jaxiso.models.heads import HiddenHead, LinearHead
from jaxiso.models.vae import Encoded, TextVAE
from jaxiso.run_files import (
    CONFIG,
    FINAL,
    LATENTS,
    METRICS,
    RESULT,
    VOCABULARY,
    read_checkpoint,
    read_metrics,
    read_stored,
)
from jaxiso.vae.configs import complete_config, mark_of, targets_of
from jaxiso.vae.evaluations import marked, read_evaluation

LONGEST = 60
"""Words at most that a VAE writes."""


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run of `jaxiso.embed` or `jaxiso.vae`, finished or not.

    Attributes:
        directory: of the run.
        config: what determined its numbers; settings that came after the run are at what they were.
        result: the summary; None where the run is not finished.
        metrics: one row a model and step, by step; empty where nothing is kept.
        models: what the trained models are, a row each: seed, and weight of isotropy or target KL
            where there are several. Their numbers are the first axis of all that was trained.
    """

    directory: Path
    config: dict[str, Any]
    result: dict[str, Any] | None
    metrics: pd.DataFrame
    models: pd.DataFrame

    def __repr__(self) -> str:
        state = "not finished" if self.result is None else "finished"
        steps = self.metrics["step"].nunique() if len(self.metrics) else 0
        return (
            f"{type(self).__name__}({str(self.directory)!r}, {state}, models={len(self.models)}, "
            f"steps={steps})"
        )

    @cached_property
    def _trained(self) -> tuple[int, Any]:
        try:
            updates, saved = read_checkpoint(self.directory, None)
        except InputError as error:
            raise ValueError(str(error)) from None
        state = saved["state"]
        return updates, state.get("seeds", state)["params"]

    @property
    def updates(self) -> int:
        """How many there were when `params` was saved."""
        return self._trained[0]

    @property
    def params(self) -> Any:
        """The parameters of all models, NumPy arrays stacked along their first axis.

        They are read when they are first asked for.

        Raises:
            ValueError: the run keeps none.
        """
        return self._trained[1]

    def model(self, number: int = 0) -> Any:
        """The parameters of one model, as arrays of JAX.

        Args:
            number: a row of `models`.

        Raises:
            ValueError: there is no such model, or the run keeps none.
        """
        if not 0 <= number < len(self.models):
            raise ValueError(f"model is {number}, expected 0 to {len(self.models) - 1}")
        return jax.tree.map(lambda x: jnp.asarray(x[number]), self.params)


class EmbedRun(LoadedRun):
    """A run of `jaxiso.embed`: pretrained vectors that were trained under a classifier."""

    @cached_property
    def _trained(self) -> tuple[int, Any]:
        # Checkpoints may have been deleted to make room.
        if steps_of(self.directory) or not (self.directory / FINAL).exists():
            return super()._trained
        verify(self.directory, FINAL)
        with np.load(self.directory / FINAL, allow_pickle=False) as file:
            return self.config["updates"], final_params(dict(file))

    @property
    def vectors(self) -> np.ndarray:
        """The trained vectors of all models, (models, v, d); errors as of `params`."""
        return self.params["vectors"]

    def scores(self, features: Any, model: int = 0) -> jax.Array:
        """Class scores that a trained classifier gives.

        Args:
            features: (n, inputs·d), the vectors of an item's texts side by side.
            model: number of the model.

        Raises:
            ValueError: no classifier was trained, or as from `model`.
        """
        params = self.model(model)
        if "head" not in params:
            raise ValueError(f"{self.directory}: was trained with a triplet loss, no classifier")
        x, width = as_matrix(features), self.config["inputs"] * self.config["dim"]
        if x.shape[1] != width:
            raise ValueError(f"Expected features of {width} dimensions; got shape {x.shape}.")
        classes, hidden, bias = (self.config[name] for name in ("classes", "hidden", "bias"))
        head: Any = LinearHead(len(classes), bias)
        if hidden is not None:
            head = HiddenHead(len(classes), hidden, bias)
        return head.apply(params["head"], x.astype(np.float32))


class VAERun(LoadedRun):
    """A run of `jaxiso.vae`: a trained LSTM-VAE of sentences."""

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that the model knows.

        Raises:
            ValueError: the run does not keep them.
        """
        try:
            verify(self.directory, VOCABULARY)
            return Vocabulary.load(self.directory / VOCABULARY)
        except InputError as error:
            raise ValueError(str(error)) from None

    def _mark(self, C: float | None) -> str:
        """In the names of the files of one target KL."""
        targets = targets_of(self.config)
        if C is None and len(targets) == 1:
            C = targets[0]
        if C not in targets:
            raise ValueError(f"C is {C}, expected one of {', '.join(map(str, targets))}")
        return mark_of(self.config, C)

    def evaluation(self, C: float | None = None) -> dict[str, Any] | None:
        """What `python -m jaxiso.vae evaluate` found: evaluation.json; None before that.

        Args:
            C: target KL of the models, where the run has several.

        Raises:
            ValueError: there are no models with this target, or the file is damaged.
        """
        try:
            return read_evaluation(self.directory, self._mark(C))
        except InputError as error:
            raise ValueError(str(error)) from None

    def latents(self, C: float | None = None) -> dict[str, np.ndarray] | None:
        """Codes of test sentences of the first seed, as `evaluate` keeps them; None before that.

        Args:
            C: likewise.

        Returns:
            `means` (n, latent), `tsne` (n, 2) and, of a corpus with classes, `labels` (n,).

        Raises:
            ValueError: as of `evaluation`.
        """
        path = self.directory / marked(LATENTS, self._mark(C))
        if not path.exists():
            return None
        try:
            verify(self.directory, path.name)
        except InputError as error:
            raise ValueError(str(error)) from None
        with np.load(path, allow_pickle=False) as file:
            return dict(file)

    @cached_property
    def network(self) -> TextVAE:
        """The Flax module that `model(number)` are parameters of."""
        names = ("ids", "posterior", "embedding_dim", "hidden_dim", "latent_dim")
        return TextVAE(*(self.config[name] for name in names))

    def encode(self, sentences: Sequence[str], model: int = 0) -> Encoded:
        """The posteriors of sentences, which are split into words as the corpora are.

        Args:
            sentences: n texts.
            model: number of the model.

        Returns:
            NumPy arrays: `mean` (n, latent), and `log_variance` (n, latent), (n, 1) of an isotropic
            posterior, None of an autoencoder.

        Raises:
            ValueError: no sentences, or as from `model` and `vocabulary`.
        """
        if isinstance(sentences, str) or not len(sentences):
            raise ValueError("Expected a sequence of sentences, at least one.")
        params, network = self.model(model), self.network
        program = jax.jit(partial(network.apply, method=network.encode))
        ids = [self.vocabulary.encode(split_words(text)) for text in sentences]
        batches = Batches(ids, self.config["batch_size"], most_lengths=3)
        parts = []
        for batch in batches.in_order():
            found: Any = program(params, batch.tokens, batch.lengths)
            real = batch.indices >= 0
            part = jax.tree.map(lambda x, real=real: np.asarray(x)[real], found)
            parts.append((batch.indices[real], part))
        order = np.argsort(np.concatenate([indices for indices, _ in parts]))
        encoded = (part for _, part in parts)
        return jax.tree.map(lambda *x: np.concatenate(x)[order], *encoded)

    def decode(self, codes: Any, model: int = 0, *, longest: int = LONGEST) -> list[str]:
        """The likeliest sentence of each code, word by word.

        Args:
            codes: (n, latent).
            model: number of the model.
            longest: words at most.

        Raises:
            ValueError: codes of another size, or as from `model` and `vocabulary`.
        """
        z = jnp.asarray(as_matrix(codes).astype(np.float32))
        if z.shape[1] != self.config["latent_dim"]:
            raise ValueError(f"Expected codes (n, {self.config['latent_dim']}); got {z.shape}.")
        ids = np.asarray(greedy_decode(self.model(model), z, longest))
        return [" ".join(self.vocabulary.decode(row)) for row in ids]


def load_run(directory: str | Path) -> EmbedRun | VAERun:
    """Reads a run directory; changes nothing in it.

    Args:
        directory: as --out of `jaxiso.embed` or `jaxiso.vae` names it.

    Raises:
        ValueError: there is no run, or what is read of it is damaged.
    """
    directory = Path(directory)
    try:
        config = read_stored(directory)["config"]
        kind = config.get("experiment")
        if kind not in ("embed", "vae"):
            raise InputError(f"{directory}: is a run of {kind!r}; expected one of embed or vae")
        vae = kind == "vae"
        config = complete_config(config, directory) if vae else full_config(config)
        result = None
        if (directory / RESULT).exists():
            verify(directory, RESULT)
            result = read_object(directory / RESULT)
        kept = (directory / METRICS).exists()
        metrics = pd.DataFrame(read_metrics(directory) if kept else {"seed": [], "step": []})
    except InputError as error:
        raise ValueError(str(error)) from None
    return (VAERun if vae else EmbedRun)(
        directory, config, result, metrics, _models(metrics, config)
    )


def load_runs(*folders: str | Path) -> list[EmbedRun | VAERun]:
    """Every run in some folders, such as "runs", by name; what cannot be read is warned of.

    Args:
        folders: what is in their folders is not looked at.
    """
    found = []
    for path in (path for folder in folders for path in sorted(Path(folder).glob(f"*/{CONFIG}"))):
        try:
            found.append(load_run(path.parent))
        except ValueError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
    return found


def _models(metrics: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """A row for each model that trains beside the others, as the rows of each step are."""
    if metrics.empty:
        return pd.DataFrame({"seed": range(config["seeds"])})
    names = [name for name in ("seed", "isotropy", "C") if name in metrics]
    return metrics.loc[metrics["step"] == metrics["step"].min(), names].reset_index(drop=True)
