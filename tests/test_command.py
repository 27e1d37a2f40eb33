from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import jaxiso
from jaxiso.__main__ import commands, main
from jaxiso.cli.console import InputError


def test_the_commands_are_listed(capsys):
    main([])
    shown = capsys.readouterr().out
    assert {"bench", "embed", "report", "score", "vae"} <= commands().keys()
    for name, about in commands().items():
        assert f"\n  {name} " in shown
        assert about
        assert f"{about}\n" in shown
    main(["--help"])
    assert capsys.readouterr().out == shown
    main(["--version"])
    assert capsys.readouterr().out == f"jaxiso {jaxiso.__version__}\n"


def test_a_command_runs_with_its_arguments(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.float32))
    main(["score", str(tmp_path / "x.npy"), "--quiet"])
    assert "IsoScore" in capsys.readouterr().out


def test_another_command_is_refused():
    with pytest.raises(InputError, match=r"^scoer: no such command; .*; did you mean score\?$"):
        main(["scoer"])


def test_as_a_process_it_is_light():
    check = (
        "import sys; from jaxiso.__main__ import main; main([]); assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)
    wrong = [sys.executable, "-m", "jaxiso", "nothing"]
    found = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: nothing: no such command; there are bench, ")
