"""What `python -m jaxiso.vae` does: reads the text, trains with checkpoints, shows the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxiso import console
from jaxiso.data.batches import Batches
from jaxiso.data.corpora import Corpus, load_corpus
from jaxiso.data.vocabulary import Vocabulary
from jaxiso.embeddings import plain_name
from jaxiso.runs import read_metrics

if TYPE_CHECKING:
    from jaxiso.experiments.vae import SeedPrograms, VAEConfig
    from jaxiso.runs import Run
    from jaxiso.vae import Options

VOCABULARY = "vocabulary.json"
TRAIN_SAMPLE = 2000
MEASURED = ("loss", "rec", "kl", "active_units", "mutual_information")
COLUMNS = ("seed", "step", "epoch", *(f"{s}_{m}" for s in ("train", "dev") for m in MEASURED))


class Text(NamedTuple):
    """A corpus as ids.

    Attributes:
        name: the corpus, as part of a file name.
        corpus: its words, labels and source.
        vocabulary: of its training sentences.
        train: batches to train on.
        train_sample: `TRAIN_SAMPLE` training sentences, to measure.
        dev: the development sentences, to measure.
    """

    name: str
    corpus: Corpus
    vocabulary: Vocabulary
    train: Batches
    train_sample: Batches
    dev: Batches


def load_text(options: Options) -> Text:
    """Reads the corpus and encodes it.

    Raises:
        InputError: the corpus cannot be found or used, or nothing but unk would be left.
    """
    quiet = options.quiet
    corpus = load_corpus(
        options.corpus,
        data_dir=options.data_dir,
        max_length=options.max_length,
        sentence_rule=options.sentence_rule,
        seed=options.seed,
        quiet=quiet,
    )
    assert options.vocabulary is not None and options.batch_size is not None
    vocabulary = Vocabulary.build(corpus.train.sentences, options.vocabulary, quiet=quiet)
    train = vocabulary.encode_all(corpus.train.sentences, "train", quiet=quiet)
    dev = vocabulary.encode_all(corpus.dev.sentences, "dev", quiet=quiet)
    size, seed = options.batch_size, options.seed
    order = np.random.default_rng(seed).permutation(len(train))[:TRAIN_SAMPLE]
    return Text(
        plain_name(corpus.name),
        corpus,
        vocabulary,
        Batches(train, size, seed=seed, batching=options.batching),
        Batches([train[i] for i in order], size),
        Batches(dev, size),
    )


def run_config(options: Options, text: Text) -> dict[str, Any]:
    """What determines the numbers of a run."""
    left_out = ("data_dir", "out", "overwrite", "dry_run", "quiet", "checkpoint_every", "corpus")
    chosen = {k: v for k, v in vars(options).items() if k not in left_out}
    return {
        "experiment": "vae",
        "corpus": text.corpus.name,
        **chosen,
        "sentences": len(text.corpus.train),
        "tokens": text.train.tokens,
        "ids": len(text.vocabulary),
        "vocabulary_digest": text.vocabulary.digest,
        "cut": text.corpus.counts,
    }


def operations(config: VAEConfig) -> int:
    """Multiply-adds of one update, for each token: the measure of what a run costs."""
    e, h, z, v = config.embedding_dim, config.hidden_dim, config.latent_dim, config.vocabulary
    lstms = 4 * h * (e + h) * 2 + 4 * h * z
    return 3 * (lstms + h * v)  # forwards, and twice that backwards


def announce(options: Options, text: Text, config: VAEConfig) -> None:
    """Says what is about to be trained, and for the default corpus what the paper's run is."""
    quiet = options.quiet
    console.note(f"corpus: {text.corpus.name}, from {text.corpus.source}", quiet=quiet)
    console.note(f"batches: {text.train.describe()}", quiet=quiet)
    if options.corpus != "lee":
        return
    from dataclasses import replace

    paper = replace(config, vocabulary=12_003, embedding_dim=200, hidden_dim=512)
    # 140,000 sentences of about 23 words; 20 epochs; 3 seeds.
    times = 140_000 * 23 * 20 * 3 * operations(paper)
    times /= text.train.tokens * (options.epochs or 1) * (options.seeds or 1) * operations(config)
    console.note(
        "this small model on a small corpus shows that all works; the paper's run is\n"
        f"  python -m jaxiso.vae --corpus dbpedia --posterior {options.posterior} --C 15\n"
        f"about {times:,.0f} times the computing of this one: hours on a GPU",
        quiet=quiet,
    )


