from __future__ import annotations

import json

import numpy as np
import pytest

import jaxiso
from jaxiso import transforms
from jaxiso.cli.console import InputError
from jaxiso.score.__main__ import main

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) + np.arange(6, dtype="f")


@pytest.fixture
def npy(tmp_path):
    np.save(tmp_path / "v.npy", X)
    return str(tmp_path / "v.npy")


def test_transforms_are_shown_side_by_side(npy, capsys, tmp_path):
    steps = ("none", "center,abtt:2", "whiten")
    main([npy, "--transform", "none", "center, abtt:02", "whiten", "--json"])
    files = json.loads(capsys.readouterr().out)["files"]
    assert [file["transform"] for file in files] == list(steps)
    for file, text in zip(files, steps, strict=True):
        expected = float(jaxiso.isoscore(transforms.parse(text).fit_apply(X)[0]))
        assert file["measures"]["isoscore"]["value"] == pytest.approx(expected, rel=1e-4)
    errors = [{n for n, v in file["measures"].items() if v["se"] is not None} for file in files]
    assert errors[0] - errors[1] == {"mean_cosine"} and len(errors[1]) > 2 and not errors[2]
    low = str(tmp_path / "low.npy")
    np.save(low, np.concatenate([X, X[:, :1]], axis=1))
    main([npy, low, "--transform", "none", "whiten", "--quiet", "--plot", str(tmp_path / "p")])
    shown = capsys.readouterr().out
    assert "low.npy: whiten: 6 of 7 directions vary; the other 1 are projected out" in shown
    for name in ("v.npy", "low.npy"):
        assert name in shown.partition("Vectors")[0]
    assert (tmp_path / "p.png").exists()


def test_what_was_measured_before_an_error_is_printed(npy, capsys):
    with pytest.raises(InputError, match=r"--transform whiten:7: .* k from 1 to 6$"):
        main([npy, "--transform", "none", "whiten:7", "--quiet"])
    assert "IsoScore" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"^--transform whitn: unknown"):
        main([npy, "--transform", "none", "whitn"])
    with pytest.raises(InputError, match="leaves one dimension"):
        main([npy, "--transform", "whiten:1", "--quiet"])
    assert capsys.readouterr().out == ""
