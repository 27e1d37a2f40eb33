"""Rows over several devices, and padding; what is measured there is the same."""

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

from jaxiso.metrics import points as points_module
from jaxiso.metrics.clusters import calinski_harabasz_score, davies_bouldin_score
from jaxiso.metrics.dimension import effective_rank, participation_ratio
from jaxiso.metrics.directions import isotropy_score, log_partitions, mean_cosine
from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.mesh import check_mesh, padded, size_class, spread

FREE = [isoscore, participation_ratio, effective_rank, mean_cosine, isotropy_score, log_partitions]
LABELLED = [calinski_harabasz_score, davies_bouldin_score]


def test_size_classes_hold_their_rows_and_waste_an_eighth_at_most():
    sizes = [size_class(n) for n in range(1, 70_000)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 40
    assert [size_class(n) for n in (1, 64, 65, 4096, 4097, 8192, 8193, 10_662)] == [
        64, 64, 128, 4096, 4608, 8192, 9216, 11_264,
    ]  # fmt: skip
    assert all(n <= size == size_class(size) for n, size in enumerate(sizes, 1))
    assert all(size <= n + size // 8 for n, size in enumerate(sizes, 1) if n > 4096)


@pytest.mark.parametrize("xp", [np, jnp])
def test_padding_is_appended(xp):
    rows = xp.arange(6).reshape(3, 2)
    result = padded(rows, 5, fill=-1)
    assert isinstance(result, type(rows)) and result.dtype == rows.dtype
    np.testing.assert_array_equal(result, [[0, 1], [2, 3], [4, 5], [-1, -1], [-1, -1]])
    np.testing.assert_array_equal(padded(rows[:, 0], 3), rows[:, 0])


def arguments(metric, n: int):
    random = np.random.default_rng(n)
    labels = np.arange(n) % 3
    points = (random.normal(size=(n, 7)) + labels[:, None]).astype(np.float32)
    return (points, labels) if metric in LABELLED else (points,)


@pytest.fixture
def compiled():
    """Programs that are compiled."""
    programs = []

    def listen(event: str, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            programs.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield programs
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("metric", FREE + LABELLED)
def test_another_number_of_points_compiles_nothing(metric, compiled, monkeypatch):
    host = {n: metric(*arguments(metric, n)) for n in (41, 4, 64)}
    assert not compiled
    # As on an accelerator, which has other programs for points that do not lie on the host.
    monkeypatch.setattr(points_module, "_fits_host", lambda _: False)
    device = {41: metric(*arguments(metric, 41))}
    assert compiled
    compiled.clear()
    device |= {n: metric(*arguments(metric, n)) for n in (4, 64)}
    assert not compiled
    for n, value in device.items():
        # Which of two directions of an eigenvector comes first is arbitrary.
        found, expected = (np.sort(np.atleast_1d(v), axis=0) for v in (value, host[n]))
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)


def test_other_devices_measure_the_same():
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "8",
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    program = Path(__file__).parent / "mesh_check.py"
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "equal\n", done.stderr


def test_rows_are_spread():
    mesh = jax.make_mesh((1,), ("anything",))
    for rows in (np.arange(10.0).reshape(5, 2), jnp.arange(5)):
        placed = spread(rows, mesh, size=8, fill=9)
        assert placed.rows.shape[0] == 8 and (placed.rows[5:] == 9).all()
        np.testing.assert_array_equal(placed.rows[placed.real], rows)


def test_meshes():
    mesh = jax.make_mesh((1,), ("anything",))
    assert check_mesh(mesh, 1) == "anything"
    square = jax.make_mesh((1, 1), ("rows", "columns"))
    for wrong, message in (
        (square, r"one axis; got 2: \('rows', 'columns'\)"),
        (3, r"jax.sharding.Mesh with one axis, such as jax.make_mesh.*got int"),
        (jax.sharding.Mesh(np.empty(0, object), ("rows",)), "has no devices"),
    ):
        with pytest.raises(ValueError, match=message):
            isoscore(np.eye(3), mesh=wrong)
    with pytest.raises(ValueError, match="1 devices, more than the 0 points"):
        check_mesh(mesh, 0)
