"""Trains the LSTM-VAE of "On the Effect of Isotropy on VAE Representations of Text".

The posterior is a Gaussian with a variance for each dimension (diagonal), or with one for all of
them (isotropic); none trains an autoencoder. The KL is held at a target C.

With no corpus named it trains a small model on sentences of the Lee news corpus, which ships inside
gensim; the other corpora have the paper's sizes as defaults. A run that was interrupted goes on
with the same command, and ends in the same numbers.

python -m jaxiso.vae evaluate RUN [RUN …] evaluates trained models; it has a --help of its own.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from jaxiso.experiments.vae import VAEConfig
    from jaxiso.vae_training import Text


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option. None: depends on the corpus, see `DEFAULTS`."""

    posterior: Literal["diagonal", "isotropic", "none"] = "isotropic"
    """diagonal: a variance for each dimension. isotropic: one for all. none: an autoencoder."""
    corpus: str = "lee"
    """lee, dbpedia, yahoo, brown; or a FILE: .txt with a sentence a line, .jsonl with text and
    label; or a folder with train, validation and test.jsonl."""
    data_dir: Path | None = None
    """Folder with <corpus>/<split>.jsonl[.gz]. By default $JAXISO_DATA; what is not there comes
    from the Hugging Face hub."""
    C: float | None = None
    """Target KL, in nats. By default 15, as in the paper's Tables 2 and 3; 5 for lee."""
    beta: float = 1.0
    """Weight of the distance of the KL from its target."""
    ramp: int | None = None
    """Updates over which the target rises from 0 to C. By default 5000; 500 for lee."""
    objective: Literal["vae", "iwae"] = "vae"
    """iwae: the importance-weighted bound with --samples draws, without a target KL."""
    samples: int = 1
    """Draws of the latent code a sentence, for iwae."""
    seeds: int | None = None
    """Number of seeds. By default 3; 1 for lee."""
    seed: int = 0
    """Number that all random draws start from."""
    epochs: int | None = None
    """By default 20; 40 for lee."""
    batch_size: int | None = None
    """Sentences an update. By default 128; 32 for lee."""
    batching: Literal["buckets", "faithful"] = "buckets"
    """buckets: sentences of like length together. faithful: at random, as the authors did."""
    lr: float = 5e-4
    """Learning rate of Adam."""
    vocabulary: int | None = None
    """Words, unk included. By default 12000; 3000 for lee."""
    max_length: int | None = None
    """Words of a sentence; longer ones are cut, with a note. By default no limit; 30 for lee."""
    sentence_rule: Literal["first", "cut"] | None = None
    """Of each text, first: its first sentence; cut: all of it, up to --max-length. By default first
    for dbpedia and yahoo, cut for the others."""
    embedding_dim: int | None = None
    """By default 200; 64 for lee."""
    hidden_dim: int | None = None
    """Of both LSTMs. By default 512; 128 for lee."""
    latent_dim: int = 32
    """Dimensions of the latent code."""
    checkpoint_every: int = 500
    """Updates between checkpoints; one more comes after every epoch."""
    out: Path | None = None
    """Run directory. By default runs/ and a name made of the options."""
    overwrite: bool = False
    """Delete an earlier run in that directory and start anew."""
    dry_run: bool = False
    """Print sizes, parameters and an estimate of the time; train nothing."""
    quiet: bool = False
    """Print the result only."""


DEFAULTS: dict[str, Any] = {
    "C": 15.0,
    "ramp": 5000,
    "seeds": 3,
    "epochs": 20,
    "batch_size": 128,
    "vocabulary": 12_000,
    "max_length": None,
    "embedding_dim": 200,
    "hidden_dim": 512,
}
"""The paper's, Section 3."""

