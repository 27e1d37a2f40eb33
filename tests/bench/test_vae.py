"""The benchmark's VAE: PyTorch's does the same work, and so do both ways of several seeds."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso import papers
from jaxiso.bench import measure as bench_measure
from jaxiso.bench import tables
from jaxiso.bench import vae as bench_vae
from jaxiso.bench.options import Options
from jaxiso.data.batches import Batch
from jaxiso.vae.experiment import VAEConfig, VAEExperiment, VAEState, make_vae

TINY = Options(what="vae", size="tiny", updates=1, seeds=2, repeats=2, quiet=True)
CONFIG = VAEConfig(
    ids=30,
    posterior="isotropic",
    ramp=3,
    beta=0.7,
    embedding_dim=6,
    hidden_dim=8,
    latent_dim=4,
    lr=0.01,
)


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    """Flax and optax mix ranks and types inside."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module", autouse=True)
def compiled_in_half_the_time():
    """What is computed stays the same; nothing here looks at its speed. No program twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)


@pytest.fixture(scope="module")
def bench_torch() -> ModuleType:
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="torch is what the VAE is compared with")
        from jaxiso.bench import torch_vae as bench_torch
    return bench_torch


def make_batch() -> Batch:
    """Six sentences, one of them a lone eos, and two empty rows."""
    rng = np.random.default_rng(0)
    lengths = np.array([7, 1, 4, 6, 2, 5, 1, 1], np.int32)
    tokens = np.zeros((8, 7), np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = np.r_[rng.integers(3, 30, length - 1), 2]
    rows = np.array([1] * 6 + [0] * 2, np.float32)
    return Batch(tokens, lengths, rows, np.where(rows > 0, np.arange(8), -1).astype(np.int32))


def as_tensor(values: jax.Array) -> Any:
    import torch

    return torch.tensor(np.asarray(values))


def random_state(experiment: VAEExperiment) -> VAEState:
    """Before the first update; biases that start at 0 would hide a mix-up."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    params = jax.tree.map(lambda x: rng.normal(0, 0.3, x.shape).astype(x.dtype), shapes.params)
    adam = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes.optimizer)
    return VAEState(params, adam, jax.random.key(7), jnp.int32(0))


def test_torch_has_the_same_loss(bench_torch: ModuleType):
    """Of diagonal posteriors, which have a variance for each dimension."""
    config = replace(CONFIG, posterior="diagonal")
    experiment, batch, key = make_vae(config), make_batch(), jax.random.key(5)
    params = random_state(experiment).params
    model = bench_torch.TorchTraining(config, params).model
    wanted = jax.jit(lambda p: experiment.losses(p, batch, key, 2.0).loss)(params)
    found = model(batch, 2.0, as_tensor(jax.random.normal(key, (8, 4))))
    assert found.item() == pytest.approx(float(wanted), rel=1e-5)


def test_torch_trains_in_the_same_way(bench_torch: ModuleType):
    """Gradients, Adam and the ramp of the target, over its end; isotropic posteriors."""
    experiment, batch = make_vae(CONFIG), make_batch()
    state = random_state(experiment)
    training = bench_torch.TorchTraining(CONFIG, state.params)
    step = jax.jit(experiment.step)
    for update in range(4):
        key = jax.random.fold_in(state.key, update)
        found = training.update(batch, as_tensor(jax.random.normal(key, (8, 4))))
        state, losses = step(state, batch, papers.VAE_C)
        assert float(found) == pytest.approx(float(losses.loss), rel=1e-5)
        if update == 0:  # Adam's first mean is a tenth of the gradient
            expected = bench_torch.in_torch_layout(state.optimizer[0].mu)
            named = training.model.named_parameters()
            trained = {name: p.grad for name, p in named if p.requires_grad}
            assert trained.keys() == expected.keys()
            for name, tenth in expected.items():
                size = 10 * np.abs(tenth).max()
                assert size > 0
                np.testing.assert_allclose(trained[name], 10 * tenth, atol=1e-4 * size, rtol=0)
    for name, values in bench_torch.in_torch_layout(state.params).items():
        np.testing.assert_allclose(training.model.state_dict()[name], values, atol=1e-4)
    assert not training.model.state_dict()["encoder.bias_hh_l0"].any()


def test_batches_are_those_of_a_corpus():
    options = Options(updates=12)
    batches = bench_vae.make_batches(options)
    assert len(batches) == 12
    assert all(batch.rows.all() and len(batch.rows) == 128 for batch in batches)
    lengths = np.concatenate([batch.lengths for batch in batches])
    held = sum(batch.tokens.size for batch in batches)
    assert lengths.max() == 17
    assert 14 < lengths.mean() < 17
    assert lengths.sum() > 0.9 * held
    tokens = np.concatenate([batch.tokens.ravel() for batch in batches])
    words = tokens[tokens > 2]
    assert (np.concatenate([b.tokens == 2 for b in batches], axis=None).sum()) == 12 * 128
    assert words.min() == 3
    assert 5000 < words.max() <= 6002
    faithful = bench_vae.make_batches(replace(options, batching="faithful"))
    assert sum(batch.tokens.size for batch in faithful) > held
    counts = np.bincount(words)  # word of rank r: 1 / r of the first
    assert counts[3] == pytest.approx(len(words) * np.log(2) / np.log(6000), rel=0.1)


def test_figures_and_table(bench_torch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """PyTorch starts from the same parameters; both ways of two seeds are the same training."""
    memory = {"peak_bytes": 2**20, "peak_cleared": True}
    monkeypatch.setattr(bench_measure, "memory_in_fresh_process", lambda *_: dict(memory))
    found = [bench_measure.measure(one, "vae", TINY) for one in bench_vae.contests(TINY)]
    tokens = sum(int(batch.lengths.sum()) for batch in bench_vae.make_batches(TINY))
    for seeds, result in enumerate(found, start=1):
        assert result["tokens"] == seeds * tokens
        for by in ("jaxiso", "peer"):
            slowest, fastest = result[by]["tokens_per_s_range"]
            assert 0 < slowest <= result[by]["tokens_per_s"] <= fastest
            assert result[by]["tokens_per_s"] == pytest.approx(
                result["tokens"] / result[by]["median_s"]
            )
    beside_torch, both_ways = found
    assert beside_torch["difference"] < 0.5  # the same parameters, other draws
    assert both_ways["difference"] < 1e-4
    assert both_ways["jaxiso"]["name"] == "jaxiso: in turn"
    assert both_ways["peer"]["name"] == "vmap"
    where = {"device": "cpu: x", "cores": 2, "load_before": 2.0, "processor": "Abacus"}
    results = {"vae": {"1 seed": beside_torch, "2 seeds": both_ways}}
    options = {"updates": 1, "repeats": 2}
    tables.print_report({"machine": where, "options": options, "results": results})
    printed = capsys.readouterr().out
    for shown in ("tokens/s", "1 seed", "PyTorch, cpu", "53 ids, 8/12/4", "batches of 8", "load 2"):
        assert shown in printed


def test_what_memory_is_measured_of(bench_torch: ModuleType):
    del bench_torch
    ours, peer = (bench_vae.lone_call("1 seed", by, TINY)() for by in ("jaxiso", "peer"))
    assert ours == pytest.approx(peer, rel=0.1)  # other parameters of the same kind


def test_without_torch_jaxiso_is_measured_alone(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setitem(sys.modules, "torch", None)
    (contest,) = bench_vae.contests(Options(size="tiny", updates=1, seeds=1))
    assert list(contest.calls) == list(contest.names) == ["jaxiso"]
    assert "PyTorch is not installed" in capsys.readouterr().err
