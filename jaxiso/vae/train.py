"""What `python -m jaxiso.vae` does: reads the text, trains with checkpoints, shows the result."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxiso import papers
from jaxiso.cli.console import duration, note, printer, several
from jaxiso.cli.files import plain_name
from jaxiso.cli.options import determining
from jaxiso.data.batches import Batch, Batches
from jaxiso.data.corpora import Corpus, load_corpus
from jaxiso.data.vocabulary import Vocabulary
from jaxiso.metrics.posterior import active_units, mutual_information
from jaxiso.runs import VOCABULARY, Columns, Run
from jaxiso.seeds import seed_keys
from jaxiso.training import Training
from jaxiso.training import train as train_and_save
from jaxiso.vae.experiment import SeedPrograms, VAEConfig, model_digest, seed_programs
from jaxiso.vae.options import Options
from jaxiso.vae.tables import spread

TRAIN_SAMPLE = 2000
MEASURED = {
    "loss": ("Loss", 2),
    "rec": ("Reconstruction (nats)", 2),
    "kl": ("KL (nats)", 2),
    "active_units": ("Active units", 0),
    "mutual_information": ("Mutual information", 2),
}
"""What is measured after every epoch, for people, and with how many decimals."""
SPLITS = ("train", "dev")
COLUMNS = tuple(f"{split}_{name}" for split in SPLITS for name in MEASURED)


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

    Raises:
        InputError: the corpus cannot be found or used, or nothing but unk would be left.
    """
    seed, size = config["seed"], config["batch_size"]
    found = load_corpus(
        corpus,
        data_dir=data_dir,
        max_length=config["max_length"],
        sentence_rule=config["sentence_rule"],
        seed=seed,
        quiet=quiet,
    )
    vocabulary = Vocabulary.build(found.train.sentences, config["vocabulary"], quiet=quiet)
    train = vocabulary.encode_all(found.train.sentences, "train", quiet=quiet)
    dev = vocabulary.encode_all(found.dev.sentences, "dev", quiet=quiet)
    order = np.random.default_rng(seed).permutation(len(train))[:TRAIN_SAMPLE]
    return Text(
        found,
        vocabulary,
        Batches(train, size, seed=seed, batching=config["batching"]),
        Batches([train[i] for i in order], size),
        Batches(dev, size),
    )


def load_training(options: Options) -> tuple[Text, dict[str, Any]]:
    """The text to train on, and all that determines the numbers of the run.

    Raises:
        InputError: as `load_text`.
    """
    chosen = determining(options)
    text = load_text(chosen, options.corpus, data_dir=options.data_dir, quiet=options.quiet)
    return text, {"experiment": "vae", **chosen, **text.facts}


def operations(config: VAEConfig) -> int:
    """Multiply-adds of one update, for each token: the measure of what a run costs."""
    e, h, z = config.embedding_dim, config.hidden_dim, config.latent_dim
    lstms = 4 * h * (e + h) * 2 + 4 * h * z
    return 3 * (lstms + h * config.ids)  # forwards, and twice that backwards


def announce(text: Text, config: Mapping[str, Any], *, quiet: bool) -> None:
    """Says what is about to be trained, and for the default corpus what the paper's run is."""
    note(f"corpus: {text.corpus.name}, from {text.corpus.source}", quiet=quiet)
    note(f"batches: {text.train.describe()}", quiet=quiet)
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
    times = tokens * theirs["epochs"] * papers.VAE_SEEDS * operations(paper)
    times /= config["tokens"] * config["epochs"] * config["seeds"] * operations(ours)
    note(
        "this small model on a small corpus shows that all works; the paper's run is\n"
        f"  python -m jaxiso.vae --corpus dbpedia --posterior {ours.posterior} "
        f"--C {papers.VAE_C:g}\n"
        f"about {times:,.0f} times the computing of this one: hours on a GPU",
        quiet=quiet,
    )


def start(config: Mapping[str, Any]) -> tuple[SeedPrograms, dict[str, Any]]:
    """The compiled programs of a run, and its state before the first update.

    The state holds those of all seeds (`seeds`), the `sums` of this epoch's losses, and the update
    at which each seed `diverged`, 0 for none.
    """
    programs = seed_programs(VAEConfig.of(config))
    states = programs.init(seed_keys(config["seed"], config["seeds"]))
    return programs, {
        "seeds": states,
        "sums": jnp.zeros((config["seeds"], 4)),
        "diverged": jnp.zeros(config["seeds"], jnp.int32),
    }


