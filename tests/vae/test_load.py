from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_runs import write_latents, write_vae

import jaxiso
from jaxiso.load import VAERun
from jaxiso.run_files import read_metrics


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


def test_evaluations_and_codes(tmp_path):
    write_vae(tmp_path / "one", {"rec": [90.0]})
    run = jaxiso.load_run(tmp_path / "one")
    assert isinstance(run, VAERun)
    found = run.evaluation()
    assert found is not None and found["measures"]["rec"]["values"] == [90.0]
    assert run.evaluation(15.0) == found and run.latents() is None
    with pytest.raises(ValueError, match=r"C is 5, expected one of 15\.0"):
        run.evaluation(5)
    write_latents(tmp_path / "one", 0)
    codes = run.latents()
    assert codes is not None and codes["means"].shape == (60, 4) and codes["labels"].max() == 13
    write_vae(tmp_path / "bare", None, C=[5.0, 15.0])
    bare = jaxiso.load_run(tmp_path / "bare")
    assert isinstance(bare, VAERun)
    assert bare.evaluation(5.0) is None and bare.latents(15.0) is None
    with pytest.raises(ValueError, match=r"C is None, expected one of 5\.0, 15\.0"):
        bare.evaluation()


def test_all_runs_of_a_folder(tmp_path):
    for name in ("b", "a"):
        write_vae(tmp_path / name, None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{}")
    with pytest.warns(UserWarning, match="left out: .*has no config"):
        found = jaxiso.load_runs(tmp_path, str(tmp_path / "nowhere"))
    assert [run.directory.name for run in found] == ["a", "b"]
