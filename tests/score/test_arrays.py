from __future__ import annotations

import numpy as np
import pytest

import jaxiso
from jaxiso.score.values import CLUSTERS, FREE

RANDOM = np.random.default_rng(0)
X = (RANDOM.normal(size=(40, 6)) + np.arange(6)).astype(np.float32)
Y = np.array(["cat", "dog"] * 20)


def test_the_numbers_are_those_of_the_functions():
    found = jaxiso.measure(X, Y)
    assert tuple(found) == (*FREE, *CLUSTERS)
    expected = {
        "isoscore": jaxiso.isoscore(X),
        "isoscore_corrected": jaxiso.isoscore(X, corrected=True),
        "mu_viswanath": jaxiso.isotropy_score(X),
        "effective_rank": jaxiso.effective_rank(X),
        "mean_cosine": jaxiso.mean_cosine(X),
        "silhouette": jaxiso.silhouette_score(X, Y),
        "simplified_silhouette": jaxiso.simplified_silhouette_score(X, Y),
        "calinski_harabasz": jaxiso.calinski_harabasz_score(X, Y),
        "davies_bouldin": jaxiso.davies_bouldin_score(X, Y),
        "dunn": jaxiso.dunn_index(X, Y),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(float(value), rel=1e-4), name
        assert (found[name].remark is None) == (name != "isoscore"), name


def test_measures_are_chosen_and_transforms_applied():
    low = np.concatenate([X, X[:, :2]], axis=1)
    found = jaxiso.measure(low, measures=["isoscore", "numerical_rank"], transform="whiten")
    assert list(found) == ["isoscore", "numerical_rank"]
    assert found["isoscore"].value == pytest.approx(1, abs=1e-5)
    assert found["numerical_rank"].value == 6
    assert found["isoscore"].remark is not None
    assert "6 of 8 directions vary" in found["isoscore"].remark
    twice = jaxiso.measure(np.concatenate([X, X[:3]]), measures=["twonn", "uniformity"])
    assert twice["twonn"].value == pytest.approx(jaxiso.twonn(X).dimension)
    assert twice["twonn"].remark == "3 duplicates left out"
    assert twice["uniformity"].se is None
    wide = RANDOM.normal(size=(40, 20))
    assert jaxiso.measure(wide, measures=["alpha_req"])["alpha_req"].value == pytest.approx(
        float(jaxiso.alpha_req(wide))
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (
            (X,),
            {"measures": ["isoscor"]},
            "unknown measure 'isoscor'; allowed are isoscore, isoscore_corrected, mu_",
        ),
        ((X,), {"measures": ["dunn"]}, "measure 'dunn' needs labels"),
        ((X,), {"transform": "whitn"}, "^transform whitn: unknown transform 'whitn'"),
        ((X,), {"transform": "whiten:7"}, "give whiten:k with k from 1 to 6"),
        ((X,), {"transform": "whiten:1"}, "leaves one dimension; at least 2 are needed"),
        ((X[:, :1],), {}, "it must have at least 2 dimensions"),
        ((X, Y[:5]), {}, "40 points, 5 labels"),
        ((X, Y), {"random_state": -1}, "^random_state -1: must be at least 0"),
        ((X, Y), {"sample_size": 1}, "^sample_size 1: must be at least 2"),
    ],
)
def test_what_cannot_be_measured(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        jaxiso.measure(*arguments, **options)
