"""Runs `python -m jaxiso`, and `jaxiso`: lists the commands, or runs one of them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import jaxiso
from jaxiso.cli.command import run_command
from jaxiso.cli.console import InputError

ABOUT = """\
jaxiso {version}: the geometry of embeddings in JAX.

usage: jaxiso COMMAND [OPTIONS], the same as python -m jaxiso.COMMAND

commands:
{commands}

jaxiso COMMAND --help says more of one; --version, which jaxiso this is. From Python: help(jaxiso).
"""


def commands() -> dict[str, str]:
    """Each command, and what it is about: the packages that can be run, and their docstrings."""
    paths = sorted(Path(jaxiso.__path__[0]).glob("*/__main__.py"))
    names = [path.parent.name for path in paths]
    found = {name: import_module(f"jaxiso.{name}").__doc__ or "" for name in names}
    return {name: text.partition("\n")[0].rstrip(".") for name, text in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the first argument names; without one, says which there are.

    Raises InputError: there is no such command.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name == "--version":
        print(f"jaxiso {jaxiso.__version__}")
        return
    found = commands()
    if name in ("--help", "-h"):
        lines = (f"  {name:8}{about}" for name, about in found.items())
        print(ABOUT.format(version=jaxiso.__version__, commands="\n".join(lines)), end="")
        return
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{name}: no such command; there are {', '.join(found)}{meant}")
    import_module(f"jaxiso.{name}.__main__").main(rest)


def run() -> None:
    """The console script `jaxiso`."""
    run_command(main)


if __name__ == "__main__":
    run()
