"""Evaluates trained LSTM-VAEs: every measurement of paper B, and the geometry of paper A.

    python -m jaxiso.vae evaluate RUN [RUN …]

RUN is the directory of a training (its --out). The measurements go to RUN/evaluation.json, figures
to RUN/figures; a table shows all runs beside the paper's numbers. Runs that differ by their --seed
only are averaged. Parts:

- reconstruction: rec, KL, active units, BLEU and ROUGE of greedy decoding (Table 4)
- likelihood: importance-weighted NLL and perplexity
- classification: probes on the posterior means, few-shot, with 30 % of the words deleted (Figure 2)
- imputation: 75 % of the words hidden (Table 1)
- generation: sentences between two others, and from the prior
- posterior: the aggregated posterior and isotropy scores (Tables 2 and 3)
- geometry: IsoScore, silhouette and others of the means by class
- figures: t-SNE and Mapper of the means (Figure 3)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

import tyro

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from jaxiso.experiments.vae import VAEConfig
    from jaxiso.experiments.vae_measures import Measures
    from jaxiso.vae_training import Text

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
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Directories of trainings."""
    parts: tuple[Part, ...] = PARTS
    """What to measure; the parts are listed above. What was measured before is kept."""
    protocol: Literal["paper", "code"] = "paper"
    """Of the classification. paper: probes learn from training sentences, and are tested on test
    sentences. code: from 80 % of the test sentences, tested on the others, as in the authors'."""
    initialisations: int = 10
    """Probes of each kind, whose accuracies are averaged."""
    importance_samples: int = 100
    """Draws of z a sentence for the likelihood."""
    likelihood_sentences: int = 500
    """Test sentences, drawn at random, for the likelihood; 0 for all."""
    data_dir: Path | None = None
    """Where the corpus is, as in training."""
    corpus: str | None = None
    """FILE or folder of the corpus, for a run on one's own; known for the others."""
    seed: int = 0
    """Of all random draws."""
    quiet: bool = False
    """Print the tables only."""


class Trained(NamedTuple):
    """A run that can be evaluated.

    Attributes:
        directory: of the run.
        config: what determined its numbers, as stored.
        vae: what compiles the model.
        text: the corpus as ids.
        test: the test sentences' ids with eos.
        labels: their classes, or None.
        seeds: the parameters of each seed.
        updates: how many there were.
    """

    directory: Path
    config: dict[str, Any]
    vae: VAEConfig
    text: Text
    test: list[np.ndarray]
    labels: np.ndarray | None
    seeds: list[Any]
    updates: int


