"""Trains pretrained vectors under a linear classifier and measures their geometry.

The experiment of "Isotropy, Clusters, and Classifiers": the vectors themselves are parameters, and
IsoScore and silhouette are measured before training and after every update.

With no option at all it runs on scikit-learn's digits, which need no download. Your own vectors:
--vectors FILE.npz with arrays X (n, d) and y (n labels).

A run that was interrupted goes on with the same command (without --overwrite), and ends in the same
numbers.

Beyond the paper: --isotropy adds isotropy to the loss and draws what clusters and accuracy pay for
it; --hidden puts a hidden layer into the classifier; --loss triplet trains without one; --track
measures three more indices of clusters; --test-fraction holds items out.

Tasks:
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxiso import console, embed_checks

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
    isotropy: tuple[float, ...] | None = None
    """Adds λ·(1 - IsoScore) of the vectors to the loss, for each λ given: all of them and all
    seeds train side by side, and the run draws the frontier of silhouette, accuracy and IsoScore.
    0 is the paper's loss."""
    hidden: int | None = None
    """Units of a hidden layer (ReLU) before the linear classifier. By default no such layer."""
    loss: Literal["cross-entropy", "triplet"] = "cross-entropy"
    """triplet: that of the paper's Appendix B. There is no classifier then: accuracy is the share
    of items whose nearest centroid is that of their own label."""
    triplets: int = 4096
    """Triples of items drawn for each update, for --loss triplet."""
    track: bool = False
    """Measure Calinski-Harabasz, Davies-Bouldin and Dunn as well; Dunn takes as long as the
    silhouette."""
    test_fraction: float | None = None
    """Hold out this share of the items, of every label alike, and measure them too. Vectors that
    only held-out items read are not trained: they stay as pretrained, and nothing but the
    classifier changes for them; those that items of both kinds read are trained."""
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
    embed_checks.check(options)
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


def run_name(options: Options, embeddings: Embeddings) -> str:
    """The default name of the run directory: the task, and what is not as in the paper."""
    parts = [embeddings.name, embeddings.encoder, f"{options.seeds}seeds"]
    parts.append(f"{options.updates}updates")
    defaults = Options()
    for name in ("seed", "every", "lr", "scale", "sample"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            parts.append(f"{name}{str(value).removesuffix('.0')}")
    parts += _named_beyond_the_paper(options)
    return "-".join(part for part in parts if part)


def _named_beyond_the_paper(options: Options) -> list[str]:
    """Parts of a run's name."""
    parts = []
    if options.isotropy is not None:
        parts.append("isotropy" + "-".join(f"{weight:g}" for weight in options.isotropy))
    if options.hidden is not None:
        parts.append(f"hidden{options.hidden}")
    if options.loss == "triplet":
        parts.append(f"triplet{options.triplets}")
    if options.track:
        parts.append("track")
    if options.test_fraction is not None:
        parts.append(f"test{options.test_fraction:g}")
    return parts


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
        **_config_beyond_the_paper(options, embeddings),
    }


def _config_beyond_the_paper(options: Options, embeddings: Embeddings) -> dict[str, Any]:
    """What a run does that the paper's do not; empty for one as in the paper."""
    config: dict[str, Any] = {}
    if options.isotropy is not None:
        config["isotropy"] = list(options.isotropy)
    if options.hidden is not None:
        config["hidden"] = options.hidden
    if options.loss == "triplet":
        config |= {"loss": options.loss, "triplets": options.triplets}
    if options.track:
        config["track"] = True
    held_out = embed_checks.held_out(options, embeddings.items)
    if held_out is not None:
        config["test_fraction"] = options.test_fraction
        config["test_items"] = int(held_out.sum())
        config["trained_vectors"] = len(set(embeddings.items.index[~held_out].flat))
    return config


if __name__ == "__main__":
    console.run_command(main)
