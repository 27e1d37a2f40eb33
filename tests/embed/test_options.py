from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxiso import papers
from jaxiso.cli.configs import determining
from jaxiso.cli.console import InputError
from jaxiso.embed.__main__ import main
from jaxiso.embed.options import Options, default_name, full_config, title_of

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], r"--seeds 0: must be at least 1"),
        (["--updates", "0"], r"--updates 0: must be at least 1"),
        (["--every", "-1"], r"--every -1: must be at least 1"),
        (["--checkpoint-every", "-5"], r"--checkpoint-every -5: must be at least 0"),
        (["--seed", "4294967296"], r"--seed 4294967296: must be at least 0 and below 4294967296"),
        (["--sample", "2"], r"--sample 2: must be at least 3 .*\(or 0\)"),
        (["--lr", "nan"], r"--lr nan: must be a finite number at least 1e-30"),
        (["--scale", "0"], r"--scale 0\.0: must be a finite number at least 1e-30"),
        (["--scale", "1e60"], r"--scale 1e\+60: must be .* at least 1e-30 and at most 1e\+30"),
        (["--scale", "1e-60"], r"--scale 1e-60: must be .* at least 1e-30 and at most 1e\+30"),
        (["--task", "snil"], r"unknown task 'snil'.*Did you mean 'snli'"),
        (["--encoder", "mpnet"], r"--encoder mpnet: only for tasks of sentences \(polarity"),
        (["--word-vectors", "a.bin"], r"--word-vectors a\.bin: only for tasks of words \(pos, sup"),
        (["--task", "snli", "--vectors", "a.npz"], r"give one of the two"),
        (["--vectors", "absent.npz"], r"absent\.npz"),
        (["--labels", "a.txt"], r"--labels a\.txt: only with --vectors FILE"),
        (["--task", "rte", "--array", "X"], r"--array X: only with --vectors FILE"),
        (["--isotropy", "1", "nan"], r"--isotropy nan: must be .* at least 1e-30 .*\(or 0\)"),
        (["--isotropy", "-1"], r"--isotropy -1\.0: must be"),
        (["--isotropy", "1e39"], r"--isotropy 1e\+39: must be .* at most 1e\+30"),
        (["--isotropy", "1", "0.5", "1.0"], r"--isotropy 1: given more than once"),
        (["--isotropy"], r"--isotropy: give at least one weight"),
        (["--star", "0.2"], r"--star 0\.2: only with --isotropy"),
        (["--isotropy", "1", "--star", "2"], r"--star 2\.0: must be"),
        (["--hidden", "0"], r"--hidden 0: must be at least 1"),
        (["--triplets", "9"], r"--triplets 9: only with --loss triplet"),
        (["--loss", "triplet", "--triplets", "0"], r"--triplets 0: must be at least 1"),
        (["--loss", "triplet", "--hidden", "4"], r"--hidden 4: the triplet loss has no classif"),
        (["--test-fraction", "1"], r"--test-fraction 1\.0: must be .* above 0 and below 1"),
    ],
)
def test_bad_options(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main(options)
    assert list(tmp_path.iterdir()) == []


def test_help_is_light_and_has_defaults(capsys):
    check = (
        "import sys, jaxiso.embed.__main__\n"
        "assert not {'jax', 'datasets', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())  # lines are wrapped
    for text in ("--task", "(default: parity)", "--seeds", "(default: 5)", "(default: 20000)"):
        assert text in words
    assert "mrpc: do two news sentences mean the same" in words


def test_names_tell_runs_apart():
    assert default_name(Options(updates=1000), "digits", "") == "digits-5seeds-1000updates"
    sentences = Options(task="wnli", updates=250)
    assert default_name(sentences, "wnli", "minilm") == "wnli-minilm-5seeds-250updates"
    other = Options(updates=10, scale=3.0, every=2, seeds=1, seed=4)
    assert default_name(other, "mine", None) == "mine-1seeds-10updates-seed4-every2-scale3"
    beyond = Options(updates=5, isotropy=(0, 0.1), hidden=8, track=True, test_fraction=0.2)
    name = "mine-5seeds-5updates-isotropy0-0.1-hidden8-track-testfraction0.2"
    assert default_name(beyond, "mine", "") == name
    same = Options(updates=5, quiet=True, checkpoint_every=7, out=Path("x"), overwrite=True)
    assert default_name(same, "mine", "") == "mine-5seeds-5updates"


def test_titles_have_the_options_that_are_not_as_usual():
    config = json.loads((REFERENCE / "wnli-minilm" / "config.json").read_text())["config"]
    config |= {"reduction": "sum", "vectors": 925}
    assert title_of(config) == "wnli, minilm"
    changes = {"seeds": 1, "isotropy": [0.0, 0.8], "track": True, "test_fraction": 0.2}
    beyond = "--seeds 1 --isotropy 0 0.8 --track --test-fraction 0.2"
    assert title_of(config | changes) == f"wnli, minilm: {beyond}"
    own = {"task": "mine", "encoder": None, "updates": 1000, "reduction": "mean"}
    assert title_of(config | own) == "mine: --reduction mean"


def test_defaults_are_the_papers_settings():
    chosen = determining(Options()) | {"updates": papers.EMBED["updates"], "test_items": 0}
    assert papers.unlike(chosen, papers.EMBED) == {}


def test_configs_of_earlier_versions_are_completed():
    """Runs without any option beyond the paper had none of these in their config."""
    added = {
        "isotropy": None,
        "star": None,
        "hidden": None,
        "loss": "cross-entropy",
        "track": False,
    }
    added |= {"triplets": 4096, "test_fraction": None, "test_items": 0, "trained_vectors": 925}
    config = json.loads((REFERENCE / "wnli-minilm" / "config.json").read_text())["config"]
    earlier = {name: value for name, value in config.items() if name not in {*added, "reduction"}}
    added |= {"reduction": "mean", "transform": "none"}
    assert full_config(earlier) == earlier | added
    for folder in REFERENCE.glob("*/config.json"):
        config = json.loads(folder.read_text())["config"]
        if config["experiment"] == "embed":
            assert full_config(full_config(config)) == full_config(config)
            assert full_config(config).items() >= config.items()
