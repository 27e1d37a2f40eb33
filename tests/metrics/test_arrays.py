from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from gensim.models import KeyedVectors, Word2Vec
from scipy.sparse import csr_array

import jaxiso
from jaxiso.metrics.arrays import as_array

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def keyed() -> KeyedVectors:
    vectors = KeyedVectors(3)
    vectors.add_vectors([str(i) for i in range(7)], X)
    return vectors


class Column:
    """Stands for a polars Series of lists."""

    def __array__(self, dtype=None, copy=None):
        return pd.Series(X.tolist()).to_numpy()


class Interchanged:
    """Stands for an array of another library, which NumPy cannot read but which has DLPack."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        raise TypeError("cannot be converted")

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize(
    "same",
    [
        X.tolist(),
        jnp.asarray(X),
        pd.DataFrame(X),
        pd.DataFrame(X).convert_dtypes(),
        keyed(),
        Interchanged(X),
    ],
    ids=["lists", "jax", "pandas", "pandas Float32", "gensim", "dlpack"],
)
def test_any_array_is_measured(same):
    np.testing.assert_array_equal(np.asarray(as_array(same), np.float32), X)
    assert float(jaxiso.isoscore(same)) == pytest.approx(float(jaxiso.isoscore(X)))


def test_tensors_of_torch():
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(X, requires_grad=True)
    np.testing.assert_array_equal(as_array(tensor), X)
    np.testing.assert_array_equal(as_array(torch.nn.Parameter(tensor)), X)
    rounded = tensor.bfloat16()
    found = as_array(rounded)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(found, np.float32), rounded.float().detach().numpy())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Column(), r"a column whose values are lists: give np.stack\(X\)"),
        (pd.Series(list(X)), r"a column whose values are lists: give np.stack\(X\)"),
        (pd.DataFrame({"v": list(X)}), r"give np.stack\(X\['v'\]\)"),
        (pd.DataFrame(X, columns=list("abc")).assign(y="no"), "column 'y' has others"),
        ([[1.0, 2.0], [1.0]], "rows of different lengths"),
        (csr_array(X), r"X.toarray\(\)"),
        (Word2Vec([["a", "b"]], min_count=1, vector_size=2), "a Word2Vec: give its .wv"),
        ([["a", "b"], ["c", "d"]], "Expected real numbers"),
        (pd.DataFrame([[1.0, {}], [2.0, {}]]), "Expected real numbers"),
    ],
)
def test_what_is_no_array_gets_a_hint(wrong, message):
    with pytest.raises(ValueError, match=message):
        jaxiso.isoscore(wrong)
