from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import jaxiso
from jaxiso.load import EmbedRun
from jaxiso.run_files import read_metrics


@pytest.fixture(scope="module")
def trained(tmp_path_factory, vectors, run_main):
    """Two seeds with each of two weights of isotropy, under a hidden layer."""
    out = tmp_path_factory.mktemp("runs") / "run"
    small = ("--updates", 6, "--every", 3, "--seeds", 2, "--hidden", 5, "--isotropy", 0, 2)
    run_main("--vectors", vectors, *small, "--out", out, "--quiet")
    return out


def test_a_run_has_its_metrics_and_its_trained_models(trained, vectors):
    run = jaxiso.load_run(trained)
    assert isinstance(run, EmbedRun)
    assert run.config["hidden"] == 5
    assert run.result is not None
    assert run.result["task"] == "mine"
    pd.testing.assert_frame_equal(run.metrics, pd.DataFrame(read_metrics(trained)))
    assert run.models.to_dict("list") == {"seed": [0, 1, 0, 1], "isotropy": [0, 0, 2, 2]}
    assert run.updates == 6
    assert run.vectors.shape == (4, 60, 8)
    with np.load(trained / "final.npz") as final:
        np.testing.assert_array_equal(run.vectors, final["vectors"])
    last = run.metrics[run.metrics["step"] == 6]
    labels = np.unique(np.load(vectors)["y"], return_inverse=True)[1]
    for number, (isoscore, accuracy) in enumerate(
        zip(last["isoscore"], last["accuracy"], strict=True)
    ):
        mine = run.model(number)["vectors"]
        assert float(jaxiso.isoscore(mine)) == pytest.approx(isoscore, rel=1e-5)
        found = np.asarray(run.scores(mine, number)).argmax(axis=1)
        assert (found == labels).mean() == pytest.approx(accuracy)


def test_checkpoints_that_were_deleted_are_not_missed(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints")
    run, whole = jaxiso.load_run(tmp_path / "run"), jaxiso.load_run(str(trained))
    assert isinstance(run, EmbedRun)
    assert isinstance(whole, EmbedRun)
    assert run.updates == 6
    np.testing.assert_array_equal(run.scores(run.vectors[3], 3), whole.scores(run.vectors[3], 3))
    (tmp_path / "run/final.npz").unlink()
    run = jaxiso.load_run(tmp_path / "run")
    assert len(run.metrics) == 12
    with pytest.raises(ValueError, match="so there is no trained model"):
        _ = run.params


def test_an_unfinished_run_has_what_there_is(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/result.json").unlink()
    run = jaxiso.load_run(tmp_path / "run")
    assert run.result is None
    assert run.updates == 6
    steps = run.metrics["step"].nunique()
    assert repr(run).endswith(f"/run', not finished, models=4, steps={steps})")


def test_what_cannot_be_loaded(trained, tmp_path):
    with pytest.raises(ValueError, match="there is no such directory"):
        jaxiso.load_run(tmp_path / "nothing")
    run = jaxiso.load_run(trained)
    assert isinstance(run, EmbedRun)
    with pytest.raises(ValueError, match="model is 4, expected 0 to 3"):
        run.model(4)
    with pytest.raises(ValueError, match="Expected features of 8 dimensions"):
        run.scores(np.ones((3, 7)))
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/metrics.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"metrics.parquet: is not as it was written"):
        jaxiso.load_run(tmp_path / "run")
