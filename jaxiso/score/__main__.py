"""Runs `python -m jaxiso.score`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jaxiso.cli.command import run_command
from jaxiso.cli.console import InputError, Stopped, note, print_json
from jaxiso.cli.parsing import parse
from jaxiso.score.options import ABOUT, Options


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads or encodes, measures, prints what was found, and draws it last.

    Raises:
        InputError: an option, a file, its labels or an encoder cannot be used.
        Stopped: it was interrupted; what was known has been printed.
        OSError: the figure cannot be written; the result has been printed.
    """
    options = parse(Options, prog="python -m jaxiso.score", description=ABOUT, arguments=arguments)
    began = time.perf_counter()
    # JAX takes a second to import, for which --help and errors should not wait.
    from jaxiso.cli.figures import save_figure
    from jaxiso.cli.machine import is_first
    from jaxiso.score.figures import figure_scores, to_draw
    from jaxiso.score.inputs import open_inputs
    from jaxiso.score.measures import measure
    from jaxiso.score.result import describe, print_tables, report
    from jaxiso.score.transformed import of_transformed, transformed
    from jaxiso.start import start

    start(options)
    scores, drawn, refused = [], [], None
    for found in open_inputs(options):
        note(describe(found), quiet=options.quiet)
        try:
            for text in options.transform:
                vectors, said = transformed(found, text)
                scores.append(of_transformed(measure(vectors, options), text, said))
                if scores[-1].interrupted is not None:
                    break
                if options.plot is not None and is_first():
                    drawn.append(to_draw(scores[-1], vectors.rows, options.seed))
        except InputError as error:
            refused = error  # what has been measured is printed first
        if refused is not None or scores[-1].interrupted is not None:
            break
    seconds = time.perf_counter() - began
    if refused is not None and not scores:
        raise refused
    if options.json:
        print_json(report(scores, options, seconds))
    else:
        print_tables(scores, options, seconds)
    if refused is not None:
        raise refused
    if scores[-1].interrupted is not None:
        raise Stopped("interrupted", scores[-1].interrupted)
    if options.plot is not None and is_first():  # last, as its folder may not be writable
        saved = save_figure(figure_scores(drawn), options.plot)
        note(f"figure: {', '.join(map(str, saved))}", quiet=options.quiet)


if __name__ == "__main__":
    run_command(main)
