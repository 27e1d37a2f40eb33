"""Paper A's objectives against their printed sums, pair by pair and triple by triple in float64."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from jaxiso.metrics.isotropy import isoscore
from jaxiso.metrics.objectives import (
    classification_objective,
    classification_terms,
    defect_of_angle,
    isotropy_angle,
    isotropy_defect,
    isotropy_objective,
    silhouette_objective,
    triplet_bound,
    triplet_objective,
)
from jaxiso.metrics.tiles import any_tile_shape, plan_tiles

# Few shapes, as each is a program to compile; the second has fewer points than dimensions.
SHAPES = [(9, 4, 3), (6, 8, 4)]


def sign(first, second) -> int:
    return -1 if first == second else 1


def distance(a, b) -> float:
    return float(np.sqrt(np.sum((a - b) ** 2)))


def eq1(points, labels, power=2) -> float:
    """O_S; with power 1 the line before it. With both signs taken as +, the sum in Eq. 2."""
    total = 0.0
    for a, of_a in zip(points, labels, strict=True):
        for b, of_b in zip(points, labels, strict=True):
            total += sign(of_a, of_b) * distance(a, b) ** power
    return total


def eq2(points) -> float:
    return eq1(points, range(len(points)))


def variances(points) -> np.ndarray:
    """V(D) of Section 2.2 from pairs of the PCA-transformed points."""
    points = points - points.mean(axis=0)
    x = points @ np.linalg.eigh(points.T @ points)[1]
    return sum(((a - b) ** 2 for a in x for b in x), np.zeros(x.shape[1])) / (2 * len(x) ** 2)


def cosine(points) -> float:
    v = variances(points)
    return float(v @ np.ones(len(v)) / np.linalg.norm(v) / np.linalg.norm(np.ones(len(v))))


def defect(points) -> float:
    v = variances(points)
    ones = np.ones(len(v))
    return float(np.linalg.norm(np.linalg.norm(ones) / np.linalg.norm(v) * v - ones))


def eq3(points, labels, class_vectors) -> float:
    """The first line."""
    return -sum(
        sign(omega, label) * float(x @ c)
        for x, label in zip(points, labels, strict=True)
        for omega, c in enumerate(class_vectors)
    )


def eq3_terms(points, labels, class_vectors) -> tuple[float, float, float]:
    """The second line, summand by summand."""
    n, k = len(points), len(class_vectors)
    of_points = -sum((k - 2) / 2 * float(x @ x) for x in points)
    of_classes = -sum(
        (n - 2 * sum(label == omega for label in labels)) / 2 * float(c @ c)
        for omega, c in enumerate(class_vectors)
    )
    distances = sum(
        sign(omega, label) * distance(x, c) ** 2 / 2
        for x, label in zip(points, labels, strict=True)
        for omega, c in enumerate(class_vectors)
    )
    return of_points, of_classes, distances


def triples(points, labels):
    """Distances from anchor to positive and from anchor to negative, over all triples."""
    n = range(len(points))
    for a in n:
        for p in n:
            for o in n:
                if p != a and labels[a] == labels[p] != labels[o]:
                    yield distance(points[a], points[p]), distance(points[a], points[o])


def o_t(points, labels) -> float:
    return sum(-max(near - far, 0) for near, far in triples(points, labels))


def eq5(points, labels) -> float:
    """The last line, from the weighted sign."""
    size = {label: sum(other == label for other in labels) for label in labels}
    total = 0.0
    for a, of_a in zip(points, labels, strict=True):
        for b, of_b in zip(points, labels, strict=True):
            weight = size[of_a] - len(points) if of_a == of_b else size[of_a] - 1
            total += weight * distance(a, b)
    return total


@st.composite
def clouds(draw, shapes=SHAPES):
    """Points (perhaps clumped, moved, or some of them the same), codes with gaps, class vectors."""
    n, d, k = draw(st.sampled_from(shapes))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    points = random.normal(size=(k, d))[codes] * draw(st.sampled_from([0, 1, 100]))
    points = points + random.normal(size=(n, d)) + draw(st.sampled_from([0, 3]))
    points = points[random.integers(0, n, n)] if draw(st.booleans()) else points
    scale = 10 ** draw(st.integers(-6, 6))
    points = (points * scale).astype(np.float32)
    return points, codes.astype(np.int32), (random.normal(size=(k, d)) * scale).astype(np.float32)


def on_device(*arrays):
    return tuple(jnp.asarray(array) for array in arrays)


def in_float64(*arrays):
    return tuple(np.asarray(array, np.float64) for array in arrays)


def close(found, expected, size, tolerance=5e-6):
    """Within rounding of the sum of all terms' sizes."""
    assert found.shape == () and found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


