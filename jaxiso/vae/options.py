"""Options of `python -m jaxiso.vae` and of its `evaluate`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt
from tyro.conf import Positional, arg

from jaxiso import papers
from jaxiso.cli.console import InputError
from jaxiso.cli.options import (
    DATA,
    FREE,
    LATER,
    MEASUREMENT,
    OUTPUT,
    TRAINING,
    Checked,
    DataDir,
    DryRun,
    Out,
    Overwrite,
    ProcessOptions,
    Quiet,
    Seed,
    flag,
    refuse_repeats,
)

ABOUT = """\
Trains the LSTM-VAE of the paper "On the Effect of Isotropy on VAE Representations of Text".

The posterior is a Gaussian with a variance for each dimension (diagonal), or with one for all of
them (isotropic); none trains an autoencoder. The KL is held at a target C; or, in place of that,
its weight is annealed (--annealing) or a part of it is free (--free-bits), against collapse.

With no corpus named it trains a small model on sentences of the Lee news corpus, which ships inside
gensim. dbpedia and yahoo have the paper's sizes as defaults; any other corpus too, unless it is
small: with fewer than 20,000 sentences to train on it has the small model's. A run that was
interrupted goes on with the same command (without --overwrite), and ends in the same numbers.

python -m jaxiso.vae evaluate RUN [RUN …] evaluates trained models; it has a --help of its own.
"""

ABOUT_EVALUATE = """\
Evaluates trained LSTM-VAEs: every measurement of paper B, "On the Effect of Isotropy on VAE
Representations of Text", and the geometry of paper A, "Isotropy, Clusters, and Classifiers".

RUN is the directory of a training (its --out). The measurements go to RUN/evaluation.json, each
part as soon as it is measured, figures to RUN/figures; tables show all runs beside paper B's
numbers. Runs that differ by their --seed only are averaged. Parts:

- reconstruction: rec, KL, active units, BLEU and ROUGE of greedy decoding (Table 4)
- likelihood: importance-weighted NLL and perplexity
- classification: probes on the posterior means, few-shot, with 30 % of the words deleted (Figure 2)
- imputation: 75 % of the words hidden (Table 1)
- generation: sentences between two others, and from the prior
- posterior: the aggregated posterior and isotropy scores (Tables 2 and 3)
- geometry: IsoScore, silhouette and others of the means by class
- figures: t-SNE and Mapper of the means (Figure 3)
"""

Part = Literal[
    "reconstruction",
    "likelihood",
    "classification",
    "imputation",
    "generation",
    "posterior",
    "geometry",
    "figures",
]

Count = Annotated[int, Ge(1)]
CountByCorpus = Annotated[int | None, Ge(1)]
Share = Annotated[float, Ge(0), Lt(1), LATER]

DEFAULTS: dict[str, Any] = {
    "C": (papers.VAE_C,),
    "seeds": papers.VAE_SEEDS,
    "ramp": papers.VAE["ramp"],
    "epochs": papers.VAE["epochs"],
    "batch_size": papers.VAE["batch_size"],
    "vocabulary": papers.VAE["vocabulary"],
    "max_length": papers.VAE["max_length"],
    "embedding_dim": papers.VAE["embedding_dim"],
    "hidden_dim": papers.VAE["hidden_dim"],
}
"""The paper's, Section 3."""

SMALL: dict[str, Any] = {
    "C": (5.0,),
    "seeds": 1,
    "ramp": 500,
    "epochs": 40,
    "batch_size": 32,
    "vocabulary": 3000,
    "max_length": 30,
    "embedding_dim": 64,
    "hidden_dim": 128,
}
"""For lee, and other corpora that are small: minutes on two cores."""
LARGE = 20_000
"""Sentences to train on that the paper's sizes are for; it has 100,000 and more."""
OF_TARGET = {"C", "ramp"}
"""What a loss without a target KL has no use for."""
FEWEST = 8
"""Updates of cyclical annealing."""


