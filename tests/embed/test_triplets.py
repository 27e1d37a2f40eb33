"""Triples and their loss against enumerations, and centroids against scikit-learn's."""

from __future__ import annotations

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from jaxiso.embed.triplets import (
    Triples,
    centroid_scores,
    draw_triples,
    make_pool,
    triplet_loss,
)

CLUSTERS = np.array([2, 0, 4, 2, 0, 2, 1, 0])  # 1 and 4 occur once, 3 never
DRAWS = 40_000


def all_triples() -> set[tuple[int, ...]]:
    return {
        (a, p, n)
        for a, p, n in permutations(range(len(CLUSTERS)), 3)
        if CLUSTERS[a] == CLUSTERS[p] != CLUSTERS[n]
    }


def test_each_triple_is_drawn_as_often_as_any_other():
    pool = make_pool(CLUSTERS, 5)
    draw = jax.jit(draw_triples, static_argnums=2)
    drawn = draw(jax.random.key(0), pool, DRAWS)
    rows, counts = np.unique(np.stack(drawn, axis=1), axis=0, return_counts=True)
    assert {tuple(row) for row in rows.tolist()} == all_triples()
    expected = DRAWS / len(all_triples())
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = len(counts) - 1
    assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5
    other, again = (np.stack(draw(jax.random.key(1), pool, DRAWS)) for _ in range(2))
    np.testing.assert_array_equal(other, again)
    assert (other != np.stack(drawn)).any()


def test_loss_over_all_triples_is_the_papers():
    points = np.random.default_rng(0).normal(size=(8, 3))
    triples = np.array(sorted(all_triples()))

    def distance(i, j):
        return np.linalg.norm(points[i] - points[j])

    expected = np.mean([np.maximum(distance(a, p) - distance(a, n), 0) for a, p, n in triples])
    numbers = Triples(*jnp.asarray(triples, jnp.int32).T)
    assert float(triplet_loss(jnp.asarray(points, jnp.float32), numbers)) == pytest.approx(
        expected, rel=1e-5
    )


def test_points_in_one_place_have_a_gradient():
    points = jnp.asarray([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    triples = Triples(*jnp.asarray([[0, 1, 2], [0, 2, 1], [0, 1, 3]], jnp.int32).T)
    value, gradient = jax.value_and_grad(triplet_loss)(points, triples)
    assert float(value) == pytest.approx(5 / 3)  # of the second triple
    np.testing.assert_allclose(gradient[2], np.array([0.6, 0.8]) / 3, rtol=1e-6)
    assert np.isfinite(gradient).all()


def test_nearest_centroids_are_scikit_learns():
    rng = np.random.default_rng(0)
    known = (rng.normal(size=(60, 4)) + 100).astype(np.float32)  # far from the origin
    clusters = rng.choice([0, 1, 3], 60)  # 2 never occurs
    points = (rng.normal(size=(40, 4)) + 100).astype(np.float32)
    scores = centroid_scores(jnp.asarray(points), jnp.asarray(known), jnp.asarray(clusters), 4)
    expected = NearestCentroid().fit(known.astype(np.float64), clusters).predict(points)
    np.testing.assert_array_equal(np.argmax(scores, axis=1), expected)
    assert np.isneginf(np.asarray(scores)[:, 2]).all()
