"""The text that `python -m jaxiso.vae` trains on, and what is said before it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso import papers
from jaxiso.cli.console import note, several
from jaxiso.cli.options import flag
from jaxiso.data.batches import Batches
from jaxiso.data.corpora import Corpus, load_corpus
from jaxiso.data.vocabulary import Vocabulary
from jaxiso.models.tokens import UNK
from jaxiso.vae.configs import corpus_defaults, fitted, run_config, targets_of, with_defaults
from jaxiso.vae.experiment import VAEConfig
from jaxiso.vae.options import LARGE, Options, has_target

TRAIN_SAMPLE = 2000


class Text(NamedTuple):
    """A corpus as ids.

    Attributes:
        corpus: its words, labels and source.
        vocabulary: of its training sentences.
        train: batches to train on.
        train_sample: `TRAIN_SAMPLE` training sentences, to measure.
        dev: the development sentences, to measure.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    train: Batches
    train_sample: Batches
    dev: Batches

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's config says of the text: no other text gives the same numbers."""
        return {
            "corpus": self.corpus.name,
            "sentences": len(self.corpus.train),
            "tokens": self.train.tokens,
            "ids": len(self.vocabulary),
            "vocabulary_digest": self.vocabulary.digest,
            "cut": self.corpus.counts,
            **{f"{split}_sha256": digest for split, digest in self.corpus.digests.items()},
        }


def load_text(
    config: Mapping[str, Any], corpus: str, *, data_dir: Path | str | None, quiet: bool
) -> Text:
    """Reads a corpus and encodes it as a config has it.

    Raises InputError: the corpus cannot be found or used, or nothing but unk would be left.
    """
    return _as_ids(_load_words(config, corpus, data_dir=data_dir, quiet=quiet), config, quiet)


def _load_words(
    config: Mapping[str, Any], corpus: str, *, data_dir: Path | str | None, quiet: bool
) -> Corpus:
    return load_corpus(
        corpus,
        data_dir=data_dir,
        max_length=config["max_length"],
        sentence_rule=config["sentence_rule"],
        seed=config["seed"],
        quiet=quiet,
    )


def _as_ids(found: Corpus, config: Mapping[str, Any], quiet: bool) -> Text:
    seed, size = config["seed"], config["batch_size"]
    vocabulary = Vocabulary.build(found.train.sentences, config["vocabulary"], quiet=quiet)
    train = vocabulary.encode_all(found.train.sentences, "train", quiet=quiet)
    dev = vocabulary.encode_all(found.dev.sentences, "dev", quiet=quiet)
    if not any(UNK in ids for ids in train) and any(UNK in ids for ids in dev):
        note(
            "nothing can be learned of unk, which no sentence to train on has: a --vocabulary "
            f"below {len(vocabulary) - UNK:,} leaves some",
            quiet=quiet,
        )
    order = np.random.default_rng(seed).permutation(len(train))[:TRAIN_SAMPLE]
    return Text(
        found,
        vocabulary,
        Batches(train, size, seed=seed, batching=config["batching"]),
        Batches([train[i] for i in order], size),
        Batches(dev, size),
    )


def load_training(options: Options) -> tuple[Text, dict[str, Any]]:
    """The text to train on, and all that determines the numbers of the run, with the defaults.

    Raises InputError: as `load_text`; or options that do not fit the length of the training.
    """
    given = run_config(with_defaults(options))
    words = _load_words(given, options.corpus, data_dir=options.data_dir, quiet=options.quiet)
    sentences = len(words.train)
    first = run_config(with_defaults(options, sentences))
    text = _as_ids(words, first, options.quiet)
    chosen = with_defaults(fitted(options, first["epochs"] * len(text.train), sentences), sentences)
    return text, {"experiment": "vae", **run_config(chosen), **text.facts}


def announce(text: Text, config: Mapping[str, Any], *, quiet: bool) -> None:
    """Says what is about to be trained, and for the default corpus what the paper's run is."""
    note(f"corpus: {text.corpus.name}, from {text.corpus.source}", quiet=quiet)
    name, sentences = text.corpus.name, len(text.corpus.train)
    if corpus_defaults(name, sentences) != corpus_defaults(name):
        note(
            f"a small corpus, of fewer than {LARGE:,} sentences to train on: what is not given is "
            "that of a small model, see --help",
            quiet=quiet,
        )
    note(f"batches: {text.train.describe()}", quiet=quiet)
    announce_kl(config, len(text.train) * config["epochs"], quiet=quiet)
    if text.corpus.where["corpus"] != "lee":
        return
    ours, theirs = VAEConfig.of(config), papers.VAE
    paper = replace(
        ours,
        ids=theirs["vocabulary"] + 3,  # pad, bos, eos
        embedding_dim=theirs["embedding_dim"],
        hidden_dim=theirs["hidden_dim"],
    )
    # Sentences of about 23 words.
    tokens = papers.VAE_CORPORA["dbpedia"]["sentences"] * 23
    times = tokens * theirs["epochs"] * papers.VAE_SEEDS * paper.operations()
    models = config["seeds"] * len(targets_of(config))
    times /= config["tokens"] * config["epochs"] * models * ours.operations()
    note(
        "this small model on a small corpus shows that all works; the paper's run is\n"
        f"  python -m jaxiso.vae --corpus dbpedia --posterior {ours.posterior} "
        f"--C {papers.VAE_C:g}\n"
        f"about {times:,.0f} times the computing of this one: hours on a GPU",
        quiet=quiet,
    )


def announce_kl(config: Mapping[str, Any], updates: int, *, quiet: bool) -> None:
    """Says over how many updates the target of the KL rises, or its weight; warns if too many."""
    model = VAEConfig.of(config)
    if has_target(config):
        option, over, ends = "ramp", config["ramp"], targets_of(config)
        what, unit = "target KL", " nats"
        reached = [model.target(end, updates - 1) for end in ends]
    elif config.get("annealing") is not None:
        option, over, ends = "annealing_updates", config["annealing_updates"], [config["beta"]]
        what, unit = f"weight of the KL ({config['annealing']} annealing)", ""
        reached = [model.weight(updates - 1)]
    else:
        return
    shown, short = (", ".join(f"{float(x):.3g}" for x in found) for found in (ends, reached))
    note(
        f"{what}: rises to {shown}{unit} over {over:,} of {several(updates, 'update')}", quiet=quiet
    )
    if over > updates:
        note(
            f"warning: {flag(option)} {over}: the training is shorter, and ends at {short} of "
            f"{shown}{unit}; give at most {updates}, or more --epochs",
            quiet=quiet,
        )