@dataclass(frozen=True)
class Options(ProcessOptions):
    """The command line; each field is an option. None: depends on the corpus, see `DEFAULTS`."""

    posterior: Annotated[Literal["diagonal", "isotropic", "none"], TRAINING] = "isotropic"
    """diagonal: a variance for each dimension. isotropic: one for all. none: an autoencoder."""
    corpus: Annotated[str, DATA] = "lee"
    """lee, dbpedia, yahoo, brown; or a FILE: .txt with a sentence a line, .jsonl with text and
    label; or a folder with train, validation and test.jsonl."""
    data_dir: DataDir = None
    C: Annotated[tuple[float, ...] | None, Gt(0), TRAINING, arg(metavar="FLOAT [FLOAT ...]")] = None
    """Target KL, in nats. By default 15, as in the paper's Tables 2 and 3; 5 for a small corpus.
    Several: all seeds with each of them train side by side, and are told apart in tables and by
    evaluate."""
    beta: Annotated[float, Ge(0)] = papers.VAE["beta"]
    """Weight of the distance of the KL from its target, or of the KL where it has none."""
    ramp: CountByCorpus = None
    """Updates over which the target rises from 0 to C. By default 5000, or 500 for a small
    corpus; no more than a third of the training."""
    annealing: Annotated[Literal["linear", "cyclical"] | None, LATER] = None
    """In place of a target KL: the ELBO, in which the weight of the KL rises from 0 to --beta once
    (linear: Bowman et al., 2016) or four times, each time over half a cycle (cyclical: Fu et al.,
    2019)."""
    annealing_updates: Annotated[int | None, Ge(1), LATER] = None
    """Updates that the annealing takes. By default as many as --ramp if linear, all if cyclical."""
    free_bits: Annotated[float | None, Ge(0), LATER] = None
    """In place of a target KL: the ELBO, in which each dimension of the latent code has so many
    nats free (Kingma et al., 2016), the mean over a batch counting. 0: the plain ELBO. May go
    together with --annealing."""
    word_dropout: Share = 0.0
    """Share of the decoder's input words that are unk in training (Bowman et al., 2016)."""
    dropout: Share = 0.0
    """Share of the entries of the decoder's input vectors and of its states that are 0 in training
    (as in He et al., 2019)."""
    objective: Literal["vae", "iwae"] = "vae"
    """iwae: the importance-weighted bound with --samples draws, without a target KL."""
    samples: Count = 1
    """Draws of the latent code a sentence, for iwae."""
    seeds: CountByCorpus = None
    """Number of seeds. By default 3; 1 for a small corpus."""
    seed: Seed = 0
    epochs: CountByCorpus = None
    """By default 20; 40 for a small corpus."""
    batch_size: CountByCorpus = None
    """Sentences an update. By default 128; 32 for a small corpus."""
    batching: Literal["buckets", "faithful"] = "buckets"
    """buckets: sentences of like length together. faithful: at random, as the authors did."""
    lr: Annotated[float, Gt(0)] = papers.VAE["lr"]
    """Learning rate of Adam."""
    vocabulary: Annotated[int | None, Ge(2), DATA] = None
    """Words, unk included. By default 12000; 3000 for a small corpus."""
    max_length: CountByCorpus = None
    """Words of a sentence; longer ones are cut, with a note. By default no limit; 30 for lee."""
    sentence_rule: Literal["first", "cut"] | None = None
    """Of each text, first: its first sentence; cut: all of it, up to --max-length. By default first
    for dbpedia and yahoo, cut for the others."""
    embedding_dim: Annotated[CountByCorpus, TRAINING] = None
    """By default 200; 64 for a small corpus."""
    hidden_dim: CountByCorpus = None
    """Of both LSTMs. By default 512; 128 for a small corpus."""
    latent_dim: Count = papers.VAE["latent_dim"]
    """Dimensions of the latent code."""
    checkpoint_every: Annotated[int, Ge(0), FREE, OUTPUT] = 500
    """Updates between checkpoints; one more comes after every epoch, and whenever ten minutes have
    passed. 0 for none but those after every epoch."""
    out: Out = None
    overwrite: Overwrite = False
    dry_run: DryRun = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, and options that do not go together, as `Checked` does."""
        super().__post_init__()
        if self.objective == "iwae" and self.posterior == "none":
            raise InputError("--objective iwae: needs a posterior; --posterior none has none")
        if self.objective == "vae" and self.samples != 1:
            raise InputError(f"--samples {self.samples}: only for --objective iwae")
        self._check_weights()
        self._check_targets()

    def _check_weights(self) -> None:
        """Refuses a KL that is weighed where there is none, or where it has a target."""
        if self.annealing_updates is not None and self.annealing is None:
            raise InputError(
                f"--annealing-updates {self.annealing_updates}: only with --annealing linear or "
                "cyclical"
            )
        if self.annealing == "cyclical" and (self.annealing_updates or FEWEST) < FEWEST:
            raise InputError(
                f"--annealing-updates {self.annealing_updates}: cyclical annealing takes at least "
                f"{FEWEST}, two for each of its four cycles"
            )
        if not weighs_kl(vars(self)):
            return
        given = "--annealing" if self.annealing else "--free-bits"
        if self.posterior == "none" or self.objective != "vae":
            why = "--objective iwae" if self.objective != "vae" else "--posterior none"
            raise InputError(f"{given}: {why} has no KL in its loss")
        for name in ("C", "ramp"):
            if (value := getattr(self, name)) is not None:
                shown = " ".join(f"{v:g}" for v in (value if name == "C" else (value,)))
                raise InputError(
                    f"{flag(name)} {shown}: {given} takes the place of a target KL; give one of "
                    "the two"
                )

    def _check_targets(self) -> None:
        if self.C is None:
            return
        shown = [f"{target:g}" for target in self.C]  # to as many digits as results show
        if not shown:
            raise InputError("--C: give at least one target, such as --C 5 15 50")
        refuse_repeats("--C", shown, "given more than once; each target once")
        if len(shown) > 1 and not has_target(vars(self)):
            why = "none" if self.posterior == "none" else "iwae"
            option = "--posterior" if why == "none" else "--objective"
            raise InputError(f"--C {' '.join(shown)}: {option} {why} has no target KL; give one")


@dataclass(frozen=True)
class EvaluateOptions(Checked):
    """The command line of `evaluate`; each field is an option."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN [RUN ...]")]
    """Directories of trainings."""
    parts: Annotated[tuple[Part, ...] | None, MEASUREMENT, arg(metavar="PART [PART ...]")] = None
    """What to measure, anew if need be; the parts are listed above. By default all that have not
    been measured yet with these settings. What was measured before is kept."""
    protocol: Literal["paper", "code"] = "paper"
    """Of the classification. paper: probes learn from training sentences, and are tested on test
    sentences. code: from 80 % of the test sentences, tested on the others, as in the authors'
    code."""
    initialisations: Count = 10
    """Probes of each kind, whose accuracies are averaged."""
    draws: Count = 10
    """Random parts of the training sentences for each few-shot accuracy, a probe each."""
    importance_samples: Count = 100
    """Draws of z a sentence for the likelihood."""
    likelihood_sentences: Annotated[int, Ge(0)] = 500
    """Test sentences, drawn at random, for the likelihood; 0 for all."""
    data_dir: DataDir = None
    corpus: str | None = None
    """Corpus, FILE or folder, where it is not where the training found it."""
    seed: Annotated[Seed, MEASUREMENT] = 0
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, as `Checked` does."""
        super().__post_init__()
        if not self.runs:
            raise InputError("no run given; give the directories of trainings (their --out)")

    def settings(self, part: Part) -> dict[str, Any]:
        """What a part is measured with, to be read years later."""
        own: dict[str, tuple[str, ...]] = {
            "likelihood": ("importance_samples", "likelihood_sentences"),
            "classification": ("protocol", "initialisations", "draws"),
        }
        return {name: getattr(self, name) for name in ("seed", *own.get(part, ()))}


def weighs_kl(config: Mapping[str, Any]) -> bool:
    """Whether the loss has the KL itself in place of its distance from a target."""
    return config.get("annealing") is not None or config.get("free_bits") is not None


def has_target(config: Mapping[str, Any]) -> bool:
    """Whether the KL of a model is held at a target."""
    varies = config["posterior"] != "none" and config["objective"] == "vae"
    return varies and not weighs_kl(config)
