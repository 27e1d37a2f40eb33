from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jaxiso
from jaxiso.load import VAERun
from jaxiso.runs import read_metrics


def test_a_trained_vae_encodes_and_decodes(trained):
    run = jaxiso.load_run(trained)
    assert isinstance(run, VAERun)
    assert run.models.to_dict("list") == {"seed": [0, 1]}
    assert len(run.metrics) == len(read_metrics(trained)["step"])
    assert run.updates == 24
    sentences = ["w1 w2 w3 w4", "w20 w21", "W1 w2, nothing", "w3 w4 w5 w6 w7 w8"]
    found: Any = run.encode(sentences, model=1)
    for i, words in enumerate(["w1 w2 w3 w4", "w20 w21", "w1 w2 , unk", "w3 w4 w5 w6 w7 w8"]):
        ids = run.vocabulary.encode(words.split())[None]
        lengths = np.array([ids.shape[1]])
        alone: Any = run.network.apply(run.model(1), ids, lengths, method=run.network.encode)
        np.testing.assert_allclose(found.mean[i], alone.mean[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.log_variance[i], alone.log_variance[0], atol=1e-5)
    assert found.log_variance.shape == (4, 1)
    written = run.decode(found.mean, longest=5)
    assert len(written) == 4
    assert all(len(text.split()) <= 5 for text in written)
    assert not np.array_equal(found.mean, run.encode(sentences, model=0).mean)


def test_what_cannot_be_encoded(trained):
    run = jaxiso.load_run(trained)
    assert isinstance(run, VAERun)
    for wrong in ("one sentence", []):
        with pytest.raises(ValueError, match="Expected a sequence of sentences"):
            run.encode(wrong)
    with pytest.raises(ValueError, match="Expected codes"):
        run.decode(np.ones((2, 99)))
