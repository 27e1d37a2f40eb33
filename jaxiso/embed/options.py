"""Trains pretrained vectors under a linear classifier and measures their geometry.

The experiment of the paper "Isotropy, Clusters, and Classifiers": the vectors themselves are
parameters, and IsoScore and silhouette are measured before training and after every update.

With no option at all it tells scikit-learn's even digits from odd ones, which needs no download.
Your own vectors: --vectors FILE, of any format that jaxiso.score reads, such as .npz with arrays X
(n, d) and y (n labels).

A run that was interrupted goes on with the same command (without --overwrite), and ends in the same
numbers.

Beyond the paper: --isotropy adds isotropy to the loss and draws what clusters and accuracy pay for
it; --hidden puts a hidden layer into the classifier; --loss triplet trains without one; --track
measures three more indices of clusters; --test-fraction holds items out.

Tasks:
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import arg

from jaxiso.cli.configs import defaults, determining, run_name
from jaxiso.cli.console import InputError
from jaxiso.cli.options import (
    DATA,
    FREE,
    MEASUREMENT,
    OUTPUT,
    TRAINING,
    Array,
    DataDir,
    DryRun,
    LabelColumn,
    Labels,
    Or,
    Out,
    Overwrite,
    ProcessOptions,
    Quiet,
    Seed,
    Transform,
    flag,
    refuse_repeats,
)
from jaxiso.data.tasks import TASKS, find_task
from jaxiso.papers import EMBED, embed_settings

LEAST, MOST = 1e-30, 1e30
"""Of sizes: single precision ends at 1e-38 and 3e38."""


@dataclass(frozen=True)
class Options(ProcessOptions):
    """The command line; each field is an option. Defaults are the paper's settings."""

    task: Annotated[str, DATA] = "parity"
    """What to train on; the tasks are listed above."""
    vectors: Annotated[Path | None, FREE] = None
    """Your own vectors instead of a task: a file of any format that jaxiso.score reads. A .npz file
    has them in X (n, d), and labels in y (n labels, or n × classes of 0 and 1). Labels that the
    file has under no such name, or not at all: --labels."""
    labels: Labels = None
    label_column: LabelColumn = None
    array: Array = None
    encoder: str = "minilm"
    """Of sentences: minilm, mpnet, roberta, a DIRECTORY, or a HUB-ID as in owner/name."""
    word_vectors: Annotated[Path | None, FREE] = None
    """Of words, for pos and supersense: a word2vec or GloVe file (.bin, .bin.gz, .txt). By
    default the one in the data directory."""
    data_dir: DataDir = None
    seeds: Annotated[int, Ge(1), TRAINING] = EMBED["seeds"]
    """Number of seeds, trained side by side."""
    seed: Seed = 0
    updates: Annotated[int | None, Ge(1)] = None
    """Number of updates. By default the paper's: 1000, and 250 for the GLUE tasks."""
    every: Annotated[int, Ge(1), MEASUREMENT] = EMBED["every"]
    """Measure after each k-th update only. That changes the correlations: the points before the
    curve bends weigh differently."""
    lr: Annotated[float, TRAINING, Ge(LEAST), Le(MOST)] = EMBED["lr"]
    """Learning rate of Adam."""
    reduction: Literal["sum", "mean"] = "sum"
    """What Adam sees of the loss over items (for several labels an item, over items and labels).
    The paper says mean, but its numbers are those of a sum: a mean over many items has gradients so
    small that Adam's ε, 1e-8, slows it down. The metrics table has the mean either way."""
    scale: Annotated[float, DATA, Ge(LEAST), Le(MOST)] = EMBED["scale"]
    """Multiplies the pretrained vectors. Matters because Adam's steps are absolute."""
    transform: Transform = EMBED["transform"]
    sample: Annotated[int, Ge(3), Or(0), MEASUREMENT] = EMBED["sample"]
    """Measure a fresh random sample of this many items where a task has more; 0 for all."""
    isotropy: Annotated[
        tuple[float, ...] | None,
        TRAINING,
        Or(0),
        Ge(LEAST),
        Le(MOST),
        arg(metavar="FLOAT [FLOAT ...]"),
    ] = None
    """Adds λ·(1 - IsoScore) of the vectors to the loss, for each λ given: all of them and all
    seeds train side by side, and the run draws the frontier of silhouette, accuracy and IsoScore.
    0 is the paper's loss."""
    star: Annotated[float | None, Ge(0), Le(1)] = None
    """That term is 1 - IsoScore* (Rudman & Eickhoff 2023) with this ζ, in their training 0.2: the
    covariance is shrunk by ζ towards that of the pretrained vectors. Only with --isotropy."""
    hidden: Annotated[int | None, Ge(1)] = None
    """Units of a hidden layer (ReLU) before the linear classifier. By default no such layer."""
    loss: Literal["cross-entropy", "triplet"] = EMBED["loss"]
    """triplet: that of the paper's Appendix B. There is no classifier then: accuracy is the share
    of items whose nearest centroid is that of their own label."""
    triplets: Annotated[int, Ge(1)] = 4096
    """Triples of items drawn for each update, for --loss triplet."""
    track: Annotated[bool, MEASUREMENT] = False
    """Measure Calinski-Harabasz, Davies-Bouldin and Dunn as well; Dunn takes as long as the
    silhouette."""
    test_fraction: Annotated[float | None, Gt(0), Lt(1), DATA] = None
    """Hold out this share of the items, of every label alike, and measure them too. Vectors that
    only held-out items read are not trained: they stay as pretrained, and nothing but the
    classifier changes for them; those that items of both kinds read are trained."""
    checkpoint_every: Annotated[int, Ge(0), FREE, OUTPUT] = 50
    """Updates between checkpoints; one more is made whenever ten minutes have passed. 0 for none
    but the last."""
    out: Out = None
    overwrite: Overwrite = False
    dry_run: DryRun = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, and options that exclude each other, as `Checked` does."""
        super().__post_init__()
        self._check_source()
        self._check_isotropy()
        if self.loss != "triplet":
            self._refuse("triplets", "only with --loss triplet")
        elif self.hidden is not None:
            raise InputError(
                f"--loss triplet and --hidden {self.hidden}: the triplet loss has no classifier to "
                "put a hidden layer into; give one of the two"
            )

    def _refuse(self, name: str, why: str) -> None:
        """Refuses an option that is not as it is by default."""
        value = getattr(self, name)
        if value != getattr(type(self), name):
            raise InputError(f"{flag(name)} {value}: {why}")

    def _check_source(self) -> None:
        if self.vectors is not None and self.task != type(self).task:
            raise InputError(
                f"--vectors {self.vectors} and --task {self.task}: give one of the two"
            )
        kind = "own" if self.vectors is not None else find_task(self.task).kind
        if kind != "own":
            for name in ("labels", "label_column", "array"):
                self._refuse(name, "only with --vectors FILE")
        if kind != "sentence":
            sentences = ", ".join(name for name, task in TASKS.items() if task.kind == "sentence")
            self._refuse("encoder", f"only for tasks of sentences ({sentences})")
        if kind != "word":
            words = ", ".join(name for name, task in TASKS.items() if task.kind == "word")
            self._refuse("word_vectors", f"only for tasks of words ({words})")

    def _check_isotropy(self) -> None:
        if self.isotropy is None:
            self._refuse("star", "only with --isotropy")
            return
        if not self.isotropy:
            raise InputError("--isotropy: give at least one weight, such as --isotropy 0 0.1 1")
        shown = [f"{weight:g}" for weight in self.isotropy]  # to as many digits as results show
        refuse_repeats("--isotropy", shown, "given more than once; each weight once")


def description() -> str:
    """What --help says above the options."""
    return f"{__doc__}\n" + "\n".join(f"- {task.name}: {task.about}" for task in TASKS.values())


def full_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config with all that later versions added to it, as it was before: at its default."""
    before = {"reduction": "mean", "test_items": 0, "trained_vectors": config["vectors"]}
    return determining(Options()) | before | dict(config)


