"""Runs `python -m jaxiso.vae`, and `python -m jaxiso.vae evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path

from jaxiso.cli.command import run_command
from jaxiso.cli.parsing import parse
from jaxiso.vae.configs import default_name
from jaxiso.vae.options import ABOUT, ABOUT_EVALUATE, EvaluateOptions, Options

PROG = "python -m jaxiso.vae"


def main(arguments: list[str] | None = None) -> None:
    """Trains, or evaluates where the first argument is `evaluate`.

    Raises:
        InputError: an option, a file or a run cannot be used.
        Stopped: after SIGINT or SIGTERM, with the work saved.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["evaluate"]:
        evaluate(given[1:])
    else:
        train(given)


def train(arguments: list[str]) -> None:
    """Runs `python -m jaxiso.vae`."""
    options = parse(Options, prog=PROG, description=ABOUT, arguments=arguments)

    from jaxiso.runs import open_and_work
    from jaxiso.start import start
    from jaxiso.vae import train as training
    from jaxiso.vae.text import announce, load_training

    start(options)
    text, config = load_training(options)
    announce(text, config, quiet=options.quiet)
    if options.dry_run:
        training.print_estimate(text, config)
        return
    name = default_name(options, text.corpus.name, config["sentences"])
    directory = options.out or Path("runs") / name
    open_and_work(
        directory,
        config,
        options,
        source=text.corpus.where,
        work=lambda run: training.train(run, text, options),
        show=lambda run: training.print_result(directory, config, run.result),
    )


def evaluate(arguments: list[str]) -> None:
    """Runs `python -m jaxiso.vae evaluate`."""
    prog, about = f"{PROG} evaluate", ABOUT_EVALUATE
    options = parse(EvaluateOptions, prog=prog, description=about, arguments=arguments)

    from jaxiso.cli.machine import keep_compiled_programs
    from jaxiso.vae.evaluate import evaluate_runs
    from jaxiso.vae.tables import print_tables

    keep_compiled_programs()
    print_tables(evaluate_runs(options))


if __name__ == "__main__":
    run_command(main)
