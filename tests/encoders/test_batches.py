"""How texts are put into batches of few shapes."""

from __future__ import annotations

import numpy as np
import pytest

from jaxiso.encoders.batches import LENGTHS, fill_batch, plan_batches


@pytest.mark.parametrize("tokens_per_batch", [1, 100, 1024, 65_536])
@pytest.mark.parametrize("count", [1, 2, 37, 1000])
def test_every_text_is_in_one_batch_that_it_fits(count: int, tokens_per_batch: int) -> None:
    lengths = np.random.default_rng(count).integers(2, 257, count)
    plan = plan_batches(lengths, 256, tokens_per_batch)
    assert sorted(np.concatenate([batch.texts for batch in plan])) == list(range(count))
    for batch in plan:
        assert lengths[batch.texts].max() <= batch.tokens <= 256
        assert len(batch.texts) <= batch.rows
        assert batch.rows == 1 or batch.rows * batch.tokens <= tokens_per_batch
        assert batch.rows & (batch.rows - 1) == 0
    assert all(len(batch.texts) == batch.rows for batch in plan[:-1])


def test_a_length_has_one_shape() -> None:
    lengths = np.random.default_rng(0).integers(2, 513, 5000)
    plan = plan_batches(lengths, 512, 2048)
    shapes = {(batch.rows, batch.tokens) for batch in plan}
    assert len(shapes) == len({tokens for _, tokens in shapes}) <= len(LENGTHS)


@pytest.mark.parametrize(
    ("longest", "limit", "columns"), [(3, 256, 8), (9, 256, 16), (99, 100, 100), (700, 5000, 1024)]
)
def test_lengths_are_rounded_up_but_not_over_the_limit(
    longest: int, limit: int, columns: int
) -> None:
    assert plan_batches(np.array([longest]), limit, 4096)[0].tokens == columns


def test_batches_are_filled_from_the_left() -> None:
    ids = [np.array([5, 6, 7], np.int32), np.array([5, 7], np.int32)]
    (batch,) = plan_batches(np.array([3, 2]), 4, 8)
    tokens, mask = fill_batch(batch, ids, 1)
    np.testing.assert_array_equal(tokens, [[5, 6, 7, 1], [5, 7, 1, 1]])
    np.testing.assert_array_equal(mask, [[True, True, True, False], [True, True, False, False]])
    assert tokens.dtype == np.int32
