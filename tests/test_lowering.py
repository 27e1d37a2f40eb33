"""The main programs lower for CUDA, so that nothing that only a CPU can do creeps in."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxiso
from jaxiso.bench.options import Options as BenchOptions
from jaxiso.bench.vae import SIZES, make_batches
from jaxiso.data.tasks import Items
from jaxiso.embed.arrays import prepare
from jaxiso.embed.experiment import make_embed, over_seeds, seeds_and_weights
from jaxiso.embed.inputs import Embeddings
from jaxiso.embed.options import Options
from jaxiso.seeds import seed_keys
from jaxiso.vae import experiment as vae

N, D, K = 300, 12, 3


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch):
    """Choices by device are a GPU's; optax and Flax mix types inside."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    vae.seed_programs.cache_clear()
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
    vae.seed_programs.cache_clear()


def lowered(function: Callable, *arguments) -> str:
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    # Which library factorises a matrix may change with JAX: nothing here is kept.
    stable = [export.DisabledSafetyCheck.custom_call(name) for name in SOLVERS]
    found = export.export(jax.jit(function), platforms=["cuda"], disabled_checks=stable)(*shapes)
    assert found.platforms == ("cuda",)
    return found.mlir_module()


SOLVERS = ("cusolver_geqrf_ffi", "cusolver_gesvdj_ffi", "cusolver_gesvd_ffi", "cusolver_syevd_ffi")

METRICS = {
    "isoscore": {},
    "effective_rank": {},
    "participation_ratio": {},
    "mean_cosine": {},
    "isotropy_score": {},
    "silhouette_score": {"num_labels": K},
    "calinski_harabasz_score": {"num_labels": K},
    "davies_bouldin_score": {"num_labels": K},
    "dunn_index": {"num_labels": K},
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric(name):
    metric, options = getattr(jaxiso, name), METRICS[name]
    arguments = [jnp.zeros((N, D))] + [jnp.zeros(N, jnp.int32)] * bool(options)
    assert "func.func public @main" in lowered(lambda *xs: metric(*xs, **options), *arguments)


def test_the_gradient_of_the_silhouette():
    def score(points, codes):
        return jaxiso.silhouette_score(points, codes, num_labels=K)

    lowered(jax.grad(score), jnp.zeros((N, D)), jnp.zeros(N, jnp.int32))


def test_the_embed_experiment():
    vectors = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    codes = np.arange(N, dtype=np.int32) % K
    rows = np.arange(N, dtype=np.int32)[:, None]
    items = Items("made", [], rows, codes, codes, ("a", "b", "c"), "made")
    options = Options(seeds=2, isotropy=(0.5,), track=True)
    data = prepare(options, Embeddings(vectors, D, items))
    programs = over_seeds(make_embed(options))
    keys, weights = seeds_and_weights(options)
    states = jax.eval_shape(programs.init, keys, data)
    lowered(lambda states: programs.step(states, data, weights), states)
    lowered(lambda states: programs.measure(states, data, jnp.int32(1)), states)


def test_the_vae():
    options = BenchOptions(size="tiny", updates=1)
    (batch,) = make_batches(options)
    programs = vae.over_seeds(vae.make_vae(SIZES["tiny"].config))
    keys = seed_keys(0, 2)
    states, sums, targets = jax.eval_shape(programs.init, keys), jnp.zeros((2, 4)), jnp.ones(2)
    lowered(lambda states: programs.step(states, sums, batch, targets), states)
    lowered(lambda states: programs.code(states, batch, jnp.int32(0)), states)
