"""The benchmark of the VAE's training: beside PyTorch, and several seeds in turn and at once.

A call is a few updates, each on a batch of its own: encode, draw the code, decode, cross-entropy
and KL, gradients, Adam. Sentences are random: as long as the first sentences of a corpus, words as
frequent as 1 / rank. Only real tokens count, not the padding.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxiso import console
from jaxiso.bench_measure import Call, Contest, cores, measure

if TYPE_CHECKING:
    from jax import Array
    from jax.stages import Wrapped

    from jaxiso.bench import Options
    from jaxiso.data.batches import Batch
    from jaxiso.experiments.vae import SeedPrograms, VAEConfig, VAEExperiment

COLUMNS = ("tokens/s", "slowest–fastest", "first call", "memory", "loss")
ONE, WAYS = "1 seed", ("in turn", "vmap")
CORPUS = 100  # batches: in fewer, the longest sentences would be too many of them


class Size(NamedTuple):
    """A model and its text: `words` are a sentence's on average, `most_words` where it is cut."""

    ids: int
    embedding_dim: int
    hidden_dim: int
    latent_dim: int
    batch_size: int
    words: int
    most_words: int


SIZES = {
    "tiny": Size(53, 8, 12, 4, 8, words=5, most_words=9),
    "small": Size(6003, 100, 192, 32, 128, words=22, most_words=16),
    "paper": Size(12_003, 200, 512, 32, 128, words=24, most_words=100),
}


def run(options: Options) -> dict[str, Any]:
    """The figures of one seed beside PyTorch, and of several seeds in both ways."""
    batches = make_batches(options)
    results = {ONE: beside_torch(options, batches)}
    if options.seeds > 1:
        results[f"{options.seeds} seeds"] = both_ways(options, batches)
    tokens = sum(int((batch.lengths * batch.rows).sum()) for batch in batches)
    lengths = [batch.tokens.shape[1] for batch in batches]
    for seeds, result in zip((1, options.seeds), results.values(), strict=False):
        result["tokens"] = seeds * tokens
        result["padded_to"] = [min(lengths), max(lengths)]
        result["padding"] = 1 - tokens / sum(batch.tokens.size for batch in batches)
        for by in {"jaxiso", "peer"} & result.keys():
            slowest, median, fastest = (
                seeds * tokens / result[by][seconds] for seconds in ("max_s", "median_s", "min_s")
            )
            result[by] |= {"tokens_per_s": median, "tokens_per_s_range": [slowest, fastest]}
    return results


def beside_torch(options: Options, batches: list[Batch]) -> dict[str, Any]:
    """One seed of jaxiso and, if it is installed, of PyTorch, from the same parameters."""
    import jax

    from jaxiso.experiments.seeds import seed_keys

    calls, names = {"jaxiso": our_call(options, batches, 1, usual_way())}, {"jaxiso": "jaxiso"}
    if find_spec("torch") is None:
        console.note("VAE: PyTorch is not installed; nothing to compare", quiet=options.quiet)
    else:
        init, _ = programs(make_config(options), usual_way())
        start = init(seed_keys(options.seed, 1)).params
        calls["peer"] = torch_call(options, batches, jax.tree.map(lambda x: x[0], start))
        names["peer"] = f"PyTorch, {torch_device()}"
    return measure(Contest("vae", ONE, calls, names, "--size"), options)


def both_ways(options: Options, batches: list[Batch]) -> dict[str, Any]:
    """Several seeds as jaxiso computes them here, and the other way."""
    usual = usual_way()
    other = WAYS[1 - WAYS.index(usual)]
    calls = {
        "jaxiso": our_call(options, batches, options.seeds, usual),
        "peer": our_call(options, batches, options.seeds, other),
    }
    names = {"jaxiso": f"jaxiso: {usual}", "peer": other}
    return measure(Contest("vae", f"{options.seeds} seeds", calls, names, "--size"), options)


def usual_way() -> str:
    """How jaxiso computes several seeds on this device."""
    import jax

    return WAYS[0] if jax.default_backend() == "cpu" else WAYS[1]


def make_config(options: Options) -> VAEConfig:
    """The model and its training."""
    from jaxiso.experiments.vae import VAEConfig

    size = SIZES[options.size]
    return VAEConfig(
        size.ids,
        "isotropic",
        embedding_dim=size.embedding_dim,
        hidden_dim=size.hidden_dim,
        latent_dim=size.latent_dim,
    )


def make_batches(options: Options) -> list[Batch]:
    """The first batches that a training on many random sentences would have."""
    import numpy as np

    from jaxiso.data.batches import Batches
    from jaxiso.data.vocabulary import EOS_ID, UNK_ID

    size = SIZES[options.size]
    random = np.random.default_rng(options.seed)
    # DBpedia's first sentences have 21 words, half of them 15 to 26: a gamma distribution of
    # shape 5.5 comes near to that.
    words = random.gamma(5.5, size.words / 5.5, max(CORPUS, options.updates) * size.batch_size)
    lengths = words.round().clip(1, size.most_words).astype(int)
    most = np.log(size.ids - UNK_ID + 1)
    sentences = [
        np.append(UNK_ID + np.exp(random.uniform(0, most, length)) - 1, EOS_ID).astype(np.int32)
        for length in lengths
    ]
    batches = Batches(sentences, size.batch_size, seed=options.seed)
    return list(islice(batches.epoch(0), options.updates))


