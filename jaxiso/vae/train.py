"""What `python -m jaxiso.vae` does with its text: trains with checkpoints, shows the result."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.table import Table

from jaxiso.cli.console import duration, printer, several
from jaxiso.cli.files import plain_name
from jaxiso.data.batches import Batch, Batches
from jaxiso.metrics.posterior import active_units, mutual_information
from jaxiso.run_files import VOCABULARY, Columns, rows_where
from jaxiso.runs import Run
from jaxiso.seeds import Spread, seed_keys
from jaxiso.training import Training
from jaxiso.training import train as train_and_save
from jaxiso.vae.configs import targets_of
from jaxiso.vae.experiment import SeedPrograms, VAEConfig, model_digest, seed_programs
from jaxiso.vae.kl import kl_above_free_bits
from jaxiso.vae.options import Options, has_target, weighs_kl
from jaxiso.vae.tables import spread
from jaxiso.vae.text import Text

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


class Models(NamedTuple):
    """What trains side by side: all seeds with each target KL, one target after the other.

    Attributes:
        programs: compiled, of all of them.
        spread: over which devices they are.
        targets: C of each, on its device.
        rows: seed and C of each, for the metrics table; no C where there is but one.
    """

    programs: SeedPrograms
    spread: Spread
    targets: Array
    rows: dict[str, np.ndarray]


def count_models(config: Mapping[str, Any]) -> int:
    """How many train side by side."""
    return config["seeds"] * len(targets_of(config))


def start(config: Mapping[str, Any], spread: Spread) -> tuple[Models, dict[str, Any]]:
    """The models of a run, and its state before the first update.

    The state holds those of all models (`seeds`), the `sums` of this epoch's losses, and the update
    at which each `diverged`, 0 for none.
    """
    programs, seeds = seed_programs(VAEConfig.of(config), spread), config["seeds"]
    targets, count = targets_of(config), count_models(config)
    rows = {"seed": np.tile(np.arange(seeds), len(targets))}
    each = np.repeat(np.asarray(targets, np.float32), seeds)  # None, which is not used, is NaN
    if len(targets) > 1:
        rows["C"] = each
    keys = jnp.tile(seed_keys(config["seed"], seeds), len(targets))
    models = Models(programs, spread, spread.stack(jnp.asarray(each)), rows)
    return models, {
        "seeds": programs.init(spread.stack(keys)),
        "sums": spread.stack(jnp.zeros((count, 4))),
        "diverged": spread.stack(jnp.zeros(count, jnp.int32)),
    }


@jax.jit
def note_divergence(diverged, sums, number):
    """Notes the number of this update for seeds whose losses are no numbers for the first time."""
    return jnp.where((diverged == 0) & ~jnp.isfinite(sums[:, 0]), number, diverged)


def train(run: Run, text: Text, options: Options) -> None:
    """Trains from the last checkpoint on, measures after every epoch, and writes the result."""
    config, length = run.config, len(text.train)
    spread = Spread.over(count_models(config))
    models, state = start(config, spread)
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
        seeds, sums = models.programs.step(state["seeds"], sums, batch, models.targets)
        diverged = note_divergence(state["diverged"], sums, np.int32(number))
        found = {"seeds": seeds, "sums": sums, "diverged": diverged}
        return found, int((batch.lengths * batch.rows).sum())

    def measure_epoch(state, done):
        if done == 0:  # no rows yet, but the columns that a first checkpoint saves
            names = (*models.rows, "epoch", *annealed_beta(config, 1), *COLUMNS)
            return {name: np.zeros(0) for name in names}
        if done % length:
            return None
        return epoch_columns(models, state, text, config, done // length)

    training = Training(
        updates=config["epochs"] * length,
        state=state,
        step=step,
        measure=measure_epoch,
        what=f"{plain_name(text.corpus.name)} {config['posterior']}",
        unit="tokens",
        units=config["epochs"] * text.train.tokens,
        latest=_latest,
        checkpoint_every=options.checkpoint_every,
        checkpoint_at=lambda done: done % length == 0,
        spread=spread,
    )
    state, table, seconds = train_and_save(run, training, overwrite=options.overwrite)
    diverged = np.asarray(state["diverged"]).reshape(-1, config["seeds"])
    summaries = []
    for target, ats in zip(targets_of(config), diverged, strict=True):
        rows = rows_where(table, "C", target) if "C" in table else table
        seeds = {seed: int(at) for seed, at in enumerate(ats) if at}
        summaries.append({"C": target} | summarise(rows, seeds, length))
    if len(summaries) == 1:  # as in all runs from before there were several
        summary = {name: value for name, value in summaries[0].items() if name != "C"}
    else:
        summary = {"updates": training.updates, "targets": summaries}
    digest = model_digest(state["seeds"].params)
    run.finish(summary | {"model": digest, "seconds": round(seconds, 1)})


def epoch_columns(
    models: Models, state: Mapping[str, Any], text: Text, config: Mapping[str, Any], epoch: int
) -> dict[str, Any]:
    """A row of measures for each model, after an epoch.

    Loss, rec and kl of the training sentences are means over the epoch, as the parameters were
    then, and with what was dropped; all else is of the parameters now, with the target at C, or the
    weight of the KL, `beta`, at its end. Where it is annealed, beta is that of the last update.
    Free bits are taken of a batch in training, and of all sentences of a split after it.
    """
    sums = np.asarray(models.spread.whole(state["sums"]))
    with np.errstate(all="ignore"):  # of a run that diverged
        means = sums[:, :3] / sums[:, 3:]
        splits = {
            "train": measure(models, state["seeds"], text.train_sample, config),
            "dev": measure(models, state["seeds"], text.dev, config),
        }
    once = {"epoch": epoch} | annealed_beta(config, epoch * len(text.train))
    columns: dict[str, Any] = models.rows | {k: np.full(len(sums), v) for k, v in once.items()}
    for split, found in splits.items():
        columns |= {f"{split}_{name}": [row[name] for row in found] for name in MEASURED}
    return columns | dict(zip(("train_loss", "train_rec", "train_kl"), means.T, strict=True))


def annealed_beta(config: Mapping[str, Any], number: int) -> dict[str, float]:
    """The weight that the KL had in an update, where it is annealed."""
    if config.get("annealing") is None:
        return {}
    return {"beta": float(VAEConfig.of(config).weight(number - 1))}


def measure(
    models: Models, states: Any, batches: Batches, config: Mapping[str, Any]
) -> list[dict[str, float]]:
    """What `MEASURED` names, of sentences, for each model; NaN for one that diverged."""
    parts = []
    for number, batch in enumerate(batches.in_order()):
        found = list(models.programs.code(states, batch, number))
        if config["objective"] == "iwae":
            found.append(models.programs.bound(states, batch, number))
        found = models.spread.whole(found)
        parts.append([np.asarray(values)[:, batch.rows > 0] for values in found])
    coded = [np.concatenate(values, axis=1) for values in zip(*parts, strict=True)]
    rows = []
    targets = np.repeat(targets_of(config), config["seeds"])
    for target, mean, log_variance, z, rec, kl, *bound in zip(targets, *coded, strict=True):
        loss = bound[0] if bound else rec
        if has_target(config):
            loss = rec + config["beta"] * np.abs(kl - np.float32(target))
        if weighs_kl(config):
            even = jnp.full(len(kl), 1 / len(kl))
            free = kl_above_free_bits(mean, log_variance, even, config.get("free_bits") or 0.0)
            loss = rec + config["beta"] * np.float32(free)
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

    `diverged` has the update at which a seed diverged, `length` is how many updates an epoch has.
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
    out = printer()
    for found in result.get("targets", [result]):
        which = f", C = {found['C']:g}," if "C" in found else ""
        out.print(_table(found, f"{directory.name}{which} after"))
    remarks = [found.get("remarks", {}).values() for found in result.get("targets", [result])]
    for why in dict.fromkeys(chain.from_iterable(remarks)):
        out.print(f"–: {why}; a lower --lr may help")
    out.print(f"Time: {duration(result['seconds'])}, {several(config['epochs'], 'epoch')}")
    out.print(f"Files in {directory}")


def _table(result: Mapping[str, Any], title: str) -> Table:
    table = Table(title=f"{title} {several(result['updates'], 'update')}")
    for name in ("", *SPLITS):
        table.add_column(name, justify="right" if name else "left")
    for measure, (label, digits) in MEASURED.items():
        cells = []
        for split in SPLITS:
            mean, sd = result[f"{split}_{measure}"]["mean"], result[f"{split}_{measure}"]["sd"]
            cells.append(spread(mean, sd, digits))
        table.add_row(label, *cells)
    return table


def print_estimate(text: Text, config: Mapping[str, Any]) -> None:
    """Prints sizes, parameters and time: three updates of all seeds are timed here."""
    spread, targets = Spread.over(count_models(config)), targets_of(config)
    models, state = start(config, spread)
    states, sums = state["seeds"], state["sums"]
    parameters = sum(x.size // len(x) for x in jax.tree.leaves(states.params))
    each = f" with each of {several(len(targets), 'target KL')}" if len(targets) > 1 else ""
    batch = next(text.train.epoch(0))
    times = []
    for _ in range(4):
        began = time.perf_counter()
        found = models.programs.step(states, sums, batch, models.targets)
        states, sums = jax.block_until_ready(found)
        times.append(time.perf_counter() - began)
    rate = batch.tokens.size / min(times[1:])
    number = 1 if spread.mesh is None else spread.mesh.size
    on = jax.devices()[0].device_kind
    on = on if number == 1 else f"{number} devices ({on})"
    epochs, tokens = config["epochs"], config["tokens"] * config["epochs"]
    updates = len(text.train) * epochs
    print(f"sentences     {len(text.corpus.train):,} train, {len(text.corpus.dev):,} dev")
    print(f"vocabulary    {len(text.vocabulary):,} ids with the special ones")
    print(f"parameters    {parameters:,} a seed, {several(config['seeds'], 'seed')}{each}")
    print(f"updates       {updates:,} in {several(epochs, 'epoch')}")
    print(f"speed         {rate:,.0f} tokens/s for all seeds on {on}")
    print(f"whole run     about {duration(tokens / rate)}, measuring not included")
