"""Sentences that lost words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxiso.data.edits import delete_words, hide_end

SENTENCES = st.lists(
    st.lists(st.integers(3, 99), min_size=1, max_size=30).map(
        lambda words: np.array([*words, 2], np.int32)
    ),
    min_size=1,
    max_size=5,
)


def is_in_order(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@given(SENTENCES, st.sampled_from([0.0, 0.3, 0.75, 1.0]), st.integers(0, 9))
def test_deletion_keeps_a_part_in_order(sentences, share, seed):
    found = delete_words(sentences, share, np.random.default_rng(seed))
    for ids, kept in zip(sentences, found, strict=True):
        assert kept[-1] == 2 and kept.dtype == ids.dtype
        assert is_in_order(kept[:-1].tolist(), ids[:-1].tolist())
        words = len(ids) - 1
        # int((1 - share) · n) in exact arithmetic
        assert len(kept) - 1 == max(1, words * round(100 * (1 - share)) // 100)


def test_deletion_draws_every_word_alike():
    ids = np.array([*range(3, 13), 2], np.int32)
    kept = delete_words([ids] * 2000, 0.3, np.random.default_rng(0))
    counts = np.bincount(np.concatenate(kept), minlength=13)[3:]
    assert counts.sum() == 2000 * 7
    np.testing.assert_allclose(counts / 2000, 0.7, atol=0.05)


@pytest.mark.parametrize(("words", "left"), [(1, 1), (3, 1), (4, 1), (8, 2), (16, 4), (19, 4)])
def test_hiding_leaves_the_beginning_as_a_sentence(words, left):
    ids = np.array([*range(3, 3 + words), 2], np.int32)
    (found,) = hide_end([ids], 0.75)
    assert found.tolist() == [*range(3, 3 + left), 2]