def train(run: Run, options: Options, text: Text, config: VAEConfig) -> None:
    """Trains from the last checkpoint on, measures after every epoch, and writes the result."""
    import jax
    import jax.numpy as jnp

    from jaxiso.experiments.seeds import seed_keys
    from jaxiso.experiments.vae import make_vae, over_seeds

    assert options.seeds is not None and options.epochs is not None
    programs = over_seeds(make_vae(config))
    text.vocabulary.save(run.directory / VOCABULARY)
    states = programs.init(seed_keys(options.seed, options.seeds))
    saved = first_checkpoint(states, options.seeds)
    table: dict[str, list[float]] = {name: [] for name in COLUMNS}
    done, restored = 0, run.restore(saved)
    if restored is not None:
        done, saved, table = restored
        console.note(f"{run.directory}: goes on after update {done}", quiet=options.quiet)
    states, sums, before = saved["states"], saved["sums"], float(saved["seconds"])
    started, length = time.monotonic(), len(text.train)

    def save(done: int) -> None:
        seconds = jnp.float32(before + time.monotonic() - started)
        run.save(done, {"states": states, "sums": sums, "seconds": seconds}, table)

    total, total_updates = options.epochs * text.train.tokens, options.epochs * length
    passed = (
        done // length * text.train.tokens
    )  # as near as can be told without reading the batches
    what = f"{text.name} {options.posterior}"
    progress = console.Progress(what, total, unit="tokens", done=passed, quiet=options.quiet)
    with console.StopSignals() as signals, progress:
        for epoch in range(done // length, options.epochs):
            for batch in text.train.epoch(epoch, start=done % length):
                states, sums = programs.step(states, sums, batch)
                done += 1
                progress.advance(int((batch.lengths * batch.rows).sum()), _latest(table))
                if done % length and (signals.received or done % options.checkpoint_every == 0):
                    save(done)
                    signals.stop_if_received(done, total_updates, overwrite=options.overwrite)
            add_epoch(table, programs, states, np.asarray(sums), text, options, done)
            sums = jnp.zeros_like(sums)
            save(done)
            if epoch + 1 < options.epochs:
                signals.stop_if_received(done, total_updates, overwrite=options.overwrite)
    jax.block_until_ready(states)
    write_result(run, table, before + time.monotonic() - started)


def first_checkpoint(states: Any, seeds: int) -> dict[str, Any]:
    """What a checkpoint holds: states, sums of this epoch's losses, and seconds spent so far."""
    import jax.numpy as jnp

    return {"states": states, "sums": jnp.zeros((seeds, 4)), "seconds": jnp.float32(0)}


def add_epoch(
    table: dict[str, list[float]],
    programs: SeedPrograms,
    states: Any,
    sums: np.ndarray,
    text: Text,
    options: Options,
    done: int,
) -> None:
    """Measures after an epoch, and adds a row for each seed.

    Loss, rec and kl of the training sentences are means over the epoch, as the parameters were
    then; all else is of the parameters now, with the target at C.
    """
    splits = {
        "train": measure(programs, states, text.train_sample, options),
        "dev": measure(programs, states, text.dev, options),
    }
    means = sums[:, :3] / sums[:, 3:]
    for seed in range(len(sums)):
        row: dict[str, float] = {"seed": seed, "step": done, "epoch": done // len(text.train)}
        for split, found in splits.items():
            row |= {f"{split}_{name}": value for name, value in found[seed].items()}
        row |= dict(zip(("train_loss", "train_rec", "train_kl"), means[seed].tolist(), strict=True))
        for name in COLUMNS:
            table[name].append(row[name])


def measure(
    programs: SeedPrograms, states: Any, batches: Batches, options: Options
) -> list[dict[str, float]]:
    """Loss, rec, kl, active units and mutual information of sentences, for each seed."""
    from jaxiso.metrics.posterior import active_units, mutual_information

    parts = []
    for number, batch in enumerate(batches.in_order()):
        coded = programs.code(states, batch, number)
        real = batch.rows > 0
        parts.append([np.asarray(values)[:, real] for values in coded])
    coded = [np.concatenate(values, axis=1) for values in zip(*parts, strict=True)]
    found = []
    for mean, log_variance, z, rec, kl in zip(*coded, strict=True):
        # Without a posterior every code is a point: it tells all there is to tell of n inputs.
        known = np.log(len(z))
        if log_variance.shape[1]:
            known = float(mutual_information(mean, log_variance, z))
        distance = np.abs(kl - options.C) if options.posterior != "none" else np.zeros_like(kl)
        found.append(
            {
                "loss": float(np.mean(rec + options.beta * distance)),
                "rec": float(rec.mean()),
                "kl": float(kl.mean()),
                "active_units": float(active_units(mean)),
                "mutual_information": float(known),
            }
        )
    return found


def _latest(table: Mapping[str, list[float]]) -> str:
    """Dev rec, KL and active units of the last epoch, for the progress bar."""
    if not table["step"]:
        return ""
    rec, kl, units = (table[f"dev_{m}"][-1] for m in ("rec", "kl", "active_units"))
    return f"dev rec {rec:.1f}, KL {kl:.2f}, {units:.0f} active units"


def write_result(run: Run, table: Mapping[str, list[float]], seconds: float) -> None:
    """Writes result.json: mean and standard deviation over seeds after the last epoch."""
    last = np.asarray(table["step"]) == max(table["step"])
    found = {}
    for name in COLUMNS[3:]:
        values = np.asarray(table[name])[last]
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        found[name] = {"mean": float(values.mean()), "sd": sd}
    run.finish({"updates": int(max(table["step"])), **found, "seconds": round(seconds, 1)})


def print_result(directory: Path, result: Mapping[str, Any]) -> None:
    """Prints the table of a finished training to standard output."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{directory.name} after {result['updates']:,} updates")
    for name in ("", "train", "dev"):
        table.add_column(name, justify="right" if name else "left")
    labels = ("Loss", "Reconstruction (nats)", "KL (nats)", "Active units", "Mutual information")
    for label, measure in zip(labels, MEASURED, strict=True):
        cells = []
        for split in ("train", "dev"):
            value = result[f"{split}_{measure}"]
            sd = "" if value["sd"] is None else f" ± {value['sd']:.2f}"
            cells.append(f"{value['mean']:.2f}{sd}")
        table.add_row(label, *cells)
    out = Console(highlight=False, soft_wrap=True)
    out.print(table)
    epochs = len(set(read_metrics(directory)["epoch"]))
    out.print(f"Time: {console.duration(result['seconds'])}, {epochs} epochs")
    out.print(f"Files in {directory}")


def print_estimate(options: Options, text: Text, config: VAEConfig) -> None:
    """Prints sizes, parameters and time: three updates of all seeds are timed here."""
    import jax
    import jax.numpy as jnp

    from jaxiso.experiments.seeds import seed_keys
    from jaxiso.experiments.vae import make_vae, over_seeds

    assert options.seeds is not None and options.epochs is not None
    programs = over_seeds(make_vae(config))
    states = programs.init(seed_keys(options.seed, options.seeds))
    parameters = sum(x.size for x in jax.tree.leaves(states.params)) // options.seeds
    sums = jnp.zeros((options.seeds, 4))
    batch = next(text.train.epoch(0))
    times = []
    for _ in range(4):
        start = time.perf_counter()
        states, sums = jax.block_until_ready(programs.step(states, sums, batch))
        times.append(time.perf_counter() - start)
    rate = batch.tokens.size / min(times[1:])
    tokens = text.train.tokens * options.epochs
    print(f"sentences     {len(text.corpus.train):,} train, {len(text.corpus.dev):,} dev")
    print(f"vocabulary    {len(text.vocabulary):,} ids with the special ones")
    print(f"parameters    {parameters:,} a seed, {options.seeds} seed(s)")
    print(f"updates       {len(text.train) * options.epochs:,} in {options.epochs} epochs")
    print(f"speed         {rate:,.0f} tokens/s for all seeds on {jax.devices()[0].device_kind}")
    print(f"whole run     about {console.duration(tokens / rate)}, measuring not included")