SMALL: dict[str, Any] = {
    "C": 5.0,
    "ramp": 500,
    "seeds": 1,
    "epochs": 40,
    "batch_size": 32,
    "vocabulary": 3000,
    "max_length": 30,
    "embedding_dim": 64,
    "hidden_dim": 128,
}
"""For lee: minutes on two cores."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.vae`, and `python -m jaxiso.vae evaluate`."""
    import tyro

    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["evaluate"]:
        from jaxiso import vae_evaluation

        vae_evaluation.main(given[1:])
        return
    options = with_defaults(
        tyro.cli(Options, prog="python -m jaxiso.vae", description=__doc__, args=given)
    )
    check(options)
    from jaxiso import backend, vae_training
    from jaxiso.runs import Run

    backend.keep_compiled_programs()
    text = vae_training.load_text(options)
    config = make_config(options, text)
    vae_training.announce(options, text, config)
    if options.dry_run:
        vae_training.print_estimate(options, text, config)
        return
    directory = options.out or Path("runs") / run_name(options, text)
    with Run(
        directory,
        vae_training.run_config(options, text),
        origin=backend.origin(),
        overwrite=options.overwrite,
        quiet=options.quiet,
    ) as run:
        if run.finished:
            console.note(f"{directory}: finished before; nothing to do", quiet=options.quiet)
        else:
            vae_training.train(run, options, text, config)
        vae_training.print_result(directory, run.result)


def with_defaults(options: Options) -> Options:
    """Fills in what depends on the corpus."""
    defaults = SMALL if options.corpus == "lee" else DEFAULTS
    given = {name: getattr(options, name) for name in defaults}
    return replace(options, **{k: v for k, v in defaults.items() if given[k] is None})


def check(options: Options) -> None:
    """Refuses options that no corpus can use.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    least = dict.fromkeys(("seeds", "epochs", "ramp", "batch_size", "samples", "latent_dim"), 1)
    least |= {"embedding_dim": 1, "hidden_dim": 1, "seed": 0, "checkpoint_every": 1}
    for name, lowest in least.items():
        value = getattr(options, name)
        if value < lowest:
            raise InputError(f"--{name.replace('_', '-')} {value}: must be at least {lowest}")
    if options.seed >= 2**32:
        raise InputError(f"--seed {options.seed}: must be below {2**32} (2^32)")
    for name, zero in (("lr", False), ("C", False), ("beta", True)):
        value = getattr(options, name)
        if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
            allowed = "of at least 0" if zero else "above 0"
            raise InputError(f"--{name} {value}: must be a finite number {allowed}")
    if options.objective == "iwae" and options.posterior == "none":
        raise InputError("--objective iwae: needs a posterior; --posterior none has none")
    if options.objective == "vae" and options.samples != 1:
        raise InputError(f"--samples {options.samples}: only for --objective iwae")


def make_config(options: Options, text: Text) -> VAEConfig:
    """What compiles the training, from the command line and the vocabulary."""
    from jaxiso.experiments.vae import VAEConfig

    assert options.C is not None
    names = {field.name for field in fields(VAEConfig)}
    same = {k: v for k, v in vars(options).items() if k in names and k != "vocabulary"}
    return VAEConfig(
        vocabulary=len(text.vocabulary), target=options.C, learning_rate=options.lr, **same
    )


def run_name(options: Options, text: Text) -> str:
    """The default name of the run directory: the model, and what is not the default."""
    model = options.posterior if options.objective == "vae" else f"{options.posterior}-iwae"
    parts = [text.name, model]
    if options.posterior != "none" and options.objective == "vae":
        parts.append(f"C{options.C:g}")
    defaults = vars(with_defaults(Options(corpus=options.corpus)))
    parts += [f"{options.seeds}seeds", f"{options.epochs}epochs"]
    shown = ("beta", "ramp", "samples", "seed", "batch_size", "batching", "lr", "vocabulary")
    shown += ("max_length", "sentence_rule", "embedding_dim", "hidden_dim", "latent_dim")
    for name in shown:
        value = getattr(options, name)
        if value != defaults[name]:
            parts.append(f"{name.replace('_', '')}{value}")
    return "-".join(parts)


if __name__ == "__main__":
    console.run_command(main)
