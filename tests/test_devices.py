"""Models side by side on several devices: the numbers of one device, and runs that change it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from made_texts import write_corpus

from jaxiso.embed.__main__ import main as embed
from jaxiso.run_files import read_metrics
from jaxiso.seeds import Spread
from jaxiso.vae.__main__ import main as vae

EMBED = ("--seeds", 2, "--isotropy", 0, 1, "--updates", 4, "--checkpoint-every", 2, "--quiet")
VAE = ("--vocabulary", 40, "--embedding-dim", 8, "--hidden-dim", 12, "--latent-dim", 4)
VAE += ("--batch-size", 48, "--ramp", 3, "--lr", 0.01, "--epochs", 2, "--quiet")
VAE += ("--C", 1, 4, "--seeds", 2, "--word-dropout", 0.3, "--dropout", 0.2)
ON_THREE = """
import json, sys
import jax
from jaxiso.embed.__main__ import main as embed
from jaxiso.vae.__main__ import main as vae
assert jax.device_count() == 3
for command, arguments in json.loads(sys.argv[1]):
    {"embed": embed, "vae": vae}[command](arguments)
"""


@pytest.fixture(autouse=True)
def standard_promotion():
    """optax mixes int and float inside, and Flax's Dense adds a bias of one dimension to rows."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def begun(finished: Path, to: Path) -> Path:
    """The same run, as it was before its last checkpoint."""
    shutil.copytree(finished, to)
    *_, last = sorted((to / "checkpoints").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(last)
    (to / "result.json").unlink()
    return to


def same(a: dict[str, list[Any]], b: dict[str, list[Any]], *, atol: float) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=atol, err_msg=name)


def test_seeds_on_three_devices(tmp_path):
    """Four models each. Those that a CPU computes in turn have the same bits on any devices."""
    rng = np.random.default_rng(0)
    vectors = tmp_path / "vectors.npz"
    np.savez(vectors, X=rng.normal(size=(40, 6)).astype(np.float32), y=np.arange(40) % 3)
    corpus = write_corpus(tmp_path / "toy.jsonl")
    commands = {
        "embed": (embed, ("--vectors", vectors, *EMBED)),
        "vae": (vae, ("--corpus", corpus, *VAE)),
    }

    def arguments(name: str, out: Path) -> list[str]:
        return [str(one) for one in (*commands[name][1], "--out", out)]

    given, one, three, moved = [], {}, {}, {}
    for name, (main, _) in commands.items():
        one[name], three[name] = tmp_path / name, tmp_path / f"{name}-3"
        main(arguments(name, one[name]))
        moved[name] = begun(one[name], tmp_path / f"{name}-moved")
        given += [(name, arguments(name, out)) for out in (three[name], moved[name])]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "3"}
    subprocess.run([sys.executable, "-c", ON_THREE, json.dumps(given)], env=environment, check=True)
    for name, (main, _) in commands.items():
        expected, atol = read_metrics(one[name]), 0 if name == "vae" else 1e-6
        same(read_metrics(three[name]), expected, atol=atol)
        same(read_metrics(moved[name]), expected, atol=atol)
        back = begun(three[name], tmp_path / f"{name}-back")
        main(arguments(name, back))
        same(read_metrics(back), expected, atol=atol)
        results = [json.loads((run / "result.json").read_text()) for run in (one[name], back)]
        assert results[0].get("model") == results[1].get("model")
    with (
        np.load(one["embed"] / "final.npz") as ours,
        np.load(three["embed"] / "final.npz") as theirs,
    ):
        for name in ours.files:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


@pytest.mark.parametrize(
    ("models", "processes", "local", "devices", "each"),
    [
        (5, 1, 1, 1, 5),
        (5, 1, 2, 2, 3),
        (5, 1, 4, 3, 2),  # a fourth would save no time
        (2, 1, 8, 2, 1),
        (1, 1, 8, 1, 1),
        (9, 1, 8, 5, 2),
        (2, 3, 4, 3, 1),  # every process has to take part
        (9, 2, 2, 4, 3),
        (5, 2, 4, 6, 1),
    ],
)
def test_how_models_are_spread(monkeypatch, models, processes, local, devices, each):
    class Device:
        def __init__(self, process: int) -> None:
            self.process_index = process

    monkeypatch.setattr(jax, "process_count", lambda: processes)
    monkeypatch.setattr(jax, "local_device_count", lambda: local)
    monkeypatch.setattr(
        jax, "devices", lambda: [Device(i // local) for i in range(processes * local)]
    )

    class Mesh:
        def __init__(self, shape, names, devices) -> None:
            self.size, self.processes = shape[0], {d.process_index for d in devices}

    monkeypatch.setattr(jax, "make_mesh", Mesh)
    spread = Spread.over(models)
    assert spread.each == each and (spread.mesh is None) == (devices == 1)
    if spread.mesh is not None:
        assert spread.mesh.size == devices and spread.copies == each * devices - models
        assert spread.mesh.processes == set(range(processes))  # pyright: ignore
