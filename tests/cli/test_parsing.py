"""Command lines and their help."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest
from annotated_types import Ge
from commands import run_here
from made_options import Options as Ungrouped

from jaxiso.cli.options import DATA, GROUPS, MEASUREMENT, TRAINING
from jaxiso.cli.parsing import parse


@dataclass(frozen=True)
class Options(Ungrouped):
    """The command line, in groups."""

    task: Annotated[str, DATA] = "digits"
    seeds: Annotated[int, Ge(1), TRAINING] = 5
    track: Annotated[bool, MEASUREMENT] = False


def read(*arguments: str) -> Options:
    return parse(Options, prog="x", description="About.", arguments=arguments)


def test_the_command_line_is_read():
    options = read(
        *("--seeds", "3", "--weights", "0", "0.5", "--hidden", "8", "--loss", "mean", "--track"),
        *("--out", "None", "--sample", "0", "--no-quiet", "--label-column", ""),
    )
    assert options == Options(
        seeds=3, weights=(0.0, 0.5), hidden=8, loss="mean", track=True, out=Path("None"), sample=0,
        label_column="",
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seeds", "0"], ["--seeds", "1.5"], ["--seeds", ""], ["--seeds"], ["--lr", "fast"],
        ["--lr", "nan"], ["--loss", "median"], ["--weights", "1", "x"], ["--hidden", "None"],
        ["--nothing", "1"], ["stray"], ["--seeds", "9" * 5000], ["--seed", str(2**70)],
        ["maybe", "--track"], ["--lr", "1e999"],
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(arguments):
    ended = run_here(lambda: read(*arguments))
    assert ended.code == 2 and not ended.out
    assert arguments[0].strip("-") in ended.err and "Traceback" not in ended.err


def test_help_shows_types_and_defaults(capsys):
    with pytest.raises(SystemExit):
        parse(
            Options,
            prog="python -m jaxiso.x",
            description="About [brackets].\n\nTasks:\n\n- digits: hands\n- rte: entails\n\nEnd.",
            arguments=["--help"],
        )
    text = capsys.readouterr().out
    assert "About [brackets].\n\nTasks:\n\n- digits: hands\n- rte: entails\n\nEnd.\n" in text
    assert "\n\n\n" not in text and "None}" not in text
    words = " ".join(text.replace("│", " ").split())
    for line in (
        "--seeds INT Number of seeds. (default: 5)",
        "--out PATH Run directory. By default runs/ and a name made of the options.",
        "--data-dir PATH Folder with <corpus>/<split>.jsonl[.gz].",
        "--seed INT Number that all random draws start from. (default: 0)",
        "--labels STR A column or array of the files of vectors; or a file:",
        "--quiet, --no-quiet No notes and no progress bar: the result only. (default: False)",
    ):
        assert line in words


COMMANDS = {
    **{name: [] for name in ("bench", "embed", "layers", "report", "score", "vae")},
    "vae evaluate": ["evaluate"],
}


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    main = import_module(f"jaxiso.{command.split()[0]}.__main__").main
    with pytest.raises(SystemExit, match="0"):
        main([*COMMANDS[command], "--help"])
    return capsys.readouterr().out


def boxes(text: str) -> dict[str, list[str]]:
    """The flags in each box of a help, which has no lines where the encoding has none."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if title := re.match("(?:╭─)? ((?:[a-z]+ )?(?:options|arguments)) +─*╮?$", line):
            found[title[1]] = []
        elif flag := re.match("[│ ] (--?[A-Za-z-]+)", line):
            found[list(found)[-1]].append(flag[1])
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_groups_and_fits(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = help_of(command, capsys)
    assert os.environ["COLUMNS"] == "300"
    assert text.startswith(f"usage: python -m jaxiso.{command} [-h]")
    assert max(map(len, text.splitlines())) == 100
    assert "\n\n\n" not in text and "None" not in text and "(default: )" not in text
    found = boxes(text)
    titles = [f"{name} options" for name in GROUPS]
    named = [title for title in found if title in titles]
    assert named == [title for title in titles if title in found] and len(named) >= 1
    assert found["options"][:2] == ["-h", "--quiet"] and len(found["options"]) == 2
    for letter in "AB":  # what paper A and B are is said where they first stand
        first = re.search(f"paper {letter}(.{{9}})", text.replace("Paper", "paper"), re.DOTALL)
        assert first is None or '"' in first[1], first


def test_options_stand_in_their_groups(capsys):
    embed = boxes(help_of("embed", capsys))
    assert {"--task", "--scale", "--transform", "--test-fraction"} <= set(embed["data options"])
    assert {"--seeds", "--lr", "--isotropy", "--loss"} <= set(embed["training options"])
    assert embed["measurement options"] == ["--every", "--sample", "--track"]
    assert {"--out", "--overwrite", "--dry-run"} <= set(embed["output options"])
    assert embed["device options"] == [
        *("--precision", "--distributed", "--coordinator", "--processes", "--process", "--timeout")
    ]
    vae = boxes(help_of("vae", capsys))
    assert {"--corpus", "--vocabulary", "--data-dir"} <= set(vae["data options"])
    assert {"--posterior", "--C", "--epochs", "--hidden-dim"} <= set(vae["training options"])
    assert vae["device options"] == embed["device options"]


def test_a_narrow_terminal_is_kept_to(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    with pytest.raises(SystemExit):
        parse(Options, prog="x", description="About.", arguments=["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) == 72


def test_inherited_options_have_their_help(capsys):
    @dataclass(frozen=True)
    class More(Options):
        more: Annotated[int, Ge(1)] = 1
        """Two
        lines."""
        seeds: Annotated[int, Ge(1)] = 7
        """Otherwise."""

    with pytest.raises(SystemExit):
        parse(More, prog="x", description="About.", arguments=["--help"])
    text = capsys.readouterr().out
    assert "Two lines." in text and "Otherwise. (default: 7)" in text and "Of the items." in text
    found = parse(More, prog="x", description="", arguments=["--more", "3", "--lr", "1"])
    assert (found.more, found.lr, found.seeds) == (3, 1.0, 7)