def programs(config: VAEConfig, way: str) -> tuple[Wrapped, Wrapped]:
    """Start and update of several seeds: jaxiso's own, or the same the other way."""
    import jax
    import jax.numpy as jnp

    experiment, ours = _ours(config)
    if way == usual_way():
        return ours.init, ours.step

    def step(states, sums, batch):
        def one(state):
            return experiment.step(state, batch)

        side_by_side = way == "vmap"
        states, found = jax.vmap(one)(states) if side_by_side else jax.lax.map(one, states)
        count = jnp.sum(batch.rows)
        new = [*(values * count for values in found), jnp.full_like(found.loss, count)]
        return states, sums + jnp.stack(new, axis=1)

    return ours.init, jax.jit(step, donate_argnums=(0, 1))


@cache
def _ours(config: VAEConfig) -> tuple[VAEExperiment, SeedPrograms]:
    """One object, so that a start that both ways need is compiled once."""
    from jaxiso.experiments.vae import make_vae, over_seeds

    experiment = make_vae(config)
    return experiment, over_seeds(experiment)


def our_call(options: Options, batches: list[Batch], seeds: int, way: str) -> Call:
    """One update of each seed on each batch; the first call starts the seeds."""
    from jaxiso.experiments.seeds import seed_keys

    init, step = programs(make_config(options), way)
    return _updates(init, step, seed_keys(options.seed, seeds), batches)


def torch_call(options: Options, batches: list[Batch], params: Any = None) -> Call:
    """The same of one seed in PyTorch."""
    from jaxiso.bench_torch import TorchTraining, use_threads

    use_threads(cores())
    training = TorchTraining(make_config(options), torch_device(), params)
    return lambda: training.updates_on(batches)


def torch_device() -> str:
    """The device like JAX's, if this PyTorch has one."""
    import jax

    from jaxiso.bench_torch import pick_device

    return pick_device(jax.default_backend())


def lone_call(name: str, by: str, options: Options) -> Call:
    """The call whose memory is measured: a start and two updates on the longest batch.

    All that a training holds is made in it: parameters, Adam's moments, gradients, states.
    """
    import jax
    import jax.numpy as jnp

    from jaxiso.experiments.seeds import seed_keys

    longest = max(make_batches(options), key=lambda batch: batch.tokens.shape[1])
    if name == ONE and by == "peer":
        # PyTorch loads much of itself in its first update: that is no part of a training.
        tiny = replace(options, size="tiny", updates=1)
        torch_call(tiny, make_batches(tiny))()
        return lambda: torch_call(options, [longest] * 2)()
    keys = seed_keys(options.seed, 1 if name == ONE else options.seeds)
    usual = usual_way()
    way = usual if by == "jaxiso" else WAYS[1 - WAYS.index(usual)]
    init, step = programs(make_config(options), way)
    states = jax.eval_shape(init, keys)
    compiled = step.lower(states, jnp.zeros((len(keys), 4)), longest).compile()
    return _updates(init.lower(keys).compile(), compiled, keys, [longest] * 2)


def _updates(init: Any, step: Any, keys: Array, batches: list[Batch]) -> Call:
    import jax
    import jax.numpy as jnp
    import numpy as np

    states = None

    def call():
        nonlocal states
        states = init(keys) if states is None else states
        sums = jnp.zeros((len(keys), 4))
        for batch in batches:
            states, sums = step(states, sums, batch)
        states, sums = jax.block_until_ready((states, sums))
        found = np.asarray(sums)
        return float((found[:, 0] / found[:, 3]).mean())

    return call


def title(report: dict[str, Any]) -> str:
    """What was measured."""
    size, result = SIZES[report["options"]["size"]], report["results"]["vae"][ONE]
    least, most = result["padded_to"]
    dims = f"{size.embedding_dim}/{size.hidden_dim}/{size.latent_dim}"
    return (
        f"LSTM-VAE, {size.ids:,} ids, {dims}, {report['options']['updates']} updates on batches of "
        f"{size.batch_size} padded to {least}–{most} tokens ({result['padding']:.1%} padding)"
    )


def cells(figures: dict[str, Any]) -> list[str]:
    """What `COLUMNS` show of one call."""
    slowest, fastest = figures["tokens_per_s_range"]
    return [
        f"{figures['tokens_per_s']:,.0f}",
        f"{slowest:,.0f}–{fastest:,.0f}",
        f"{figures['first_call_s']:.1f} s",
        f"{figures['peak_bytes'] / 2**20:,.0f} MiB",
        f"{figures['value']:.3f}",
    ]


def ratios(result: dict[str, Any]) -> list[str]:
    """What `COLUMNS` show of two calls: how many times faster, and less, jaxiso is."""
    least, most = result["times_faster_range"]
    less = result["times_less_memory"]
    memory = "–" if less is None else f"{less:.1f}×"
    return [f"{result['times_faster']:.2f}×", f"{least:.2f}–{most:.2f}×", "", memory, ""]
