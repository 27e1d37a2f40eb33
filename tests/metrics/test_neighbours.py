from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist

import jaxiso
from jaxiso.metrics.neighbours import nearest_two, twonn_dimension

RANDOM = np.random.default_rng(0)


def oracle(x):
    """As the paper has it, in a loop."""
    distances = np.sort(cdist(x, x), axis=1)[:, 1:3]
    ratios = sorted(distances[:, 1] / distances[:, 0])
    n, numerator, denominator = len(ratios), 0.0, 0.0
    for i, ratio in enumerate(ratios[: n - round(0.1 * n)], start=1):
        numerator -= np.log(ratio) * np.log(1 - i / n)
        denominator += np.log(ratio) ** 2
    return numerator / denominator


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_it_finds_the_dimension_of_a_curved_manifold(dimension):
    flat = RANDOM.uniform(size=(1500, dimension))
    curved = np.concatenate([flat, np.sin(3 * flat)], axis=1) @ RANDOM.normal(
        size=(2 * dimension, 20)
    )
    found = jaxiso.twonn(curved.astype(np.float32))
    assert found.dimension == pytest.approx(oracle(curved), rel=1e-3)
    assert found.dimension == pytest.approx(dimension, rel=0.12)
    assert found[1:] == (1500, 0)


def test_duplicates_are_taken_out_and_counted():
    x = RANDOM.normal(size=(50, 3))
    x[0] = 0
    twice = np.concatenate([x, x[:7], -x[:1]])  # -0 is 0
    assert jaxiso.twonn(twice) == (jaxiso.twonn(x).dimension, 50, 8)
    with pytest.raises(ValueError, match="needs 3 different points; there are 2"):
        jaxiso.twonn(np.eye(2).repeat(4, axis=0))


def test_ratios_that_say_nothing():
    assert np.isnan(twonn_dimension(np.ones((20, 2))))  # all equally far
    nearest = np.abs(RANDOM.normal(size=(30, 2))).cumsum(axis=1)
    with_zeros = np.concatenate([nearest, [[0, 1], [0, 0]]])
    assert twonn_dimension(with_zeros) == twonn_dimension(nearest)


def test_the_nearest_two_of_tiles():
    """Over several tiles; some points in one place, and all far from the origin."""
    x = (RANDOM.normal(size=(300, 9)) + 30).astype(np.float32)
    x[7], x[250] = x[8], x[8]
    expected = np.sort(cdist(x, x), axis=1)[:, 1:3]
    found = nearest_two(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found[[7, 8, 250]], 0)
    mesh = jax.make_mesh((1,), ("points",))
    np.testing.assert_allclose(jaxiso.twonn(x, mesh=mesh), jaxiso.twonn(x), rtol=1e-6)
