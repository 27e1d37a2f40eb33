"""The benchmark of an accelerator, at sizes that take no time, on whatever there is."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import pytest

from jaxiso.bench import gpu
from jaxiso.bench.__main__ import main
from jaxiso.metrics.arithmetic import PRECISIONS, precision


def test_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    monkeypatch.setattr(gpu, "MODELS", (1, 2))
    file = tmp_path / "gpu.json"
    sizes = ("--size", "tiny", "--points", "300", "--dim", "8", "--repeats", "1", "--updates", "1")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax mixes
        main(["--what", "gpu", *sizes, "--json", str(file), "--quiet"])
    assert "silhouette, highest" in capsys.readouterr().out
    found = json.loads(file.read_text())["results"]["gpu"]
    assert precision() == "highest"
    assert found["silhouette"].keys() == {"products_per_s", *PRECISIONS}
    assert 0 < found["silhouette"]["highest"]["largest_error"] < 1e-5
    assert found["embed"]["updates"] == 3 and found["embed"]["seconds"] > 0
    assert [row["models"] for row in found["vae"]] == [1, 2]
    assert all(row["tokens_per_s"] > 0 for row in found["vae"])