def main(arguments: Sequence[str]) -> None:
    """Runs `python -m jaxiso.vae evaluate`."""
    options = tyro.cli(
        Options,
        prog="python -m jaxiso.vae evaluate",
        description=__doc__,
        args=list(arguments),
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    check(options)
    from jaxiso import backend, vae_tables
    from jaxiso.runs import read_config

    backend.keep_compiled_programs()
    for directory in options.runs:  # before hours of work
        _check_config(directory, read_config(directory))
    evaluations = [evaluate(directory, options) for directory in options.runs]
    vae_tables.print_tables(evaluations)


def check(options: Options) -> None:
    """Refuses options that no run can use.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    if not options.runs:
        raise InputError("no run given; give the directories of trainings (their --out)")
    if not options.parts:
        raise InputError(f"--parts: nothing is named; allowed: {', '.join(PARTS)}")
    least = {"initialisations": 1, "importance_samples": 1, "likelihood_sentences": 0, "seed": 0}
    for name, lowest in least.items():
        value = getattr(options, name)
        if value < lowest:
            raise InputError(f"--{name.replace('_', '-')} {value}: must be at least {lowest}")


def _check_config(directory: Path, config: dict[str, Any]) -> None:
    kind = config.get("experiment")
    if kind != "vae":
        raise InputError(
            f"{directory}: is a run of jaxiso.{kind or '?'}, not of jaxiso.vae; give the directory "
            "of a VAE's training"
        )
    needed = {"posterior", "objective", "C", "seeds", "vocabulary", "latent_dim", "corpus"}
    if missing := sorted(needed - config.keys()):
        raise InputError(f"{directory}/config.json: has no {', '.join(missing)}; is it damaged?")


def load(directory: Path, options: Options) -> Trained:
    """Reads a run's model and the corpus it was trained on.

    Raises:
        InputError: no run of a VAE, no checkpoint, or a corpus that is not the one of the training.
    """
    import jax

    from jaxiso import vae, vae_training
    from jaxiso.data.vocabulary import Vocabulary
    from jaxiso.experiments.seeds import seed_keys
    from jaxiso.experiments.vae import make_vae
    from jaxiso.runs import read_checkpoint, read_config

    config = read_config(directory)
    _check_config(directory, config)
    known = {field.name for field in fields(vae.Options)} & config.keys()
    training = vae.Options(
        **{name: config[name] for name in known - {"corpus"}},
        corpus=options.corpus or config["corpus"],
        data_dir=options.data_dir,
        quiet=True,
    )
    text = vae_training.load_text(training)
    stored = Vocabulary.load(directory / vae_training.VOCABULARY)
    same = ("sentences", "tokens", "vocabulary_digest", "corpus")
    now = vae_training.run_config(training, text)
    changed = [name for name in same if now[name] != config.get(name)]
    if changed or stored.digest != text.vocabulary.digest:
        what = ", ".join(f"{n}: then {config.get(n)!r}, now {now[n]!r}" for n in changed)
        raise InputError(
            f"{directory}: was not trained on the sentences of {text.corpus.source} ({what}); give "
            "--data-dir or --corpus with the data of the training"
        )
    model = vae.make_config(training, text)
    init = jax.eval_shape(
        jax.vmap(make_vae(model).init), jax.eval_shape(lambda: seed_keys(0, config["seeds"]))
    )
    updates, states = read_checkpoint(
        directory, vae_training.first_checkpoint(init, config["seeds"])
    )
    params = states["states"].params
    seeds = [jax.tree.map(lambda x, s=s: x[s], params) for s in range(config["seeds"])]
    test = text.vocabulary.encode_all(text.corpus.test.sentences, "test", quiet=True)
    return Trained(directory, config, model, text, test, text.corpus.test.labels, seeds, updates)


def evaluate(directory: Path, options: Options) -> dict[str, Any]:
    """Measures the chosen parts of a run, and writes them to its evaluation.json.

    Returns:
        What is in that file.

    Raises:
        InputError: as `load`.
    """
    from jaxiso.experiments.vae_measures import make_evaluation
    from jaxiso.files import read_object, write_json
    from jaxiso.runs import EVALUATION
    from jaxiso.vae_parts import SeedParts

    trained = load(directory, options)
    parts: list[Part] = [part for part in options.parts if _possible(part, trained, options)]
    programs = make_evaluation(trained.vae)
    found: list[Measures] = []
    texts: dict[str, Any] = {}
    steps = len(trained.seeds) * len(parts)
    what = f"evaluating {directory.name}"
    with console.Progress(what, steps, unit="parts", quiet=options.quiet) as progress:
        for number in range(len(trained.seeds)):
            parts_of_seed = SeedParts(trained, options, programs, number)
            measures: Measures = {}
            for part in parts:
                measures |= parts_of_seed.measure(part)
                progress.advance(info=f"{part}, seed {number}")
            found.append(measures)
            texts = texts or parts_of_seed.texts
    path = directory / EVALUATION
    earlier = read_object(path) if path.exists() else {}
    if earlier.get("updates") != trained.updates:
        earlier = {}
    evaluation = {
        "run": directory.name,
        "updates": trained.updates,
        "test_sentences": len(trained.test),
        "config": trained.config,
        "settings": {**earlier.get("settings", {}), **_settings(options, parts)},
        "measures": {**earlier.get("measures", {}), **_summary(found)},
        "texts": {**earlier.get("texts", {}), **texts},
    }
    write_json(path, evaluation)
    return evaluation


def _possible(part: Part, trained: Trained, options: Options) -> bool:
    why = ""
    if part == "classification" and trained.labels is None:
        why = "the corpus has no labels"
    if part == "likelihood" and trained.vae.posterior == "none":
        why = "an autoencoder has no likelihood of a sentence"
    if why:
        console.note(f"{trained.directory}: {part} is left out: {why}", quiet=options.quiet)
    return not why


def _settings(options: Options, parts: Sequence[Part]) -> dict[str, Any]:
    """What each part was measured with, to be read years later."""
    own: dict[str, tuple[str, ...]] = {
        "likelihood": ("importance_samples", "likelihood_sentences"),
        "classification": ("protocol", "initialisations"),
    }
    return {
        part: {name: getattr(options, name) for name in ("seed", *own.get(part, ()))}
        for part in parts
    }


def _summary(found: Sequence[Measures]) -> dict[str, dict[str, Any]]:
    import numpy as np

    summary = {}
    for name in found[0]:
        values = [measures[name] for measures in found]
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        summary[name] = {"values": values, "mean": float(np.mean(values)), "sd": sd}
    return summary
