"""The benchmark of the VAE's training: beside PyTorch, and several seeds in turn and at once.

A call is a few updates, each on a batch of its own: encode, draw the code, decode, cross-entropy
and KL, gradients, Adam. Sentences are random: as long as the first sentences of a corpus, words as
frequent as 1 / rank. Only real tokens count, not the padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxiso import papers
from jaxiso.bench.measure import Call, Contest
from jaxiso.bench.options import Options
from jaxiso.cli.console import note
from jaxiso.data.batches import Batch, Batches
from jaxiso.models.tokens import EOS, UNK
from jaxiso.seeds import seed_keys
from jaxiso.vae.experiment import VAEConfig, make_vae, over_seeds

ONE = "1 seed"
CORPUS = 100
"""Batches that sentences are drawn for: in fewer, the longest would be too many of them."""


class Size(NamedTuple):
    """A model and its text: `words` are a sentence's on average, `most_words` where it is cut."""

    config: VAEConfig
    batch_size: int
    words: int
    most_words: int


SIZES = {
    "tiny": Size(VAEConfig(53, "isotropic", 8, 12, 4), batch_size=8, words=5, most_words=9),
    "small": Size(
        VAEConfig(6003, "isotropic", 100, 192, 32), batch_size=128, words=22, most_words=16
    ),
    "paper": Size(
        VAEConfig(12_003, "isotropic", 200, 512, 32), batch_size=128, words=24, most_words=100
    ),
}


def contests(options: Options) -> Iterator[Contest]:
    """One seed beside PyTorch, and several seeds as jaxiso computes them beside the other way."""
    batches, size = make_batches(options), SIZES[options.size]
    config, seeds = size.config, options.seeds
    tokens = sum(int((batch.lengths * batch.rows).sum()) for batch in batches)
    lengths = [batch.tokens.shape[1] for batch in batches]
    work = {
        "model": f"{config.ids:,} ids, {config.embedding_dim}/{config.hidden_dim}/"
        f"{config.latent_dim}",
        "batch_size": size.batch_size,
        "padded_to": [min(lengths), max(lengths)],
        "padding": 1 - tokens / sum(batch.tokens.size for batch in batches),
    }
    ours, other = ways()
    key = seed_keys(options.seed, 1)
    init, step = programs(config, ours)
    calls, names = {"jaxiso": updates(init, step, key, batches)}, {"jaxiso": "jaxiso"}
    if find_spec("torch") is None:
        note("VAE: PyTorch is not installed; nothing to compare", quiet=options.quiet)
    else:
        from jaxiso.bench.torch_vae import torch_device

        start = jax.tree.map(lambda x: x[0], init(key).params)
        calls["peer"] = torch_call(config, batches, start)
        names["peer"] = f"PyTorch, {torch_device()}"
    yield Contest(ONE, calls, names, work | {"tokens": tokens})
    if seeds > 1:
        keys = seed_keys(options.seed, seeds)
        pair = {"jaxiso": ours, "peer": other}
        calls = {by: updates(*programs(config, way), keys, batches) for by, way in pair.items()}
        names = {"jaxiso": f"jaxiso: {ours}", "peer": other}
        yield Contest(f"{seeds} seeds", calls, names, work | {"tokens": seeds * tokens})


def ways() -> tuple[str, str]:
    """How jaxiso computes several seeds on this device, and the other way."""
    return ("in turn", "vmap") if jax.default_backend() == "cpu" else ("vmap", "in turn")


def make_batches(options: Options) -> list[Batch]:
    """The first batches that a training on many random sentences would have."""
    size = SIZES[options.size]
    random = np.random.default_rng(options.seed)
    # DBpedia's first sentences have 21 words, half of them 15 to 26: a gamma distribution of
    # shape 5.5 comes near to that.
    words = random.gamma(5.5, size.words / 5.5, max(CORPUS, options.updates) * size.batch_size)
    lengths = words.round().clip(1, size.most_words).astype(int)
    most = np.log(size.config.ids - UNK + 1)
    sentences = [
        np.append(UNK + np.exp(random.uniform(0, most, length)) - 1, EOS).astype(np.int32)
        for length in lengths
    ]
    batches = Batches(sentences, size.batch_size, seed=options.seed, batching=options.batching)
    return list(islice(batches.epoch(0), options.updates))


def programs(config: VAEConfig, way: str) -> tuple[Any, Any]:
    """Start and update of several seeds: jaxiso's own, or the same the other way."""
    experiment = make_vae(config)
    ours = over_seeds(experiment)
    if way == ways()[0]:
        return ours.init, ours.step

    def step(states, sums, batch, targets):
        def one(of_seed):
            state, target = of_seed
            return experiment.step(state, batch, target)

        each = states, targets
        states, found = jax.vmap(one)(each) if way == "vmap" else jax.lax.map(one, each)
        count = jnp.sum(batch.rows)
        new = [*(values * count for values in found), jnp.full_like(found.loss, count)]
        return states, sums + jnp.stack(new, axis=1)

    return ours.init, jax.jit(step, donate_argnums=(0, 1))


def updates(init: Any, step: Any, keys: Array, batches: Sequence[Batch]) -> Call:
    """One update of each seed on each batch; the first call starts the seeds."""
    states = None

    def call():
        nonlocal states
        states = init(keys) if states is None else states
        sums, targets = jnp.zeros((len(keys), 4)), jnp.full(len(keys), papers.VAE_C)
        for batch in batches:
            states, sums = step(states, sums, batch, targets)
        states, sums = jax.block_until_ready((states, sums))
        found = np.asarray(sums)
        return float((found[:, 0] / found[:, 3]).mean())

    return call


def torch_call(config: VAEConfig, batches: Sequence[Batch], params: Any = None) -> Call:
    """The updates of one seed in PyTorch, from parameters of jaxiso's model or from its own."""
    from jaxiso.bench.torch_vae import TorchTraining  # where it is installed only

    training = TorchTraining(config, params)
    return lambda: training.updates_on(batches)


def lone_call(name: str, by: str, options: Options) -> Call:
    """The call whose memory is measured: a start and two updates on the longest batch.

    All that a training holds is made in it: parameters, Adam's moments, gradients, states.
    """
    longest = max(make_batches(options), key=lambda batch: batch.tokens.shape[1])
    config = SIZES[options.size].config
    if name == ONE and by == "peer":
        # PyTorch loads much of itself in its first update: that is no part of a training.
        tiny = make_batches(replace(options, size="tiny", updates=1))
        torch_call(SIZES["tiny"].config, tiny)()
        return lambda: torch_call(config, [longest] * 2)()
    keys = seed_keys(options.seed, 1 if name == ONE else options.seeds)
    init, step = programs(config, ways()[by == "peer"])
    states, sums = jax.eval_shape(init, keys), jnp.zeros((len(keys), 4))
    targets = jnp.full(len(keys), papers.VAE_C)
    compiled = step.lower(states, sums, longest, targets).compile()
    return updates(init.lower(keys).compile(), compiled, keys, [longest] * 2)
