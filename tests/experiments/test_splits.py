from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxiso.experiments.splits import hold_out


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_label_gives_its_share(counts, fraction, seed):
    clusters = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = hold_out(clusters, fraction, seed)
    assert abs(mask.sum() - fraction * len(clusters)) <= 0.5 + 1e-6
    held = np.bincount(clusters[mask], minlength=len(counts))
    assert (np.abs(held - fraction * np.array(counts)) < 1 + 1e-6).all()
    np.testing.assert_array_equal(mask, hold_out(clusters, fraction, seed))


def test_items_are_drawn_at_random():
    clusters = np.arange(200) % 2
    masks = np.array([hold_out(clusters, 0.25, seed) for seed in range(300)])
    share = masks.mean(axis=0)  # binomial, sd 0.025
    assert share.min() > 0.13 and share.max() < 0.37
    assert len({mask.tobytes() for mask in masks}) == 300
