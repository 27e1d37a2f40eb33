"""Trains pretrained vectors under a linear classifier and measures their geometry.

The experiment of "Isotropy, Clusters, and Classifiers": the vectors themselves are parameters, and
IsoScore and silhouette are measured before training and after every update.

With no option at all it runs on scikit-learn's digits, which need no download. Your own vectors:
--vectors FILE.npz with arrays X (n, d) and y (n labels).

A run that was interrupted goes on with the same command (without --overwrite), and ends in the same
numbers.

Tasks:
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from jaxiso.embeddings import Embeddings


@dataclass(frozen=True)
class Options:
    """The command line; each field is an option."""

    task: str = "digits"
    """What to train on; the tasks are listed above."""
    vectors: Path | None = None
    """Your own vectors instead of a task: an .npz file with arrays X (n, d) and y (n labels, or
    n × classes of 0 and 1)."""
    encoder: str = "minilm"
    """Of sentences: minilm, mpnet, roberta, a DIRECTORY, or a HUB-ID as in owner/name."""
    word_vectors: Path | None = None
    """Of words, for pos and supersense: a word2vec or GloVe file (.bin, .bin.gz, .txt). By
    default the one in the data directory."""
    data_dir: Path | None = None
    """Folder with <corpus>/<split>.jsonl[.gz]. By default $JAXISO_DATA; what is not there comes
    from the Hugging Face hub."""
    seeds: int = 5
    """Number of seeds, trained side by side."""
    seed: int = 0
    """Number that all random draws start from."""
    updates: int | None = None
    """Number of updates. By default the paper's: 1000, and 250 for the GLUE tasks."""
    every: int = 1
    """Measure after each k-th update only. That changes the correlations: the points before the
    curve bends weigh differently."""
    lr: float = 1e-3
    """Learning rate of Adam."""
    scale: float = 1.0
    """Multiplies the pretrained vectors. Matters because Adam's steps are absolute."""
    sample: int = 20_000
    """Measure a fresh random sample of this many items where a task has more; 0 for all."""
    checkpoint_every: int = 50
    """Updates between checkpoints; one more is made whenever ten minutes have passed. 0 for none
    but the last."""
    out: Path | None = None
    """Run directory. By default runs/ and a name made of the options."""
    overwrite: bool = False
    """Delete an earlier run in that directory and start anew."""
    dry_run: bool = False
    """Print shapes, parameters, memory and an estimate of the time; train nothing."""
    quiet: bool = False
    """Print the result only."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.embed`."""
    import tyro

    options = tyro.cli(
        Options, prog="python -m jaxiso.embed", description=_description(), args=arguments
    )
    check(options)
    from jaxiso import backend, embed_result, embed_training
    from jaxiso.embeddings import encode, load_embeddings

    backend.keep_compiled_programs()
    embeddings = load_embeddings(
        options.task,
        vectors_file=options.vectors,
        encoder=options.encoder,
        word_vectors_file=options.word_vectors,
        data_dir=options.data_dir,
        locate=not options.dry_run,
        quiet=options.quiet,
    )
    if options.updates is None:
        options = replace(options, updates=embeddings.updates)
    if options.dry_run:
        from jaxiso.embed_estimate import print_estimate

        print_estimate(options, embeddings)
        return
    from jaxiso.runs import Run

    directory = options.out or Path("runs") / run_name(options, embeddings)
    with Run(
        directory,
        run_config(options, embeddings),
        origin=backend.origin(),
        overwrite=options.overwrite,
        quiet=options.quiet,
    ) as run:
        if run.finished:
            console.note(f"{directory}: finished before; nothing to do", quiet=options.quiet)
        else:
            vectors = encode(embeddings, options.encoder, quiet=options.quiet)
            embed_training.train(run, options, embeddings._replace(vectors=vectors))
        embed_result.print_result(run.directory, run.result)


def _description() -> str:
    from jaxiso.data import TASKS

    return f"{__doc__}\n" + "\n".join(f"- {task.name}: {task.about}" for task in TASKS.values())


def check(options: Options) -> None:
    """Refuses options that no task can use.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    from jaxiso.data import TASKS, find_task

    for name, least in (("seeds", 1), ("seed", 0), ("updates", 1), ("every", 1)):
        _at_least(name, getattr(options, name), least)
    _at_least("checkpoint-every", options.checkpoint_every, 0)
    if options.sample != 0:
        _at_least("sample", options.sample, 3, " (or 0 to measure all items)")
    if options.seed >= 2**32:
        raise InputError(f"--seed {options.seed}: must be below {2**32} (2^32)")
    for name in ("lr", "scale"):
        value = getattr(options, name)
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} {value}: must be a finite number above 0")
    if options.vectors is not None and options.task != Options.task:
        raise InputError(
            f"--vectors {options.vectors} and --task {options.task}: give one of the two"
        )
    kind = "vectors" if options.vectors is not None else find_task(options.task).kind
    if kind != "sentence" and options.encoder != Options.encoder:
        sentences = ", ".join(name for name, task in TASKS.items() if task.kind == "sentence")
        raise InputError(f"--encoder {options.encoder}: only for tasks of sentences ({sentences})")
    if kind != "word" and options.word_vectors is not None:
        raise InputError(
            f"--word-vectors {options.word_vectors}: only for tasks of words (pos, supersense)"
        )


def _at_least(name: str, value: int | None, least: int, also: str = "") -> None:
    if value is not None and value < least:
        raise InputError(f"--{name} {value}: must be at least {least}{also}")


def run_name(options: Options, embeddings: Embeddings) -> str:
    """The default name of the run directory: the task, and what is not as in the paper."""
    parts = [embeddings.name, embeddings.encoder, f"{options.seeds}seeds"]
    parts.append(f"{options.updates}updates")
    defaults = Options()
    for name in ("seed", "every", "lr", "scale", "sample"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            parts.append(f"{name}{str(value).removesuffix('.0')}")
    return "-".join(part for part in parts if part)


def run_config(options: Options, embeddings: Embeddings) -> dict[str, Any]:
    """What determines the numbers of a run."""
    items = embeddings.items
    names = ("seeds", "seed", "updates", "every", "lr", "scale", "sample")
    return {
        "experiment": "embed",
        "task": items.name,
        "encoder": embeddings.encoder or None,
        **{name: value for name, value in asdict(options).items() if name in names},
        "items": len(items),
        "vectors": int(items.index.max()) + 1,
        "dim": embeddings.dim,
        "inputs": items.index.shape[1],
        "classes": list(items.classes),
        "multilabel": items.multilabel,
        "clusters": int(items.clusters.max()) + 1,
        "bias": embeddings.bias,
        "dropped": items.dropped,
        "data_sha256": embeddings.fingerprint(),
        "vectors_sha256": embeddings.digest,
    }


if __name__ == "__main__":
    console.run_command(main)
