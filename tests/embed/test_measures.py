from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxiso.embed.measures import accuracy, features

SCORES = jnp.asarray([[0.1, 0.5, -jnp.inf], [2.0, -1.0, -jnp.inf], [-3.0, -4.0, -jnp.inf]])


def test_accuracy_of_classes_and_of_sets_of_labels():
    assert float(accuracy(SCORES, jnp.asarray([1, 0, 1]))) == pytest.approx(2 / 3)
    sets = jnp.asarray([[1.0, 1], [1, 0], [0, 1]])
    assert float(accuracy(SCORES[:, :2], sets)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_accuracy_of_scores_that_cannot_be_compared_is_none(bad):
    scores = SCORES[:, :2].at[2, 1].set(bad)
    assert np.isnan(accuracy(scores, jnp.asarray([1, 0, 1])))
    assert np.isnan(accuracy(scores, jnp.asarray([[1.0, 1], [1, 0], [0, 1]])))


def test_features_are_the_vectors_of_an_item_side_by_side():
    vectors = jnp.arange(6.0).reshape(3, 2)
    found = features(vectors, jnp.asarray([[2, 0], [1, 1]]))
    np.testing.assert_array_equal(found, [[4, 5, 0, 1], [2, 3, 2, 3]])
