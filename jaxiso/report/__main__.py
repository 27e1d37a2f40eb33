"""One report of all runs: every table and figure of both papers, ours beside theirs.

    python -m jaxiso.report [RUN-OR-FOLDER …]

Paper A is "Isotropy, Clusters, and Classifiers", paper B "On the Effect of Isotropy on VAE
Representations of Text".

Reads run directories of jaxiso.embed, and of jaxiso.vae with their evaluations; folders are looked
through for some. Writes report.html, one file that can be sent; the same as report.md, with figures
as PNG and PDF; and report.json. It begins with how far the runs are from the papers, and ends with
what has not been run: the command that runs it, and an estimate of its cost.

A run stands in a paper's table only if all that changes its numbers is as in the paper; fewer seeds
are remarked. All other runs are listed with their differences from the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxiso.cli.command import run_command
from jaxiso.cli.console import InputError, note, printer
from jaxiso.cli.files import locked
from jaxiso.cli.options import FREE, OUTPUT, Checked, Quiet
from jaxiso.cli.parsing import parse
from jaxiso.run_files import CONFIG


@dataclass(frozen=True)
class Options(Checked):
    """The command line; each field is an option."""

    runs: Annotated[Positional[tuple[Path, ...]], FREE, arg(metavar="[RUN-OR-FOLDER ...]")] = ()
    """Run directories, or folders that hold some. By default runs, runs/reference and
    runs/reference/collapse."""
    out: Annotated[Path, FREE, OUTPUT] = Path("runs/report")
    """Folder that the report is written to."""
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Raises InputError, which names the path and what to do, if one cannot be used."""
        super().__post_init__()
        for path in self.runs:
            if not path.is_dir():
                what = "is a file" if path.exists() else "there is no such directory"
                raise InputError(f"{path}: {what}; give run directories, or folders that hold some")
        if (self.out / CONFIG).exists():
            raise InputError(f"--out {self.out}: is a run directory; give a folder of its own")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m jaxiso.report`."""
    prog = "python -m jaxiso.report"
    options = parse(Options, prog=prog, description=__doc__ or "", arguments=arguments)
    from jaxiso.report.document import make_report, write_report
    from jaxiso.report.runs import DEFAULT_FOLDERS, find_runs

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {options.out}: cannot be written ({error.strerror})") from None
    with locked(options.out, "writing this report"):
        found = find_runs(options.runs or DEFAULT_FOLDERS)
        for _, why in found.not_read:
            note(f"left out: {why}", quiet=options.quiet)
        if not (found.embed or found.vae):
            note("no run found; the report says what to run", quiet=options.quiet)
        report = make_report(found)
        written = write_report(report, options.out)
    out = printer()
    for line in report.data["summary"]:
        out.print(line)
    out.print(", ".join(map(str, written)))


if __name__ == "__main__":
    run_command(main)
