"""Options of `python -m jaxiso.vae` and of its `evaluate`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Lt
from tyro.conf import Positional, arg

from jaxiso import papers
from jaxiso.cli.configs import determining, run_name
from jaxiso.cli.console import InputError
from jaxiso.cli.files import plain_name
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
    fields_of,
    flag,
    refuse_repeats,
)

ABOUT = """\
Trains the LSTM-VAE of the paper "On the Effect of Isotropy on VAE Representations of Text".

The posterior is a Gaussian with a variance for each dimension (diagonal), or with one for all of
them (isotropic); none trains an autoencoder. The KL is held at a target C; or, in place of that,
its weight is annealed (--annealing) or a part of it is free (--free-bits), against collapse.

With no corpus named it trains a small model on sentences of the Lee news corpus, which ships inside
gensim; the other corpora have the paper's sizes as defaults. A run that was interrupted goes on
with the same command (without --overwrite), and ends in the same numbers.

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
"""For lee: minutes on two cores."""
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
    """Target KL, in nats. By default 15, as in the paper's Tables 2 and 3; 5 for lee. Several: all
    seeds with each of them train side by side, and are told apart in tables and by evaluate."""
    beta: Annotated[float, Ge(0)] = papers.VAE["beta"]
    """Weight of the distance of the KL from its target, or of the KL where it has none."""
    ramp: CountByCorpus = None
    """Updates over which the target rises from 0 to C. By default 5000, or 500 for lee; no more
    than a third of the training."""
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
    """Number of seeds. By default 3; 1 for lee."""
    seed: Seed = 0
    epochs: CountByCorpus = None
    """By default 20; 40 for lee."""
    batch_size: CountByCorpus = None
    """Sentences an update. By default 128; 32 for lee."""
    batching: Literal["buckets", "faithful"] = "buckets"
    """buckets: sentences of like length together. faithful: at random, as the authors did."""
    lr: Annotated[float, Gt(0)] = papers.VAE["lr"]
    """Learning rate of Adam."""
    vocabulary: Annotated[int | None, Ge(2), DATA] = None
    """Words, unk included. By default 12000; 3000 for lee."""
    max_length: CountByCorpus = None
    """Words of a sentence; longer ones are cut, with a note. By default no limit; 30 for lee."""
    sentence_rule: Literal["first", "cut"] | None = None
    """Of each text, first: its first sentence; cut: all of it, up to --max-length. By default first
    for dbpedia and yahoo, cut for the others."""
    embedding_dim: Annotated[CountByCorpus, TRAINING] = None
    """By default 200; 64 for lee."""
    hidden_dim: CountByCorpus = None
    """Of both LSTMs. By default 512; 128 for lee."""
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
        """Refuses values out of bounds, and options that do not go together.

        Raises:
            InputError: names the option, its value and what is allowed.
        """
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
    sentences. code: from 80 % of the test sentences, tested on the others, as in the authors'."""
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
        """Refuses values out of bounds.

        Raises:
            InputError: names the option, its value and what is allowed.
        """
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


def corpus_defaults(corpus: str) -> dict[str, Any]:
    """The defaults of the options that depend on the corpus."""
    return SMALL if corpus == "lee" else DEFAULTS


def weighs_kl(config: Mapping[str, Any]) -> bool:
    """Whether the loss has the KL itself in place of its distance from a target."""
    return config.get("annealing") is not None or config.get("free_bits") is not None


def has_target(config: Mapping[str, Any]) -> bool:
    """Whether the KL of a model is held at a target."""
    varies = config["posterior"] != "none" and config["objective"] == "vae"
    return varies and not weighs_kl(config)


def kl_words(config: Mapping[str, Any]) -> list[str]:
    """What is unusual about a training against collapse, in words."""
    annealing, free = config.get("annealing"), config.get("free_bits")
    found = [] if annealing is None else [f"{annealing} annealing"]
    if free:
        found.append(f"{free:g} free bits")
    elif free is not None and annealing is None:
        found.append("plain ELBO")
    shares = {name: config.get(name, 0.0) for name in ("word_dropout", "dropout")}
    return found + [
        f"{name.replace('_', ' ')} {share:g}" for name, share in shares.items() if share
    ]


def targets_of(config: Mapping[str, Any]) -> list[Any]:
    """The target KLs of a run: of its models with all seeds, one after the other.

    A single one, None or a number that is not used, where there is no target.
    """
    return config["C"] if isinstance(config["C"], list) else [config["C"]]


