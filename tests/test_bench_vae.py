"""The benchmark's VAE: PyTorch's does the same work, and the command shows it."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import command, finish

from jaxiso import bench_measure, bench_vae
from jaxiso.bench import Options
from jaxiso.bench_measure import Contest, peak_of
from jaxiso.data.batches import Batch
from jaxiso.experiments.vae import VAEConfig, VAEExperiment, VAEState, make_vae

TINY = Options(what="vae", size="tiny", updates=1, seeds=2, repeats=2, quiet=True)
CONFIG = VAEConfig(
    vocabulary=30,
    posterior="isotropic",
    target=3.0,
    ramp=3,
    beta=0.7,
    embedding_dim=6,
    hidden_dim=8,
    latent_dim=4,
    learning_rate=0.01,
)


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    """Flax and optax mix ranks and types inside."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def bench_torch() -> ModuleType:
    with warnings.catch_warnings():  # torch's own modules warn while they are imported
        warnings.simplefilter("ignore")
        pytest.importorskip("torch", reason="torch is what the VAE is compared with")
        from jaxiso import bench_torch
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


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic"])
def test_torch_has_the_same_loss_and_gradients(bench_torch: ModuleType, posterior: Any):
    config = replace(CONFIG, posterior=posterior)
    experiment, batch, key = make_vae(config), make_batch(), jax.random.key(5)
    params = random_state(experiment).params
    model = bench_torch.TorchTraining(config, params=params).model
    loss = jax.jit(jax.value_and_grad(lambda p: experiment.losses(p, batch, key, 2.0).loss))
    wanted, gradients = loss(params)
    found = model(batch, 2.0, as_tensor(jax.random.normal(key, (8, 4))))
    assert found.item() == pytest.approx(float(wanted), rel=1e-5)
    found.backward()
    expected = bench_torch.in_torch_layout(gradients)
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert trained.keys() == expected.keys()
    for name, values in expected.items():
        size = np.abs(values).max()
        assert size > 0
        np.testing.assert_allclose(trained[name], values, rtol=0, atol=1e-4 * size, err_msg=name)


def test_torch_trains_in_the_same_way(bench_torch: ModuleType):
    """Adam and the ramp of the target, over its end."""
    experiment, batch = make_vae(CONFIG), make_batch()
    state = random_state(experiment)
    training = bench_torch.TorchTraining(CONFIG, params=state.params)
    step = jax.jit(experiment.step)
    for update in range(4):
        key = jax.random.fold_in(state.key, update)
        found = training.update(batch, as_tensor(jax.random.normal(key, (8, 4))))
        state, losses = step(state, batch)
        assert float(found) == pytest.approx(float(losses.loss), rel=1e-5)
    for name, values in bench_torch.in_torch_layout(state.params).items():
        np.testing.assert_allclose(training.model.state_dict()[name], values, atol=1e-4)
    assert not training.model.state_dict()["encoder.bias_hh_l0"].any()


def test_seeds_in_turn_and_at_once_are_the_same_training(monkeypatch: pytest.MonkeyPatch):
    def in_this_process(contest: Contest, by: str, options: Options) -> dict[str, Any]:
        return peak_of(bench_vae.lone_call(contest.name, by, options))

    monkeypatch.setattr(bench_measure, "memory_in_fresh_process", in_this_process)
    result = bench_vae.both_ways(TINY, bench_vae.make_batches(TINY))
    assert result["difference"] < 1e-4
    assert (result["jaxiso"]["name"], result["peer"]["name"]) == ("jaxiso: in turn", "vmap")


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
    counts = np.bincount(words)  # word of rank r: 1 / r of the first
    assert counts[3] == pytest.approx(len(words) * np.log(2) / np.log(6000), rel=0.1)


def test_report_and_its_table(tmp_path: Path, bench_torch: ModuleType):
    file = tmp_path / "bench.json"
    what = ("--what", "vae", "--size", "tiny", "--updates", 1, "--seeds", 1, "--repeats", 2)
    done = finish(command("bench", *what, "--quiet", "--json", file))
    assert (done.returncode, done.stderr) == (0, "")
    for shown in ("tokens/s", "1 seed", "jaxiso", "PyTorch, cpu", "53 ids, 8/12/4", "batches of 8"):
        assert shown in done.stdout
    report = json.loads(file.read_text())
    assert list(report["results"]) == ["vae"]
    result = report["results"]["vae"]["1 seed"]
    low, high = result["times_faster_range"]
    assert low <= high
    for by in ("jaxiso", "peer"):
        figures = result[by]
        slowest, fastest = figures["tokens_per_s_range"]
        assert 0 < slowest <= figures["tokens_per_s"] <= fastest
        assert figures["tokens_per_s"] == pytest.approx(result["tokens"] / figures["median_s"])
        assert 0 <= figures["peak_bytes"] < 2**30
    assert result["difference"] < 0.5  # the same parameters, other draws


def test_tokens_of_all_seeds_count(monkeypatch: pytest.MonkeyPatch):
    figures = {"median_s": 2.0, "min_s": 1.0, "max_s": 4.0}
    for part in ("beside_torch", "both_ways"):
        result = {"jaxiso": dict(figures), "peer": dict(figures)}
        monkeypatch.setattr(bench_vae, part, lambda *_, result=result: result)
    results = bench_vae.run(TINY)
    tokens = sum(int(batch.lengths.sum()) for batch in bench_vae.make_batches(TINY))
    for seeds, result in enumerate(results.values(), start=1):
        assert result["tokens"] == seeds * tokens
        assert result["peer"]["tokens_per_s"] == seeds * tokens / 2
        assert result["peer"]["tokens_per_s_range"] == [seeds * tokens / 4, seeds * tokens]


def test_without_torch_jaxiso_is_measured_alone(monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setitem(sys.modules, "torch", None)
    measured = []
    monkeypatch.setattr(bench_vae, "measure", lambda contest, _: measured.append(contest))
    options = Options(size="tiny", updates=1)
    bench_vae.beside_torch(options, bench_vae.make_batches(options))
    (contest,) = measured
    assert list(contest.calls) == list(contest.names) == ["jaxiso"]
    assert "PyTorch is not installed" in capsys.readouterr().err
