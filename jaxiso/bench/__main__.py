"""Runs `python -m jaxiso.bench`."""

from __future__ import annotations

from collections.abc import Sequence

from jaxiso.bench.options import ABOUT, Options
from jaxiso.cli.command import run_command
from jaxiso.cli.configs import determining
from jaxiso.cli.console import note
from jaxiso.cli.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints a table for each part, and writes the figures where --json asks for them."""
    options = parse(Options, prog="python -m jaxiso.bench", description=ABOUT, arguments=arguments)
    # Late, so that --help and a wrong option are answered at once.
    from datetime import UTC, datetime
    from importlib import import_module

    import jax

    from jaxiso.bench.measure import machine, measure
    from jaxiso.bench.tables import print_report
    from jaxiso.cli.files import write_json

    jax.config.update("jax_enable_compilation_cache", False)  # or the first call would not compile
    results = {}
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "options": determining(options),
        "results": results,
    }
    for part in ("metrics", "vae"):
        if options.what in ("all", part):
            contests = import_module(f"jaxiso.bench.{part}").contests(options)
            results[part] = {one.name: measure(one, part, options) for one in contests}
    if options.what == "scaling":
        from jaxiso.bench.scaling import measure_devices, measure_sizes

        results["scaling"] = {
            "sizes": list(measure_sizes(options)),
            "devices": list(measure_devices(options)),
        }
    elif options.what == "gpu":
        from jaxiso.bench.gpu import measurements

        results["gpu"] = dict(measurements(options))
    print_report(report)
    if options.json is not None:
        write_json(options.json, report)
    if options.plot is not None:
        from jaxiso.bench.figures import figure_scaling
        from jaxiso.cli.figures import save_figure

        saved = save_figure(figure_scaling(results["scaling"]), options.plot)
        note(f"figure: {', '.join(map(str, saved))}", quiet=options.quiet)


if __name__ == "__main__":
    run_command(main)