def of_target(config: Mapping[str, Any], target: float | None) -> dict[str, Any]:
    """The config of those models of a run that have one target KL."""
    return {**config, "C": target}


def mark_of(config: Mapping[str, Any], target: float | None) -> str:
    """What tells the files of one target KL apart; nothing where a run has but one."""
    return f"-C{target:g}" if isinstance(config["C"], list) else ""


def run_config(options: Options) -> dict[str, Any]:
    """The options that determine the numbers; a single C is a number, as it was in all runs."""
    chosen = determining(options)
    if len(chosen["C"] or ()) == 1:
        (chosen["C"],) = chosen["C"]
    return chosen


def with_defaults(options: Options) -> Options:
    """Fills in what depends on the corpus."""
    usual = corpus_defaults(options.corpus)
    if weighs_kl(vars(options)):
        usual = {name: value for name, value in usual.items() if name not in OF_TARGET}
    return replace(options, **{k: v for k, v in usual.items() if getattr(options, k) is None})


def fitted(options: Options, updates: int) -> Options:
    """Fills in what depends on how many updates there are.

    A rise takes as many as is usual for the corpus (in the paper, about a quarter of them), but no
    more than a third: it would not end in a short training.
    """
    rise = min(corpus_defaults(options.corpus)["ramp"], max(1, updates // 3))
    found: dict[str, Any] = {}
    if has_target(vars(options)) and options.ramp is None:
        found["ramp"] = rise
    if options.annealing and options.annealing_updates is None:
        found["annealing_updates"] = rise if options.annealing == "linear" else updates
    return replace(options, **found)


def default_name(options: Options, corpus: str) -> str:
    """The default name of the run directory: the model, and what is not the default.

    Args:
        options: with defaults.
        corpus: its name.
    """
    parts = [plain_name(corpus), options.posterior]
    if options.objective != "vae":
        parts.append(options.objective)
    elif options.C is not None and options.posterior != "none":
        parts.append("C" + "-".join(f"{target:g}" for target in options.C))
    parts += [f"{options.seeds}seeds", f"{options.epochs}epochs"]
    named = ("corpus", "posterior", "objective", "C", "seeds", "epochs")
    chosen, usual = (
        {name: value for name, value in determining(found).items() if name not in named}
        for found in (options, with_defaults(Options(corpus=options.corpus)))
    )
    if options.ramp is None:  # there is no target
        del usual["ramp"], chosen["ramp"]
    return run_name(parts, chosen, usual)


NEEDED = ("corpus", "posterior", "objective", "C", "seeds", "seed", "latent_dim")
NEEDED += ("sentences", "tokens", "ids", "vocabulary_digest")
"""What the config of every training has, however old."""


def complete_config(config: Mapping[str, Any], where: object) -> dict[str, Any]:
    """The config of a training, with the defaults of options that came after it.

    Args:
        config: as config.json has it.
        where: the run, for messages.

    Raises:
        InputError: it is of another command, lacks what every training has, or has a value that no
            option can have.
    """
    kind = config.get("experiment")
    if kind != "vae":
        raise InputError(
            f"{where}: is a run of jaxiso.{kind or '?'}, not of jaxiso.vae; give the directory "
            "of a VAE's training"
        )
    if missing := sorted(set(NEEDED) - config.keys()):
        raise InputError(f"{where}/config.json: has no {', '.join(missing)}; is it damaged?")
    known = fields_of(Options)
    given = {name: value for name, value in config.items() if name in known}
    if given["C"] is not None:
        given["C"] = tuple(targets_of(given))
    needed = {
        name for name, value in corpus_defaults(config["corpus"]).items() if value is not None
    }
    if weighs_kl(given):
        needed -= OF_TARGET
    if given.get("annealing") is not None:
        needed.add("annealing_updates")
        given.setdefault("annealing_updates", None)
    for name, value in given.items():
        if (value is None and name in needed) or not _fits(value, known[name][0]):
            raise InputError(f"{where}/config.json: {name} {value!r}: is it damaged?")
    try:
        return {**run_config(with_defaults(Options(**given))), **config}
    except InputError as error:
        raise InputError(f"{where}/config.json: {error}; is it damaged?") from None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the type of an option."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(one, get_args(hint)[0]) for one in value)
    if get_args(hint):
        return any(_fits(value, one) for one in get_args(hint))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)