@settings(max_examples=25, deadline=None)
@given(clouds())
def test_sums_over_pairs(cloud):
    points, codes, _ = cloud
    (x,), k = in_float64(points), {n: k for n, _, k in SHAPES}[len(points)]
    pairs = eq2(x)
    found = silhouette_objective(*on_device(points, codes), num_labels=k)
    close(found, eq1(x, codes), pairs)
    close(isotropy_objective(points), pairs, pairs)


@settings(max_examples=25, deadline=None)
@given(clouds(SHAPES[:1]))
def test_sums_over_triples(cloud):
    points, codes, _ = cloud
    (x,), (n, _, k) = in_float64(points), SHAPES[0]
    expected, both = o_t(x, codes), list(triples(x, codes))
    found = triplet_objective(*on_device(points, codes), num_labels=k)
    assert float(found) <= 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * abs(x - x[0]).max())

    # Eq. 5's inequality, and that its last two lines are equal.
    total, size = sum(far - near for near, far in both), sum(near + far for near, far in both)
    assert expected <= total + 1e-12 * size
    np.testing.assert_allclose(eq5(x, codes), total, rtol=0, atol=1e-12 * size)
    plan = plan_tiles(jnp.asarray(codes), k, any_tile_shape(n, k, tile=4))
    bound = triplet_bound(*on_device(points, codes), plan=plan)
    close(bound, total, size)


@settings(max_examples=25, deadline=None)
@given(clouds())
def test_classification(cloud):
    points, codes, vectors = cloud
    x, c = in_float64(points, vectors)
    arrays = on_device(points, codes, vectors)
    expected, terms = eq3(x, codes, c), eq3_terms(x, codes, c)
    size = len(c) * np.linalg.norm(x, axis=1).sum() * np.linalg.norm(c, axis=1).max()
    np.testing.assert_allclose(expected, sum(terms), rtol=0, atol=1e-12 * sum(map(abs, terms)))
    close(classification_objective(*arrays, num_labels=len(vectors)), expected, size)
    squares = len(c) * (x**2).sum() + len(x) * (c**2).sum()
    found_terms = classification_terms(*arrays, num_labels=len(vectors))
    for found, term in zip(found_terms, terms, strict=True):
        close(found, term, squares)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 2**32 - 1),
    stretch=st.sampled_from([1.0, 3.0, 100.0]),
    shift=st.sampled_from([0.0, 100.0]),
)
def test_cosine_angle_and_defect(shape, seed, stretch, shift):
    n, d, _ = shape
    points = np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(1, stretch, d) + shift
    exact, chord = cosine(points), defect(points)
    alpha = np.arccos(exact)
    # Section 2.2 as printed, by the definitions alone.
    np.testing.assert_allclose(chord, 2 * np.sqrt(d) * np.sqrt(1 - np.cos(alpha / 2) ** 2))
    np.testing.assert_allclose(chord**2 / (4 * d) - 1, -(np.cos(alpha / 2) ** 2))
    close(isotropy_objective(points, exact=True), exact, 1)
    close(isotropy_angle(points), alpha, 1)
    close(isotropy_defect(points), chord, np.sqrt(d))
    close(isotropy_defect(points), defect_of_angle(isotropy_angle(points), d), 1e-3)
    np.testing.assert_allclose(np.cos(alpha) ** 2, (1 + (d - 1) * isoscore(points)) / d, rtol=1e-5)


