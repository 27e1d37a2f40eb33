"""Tiled sums of distances against dense ones; plans; and that no n × n array is ever made."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxiso.metrics.pairwise import Chosen, distance_sums, distance_sums_of
from jaxiso.metrics.tiles import (
    TileShape,
    any_tile_shape,
    plan_tiles,
    shape_for,
    tile_shape,
    tile_size,
)

N, D, K = 50, 4, 6


def points_and_codes(seed=0, n=N, d=D, k=K):
    random = np.random.default_rng(seed)
    codes = random.integers(0, k, n)
    codes[:k] = np.arange(k)
    points = random.normal(size=(n, d)) + 2 * random.normal(size=(k, d))[codes]
    return points.astype(np.float32), codes.astype(np.int32)


def brute_force(points, codes, k=K) -> np.ndarray:
    x = np.asarray(points, np.float64)
    sums = np.zeros((len(x), k))
    for i in range(len(x)):
        np.add.at(sums[i], codes, np.sqrt(((x - x[i]) ** 2).sum(axis=1)))
    return sums


@partial(jax.jit, static_argnums=(2, 3))
def tiled(points, codes, k, shape):
    return distance_sums(points, plan_tiles(codes, k, shape))


# One place a tile, one tile, even and odd numbers of tiles, tiles that do and do not divide n.
TILES = [1, 7, 10, 64]


@pytest.mark.parametrize("tile", TILES)
def test_sums_do_not_depend_on_tiles(tile):
    points, codes = points_and_codes()
    expected = brute_force(points, codes)
    for shape in {tile_shape(np.bincount(codes), tile=tile), any_tile_shape(N, K, tile=tile)}:
        np.testing.assert_allclose(tiled(points, codes, K, shape), expected, rtol=1e-5, atol=1e-5)


def test_default_tiles_over_several_tiles():
    points, codes = points_and_codes(n=901)
    shape = tile_shape(np.bincount(codes))
    assert shape.tile < 901
    np.testing.assert_allclose(
        tiled(points, codes, K, shape), brute_force(points, codes), rtol=1e-5
    )


def test_empty_clusters_between_others_in_a_tile():
    points, codes = points_and_codes(k=2)
    sums = tiled(points, codes * 8, 9, any_tile_shape(N, 9, tile=7))
    expected = brute_force(points, codes, 2)
    np.testing.assert_allclose(sums[:, [0, 8]], expected, rtol=1e-5)
    np.testing.assert_array_equal(sums[:, 1:8], 0)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("codes", [np.arange(N) % K, np.arange(N) // 25 * 3, np.arange(N)])
def test_plan(tile, codes):
    k = int(codes.max()) + 1
    shape = any_tile_shape(N, k, tile=tile)
    plan = plan_tiles(jnp.asarray(codes, jnp.int32), k, shape)
    order, place, onehot, _, counts, used = map(np.asarray, plan)
    tiles = -(-N // tile)
    assert order.shape == (tiles, tile) and onehot.shape == (tiles, tile, shape.width)
    assert used == tiles
    real = order < N
    np.testing.assert_array_equal(order.ravel()[place], np.arange(N))  # inverse of each other
    np.testing.assert_array_equal(place[order[real]], np.flatnonzero(real))
    assert real.sum() == N and (order[~real] == N).all()
    np.testing.assert_array_equal(onehot.sum(axis=2), real)  # padding belongs to no label
    np.testing.assert_array_equal(plan.labels[real], np.sort(codes))
    assert (np.asarray(plan.labels)[~real] == -1).all()
    np.testing.assert_array_equal(counts, np.bincount(codes, minlength=k))


def test_padding_is_not_visited_and_changes_no_bit():
    points, codes = points_and_codes(n=300)
    exact = brute_force(points, codes)
    tile = shape_for(codes, K, 1).tile
    program = jax.jit(
        lambda x, c, real, k, shape: distance_sums(x, plan_tiles(c, k, shape, real)),
        static_argnums=(3, 4),
    )
    found = []
    for size, width, fill in ((300, 6, 0), (512, 8, 1e30), (1024, 8, np.nan)):
        x = np.pad(points, ((0, size - 300), (0, 0)), constant_values=fill)
        c = np.pad(codes, (0, size - 300), constant_values=8)
        sums = np.asarray(program(x, c, np.int32(300), 8, TileShape(tile, width)))
        np.testing.assert_array_equal(sums[300:], 0)
        np.testing.assert_array_equal(sums[:, K:], 0)
        found.append(sums[:300, :K])
    np.testing.assert_allclose(found[0], exact, rtol=1e-5)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_shapes():
    assert tile_shape(np.array([10, 10, 10]), tile=10) == TileShape(10, 1)  # a label a tile
    assert tile_shape(np.array([10, 10, 10]), tile=11) == TileShape(11, 2)
    assert tile_shape(np.array([5] * 6), tile=10) == TileShape(10, 2)
    assert tile_shape(np.array([1] * 30), tile=64) == TileShape(64, 30)
    assert any_tile_shape(1000, 3, tile=64) == TileShape(64, 3)
    assert tile_size(10) <= tile_size(100_000)
    widths, codes = [], np.arange(300) // 3  # in parts of 100, each of 34 labels
    assert shape_for(codes, 100).width == tile_shape(np.full(100, 3)).width
    assert shape_for(codes, 100, 3) == TileShape(tile_size(128), 64)
    assert shape_for(jnp.asarray(codes), 100, 3) == TileShape(tile_size(128), 64)
    jax.jit(lambda c: widths.append(shape_for(c, 100, 3).width) or c)(codes)
    assert widths == [100]


def dense(points, codes):
    difference = points[:, None, :] - points[None, :, :]
    squares = jnp.sum(difference**2, axis=2)
    distance = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    return distance @ jax.nn.one_hot(codes, K)


@pytest.mark.parametrize("tile", [7, 64])
def test_gradient_is_that_of_the_dense_form(tile):
    for seed, twins in ((0, False), (1, False), (0, True)):
        check_gradient(tile, seed, twins)


def check_gradient(tile, seed, twins):
    points, codes = points_and_codes(seed)
    if twins:
        points = np.repeat(points[: N // 2], 2, axis=0)
    points, codes = jnp.asarray(points), jnp.asarray(codes)
    cotangent = jax.random.normal(jax.random.key(seed), (N, K))
    expected = jax.vjp(partial(dense, codes=codes), points)[1](cotangent)[0]
    shape = any_tile_shape(N, K, tile=tile)
    gradient = jax.vjp(lambda x: tiled(x, codes, K, shape), points)[1](cotangent)[0]
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient, expected, rtol=2e-4, atol=2e-4)


def test_gradient_with_as_many_dimensions_as_padded_labels():
    """A table of points and one of labels then have the same shape."""
    shape = any_tile_shape(N, K, tile=16)
    points, codes = map(jnp.asarray, points_and_codes(d=K + shape.width))
    expected = jax.grad(lambda x: jnp.sum(dense(x, codes) ** 2))(points)
    gradient = jax.grad(lambda x: jnp.sum(tiled(x, codes, K, shape) ** 2))(points)
    np.testing.assert_allclose(gradient, expected, rtol=2e-4, atol=2e-2)


def biggest_array(jaxpr) -> int:
    """Elements of the largest array anywhere in a program, inner loops included."""
    largest = 0
    for equation in jaxpr.eqns:
        shapes = [getattr(out.aval, "shape", ()) for out in equation.outvars]
        largest = max([largest, *(int(np.prod(shape)) for shape in shapes)])
        for inner in jaxprs_in_params(equation.params):
            largest = max(largest, biggest_array(inner))
    return largest


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("k", [2, 40])
def test_memory_grows_with_points_not_with_pairs(reverse, k):
    n, d, tile = 8192, 8, 256
    shape = any_tile_shape(n, k, tile=tile)

    def total(points, codes):
        return jnp.sum(jnp.sin(tiled(points, codes, k, shape)))

    program = jax.jit(jax.grad(total) if reverse else total)
    arguments = (jax.ShapeDtypeStruct((n, d), "float32"), jax.ShapeDtypeStruct((n,), "int32"))
    linear = 2 * n * (k + d) + 4 * tile**2
    assert biggest_array(jax.make_jaxpr(program)(*arguments).jaxpr) <= linear < n * n / 50
    memory = program.lower(*arguments).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * 4 * linear < n * n


def test_sums_of_chosen_points():
    """More labels than a tile of chosen points, which are not all of them, has places."""
    points, codes = map(jnp.asarray, points_and_codes(n=120, k=40))
    numbers = jnp.asarray([119, 3, 3, 64, 7, 80, 15, 1, 0], jnp.int32)
    chosen = Chosen.of(numbers, points, codes)
    tiling = plan_tiles(chosen.labels, 40, any_tile_shape(9, 40, tile=4))
    plan = plan_tiles(codes, 40, tile_shape(np.bincount(codes), tile=16))
    sums = distance_sums_of(chosen, tiling, points, plan)
    np.testing.assert_allclose(sums, brute_force(points, codes, 40)[numbers], rtol=1e-5)
