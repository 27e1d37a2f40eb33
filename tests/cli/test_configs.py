"""Configs: what of the options they hold, their differences, and names of runs."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from made_options import Options

from jaxiso.cli.configs import ABSENT, LONGEST_NAME, defaults, determining, differences, run_name


def test_what_determines_the_numbers():
    config = determining(Options(weights=(0.0, 1.0), vectors=Path("x"), quiet=True))
    assert list(config) == [
        *("task", "seeds", "sample", "lr", "fraction", "hidden", "weights", "loss", "track", "seed")
    ]
    assert config["weights"] == [0.0, 1.0] and config["fraction"] is None
    assert defaults(Options)["lr"] == 1e-3 and defaults(Options)["out"] is None


def test_differences_of_two_dictionaries():
    ours, theirs = {"a": 1, "b": [1, 2], "c": None}, {"d": 4, "a": 1, "b": [1, 3]}
    assert differences(ours, theirs) == {
        "b": ([1, 2], [1, 3]),
        "c": (None, ABSENT),
        "d": (ABSENT, 4),
    }
    assert differences(ours, dict(ours)) == {}


def test_a_run_is_named_by_what_is_unusual():
    usual = determining(Options())
    options = Options(lr=0.01, hidden=8, weights=(0.0, 0.5), track=True, task="a/b c")
    assert run_name(["digits", "", "2seeds"], usual, usual) == "digits-2seeds"
    name = run_name(["digits"], determining(options), usual)
    assert name == "digits-taska-b-c-lr0.01-hidden8-weights0-0.5-track"
    assert run_name([], {"a": None, "b_c": False, "d": 1e-30}, {}) == "noa-nobc-d1e-30"


@given(st.lists(st.text(), min_size=1))
def test_a_run_name_is_one_folder(parts):
    name = run_name(["x", *parts], {}, {})
    assert "/" not in name and "\0" not in name and len(name.encode()) < 255
    assert name not in (".", "..")


def test_long_names_stay_apart():
    names = {run_name(["猫" * 100, str(i)], {}, {}) for i in range(3)}
    assert len(names) == 3 and all(len(n.encode()) < LONGEST_NAME + 20 for n in names)
