"""One report of all runs: every table and figure of both papers, ours beside theirs.

    python -m jaxiso.report [RUN-OR-FOLDER …]

Reads run directories of jaxiso.embed, and of jaxiso.vae with their evaluations; folders are looked
through for some. By default runs/ and runs/reference/. Writes report.md, report.json and figures as
PNG and PDF. What has not been run is said to be so, with the command that runs it and an estimate
of its cost.

A run stands in a paper's table only if all that changes its numbers is as in the paper; fewer seeds
are remarked. All other runs are listed with what is unlike the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from jaxiso.report_figures import Drawn

DEFAULT_FOLDERS = (Path("runs"), Path("runs/reference"))
REPORT, DATA, FIGURES = "report.md", "report.json", "figures"


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option."""

    runs: Positional[tuple[Path, ...]] = ()
    """Run directories, or folders that hold some. By default runs and runs/reference."""
    out: Path = Path("runs/report")
    """Folder that the report is written to."""
    quiet: bool = False
    """No notes."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.report`."""
    import tyro

    options = tyro.cli(Options, prog="python -m jaxiso.report", description=__doc__, args=arguments)
    check(options)
    from jaxiso.files import replacing, write_json
    from jaxiso.report_document import as_json, as_markdown, make_report
    from jaxiso.report_runs import find_runs

    found = find_runs(options.runs or DEFAULT_FOLDERS)
    for _, why in found.not_read:
        console.note(f"left out: {why}", quiet=options.quiet)
    if not (found.embed or found.vae):
        console.note("no run found; the report says what to run", quiet=options.quiet)
    report = make_report(found)
    save_figures(report.figures, options.out / FIGURES)
    with replacing(options.out / REPORT) as file:
        file.write("\n".join([*as_markdown(report, FIGURES), ""]).encode())
    write_json(options.out / DATA, as_json(report, FIGURES))
    for line in report.summary:
        print(line)
    print(f"{options.out / REPORT}, {options.out / DATA}, {options.out / FIGURES}/")


def check(options: Options) -> None:
    """Refuses paths that cannot be used, and makes the folder of the report.

    Raises:
        InputError: names the path, and what to do.
    """
    for path in options.runs:
        if not path.is_dir():
            what = "is a file" if path.exists() else "there is no such directory"
            raise InputError(f"{path}: {what}; give run directories, or folders that hold some")
    from jaxiso.runs import CONFIG

    if (options.out / CONFIG).exists():
        raise InputError(f"--out {options.out}: is a run directory; give a folder of its own")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {options.out}: cannot be written ({error.strerror})") from None


def save_figures(figures: Sequence[Drawn], folder: Path) -> None:
    """Writes all figures as PNG and PDF; those that cannot be drawn any more are deleted."""
    from jaxiso.figures import save_figure

    for drawn in figures:
        if drawn.figure is not None:
            save_figure(drawn.figure, folder / drawn.name)
            continue
        for suffix in (".png", ".pdf"):
            (folder / f"{drawn.name}{suffix}").unlink(missing_ok=True)


if __name__ == "__main__":
    console.run_command(main)
