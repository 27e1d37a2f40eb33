"""Runs `python -m jaxiso.layers`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jaxiso.cli.command import run_command
from jaxiso.cli.console import note, print_json
from jaxiso.cli.parsing import parse
from jaxiso.layers.options import ABOUT, Options


def main(arguments: Sequence[str] | None = None) -> None:
    """Encodes the texts with each encoder, measures its layers, prints tables, and draws.

    Raises:
        InputError: an option, the texts, their labels or an encoder cannot be used.
        OSError: the figure cannot be written; the result has been printed.
    """
    options = parse(Options, prog="python -m jaxiso.layers", description=ABOUT, arguments=arguments)
    start = time.perf_counter()
    # JAX takes a second to import, for which --help and errors should not wait.
    from jaxiso.cli.figures import save_figure
    from jaxiso.cli.machine import keep_compiled_programs
    from jaxiso.data.texts import read_texts
    from jaxiso.encoders.weights import find_encoder
    from jaxiso.layers.experiment import measure_encoder
    from jaxiso.layers.figures import figure_layers
    from jaxiso.layers.result import describe, print_tables, report

    keep_compiled_programs()
    texts = read_texts(
        options.texts,
        options.labels,
        text_field=options.text_field,
        label_column=options.label_column,
        data_dir=options.data_dir,
        limit=options.limit,
        seed=options.seed,
        quiet=options.quiet,
    )
    note(describe(texts), quiet=options.quiet)
    for encoder in options.encoder:  # the absence of one is found out before another is run
        find_encoder(encoder, quiet=options.quiet)
    found = [measure_encoder(texts, encoder, options) for encoder in options.encoder]
    seconds = time.perf_counter() - start
    if options.json:
        print_json(report(texts, found, options, seconds))
    else:
        print_tables(texts, found, seconds)
    if options.plot is not None:  # last, as its folder may not be writable
        saved = save_figure(figure_layers(found), options.plot)
        note(f"figure: {', '.join(map(str, saved))}", quiet=options.quiet)


if __name__ == "__main__":
    run_command(main)