def title_of(config: Mapping[str, Any]) -> str:
    """A run's task and encoder, and its options that are not as usual, as they are typed.

    Such as `wnli, minilm: --seeds 1 --hidden 128`.
    """
    config = full_config(config)
    usual = defaults(Options) | embed_settings(config["task"], config["encoder"])
    typed = []
    for name in defaults(Options):
        value = config.get(name, usual[name])
        if name in ("task", "encoder", "vectors") or value == usual[name]:
            continue  # the config's vectors are their number
        values = [] if value is True else value if isinstance(value, list) else [value]
        shown = (f"{one:g}" if isinstance(one, float) else str(one) for one in values)
        typed.append(" ".join((flag(name), *shown)))
    name = ", ".join(str(config[name]) for name in ("task", "encoder") if config[name])
    return f"{name}: {' '.join(typed)}" if typed else name


def default_name(options: Options, task: str, encoder: str | None) -> str:
    """The name of a run directory: the task, and what is not as in the paper.

    The options have the number of updates; `task` and `encoder` are short names.
    """
    named = ("task", "encoder", "seeds", "updates")
    chosen, usual = (
        {name: value for name, value in determining(found).items() if name not in named}
        for found in (options, Options())
    )
    parts = (task, encoder or "", f"{options.seeds}seeds", f"{options.updates}updates")
    return run_name(parts, chosen, usual)
