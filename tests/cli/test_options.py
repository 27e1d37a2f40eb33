"""Options: bounds in the annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st
from made_options import Options

from jaxiso.cli.console import InputError
from jaxiso.cli.options import (
    FREE,
    MOST,
    Or,
    check_value,
    fields_of,
    flag,
)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seeds", 0, "--seeds 0: must be at least 1 and at most 2147483647"),
        ("seeds", 2**31, "--seeds 2147483648: must be at least 1 and at most 2147483647"),
        ("seeds", 10**400, "must be at least 1 and at most 2147483647"),
        ("sample", 2, "--sample 2: must be at least 3 and at most 2147483647 (or 0)"),
        ("lr", 0.0, "--lr 0.0: must be a finite number above 0"),
        ("lr", -1, "--lr -1: must be above 0"),
        ("lr", float("nan"), "--lr nan: must be a finite number above 0"),
        ("lr", float("inf"), "--lr inf: must be a finite number above 0"),
        ("fraction", 1.0, "--fraction 1.0: must be a finite number above 0 and below 1"),
        ("hidden", 5000, "--hidden 5000: must be at least 1 and at most 4096"),
        ("weights", (0.0, -0.5), "--weights -0.5: must be a finite number at least 0"),
        ("weights", (float("-inf"),), "--weights -inf: must be a finite number at least 0"),
        ("seed", -1, "--seed -1: must be at least 0 and below 4294967296"),
        ("seed", 2**70, f"--seed {2**70}: must be at least 0 and below 4294967296"),
    ],
)
def test_what_is_out_of_bounds_is_refused(field, value, message):
    changed: dict[str, Any] = {field: value}
    with pytest.raises(InputError) as error:
        Options(**changed)
    assert message in str(error.value)
    with pytest.raises(InputError):
        replace(Options(), **changed)


def test_what_is_within_bounds_is_taken():
    Options(seeds=1, sample=0, lr=1e-300, fraction=0.5, hidden=4096, weights=(0.0, 1e300))
    Options(sample=3, seeds=MOST, seed=2**32 - 1, weights=(), hidden=None)


@given(st.floats() | st.integers(), st.integers(-5, 5), st.integers(-5, 5))
def test_bounds_are_what_they_say(value, low, other):
    inside = value == other or (value >= low and value <= low + 3)
    marks = (Ge(low), Le(low + 3), Or(other), "anything else")
    try:
        check_value("--x", value, marks)
    except InputError as error:
        assert not inside and f"at least {low}" in str(error)
    else:
        assert inside


def test_what_is_no_number_is_not_looked_at():
    for value in (True, "x", None, Path("x")):
        check_value("--x", value, (Ge(5),))


def test_marks_are_found_wherever_they_stand():
    marks = {name: found for name, (_, found) in fields_of(Options).items()}
    assert any(isinstance(mark, Ge) for mark in marks["hidden"])
    assert not marks["loss"] and not marks["task"]
    assert FREE in marks["out"] and FREE not in marks["seed"]


def test_a_flag_is_as_it_is_typed():
    assert flag("test_fraction") == "--test-fraction"
