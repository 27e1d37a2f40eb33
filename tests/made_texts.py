"""A corpus of few words, for trainings of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def write_corpus(path: Path) -> Path:
    """A hundred and twenty labelled sentences; each of two classes has its own words.

    All have six words: each length is a program to compile, and lengths matter elsewhere.
    """
    rng = np.random.default_rng(0)
    lines = {}
    while len(lines) < 120:
        label = len(lines) % 2
        words = [f"w{i}" for i in rng.integers(15 * label, 15 * label + 15, 6)]
        lines[" ".join(words)] = "ab"[label]
    rows = (json.dumps({"text": text, "label": label}) for text, label in lines.items())
    path.write_text("\n".join(rows) + "\n")
    return path
