"""Batches and their lengths, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.cli.console import InputError
from jaxiso.data.batches import Batches, choose_lengths, delete_words, hide_end
from jaxiso.models.tokens import EOS, PAD

few = settings(deadline=None, max_examples=40)

lengths_of = st.lists(st.integers(1, 40), min_size=1, max_size=80)
kinds = st.sampled_from(["buckets", "faithful"])


def encoded(lengths):
    """Sentences that all differ: sentence i is made of the ids from 100 i on."""
    return [
        np.array([*range(100 * i + 3, 100 * i + 2 + length), EOS], np.int32)
        for i, length in enumerate(lengths)
    ]


@few
@given(lengths_of, st.integers(1, 9), st.integers(0, 99), kinds)
def test_every_sentence_once_an_epoch(lengths, size, number, kind):
    sentences = encoded(lengths)
    batches = Batches(sentences, size, seed=1, batching=kind)
    for drawn in (list(batches.epoch(number)), list(batches.in_order())):
        assert len(drawn) == len(batches) == -(-len(sentences) // size)
        seen = np.concatenate([batch.indices for batch in drawn])
        assert sorted(seen[seen >= 0].tolist()) == list(range(len(sentences)))
        assert (seen < 0).sum() == len(drawn) * size - len(sentences) < size
        for tokens, length, rows, indices in drawn:
            assert tokens.dtype == length.dtype == indices.dtype == np.int32
            assert rows.dtype == np.float32 and len(tokens) == size
            np.testing.assert_array_equal(rows, indices >= 0)
            for row, count, i in zip(tokens, length, indices, strict=True):
                expected = sentences[i] if i >= 0 else [EOS]
                np.testing.assert_array_equal(row[:count], expected)
                assert (row[count:] == PAD).all()
        shapes = {batch.tokens.shape[1] for batch in drawn}
        longest = max(lengths)
        if kind == "buckets":
            assert len(shapes) <= 6 and max(shapes) == longest
        else:
            assert all(shape % 8 == 0 or shape == longest for shape in shapes)
    held = sum(batch.tokens.size for batch in batches.epoch(number))
    assert batches.tokens == sum(lengths)
    assert batches.padding(number) == pytest.approx(1 - sum(lengths) / held)


@few
@given(lengths_of, st.integers(1, 9), kinds)
def test_batches_depend_on_seed_and_epoch_alone(lengths, size, kind):
    def tokens(seed, number, start=0):
        batches = Batches(encoded(lengths), size, seed=seed, batching=kind)
        list(batches.epoch(0))  # what was drawn before does not matter
        return [batch.tokens.tolist() for batch in batches.epoch(number, start=start)]

    assert tokens(3, 5) == tokens(3, 5)
    assert tokens(3, 5, start=2) == tokens(3, 5)[2:]
    if kind == "buckets":  # seeds can be stacked
        assert [len(batch[0]) for batch in tokens(3, 5)] == [len(b[0]) for b in tokens(4, 5)]


def test_seeds_and_epochs_differ():
    sentences = encoded([5] * 50)
    for kind in ("buckets", "faithful"):
        one, two = (Batches(sentences, 10, seed=seed, batching=kind) for seed in (0, 1))
        orders = {
            tuple(np.concatenate([batch.indices for batch in batches.epoch(number)]).tolist())
            for batches in (one, two)
            for number in (0, 1)
        }
        assert len(orders) == 4
        in_order = np.concatenate([batch.indices for batch in one.in_order()])
        assert in_order.tolist() == list(range(50))


@few
@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 4))
def test_lengths_are_the_best(lengths, most):
    def places(ladder):
        return sum(min(step for step in ladder if step >= length) for length in lengths)

    found = choose_lengths(np.array(lengths), most)
    distinct = sorted(set(lengths))
    best = min(
        places((*some, distinct[-1]))
        for count in range(min(most, len(distinct)))
        for some in itertools.combinations(distinct[:-1], count)
    )
    assert places(found.tolist()) == best and len(found) <= most
    assert sorted(set(found.tolist())) == found.tolist() and set(found.tolist()) <= set(distinct)


def test_buckets_pad_less():
    lengths = np.random.default_rng(0).geometric(0.05, 2_000)
    buckets = Batches(encoded(lengths), 32)
    faithful = Batches(encoded(lengths), 32, batching="faithful")
    assert buckets.padding() < 0.3 < 0.5 < faithful.padding()
    assert buckets.describe().startswith("63 batches of 32 an epoch, in buckets: 6 lengths (")
    assert "padded to their longest" in faithful.describe()
    assert "1 length (4), 50.0% padding" in Batches(encoded([4]), 2).describe()


def test_bad_batches():
    with pytest.raises(InputError, match="there are no sentences"):
        Batches([], 4)
    with pytest.raises(InputError, match="batch size 0: it must be at least 1"):
        Batches(encoded([3]), 0)


IDS = st.lists(
    st.lists(st.integers(3, 99), min_size=1, max_size=30).map(
        lambda words: np.array([*words, 2], np.int32)
    ),
    min_size=1,
    max_size=5,
)


def is_in_order(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@given(IDS, st.sampled_from([0.0, 0.3, 0.75, 1.0]), st.integers(0, 9))
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
