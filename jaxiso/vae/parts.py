"""The parts of `python -m jaxiso.vae evaluate`: what each measures of one seed of a run.

A part is a function of the seed and of random numbers of its own, so that what it measures does not
depend on the other parts. It always gives the same names; a measure without a value is the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from jaxiso.cli.console import first_line, note
from jaxiso.cli.figures import save_figure
from jaxiso.data.batches import Batches, delete_words, hide_end
from jaxiso.run_files import FIGURES, LATENTS
from jaxiso.runs import Run
from jaxiso.vae import measures
from jaxiso.vae.evaluations import marked, name_of
from jaxiso.vae.experiment import VAEConfig
from jaxiso.vae.figures import figure_mapper, figure_tsne
from jaxiso.vae.mapper import density_graph, tsne
from jaxiso.vae.measures import Codes, Measures, measured
from jaxiso.vae.options import EvaluateOptions, Part
from jaxiso.vae.probe import ProbeConfig, few_shot, linear_accuracy, probe_accuracies
from jaxiso.vae.text import Text

Rng = np.random.Generator

FEW = (0.1, 0.01, 0.001)
"""Portions of the training data, paper B, Figure 2."""
DELETED, HIDDEN = 0.3, 0.75
EXAMPLES = 3
POINTS_ON_A_LINE = 5
FIGURE_SENTENCES = 2000


class Trained(NamedTuple):
    """The models of a run that have one target KL.

    Attributes:
        directory: of the run.
        config: what determined their numbers, completed.
        mark: in the names of their files, where the run has several targets.
        source: where its text was.
        params: the parameters of each seed.
        updates: how many there were.
        digest: of all parameters of the run.
    """

    directory: Path
    config: dict[str, Any]
    mark: str
    source: dict[str, Any]
    params: list[Any]
    updates: int
    digest: str


@dataclass
class OneSeed:
    """A seed of a run, to be measured.

    Attributes:
        run: where figures go.
        options: of the command line.
        trained: the models of all seeds.
        number: of the seed in the run.
        text: the corpus as ids.
        test: the test sentences' ids with eos.
        texts: collects what the seed wrote.
    """

    run: Run
    options: EvaluateOptions
    trained: Trained
    number: int
    text: Text
    test: Sequence[np.ndarray]
    texts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = VAEConfig.of(self.trained.config)
        self.programs = measures.make_evaluation(self.config)
        self.params = self.trained.params[self.number]
        self.key: Array = jax.random.fold_in(jax.random.key(self.options.seed), self.number)
        self.codes: Codes = measures.code_sentences(
            self.programs, self.params, self.batches(self.test), self.key
        )

    @property
    def labels(self) -> np.ndarray | None:
        """Classes of the test sentences."""
        return self.text.corpus.test.labels

    def measure(self, part: Part) -> Measures:
        """What a part gives; nothing at all of a model that is no numbers."""
        rng = np.random.default_rng((self.options.seed, self.number, *part.encode()))
        with np.errstate(all="ignore"):
            found = PARTS[part](self, rng)
        if all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(self.params)):
            return found
        self.texts = {}
        return dict.fromkeys(found, f"seed {self.number} diverged in training")

    def batches(self, sentences: Sequence[np.ndarray]) -> Batches:
        """Of few lengths: each is compiled once, and there are few sentences to pay for that."""
        return Batches(sentences, self.run.config["batch_size"], most_lengths=3)

    def means(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        """Their posterior means, shape (n, latent)."""
        return measures.encode_sentences(self.programs, self.params, self.batches(sentences))

    def sample(self, rng: Rng, wanted: int) -> np.ndarray:
        """Numbers of `wanted` test sentences in order; of all if 0 or more than there are."""
        n = len(self.test)
        return np.sort(rng.permutation(n)[: wanted or n])

    def words(self, ids: Sequence[int] | np.ndarray) -> str:
        """The sentence that ids are."""
        return " ".join(self.text.vocabulary.decode(ids))


def likelihood(seed: OneSeed, rng: Rng) -> Measures:
    """The importance-weighted likelihood of some test sentences."""
    if seed.config.posterior == "none":
        return dict.fromkeys(measures.LIKELIHOOD, "an autoencoder has no likelihood of a sentence")
    some = seed.sample(rng, seed.options.likelihood_sentences)
    batches = seed.batches([seed.test[i] for i in some])
    return measures.likelihood(
        seed.programs, seed.params, batches, seed.key, seed.options.importance_samples
    )


def classification(seed: OneSeed, rng: Rng) -> Measures:
    """Figure 2 and Section 3.2: what probes read from the posterior means."""
    mark = "" if seed.options.protocol == "paper" else "_code"
    shares = [f"accuracy_{share:.1%}{mark}" for share in FEW]
    names = f"accuracy{mark}", f"accuracy_linear{mark}", f"accuracy_deleted{mark}"
    names += tuple(name for share in shares for name in (share, f"{share}_sd"))
    if seed.labels is None:
        return dict.fromkeys(names, "the corpus has no labels")
    (learn, y), (held, y_held) = _to_classify(seed, rng)
    if not (len(learn) and len(held)):
        return dict.fromkeys(names, f"{len(seed.test)} test sentences cannot be split 80/20")
    config = ProbeConfig(
        len(seed.text.corpus.classes), initialisations=seed.options.initialisations
    )

    def accuracies(features, test_features, config, rows=None):
        return probe_accuracies(seed.key, features, y, test_features, y_held, config, rows)

    means, test_means = seed.means(learn), seed.means(held)
    found: Measures = {names[0]: measured(lambda: accuracies(means, test_means, config).mean())}
    found[names[1]] = measured(linear_accuracy, means, y, test_means, y_held)
    for name, share in zip(shares, FEW, strict=True):
        # A probe for each part: ten parts cost no more than ten initialisations on one of them.
        rows = few_shot(len(y), share, seed.options.draws, rng)
        each = replace(config, initialisations=len(rows))
        drawn = cache(partial(accuracies, means, test_means, each, rows))
        found[name] = measured(lambda drawn=drawn: drawn().mean())
        found[f"{name}_sd"] = "one draw has no standard deviation"
        if len(rows) > 1:
            found[f"{name}_sd"] = measured(lambda drawn=drawn: drawn().std(ddof=1))
    # Classifiers learn from sentences that lost words too, as the authors' do.
    less, test_less = (seed.means(delete_words(s, DELETED, rng)) for s in (learn, held))
    return found | {names[2]: measured(lambda: accuracies(less, test_less, config).mean())}


def _to_classify(seed: OneSeed, rng: Rng):
    """Sentences and classes to learn from, and to test on."""
    test, labels, text = seed.test, seed.labels, seed.text
    train_labels = text.corpus.train.labels
    assert labels is not None and train_labels is not None
    if seed.options.protocol == "paper":
        train = text.vocabulary.encode_all(text.corpus.train.sentences, "train", quiet=True)
        return (train, train_labels), (test, labels)
    order = rng.permutation(len(test))
    cut = int(0.8 * len(test))
    return (
        ([test[i] for i in order[:cut]], labels[order[:cut]]),
        ([test[i] for i in order[cut:]], labels[order[cut:]]),
    )


def imputation(seed: OneSeed, rng: Rng) -> Measures:
    """Table 1: what becomes of sentences whose end is hidden."""
    test = seed.test
    hidden = hide_end(test, HIDDEN)
    decoded = measures.decode(seed.params, seed.means(hidden), max(map(len, test)))
    # Of the shorter half next to nothing is left to tell what they are about.
    lengths = np.array(list(map(len, test)))
    long = [i for i in rng.permutation(len(test)) if lengths[i] >= np.median(lengths)]
    seed.texts["imputation"] = [
        {
            "original": seed.words(test[i]),
            "left": seed.words(hidden[i]),
            "imputed": seed.words(decoded[i]),
        }
        for i in long[:EXAMPLES]
    ]
    likeness = measures.likeness(decoded, test)
    return {f"imputation_{name}": value for name, value in likeness.items()}


def generation(seed: OneSeed, rng: Rng) -> Measures:
    """Sentences between two others, and from the prior."""
    test, means = seed.test, seed.codes.mean
    longest = max(map(len, test))
    pairs = rng.permutation(len(test))[: 2 * EXAMPLES]
    seed.texts["interpolation"] = []
    for a, b in zip(pairs[::2], pairs[1::2], strict=False):
        line = np.linspace(means[a], means[b], POINTS_ON_A_LINE, dtype=np.float32)
        between = measures.decode(seed.params, line, longest)
        seed.texts["interpolation"].append(
            {
                "from": seed.words(test[a]),
                "to": seed.words(test[b]),
                "decoded": [seed.words(ids) for ids in between],
            }
        )
    if seed.config.posterior != "none":  # an autoencoder has no prior
        z = rng.standard_normal((2 * EXAMPLES, means.shape[1]), np.float32)
        seed.texts["prior"] = [seed.words(ids) for ids in measures.decode(seed.params, z, longest)]
    return {}


def figures(seed: OneSeed, rng: Rng) -> Measures:
    """The Mapper graph of all means; latents.npz and figures of the first seed (Figure 3)."""
    means, labels, corpus = seed.codes.mean, seed.labels, seed.text.corpus
    try:
        graph = density_graph(means)
    except ValueError as error:
        note(f"{seed.run.directory}: no figures: {first_line(error)}", quiet=seed.options.quiet)
        return {"mapper_components": first_line(error)}
    if seed.number == 0:
        some = seed.sample(rng, FIGURE_SENTENCES)
        latents: dict[str, Any] = {
            "means": means[some],
            "tsne": tsne(means[some], seed=seed.options.seed),
        }
        if labels is not None:
            latents["labels"] = labels[some]
        trained, name = seed.trained, name_of(seed.trained.config)
        with seed.run.writing(marked(LATENTS, trained.mark)) as file:
            np.savez_compressed(file, **latents, model=np.array(trained.digest))
        folder = seed.run.directory / FIGURES
        drawn = figure_tsne({name: latents["tsne"]}, latents.get("labels"), corpus.classes)
        save_figure(drawn, folder / f"tsne{trained.mark}")
        save_figure(figure_mapper({name: graph}), folder / f"mapper{trained.mark}")
    return {"mapper_components": float(graph.components)}


PARTS: dict[Part, Callable[[OneSeed, Rng], Measures]] = {
    "reconstruction": lambda seed, rng: measures.reconstruction(seed.params, seed.codes, seed.test),
    "likelihood": likelihood,
    "classification": classification,
    "imputation": imputation,
    "generation": generation,
    "posterior": lambda seed, rng: measures.posterior_shape(seed.codes, rng),
    "geometry": lambda seed, rng: measures.geometry(seed.codes.mean, seed.labels),
    "figures": figures,
}
