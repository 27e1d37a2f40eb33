"""The parts of `python -m jaxiso.vae evaluate`, for one seed of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxiso.data.batches import Batches
from jaxiso.data.edits import delete_words, hide_end
from jaxiso.experiments import vae_measures
from jaxiso.experiments.probe import ProbeConfig, few_shot, linear_accuracy, probe_accuracies
from jaxiso.experiments.vae_measures import EvaluationPrograms, Measures
from jaxiso.files import replacing
from jaxiso.runs import FIGURES, LATENTS

if TYPE_CHECKING:
    from jaxiso.vae_evaluation import Options, Part, Trained

FEW = (0.1, 0.01, 0.001)
"""Portions of the training data, paper B, Figure 2."""
DELETED, HIDDEN = 0.3, 0.75
EXAMPLES = 3
POINTS_ON_A_LINE = 5
FIGURE_SENTENCES = 2000


class SeedParts:
    """What each part measures of one seed; `texts` collects what it wrote.

    Args:
        trained: the run.
        options: of the command line.
        programs: of the run's model.
        number: of the seed in the run.
    """

    def __init__(
        self, trained: Trained, options: Options, programs: EvaluationPrograms, number: int
    ) -> None:
        self._trained, self._options, self._programs = trained, options, programs
        self._params, self._number = trained.seeds[number], number
        self._key = jax.random.fold_in(jax.random.key(options.seed), number)
        self._codes = vae_measures.code_sentences(
            programs, self._params, self._batches(trained.test), self._key
        )
        self.texts: dict[str, Any] = {}

    def measure(self, part: Part) -> Measures:
        """Measures by their names in evaluation.json."""
        # Each part draws from its own stream, so that its numbers do not depend on the others.
        rng = np.random.default_rng((self._options.seed, self._number, *part.encode()))
        measures: dict[Part, Callable[[np.random.Generator], Measures]] = {
            "reconstruction": self._reconstruction,
            "likelihood": self._likelihood,
            "classification": self._classification,
            "imputation": self._imputation,
            "generation": self._generation,
            "posterior": self._posterior,
            "geometry": self._geometry,
            "figures": self._figures,
        }
        return measures[part](rng)

    def _reconstruction(self, rng: np.random.Generator) -> Measures:
        del rng
        return vae_measures.reconstruction(self._params, self._codes, self._trained.test)

    def _likelihood(self, rng: np.random.Generator) -> Measures:
        sentences = self._trained.test
        some = self._sample(rng, self._options.likelihood_sentences)
        batches = self._batches([sentences[i] for i in some])
        return vae_measures.likelihood(
            self._programs, self._params, batches, self._key, self._options.importance_samples
        )

    def _classification(self, rng: np.random.Generator) -> Measures:
        (learn, y), (held, y_held) = self._to_classify(rng)
        corpus = self._trained.text.corpus
        config = ProbeConfig(len(corpus.classes), initialisations=self._options.initialisations)
        mark = "" if self._options.protocol == "paper" else "_code"

        def accuracy(features, labels, test_features) -> float:
            found = probe_accuracies(self._key, features, labels, test_features, y_held, config)
            return float(found.mean())

        means, test_means = self._means(learn), self._means(held)
        found = {f"accuracy{mark}": accuracy(means, y, test_means)}
        found[f"accuracy_linear{mark}"] = linear_accuracy(means, y, test_means, y_held)
        for share in FEW:
            some = few_shot(y, share, rng)
            found[f"accuracy_{share:.1%}{mark}"] = accuracy(means[some], y[some], test_means)
        # Classifiers learn from sentences that lost words too, as the authors' do.
        means, test_means = (self._means(delete_words(s, DELETED, rng)) for s in (learn, held))
        return found | {f"accuracy_deleted{mark}": accuracy(means, y, test_means)}

    def _to_classify(self, rng: np.random.Generator):
        """Sentences and classes to learn from, and to test on."""
        test, labels, text = self._trained.test, self._trained.labels, self._trained.text
        train_labels = text.corpus.train.labels
        assert labels is not None and train_labels is not None
        if self._options.protocol == "paper":
            train = text.vocabulary.encode_all(text.corpus.train.sentences, "train", quiet=True)
            return (train, train_labels), (test, labels)
        order = rng.permutation(len(test))
        cut = int(0.8 * len(test))
        return (
            ([test[i] for i in order[:cut]], labels[order[:cut]]),
            ([test[i] for i in order[cut:]], labels[order[cut:]]),
        )

    def _imputation(self, rng: np.random.Generator) -> Measures:
        test = self._trained.test
        hidden = hide_end(test, HIDDEN)
        decoded = vae_measures.decode(self._params, self._means(hidden), max(map(len, test)))
        # Of the shorter half next to nothing is left to tell what they are about.
        lengths = np.array(list(map(len, test)))
        long = [i for i in rng.permutation(len(test)) if lengths[i] >= np.median(lengths)]
        self.texts["imputation"] = [
            {
                "original": self._words(test[i]),
                "left": self._words(hidden[i]),
                "imputed": self._words(decoded[i]),
            }
            for i in long[:EXAMPLES]
        ]
        likeness = vae_measures.likeness(decoded, test)
        return {f"imputation_{name}": value for name, value in likeness.items()}

    def _generation(self, rng: np.random.Generator) -> Measures:
        test, means = self._trained.test, self._codes.mean
        longest = max(map(len, test))
        pairs = rng.permutation(len(test))[: 2 * EXAMPLES]
        self.texts["interpolation"] = []
        for a, b in zip(pairs[::2], pairs[1::2], strict=False):
            line = np.linspace(means[a], means[b], POINTS_ON_A_LINE, dtype=np.float32)
            between = vae_measures.decode(self._params, line, longest)
            self.texts["interpolation"].append(
                {
                    "from": self._words(test[a]),
                    "to": self._words(test[b]),
                    "decoded": [self._words(ids) for ids in between],
                }
            )
        if self._trained.vae.posterior != "none":  # an autoencoder has no prior
            z = rng.standard_normal((2 * EXAMPLES, means.shape[1]), np.float32)
            sentences = vae_measures.decode(self._params, z, longest)
            self.texts["prior"] = [self._words(ids) for ids in sentences]
        return {}

    def _posterior(self, rng: np.random.Generator) -> Measures:
        return vae_measures.posterior_shape(self._codes, rng)

    def _geometry(self, rng: np.random.Generator) -> Measures:
        del rng
        return vae_measures.geometry(self._codes.mean, self._trained.labels)

    def _figures(self, rng: np.random.Generator) -> Measures:
        """The Mapper graph of all means; latents.npz and figures of the first seed."""
        from jaxiso.experiments.mapper import density_graph, tsne

        means, labels = self._codes.mean, self._trained.labels
        graph = density_graph(means)
        if self._number == 0:
            from jaxiso.figures import save_figure
            from jaxiso.figures_vae import figure_mapper, figure_tsne

            some = self._sample(rng, FIGURE_SENTENCES)
            latents: dict[str, Any] = {
                "means": means[some],
                "tsne": tsne(means[some], seed=self._options.seed),
            }
            if labels is not None:
                latents["labels"] = labels[some]
            with replacing(self._trained.directory / LATENTS) as file:
                np.savez_compressed(file, **latents)
            folder, name = self._trained.directory / FIGURES, self._trained.vae.posterior
            classes = self._trained.text.corpus.classes
            drawn = figure_tsne({name: latents["tsne"]}, latents.get("labels"), classes)
            save_figure(drawn, folder / "tsne")
            save_figure(figure_mapper({name: graph}), folder / "mapper")
        return {"mapper_components": float(graph.components)}

    def _sample(self, rng: np.random.Generator, wanted: int) -> np.ndarray:
        """Numbers of `wanted` test sentences in order; of all if 0 or more than there are."""
        n = len(self._trained.test)
        return np.sort(rng.permutation(n)[: wanted or n])

    def _batches(self, sentences: Sequence[np.ndarray]) -> Batches:
        # Few lengths: each is compiled once, and there are few sentences to pay for that.
        return Batches(sentences, self._trained.config["batch_size"], most_lengths=3)

    def _means(self, sentences: Sequence[np.ndarray]) -> np.ndarray:
        return vae_measures.encode_sentences(self._programs, self._params, self._batches(sentences))

    def _words(self, ids: Sequence[int] | np.ndarray) -> str:
        return " ".join(self._trained.text.vocabulary.decode(ids))
