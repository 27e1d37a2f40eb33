"""Configs: the options that determine the numbers of a run, as plain JSON values.

From two of them follow, by comparing two dictionaries, the run's name, whether a directory holds
the same run, and how it differs from the paper's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxiso.cli.files import digest_of
from jaxiso.cli.options import Checked, Free, Later, fields_of

ABSENT = "absent"
LONGEST_NAME = 180
"""Bytes of a run's name; file systems take 255."""


def determining(options: Checked) -> dict[str, Any]:
    """The options that determine the numbers, as plain JSON values by field name."""

    def is_recorded(name: str, marks: Iterable[Any]) -> bool:
        usual = getattr(options, name) == getattr(type(options), name, ABSENT)
        return not any(
            isinstance(mark, Free) or (usual and isinstance(mark, Later)) for mark in marks
        )

    return {
        name: _plain(getattr(options, name))
        for name, (_, marks) in fields_of(type(options)).items()
        if is_recorded(name, marks)
    }


def defaults(options: type[Checked]) -> dict[str, Any]:
    """The default of each option that has one, as plain JSON values by field name."""
    return {
        field.name: _plain(field.default)
        for field in dataclasses.fields(options)
        if field.default is not dataclasses.MISSING
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two dictionaries: name → (ours, theirs), `ABSENT` where one lacks it."""
    return {
        name: (ours.get(name, ABSENT), theirs.get(name, ABSENT))
        for name in [*ours, *(name for name in theirs if name not in ours)]
        if ours.get(name, ABSENT) != theirs.get(name, ABSENT)
    }


def run_name(parts: Iterable[str], chosen: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """The default name of a run directory: what it is, and each option that is not as usual.

    One folder's name, whatever the options hold; where it would be too long, a digest ends it.

    Empty parts are left out; `usual` has the same options as `chosen`, as they usually are.
    """
    more = [_named(name, ours) for name, (ours, _) in differences(chosen, usual).items()]
    name = "-".join(part for part in (*parts, *more) if part)
    plain = "".join(c if c.isalnum() or c in "._+-" else "-" for c in name)
    if len(plain.encode()) <= LONGEST_NAME:
        return plain
    start = plain.encode()[:LONGEST_NAME].decode(errors="ignore")
    return f"{start}-{digest_of(name)[:12]}"


def _named(name: str, value: Any) -> str:
    word = name.replace("_", "")
    if value is None or value is False:
        return f"no{word}"
    if value is True:
        return word
    values = value if isinstance(value, list) else [value]
    shown = (f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    return word + "-".join(shown)