def test_ends_of_the_angle():
    for d in (2, 8):
        cross = np.concatenate([np.eye(d), -np.eye(d)])
        assert float(isotropy_angle(cross)) == pytest.approx(0, abs=1e-6)
        assert np.isfinite(jax.grad(isotropy_defect)(jnp.asarray(cross, jnp.float32))).all()
        line = np.outer([-1.0, 0.0, 3.0], np.eye(d)[0])
        assert float(isotropy_angle(line)) == pytest.approx(np.arccos(d**-0.5), rel=1e-6)
        most = np.sqrt(2 * (d - np.sqrt(d)))
        assert float(isotropy_defect(line)) == pytest.approx(most, rel=1e-6)
    assert float(isotropy_angle(line)) > np.pi / 4  # the paper's range holds for d = 2 only


@pytest.mark.parametrize("uneven", [1e-2, 1e-4])
def test_nearly_isotropic_points_keep_their_angle(uneven):
    """The arccos of a float32 cosine has nothing left below 3e-4."""
    points = np.concatenate([np.eye(6), -np.eye(6)]) * (1 + uneven * np.linspace(-1, 1, 6))
    v = np.sort((points**2).sum(axis=0))
    expected = np.arctan(np.linalg.norm(v - v.mean()) / (v.mean() * np.sqrt(6)))
    assert float(isotropy_angle(points)) == pytest.approx(expected, abs=1e-6)
    assert float(isotropy_defect(points)) == pytest.approx(defect(points), rel=0, abs=5e-6)


