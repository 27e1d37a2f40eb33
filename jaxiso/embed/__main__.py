"""Runs `python -m jaxiso.embed`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxiso.cli.command import run_command
from jaxiso.cli.files import plain_name
from jaxiso.cli.parsing import parse
from jaxiso.embed.options import Options, default_name, description


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, measures, and prints the result; or shows that of a run that is finished.

    Raises:
        InputError: the options or the data cannot be used.
        Stopped: after SIGINT or SIGTERM; what was trained is saved.
    """
    options = parse(
        Options, prog="python -m jaxiso.embed", description=description(), arguments=arguments
    )
    # JAX takes a second to import, for which --help and errors should not wait.
    from jaxiso.embed.arrays import held_out_items, prepare
    from jaxiso.embed.estimate import print_estimate
    from jaxiso.embed.experiment import make_training
    from jaxiso.embed.inputs import encode, load_embeddings, run_config, source
    from jaxiso.embed.result import print_result, write_result
    from jaxiso.runs import open_and_work
    from jaxiso.start import start
    from jaxiso.training import train

    start(options)
    embeddings = load_embeddings(options)
    options = replace(options, updates=options.updates or embeddings.updates)
    held_out = held_out_items(options, embeddings.items)
    config = run_config(options, embeddings, held_out)
    if options.dry_run:
        print_estimate(options, embeddings, config, held_out)
        return
    task, encoder = plain_name(embeddings.items.name), embeddings.encoder
    directory = options.out or Path("runs") / default_name(options, task, encoder)

    def work(run):
        data = prepare(options, encode(embeddings, options), held_out)
        training = make_training(options, data, f"{task} {encoder}".strip())
        states, metrics, seconds = train(run, training, overwrite=options.overwrite)
        write_result(run, metrics, states.params, held_out, seconds=seconds)

    open_and_work(
        directory,
        config,
        options,
        source=source(options),
        work=work,
        show=lambda run: print_result(directory, config, run.result),
    )


if __name__ == "__main__":
    run_command(main)
