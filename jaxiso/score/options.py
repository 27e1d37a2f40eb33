"""Options of `python -m jaxiso.score`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from tyro.conf import Positional, arg

from jaxiso.cli.console import InputError
from jaxiso.cli.options import Checked, Or, Quiet, Seed

ABOUT = """\
The geometry of your own vectors: isotropy, and how well labels are clusters.

Vectors are read from .npy, .npz, .parquet, .csv and .tsv files, from .safetensors, and from
word2vec's and GloVe's formats, text and binary. Several files are shown side by side:

    python -m jaxiso.score before.npy after.npy --labels labels.txt

Without labels: IsoScore, the isotropy score of Mu & Viswanath, effective rank, mean cosine. With
labels also silhouette, Calinski–Harabasz, Davies–Bouldin and Dunn. The same as functions:
jaxiso.isoscore(X), jaxiso.silhouette_score(X, labels), and so on.

Vectors of words get labels by word: from JSON lines {"word": "run", "labels": ["noun", "verb"]}, or
from a table or text of words and labels. Words without a label are left out of all measures. Where
a vector has several labels, each set of labels is a cluster, as in the paper.
"""


@dataclass(frozen=True)
class Options(Checked):
    """The command line; each field is an option."""

    files: Positional[tuple[Path, ...]] = ()
    """One or more files of vectors."""
    labels: str | None = None
    """A column or array of the files of vectors; or a file: .txt with a label a line (or a word, a
    tab and its label), .npy, .npz, .safetensors, .csv, .tsv, .parquet, .jsonl."""
    label_column: str | None = None
    """Which column, array or field of the file of labels. By default label, labels, y, class,
    target, or the only one."""
    array: str | None = None
    """Which array, or column of lists, holds the vectors. By default X, embeddings or vectors, or
    the only one with two dimensions."""
    by_label: bool = False
    """Also a table of each label's vectors by themselves."""
    sample: Annotated[int, Ge(3), Or(0)] = 10_000
    """Take silhouette and Dunn, which compare all pairs, of random samples of this many vectors,
    where that makes fewer pairs; 0 for all vectors."""
    draws: Annotated[int, Ge(2)] = 5
    """Number of such samples; they give the mean and its standard error."""
    seed: Seed = 0
    json: bool = False
    """Print JSON instead of tables."""
    plot: Annotated[Path | None, arg(metavar="PATH")] = None
    """File for a figure, written as .png and .pdf: variances, cosines, silhouettes by label."""
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, and options that do not go together.

        Raises:
            InputError: names the option, its value and what is allowed.
        """
        super().__post_init__()
        if not self.files:
            raise InputError(
                "no file given: python -m jaxiso.score FILE [FILE …]; --help says more"
            )
        if self.label_column is not None and self.labels is None:
            raise InputError(f"--label-column {self.label_column}: only with --labels FILE")
        if self.by_label and self.labels is None:
            raise InputError("--by-label: only with --labels")
        if self.plot is not None and self.plot.name in ("", ".."):
            raise InputError(
                f"--plot {self.plot}: must be the name of a file, such as figures/vectors.png"
            )