def normal(n=9, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


CODES = np.arange(9) % 3
VECTORS = normal(3, 4, seed=1).astype(np.float32)


def test_points_in_one_place():
    same, codes = np.full((9, 4), 0.3, np.float32), CODES
    for objective in (silhouette_objective, triplet_objective):
        value, gradient = jax.value_and_grad(objective)(jnp.asarray(same), codes)
        assert float(value) == 0 and not np.any(gradient)
    assert float(triplet_bound(same, codes)) == 0
    assert str(isotropy_objective(same)) == "0.0"
    for measure in (partial(isotropy_objective, exact=True), isotropy_angle, isotropy_defect):
        assert np.isnan(measure(same))


def test_one_label_and_a_label_each():
    """The degenerate cases: Eq. 1 is Eq. 2 where no two points share a label."""
    points = jnp.asarray(normal(), jnp.float32)
    each = silhouette_objective(points, jnp.arange(9, dtype=jnp.int32), num_labels=9)
    one = silhouette_objective(points, jnp.zeros(9, jnp.int32), num_labels=1)
    close(each, eq2(normal()), eq2(normal()))
    close(one, -eq2(normal()), eq2(normal()))
    assert float(triplet_objective(points, jnp.zeros(9, jnp.int32), num_labels=1)) == 0


def test_the_printed_isotropy_objective_does_not_measure_isotropy():
    stretched = np.concatenate([np.eye(4), -np.eye(4)]) * np.array([1, 1, 1, 9])
    round_ = np.concatenate([np.eye(4), -np.eye(4)])
    assert isotropy_objective(stretched) > isotropy_objective(round_)
    assert isotropy_objective(stretched, exact=True) < isotropy_objective(round_, exact=True)
    np.testing.assert_allclose(isotropy_objective(2 * round_), 4 * isotropy_objective(round_))


@pytest.mark.parametrize(
    ("sizes", "change"), [((6, 6, 6), 1), ((9, 9), 0), ((12, 6), -1)], ids=["third", "half", "most"]
)
def test_spreading_a_label_out_around_its_centroid(sizes, change):
    """By (n - 2·n_k)·S_k it raises Eq. 1, unless half of the points or more have the label."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    x = normal(18)
    for label in range(len(sizes)):
        x[labels == label] -= x[labels == label].mean(axis=0)
    centroids = 5 * np.eye(3, 4)[labels]
    spread = np.where(labels == 0, 2, 1)[:, None]
    before, after = centroids + x, centroids + spread * x
    silhouette = sklearn.metrics.silhouette_score
    assert silhouette(after, labels) < silhouette(before, labels)
    difference = silhouette_objective(after, labels) - silhouette_objective(before, labels)
    expected = eq1(after, labels) - eq1(before, labels)
    np.testing.assert_allclose(difference, expected, rtol=1e-3, atol=1e-6 * eq2(after))
    assert np.sign(np.round(float(difference))) == change


def test_squares_and_roots_rank_clouds_differently():
    """Against the line before Eq. 1: its optimum need not be that of the unsquared sum."""
    labels, near = [0, 0, 1], np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0]])
    wide = np.array([[-1.5, 0.0], [1.5, 0.0], [0.0, 1.0]])
    assert eq1(wide, labels, power=1) > eq1(near, labels, power=1)
    assert eq1(wide, labels) < eq1(near, labels)
    assert silhouette_objective(wide, labels) < silhouette_objective(near, labels)


def test_the_triplet_bound_is_reached_where_strangers_are_nearer():
    points, labels = np.array([[10.0, 0], [-10, 0], [0, 10], [0, -10]]), [0, 0, 1, 1]
    np.testing.assert_allclose(triplet_bound(points, labels), triplet_objective(points, labels))
    np.testing.assert_allclose(triplet_objective(points, labels), o_t(points, labels), 1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_the_triplet_bound_does_not_bound_the_silhouette_objective(power):
    """Against the remark after Eq. 5."""
    points, labels = np.array([[0.0, 0], [1, 0], [10, 0], [11, 0]]), [0, 0, 1, 1]
    assert float(triplet_bound(points, labels)) == pytest.approx(eq5(points, labels))
    assert eq5(points, labels) < eq1(points, labels, power)


N = 500
THREE = np.arange(N) % 3
TIGHT = {
    "far from the origin": (normal(N, 16) + 1000, THREE),
    "collapsed": (normal(3, 16)[THREE] + 1e-4 * normal(N, 16), THREE),
    "collapsed, mixed labels": (normal(3, 16)[THREE] + 1e-4 * normal(N, 16), np.arange(N) // 167),
}


@pytest.mark.parametrize("name", TIGHT)
def test_accuracy_in_float32(name):
    points, labels = TIGHT[name]
    points = points.astype(np.float32)
    x = np.asarray(points, np.float64)
    apart, same = cdist(x, x), labels[:, None] == labels[None, :]
    squares, size = cdist(x, x, "sqeuclidean"), same.sum(axis=1)[:, None]
    signed, weighted = np.where(same, -1, 1) * squares, np.where(same, size - N, size - 1) * apart
    close(isotropy_objective(points), squares.sum(), squares.sum(), 1e-6)
    close(silhouette_objective(points, labels), signed.sum(), squares.sum(), 1e-6)
    close(triplet_bound(points, labels), weighted.sum(), abs(weighted).sum(), 1e-6)
    losses = sum(
        np.maximum(row[own][:, None] - row[~own][None, :], 0).sum()
        for row, own in zip(apart, same, strict=True)
    )
    assert losses > 0 or name == "collapsed"
    np.testing.assert_allclose(triplet_objective(points, labels), -losses, rtol=1e-5)


OBJECTIVES = {
    "O_S": (partial(silhouette_objective, labels=CODES), partial(eq1, labels=CODES)),
    "O_I": (isotropy_objective, eq2),
    "cosine": (partial(isotropy_objective, exact=True), cosine),
    "angle": (isotropy_angle, lambda x: np.arccos(cosine(x))),
    "defect": (isotropy_defect, defect),
    "O_C": (
        partial(classification_objective, labels=CODES, class_vectors=VECTORS),
        partial(eq3, labels=CODES, class_vectors=VECTORS.astype(np.float64)),
    ),
    "O_T": (partial(triplet_objective, labels=CODES), partial(o_t, labels=CODES)),
    "bound": (partial(triplet_bound, labels=CODES), partial(eq5, labels=CODES)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_vmap_jit_and_gradient(name):
    objective, printed = OBJECTIVES[name]
    batch, way = np.stack([normal(), normal(seed=2)]), normal(seed=3)
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(objective)))(batch.astype(np.float32))
    step = 1e-6
    for points, value, gradient in zip(batch, values, gradients, strict=True):
        np.testing.assert_allclose(value, printed(points), rtol=1e-4)
        np.testing.assert_allclose(value, objective(points), rtol=1e-4)
        expected = (printed(points + step * way) - printed(points - step * way)) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * way), expected, rtol=2e-3)


def test_labels_may_be_strings():
    names = np.array(["yes", "no", "perhaps"])
    order = np.unique(names, return_inverse=True)[1]
    found = classification_objective(normal(), names[CODES], VECTORS)
    np.testing.assert_allclose(found, eq3(normal(), order[CODES], VECTORS), rtol=1e-4)
    terms = classification_terms(normal(), names[CODES], VECTORS)
    np.testing.assert_allclose(sum(map(float, terms)), found, rtol=1e-4)
    for objective in (silhouette_objective, triplet_objective, triplet_bound):
        # Labels in another order are added up in another order.
        expected = objective(normal(), CODES)
        np.testing.assert_allclose(objective(normal(), names[CODES]), expected, rtol=1e-5)


def test_triplets_need_no_array_of_pairs():
    n, d = 8192, 64
    points, codes = jax.ShapeDtypeStruct((n, d), "float32"), jax.ShapeDtypeStruct((n,), "int32")
    gradient = jax.jit(jax.grad(partial(triplet_objective, num_labels=2)))
    memory = gradient.lower(points, codes).compile().memory_analysis()
    assert memory is not None and memory.temp_size_in_bytes < 4 * n * n / 4


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda: silhouette_objective(normal(), np.zeros(9)), r"Number of labels is 1\."),
        (lambda: triplet_objective(normal(), np.arange(9)), r"Number of labels is 9\."),
        (lambda: triplet_bound(normal(), CODES[1:]), r"9 points, 8 labels"),
        (lambda: isotropy_objective(normal() * np.nan), r"points\[0, 0\] is nan"),
        (lambda: isotropy_angle(normal(1)), "minimum of 2 point"),
        (lambda: isotropy_defect(np.zeros(3)), r"Expected a 2D array .* shape \(3,\)"),
        (
            lambda: classification_objective(normal(), CODES, VECTORS[1:]),
            r"class vectors of shape \(3, 4\), a row for each distinct label .* got \(2, 4\)",
        ),
        (lambda: classification_terms(normal(), CODES, VECTORS[:, 1:]), r"got \(3, 3\)"),
    ],
)
def test_refusals(objective, message):
    with pytest.raises(ValueError, match=message):
        objective()


def test_float64():
    """With x64 all sums are those of float64."""
    points, vectors = normal() + 1000, VECTORS.astype(np.float64)
    with jax.enable_x64(True):
        for name, (objective, printed) in OBJECTIVES.items():
            given = partial(objective, class_vectors=vectors) if name == "O_C" else objective
            found = given(points)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, printed(points), rtol=1e-10)
        found = classification_terms(points, CODES, vectors)
        np.testing.assert_allclose(found, eq3_terms(points, CODES, vectors), rtol=1e-10)