@jax.jit
def note_divergence(diverged, sums, number):
    """Notes the number of this update for seeds whose losses are no numbers for the first time."""
    return jnp.where((diverged == 0) & ~jnp.isfinite(sums[:, 0]), number, diverged)


def train(run: Run, text: Text, options: Options) -> None:
    """Trains from the last checkpoint on, measures after every epoch, and writes the result."""
    config, length = run.config, len(text.train)
    model = VAEConfig.of(config)
    programs, state = start(config)
    run.write_json(VOCABULARY, {"words": list(text.vocabulary.words)})
    batches: Iterator[Batch] = iter(())

    def step(state, number):
        nonlocal batches
        place = (number - 1) % length
        batch = next(batches, None)
        if batch is None:  # an epoch begins, or goes on after a checkpoint in it
            batches = text.train.epoch((number - 1) // length, start=place)
            batch = next(batches)
        sums = state["sums"] if place else jnp.zeros_like(state["sums"])
        seeds, sums = programs.step(state["seeds"], sums, batch)
        diverged = note_divergence(state["diverged"], sums, jnp.int32(number))
        found = {"seeds": seeds, "sums": sums, "diverged": diverged}
        return found, int((batch.lengths * batch.rows).sum())

    def measure_epoch(state, done):
        if done == 0:  # no rows yet, but the columns that a first checkpoint saves
            return {name: np.zeros(0) for name in ("seed", "epoch", *COLUMNS)}
        if done % length:
            return None
        return epoch_columns(programs, state, text, model, done // length)

    training = Training(
        updates=config["epochs"] * length,
        state=state,
        step=step,
        measure=measure_epoch,
        what=f"{plain_name(text.corpus.name)} {model.posterior}",
        unit="tokens",
        units=config["epochs"] * text.train.tokens,
        latest=_latest,
        checkpoint_every=options.checkpoint_every,
        checkpoint_at=lambda done: done % length == 0,
    )
    state, table, seconds = train_and_save(run, training, overwrite=options.overwrite)
    diverged = np.asarray(state["diverged"]).tolist()
    summary = summarise(table, {seed: at for seed, at in enumerate(diverged) if at}, length)
    digest = model_digest(state["seeds"].params)
    run.finish(summary | {"model": digest, "seconds": round(seconds, 1)})


def epoch_columns(
    programs: SeedPrograms, state: Mapping[str, Any], text: Text, config: VAEConfig, epoch: int
) -> dict[str, Any]:
    """A row of measures for each seed, after an epoch.

    Loss, rec and kl of the training sentences are means over the epoch, as the parameters were
    then; all else is of the parameters now, with the target at C.
    """
    sums = np.asarray(state["sums"])
    with np.errstate(all="ignore"):  # of a run that diverged
        means = sums[:, :3] / sums[:, 3:]
        splits = {
            "train": measure(programs, state["seeds"], text.train_sample, config),
            "dev": measure(programs, state["seeds"], text.dev, config),
        }
    seeds = len(sums)
    columns: dict[str, Any] = {"seed": np.arange(seeds), "epoch": np.full(seeds, epoch)}
    for split, found in splits.items():
        columns |= {f"{split}_{name}": [row[name] for row in found] for name in MEASURED}
    return columns | dict(zip(("train_loss", "train_rec", "train_kl"), means.T, strict=True))


def measure(
    programs: SeedPrograms, states: Any, batches: Batches, config: VAEConfig
) -> list[dict[str, float]]:
    """What `MEASURED` names, of sentences, for each seed; NaN for one that diverged."""
    parts = []
    for number, batch in enumerate(batches.in_order()):
        found = list(programs.code(states, batch, number))
        if config.objective == "iwae":
            found.append(programs.bound(states, batch, number))
        parts.append([np.asarray(values)[:, batch.rows > 0] for values in found])
    coded = [np.concatenate(values, axis=1) for values in zip(*parts, strict=True)]
    rows = []
    for mean, log_variance, z, rec, kl, *bound in zip(*coded, strict=True):
        loss = rec
        if bound:
            loss = bound[0]
        elif config.posterior != "none":
            loss = rec + config.beta * np.abs(kl - config.C)
        units = known = math.nan
        if all(np.isfinite(values).all() for values in (mean, log_variance, z)):
            units = float(active_units(mean))
            # Without a posterior every code is a point: it tells all there is to tell of n inputs.
            known = math.log(len(z))
            if log_variance.shape[1]:
                known = float(mutual_information(mean, log_variance, z))
        values = (float(loss.mean()), float(rec.mean()), float(kl.mean()), units, known)
        rows.append(dict(zip(MEASURED, values, strict=True)))
    return rows


def _latest(table: Columns) -> str:
    """Dev rec, KL and active units of the last epoch, for the progress bar."""
    if not table["step"]:
        return ""
    rec, kl, units = (table[f"dev_{name}"][-1] for name in ("rec", "kl", "active_units"))
    return f"dev rec {rec:.1f}, KL {kl:.2f}, {units:.0f} active units"


def summarise(table: Columns, diverged: Mapping[int, int], length: int) -> dict[str, Any]:
    """Mean and standard deviation over seeds after the last epoch; why, where there are none.

    Args:
        table: the metrics.
        diverged: the update at which a seed diverged.
        length: updates of an epoch.
    """
    updates = int(max(table["step"]))
    last = np.asarray(table["step"]) == updates
    why = "; ".join(
        f"seed {seed} diverged at update {at:,} (epoch {(at - 1) // length + 1})"
        for seed, at in diverged.items()
    )
    found: dict[str, Any] = {"updates": updates}
    remarks: dict[str, str] = {}
    for name in COLUMNS:
        values = np.asarray(table[name])[last]
        if np.isfinite(values).all():
            sd = float(values.std(ddof=1)) if len(values) > 1 else None
            found[name] = {"mean": float(values.mean()), "sd": sd}
        else:
            found[name] = {"mean": None, "sd": None}
            remarks[name] = why or "not a finite number"
    return found | ({"remarks": remarks} if remarks else {})


def print_result(directory: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Prints the table of a finished training to standard output."""
    from rich.table import Table

    table = Table(title=f"{directory.name} after {several(result['updates'], 'update')}")
    for name in ("", *SPLITS):
        table.add_column(name, justify="right" if name else "left")
    for measure, (label, digits) in MEASURED.items():
        cells = []
        for split in SPLITS:
            mean, sd = result[f"{split}_{measure}"]["mean"], result[f"{split}_{measure}"]["sd"]
            cells.append(spread(mean, sd, digits))
        table.add_row(label, *cells)
    out = printer()
    out.print(table)
    for why in dict.fromkeys(result.get("remarks", {}).values()):
        out.print(f"–: {why}; a lower --lr may help")
    out.print(f"Time: {duration(result['seconds'])}, {several(config['epochs'], 'epoch')}")
    out.print(f"Files in {directory}")


def print_estimate(text: Text, config: Mapping[str, Any]) -> None:
    """Prints sizes, parameters and time: three updates of all seeds are timed here."""
    programs, state = start(config)
    states, sums, seeds = state["seeds"], state["sums"], config["seeds"]
    parameters = sum(x.size for x in jax.tree.leaves(states.params)) // seeds
    batch = next(text.train.epoch(0))
    times = []
    for _ in range(4):
        began = time.perf_counter()
        states, sums = jax.block_until_ready(programs.step(states, sums, batch))
        times.append(time.perf_counter() - began)
    rate = batch.tokens.size / min(times[1:])
    epochs, tokens = config["epochs"], config["tokens"] * config["epochs"]
    updates = len(text.train) * epochs
    print(f"sentences     {len(text.corpus.train):,} train, {len(text.corpus.dev):,} dev")
    print(f"vocabulary    {len(text.vocabulary):,} ids with the special ones")
    print(f"parameters    {parameters:,} a seed, {several(seeds, 'seed')}")
    print(f"updates       {updates:,} in {several(epochs, 'epoch')}")
    print(f"speed         {rate:,.0f} tokens/s for all seeds on {jax.devices()[0].device_kind}")
    print(f"whole run     about {duration(tokens / rate)}, measuring not included")
