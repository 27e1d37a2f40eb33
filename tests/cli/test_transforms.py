from __future__ import annotations

import pytest

from jaxiso.cli.console import InputError
from jaxiso.cli.transforms import Step, check_transform, read_steps, written


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("none", ()),
        ("center", (("center", ()),)),
        ("whiten:20", (("whiten", (20,)),)),
        (" center , abtt: 3", (("center", ()), ("abtt", (3,)))),
        ("cluster:27,12,unit", (("cluster", (27, 12)), ("unit", ()))),
        ("unit,none,cluster", (("unit", ()), ("cluster", ()))),
    ],
)
def test_what_is_written_is_read(text, steps):
    found = read_steps(text)
    assert found == tuple(Step(*step) for step in steps)
    assert read_steps(written(found)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whitn", "--transform whitn: unknown transform 'whitn'; allowed are none, center, unit, "),
        ("", "a transform is missing; allowed are"),
        ("center,,unit", "a transform is missing in 'center,,unit'"),
        ("abtt:0", "transform 'abtt:0': abtt takes a whole number, at least 1, as in abtt:3"),
        ("abtt:1.5", "abtt takes a whole number"),
        ("abtt:-1", "abtt takes a whole number"),
        ("abtt:99999999999999999999", "abtt takes a whole number"),
        ("unit,abtt:3,4", "transform 'abtt:3,4' in 'unit,abtt:3,4': abtt takes a whole number"),
        ("cluster:3", "cluster takes two whole numbers, K and D, each at least 1"),
        ("center:2", "center takes no number"),
        ("center:", "center takes no number"),
    ],
)
def test_what_cannot_be_read_says_what_is_allowed(text, message):
    with pytest.raises(InputError, match=r"^--transform ") as error:
        check_transform("--transform", text)
    assert message in str(error.value)


def test_an_option_is_written_in_one_way():
    assert check_transform("--transform", "center, whiten:05") == "center,whiten:5"
