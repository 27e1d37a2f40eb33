"""Pairs of tiles round a ring of devices: see `ring_check`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.metrics.dunn import dunn_index
from jaxiso.metrics.tiles import any_tile_shape, plan_tiles


def test_other_devices_find_the_same():
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "8",
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    program = Path(__file__).parent / "ring_check.py"
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "equal\n", done.stderr


def test_a_plan_is_of_one_device():
    codes = np.array([0, 0, 1], np.int32)
    plan = plan_tiles(jnp.asarray(codes), 2, any_tile_shape(3, 2))
    with pytest.raises(ValueError, match="leave out plan= or mesh="):
        dunn_index(np.eye(3), codes, plan=plan, mesh=jax.make_mesh((1,), ("points",)))


def test_another_number_of_points_or_labels_compiles_nothing():
    compiled = []

    def listen(event: str, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    def dunn(n, k):
        points = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
        labels = np.arange(n) % k
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        same = labels[:, None] == labels[None, :]
        expected = apart[~same].min() / apart[same].max()
        np.testing.assert_allclose(dunn_index(points, labels), expected, rtol=1e-5)

    dunn(200, 3)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        dunn(130, 4)
        dunn(256, 3)
        assert not compiled
        dunn(257, 3)
        assert compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
