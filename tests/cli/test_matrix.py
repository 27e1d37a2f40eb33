"""Every command in every locale, with closed streams and odd paths: it ends as it should.

`pytest -m slow tests/cli/test_matrix.py`: some 300 processes, ten minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

LOCALES = {
    "utf-8": {"LC_ALL": "C.UTF-8"},
    "ascii": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
    "latin-1": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
STREAMS = (
    *("", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"),
    *("| head -1", "| true", "2>&1 | true"),
)
PATHS = ("naïve 猫", "a b{c}#%20,'\"", "G[x]", "a\nb", "\udcff", "-x")
COMMANDS = {
    "score": ["score", "{}/vectors.npz", "--labels", "y"],
    "embed": ["embed", "--vectors", "{}/vectors.npz", "--updates", "1", "--seeds", "1", "--out",
              "{}/run"],
    "vae": ["vae", "--corpus", "{}/text.txt", "--dry-run"],
    "evaluate": ["vae", "evaluate", "{}/none"],
    "report": ["report", "{}", "--out", "{}/report"],
    "bench": ["bench", "--what", "λ"],
}  # fmt: skip


def end(words: list[str], stream: str, locale: str, folder: Path) -> None:
    environment = {**os.environ, **LOCALES[locale]}
    environment.pop("PYTHONUNBUFFERED", None)
    ended = subprocess.run(
        ["bash", "-c", f'"$@" {stream}; exit ${{PIPESTATUS[0]}}', "bash", sys.executable, "-m",
         f"jaxiso.{words[0]}", *words[1:]],
        cwd=folder, env=environment, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    case = f"{words} {stream} {locale}: {ended.returncode}: {said[-500:]!r}"
    assert ended.returncode in (0, 1, 2), case
    assert b"Traceback" not in said and b"internal error" not in said, case
    assert b"Exception ignored" not in said, case
    if not stream and "--help" in words:
        assert ended.returncode == 0 and b"usage: python -m" in ended.stdout, case
    if not stream and words[0] == "score" and "--help" not in words:
        assert ended.returncode == 0, case


@pytest.fixture
def place(tmp_path) -> Path:
    points = np.random.default_rng(0).normal(size=(12, 3))
    np.savez(tmp_path / "vectors.npz", X=points, y=np.arange(12) % 2)
    (tmp_path / "text.txt").write_text("ein Satz mit Wörtern\n" * 20, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("locale", LOCALES)
def test_streams(place, command, locale):
    words = [word.format(place) for word in COMMANDS[command]]
    for stream in STREAMS:
        end([*words[: 1 + (command == "evaluate")], "--help"], stream, locale, place)
        if locale in ("utf-8", "C"):
            end(words, stream, locale, place)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("locale", LOCALES)
def test_paths(place, command, locale):
    for path in PATHS:
        folder = place / path
        folder.mkdir()
        for name in ("vectors.npz", "text.txt"):
            shutil.copy(place / name, folder / name)
        end([word.format(folder) for word in COMMANDS[command]], "", locale, place)
        relative = [word.format(path) for word in COMMANDS[command]]
        if not path.startswith("-"):
            end(relative, "", locale, place)
