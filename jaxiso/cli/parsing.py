"""Command lines: read by tyro, whose help shows the options in groups.

    corpus: Annotated[str, DATA] = "lee"
    limit: int = 0                           # in the group of the option before it
    epochs: Annotated[int, Ge(1), TRAINING] = 20

To tyro each group is a dataclass of its own inside of another; flags and fields are as if they were
not.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise
from typing import Annotated, Any, TextIO, TypeVar, get_type_hints

from jaxiso.cli.console import WIDTH
from jaxiso.cli.options import GROUPS, Group, fields_of

Options = TypeVar("Options")


def parse(
    options: type[Options], *, prog: str, description: str, arguments: Sequence[str] | None
) -> Options:
    """Reads a command line; prints help, or what is wrong with it, and exits.

    `prog` is the command as the user types it; `arguments` are those after it, None for this
    process's. The description is shown as it is.

    Raises InputError: a value is out of bounds.
    """
    import tyro

    with _lines_at_most(WIDTH), _described(description):
        found = tyro.cli(
            _in_groups(options),
            prog=prog,
            description="",
            args=None if arguments is None else list(arguments),
            # `--out PATH`, not `--out {None}|PATH`; and a directory may be called None.
            config=(tyro.conf.DisallowNone,),
        )
    values: dict[str, Any] = vars(found)
    for name in values.keys() & set(GROUPS):
        values |= vars(values.pop(name))
    return options(**values)


def _in_groups(options: type[Any]) -> type[Any]:
    """A dataclass with a dataclass for each group of options; those of no group are its own."""
    from tyro.conf import OmitArgPrefixes, arg

    helps, hints = _helps(options), get_type_hints(options, include_extras=True)
    groups: dict[str, list[tuple[str, Any, Any]]] = {name: [] for name in ("", *GROUPS)}
    group = ""
    for field in dataclasses.fields(options):
        for mark in fields_of(options)[field.name][1]:
            group = mark.name if isinstance(mark, Group) else group
        hint = Annotated[hints[field.name], OmitArgPrefixes]
        if field.name in helps:
            hint = Annotated[hint, arg(help=helps[field.name])]
        if field.default in (None, "", (), dataclasses.MISSING):  # the text says what that means
            hint = Annotated[hint, arg(help_behavior_hint="")]
        groups[group].append((field.name, hint, dataclasses.field(default=field.default)))
    nested = [
        (name, Annotated[dataclasses.make_dataclass(name, fields), arg(help="")])
        for name, fields in groups.items()
        if name and fields
    ]
    return dataclasses.make_dataclass(options.__name__, [*nested, *groups[""]])


def _helps(options: type[Any]) -> dict[str, str]:
    """The text below each field, on one line."""
    helps = {}
    for of in (cls for cls in reversed(options.__mro__) if dataclasses.is_dataclass(cls)):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(of))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in pairwise(tree.body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = ast.literal_eval(below.value)
                helps[ast.unparse(field.target)] = " ".join(text.split())
    return helps


@contextmanager
def _lines_at_most(columns: int) -> Iterator[None]:
    """Tyro fills the terminal, and without one 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(min(shutil.get_terminal_size((columns, 24)).columns, columns))
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


class _Held(io.StringIO):
    """What is printed, held back; it looks like the stream that it will go to."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextmanager
def _described(description: str) -> Iterator[None]:
    """Puts a description below the usage, as it is written; tyro would wrap it anew."""
    stream = sys.stdout
    held = _Held(stream)
    try:
        with redirect_stdout(held):
            yield
    finally:
        usage, blank, options = held.getvalue().partition("\n\n")
        shown = f"{usage}\n\n{description.strip()}\n\n{options}" if blank else usage
        stream.write(shown)
