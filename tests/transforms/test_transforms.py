from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler, normalize

import jaxiso
from jaxiso import transforms
from jaxiso.cli.transforms import TRANSFORMS
from jaxiso.transforms.fits import FITS
from jaxiso.transforms.steps import ClusterWise, nearest_centroids

N, D = 60, 5
RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(N, D)) * [5, 3, 2, 1, 0.5] + [10, -1, 0, 2, 0.1]).astype(np.float32)
OTHER = RANDOM.normal(size=(7, D)).astype(np.float32)


def fit_apply(text: str, x: Any = X):
    return transforms.parse(text).fit_apply(x)


def without_top(x, removed):
    """All-but-the-top as it is defined, in float64."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    top = np.linalg.eigh(np.cov(centred.T))[1][:, ::-1][:, :removed]
    return centred - sum(np.outer(centred @ u, u) for u in top.T)


def test_center_unit_and_standardize_are_those_of_scikit_learn():
    wide = X.astype(np.float64)
    np.testing.assert_allclose(fit_apply("center")[0], X - wide.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit_apply("unit")[0], normalize(wide), rtol=1e-6)
    ours, fitted = fit_apply("standardize", wide)
    scaler = StandardScaler().fit(wide)
    np.testing.assert_allclose(ours, np.asarray(scaler.transform(wide)), rtol=1e-10)
    theirs = np.asarray(scaler.transform(OTHER))
    np.testing.assert_allclose(transforms.apply(fitted, OTHER), theirs, rtol=1e-5)


@pytest.mark.parametrize("k", [None, 3])
def test_whitening_is_that_of_scikit_learn(k):
    wide = X.astype(np.float64) * (1 + 1e-12)  # a factor that single precision does not hold
    ours, fitted = fit_apply("whiten" if k is None else f"whiten:{k}", wide)
    pca = PCA(k, whiten=True).fit(wide)
    theirs = pca.transform(wide)
    signs = np.sign((ours * theirs).sum(axis=0))  # of an axis, which is arbitrary
    np.testing.assert_allclose(ours * signs, theirs, rtol=1e-9)
    theirs = pca.transform(OTHER)
    np.testing.assert_allclose(transforms.apply(fitted, OTHER) * signs, theirs, rtol=1e-5)
    assert fitted.remarks == ()
    assert float(jaxiso.isoscore(ours)) == pytest.approx(1, abs=1e-6)


def test_all_but_the_top_is_its_definition():
    np.testing.assert_allclose(fit_apply("abtt:2")[0], without_top(X, 2), atol=2e-6)
    np.testing.assert_allclose(fit_apply("abtt")[0], without_top(X, 1), atol=2e-6)  # at least one
    wide = RANDOM.normal(size=(300, 250))
    np.testing.assert_allclose(fit_apply("abtt", wide)[0], without_top(wide, 2), atol=1e-12)


def test_rogue_dimensions_are_left_out():
    np.testing.assert_array_equal(fit_apply("rogue:2")[0], X[:, [1, 2, 4]])
    np.testing.assert_array_equal(fit_apply("rogue")[0], X[:, [2, 4]])  # three of them


def test_cluster_wise_removal_makes_every_centroid_zero():
    centres = 100 * RANDOM.normal(size=(3, D))
    labels = np.arange(N) % 3
    x = centres[labels] + RANDOM.normal(size=(N, D))
    y, fitted = fit_apply("cluster:3,2", x)
    (params,) = fitted.params
    assert isinstance(params, ClusterWise)
    for label in range(3):
        mine = labels == label
        np.testing.assert_allclose(y[mine], without_top(x[mine], 2), atol=1e-10)
        np.testing.assert_allclose(y[mine].mean(axis=0), 0, atol=1e-12)
    # Other vectors are those of their nearest cluster, also far from the origin.
    far = x[:9] + 0.1
    codes = np.asarray(nearest_centroids(params.centroids, far))
    assert len(set(codes)) == 3
    apart = far - params.centroids[codes]
    top = params.directions[codes]
    expected = apart - np.einsum("nd,ndk,nek->ne", apart, top, top)
    np.testing.assert_allclose(transforms.apply(fitted, far), expected, atol=1e-12)
    flat, fitted = fit_apply("cluster:20,4", x[:40])
    assert "clusters vary in at most D = 4 directions: all zero" in fitted.remarks[0]
    assert np.isfinite(flat).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("text", ["whiten", "center,whiten", "abtt:1,whiten", "standardize,whiten"])
def test_directions_without_variance_are_found_and_projected_out(kind, text):
    # Of rank 4 in 9 dimensions, but for rounding to float32 of numbers around 100.
    low = RANDOM.normal(size=(200, 4)) @ RANDOM.normal(size=(4, 9)) + 100
    y, fitted = fit_apply(text, low.astype(np.float32).astype(kind))
    rank = 3 if "abtt" in text else 4
    assert fitted.remarks == (
        f"whiten: {rank} of 9 directions vary; the other {9 - rank} are projected out",
    )
    assert y.shape == (200, rank)
    assert y.dtype == kind
    assert float(jaxiso.isoscore(y)) == pytest.approx(1, abs=1e-4)
    with pytest.raises(ValueError, match=f"give whiten:k with k from 1 to {rank}$"):
        fit_apply(f"{text}:{rank + 1}", low.astype(np.float32).astype(kind))


def test_small_directions_that_are_no_rounding_errors_are_kept():
    x = RANDOM.normal(size=(200, 3)) * [1, 1e-3, 1e-4]
    assert fit_apply("whiten", x.astype(np.float32))[0].shape == (200, 3)
    assert fit_apply("whiten", x * [1, 1e-6, 1e-8])[0].shape == (200, 3)
    assert fit_apply("standardize", (x * [1, 1e-9, 1e-9]).astype(np.float32))[1].remarks == ()


def test_what_is_found_of_the_data_is_said():
    x = X.copy()
    x[:, 1], x[4] = 0.1, 0
    x[4, 1] = 0.1
    y, fitted = fit_apply("standardize,unit", x)
    assert fitted.remarks == ("standardize: 1 of 5 dimensions do not vary, and become zero",)
    assert (y[:, 1] == 0).all()
    x[4] = 0
    y, fitted = fit_apply("unit", x)
    assert fitted.remarks == ("unit: 1 of 60 vectors are zero, and stay so",)
    assert (y[4] == 0).all()
    _, fitted = fit_apply("whiten", X[:4])
    assert "equally far from each other" in fitted.remarks[1]


@pytest.mark.parametrize(
    ("text", "x", "message"),
    [
        ("whiten", np.ones((5, 3)), "vary in 0 of 3 directions only; there is nothing to whiten"),
        ("abtt:5", X, "so nothing would be left; D must be below 5"),
        ("rogue:5", X, "there are 5 dimensions; k must be below 5"),
        ("center,rogue:1", X, "all dimensions have mean zero; put it before center"),
        ("cluster:4,1", np.eye(3).repeat(5, axis=0), "there are 3 different vectors"),
        ("cluster:2,5", X, "D must be below 5"),
        ("center", X[0], "Expected a 2D array"),
        ("none", X * np.nan, "NaN or infinity"),
        ("center", X > 0, "Expected real numbers"),
    ],
)
def test_what_cannot_be_fitted(text, x, message):
    with pytest.raises(ValueError, match=message):
        transforms.parse(text).fit(x)


def test_other_vectors_have_the_same_dimensions():
    pipeline = transforms.parse("center")
    with pytest.raises(ValueError, match="center was fitted on vectors of 5 dimensions; got an"):
        pipeline.apply(pipeline.fit(X), X[:, :3])
    with pytest.raises(ValueError, match="fitted on concrete arrays"):
        jax.jit(lambda x: pipeline.fit_apply(x)[0])(X)


EACH = ["center", "unit", "standardize", "whiten:3", "abtt:2", "rogue:1", "cluster:3,2"]


def test_every_transform_that_can_be_written_is_there():
    assert ["none", *FITS] == list(TRANSFORMS)
    assert [text.partition(":")[0] for text in EACH] == list(FITS)


def test_on_the_device_it_is_the_same_and_differentiable():
    pipeline = transforms.parse("rogue:1,standardize,abtt:1,cluster:3,1,whiten:2,center,unit")
    host, fitted = pipeline.fit_apply(X)
    device = jax.jit(transforms.apply)(fitted, jnp.asarray(X))  # a fit is a pytree
    assert isinstance(host, np.ndarray)
    assert host.dtype == device.dtype == np.float32
    np.testing.assert_allclose(host, device, atol=2e-5)
    weights = jnp.asarray(RANDOM.normal(size=(2,)), jnp.float32)

    def total(x):
        return jnp.sum(transforms.apply(fitted, x) @ weights)

    gradient = jax.jit(jax.grad(total))(jnp.asarray(OTHER))
    step = 1e-4
    for row, column in ((0, 0), (3, 4)):
        moved = np.zeros((7, D))
        moved[row, column] = step
        wide = OTHER.astype(np.float64)
        above, below = (transforms.apply(fitted, wide + s * moved) for s in (1, -1))
        slope = ((above - below) @ np.asarray(weights)).sum() / (2 * step)
        assert float(gradient[row, column]) == pytest.approx(slope, rel=1e-2, abs=1e-3)


def test_the_derivative_of_a_zero_is_zero():
    fitted = transforms.parse("unit").fit(X)
    gradient = jax.grad(lambda x: jnp.sum(transforms.apply(fitted, x)))(jnp.zeros((1, D)))
    np.testing.assert_array_equal(gradient, 0)


def test_steps_are_applied_in_order_and_recorded():
    y, fitted = fit_apply("center, whiten:03 ,none,unit")
    assert fitted.text == "center,whiten:3,unit"
    step = X
    for text in ("center", "whiten:3", "unit"):
        step = fit_apply(text, step)[0]
    np.testing.assert_allclose(y, step, atol=1e-5)
    same, fitted = fit_apply("none")
    assert fitted.text == "none"
    np.testing.assert_array_equal(same, X)
