"""Options of `python -m jaxiso.score`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge
from tyro.conf import FlagCreatePairsOff, Positional, arg

from jaxiso.cli.console import InputError
from jaxiso.cli.options import (
    DATA,
    MEASUREMENT,
    OUTPUT,
    Array,
    DataDir,
    LabelColumn,
    Or,
    ProcessOptions,
    Quiet,
    Seed,
    Transform,
    check_plot,
    refuse_repeats,
)

ABOUT = """\
The geometry of your own vectors: isotropy, and how well labels are clusters.

Vectors are read from .npy, .npz, .safetensors, .parquet, .arrow, .feather, .csv, .tsv and .jsonl
files, from word2vec's and GloVe's formats, text and binary, and from folders that
datasets.save_to_disk made. Those in .npy and Arrow's formats may be larger than memory. Several
files are shown side by side:

    python -m jaxiso.score before.npy after.npy --labels labels.txt

Texts are encoded first, by one or more models that are shown side by side:

    python -m jaxiso.score --texts reviews.csv --labels label --encoder minilm mpnet

Without labels: IsoScore, as it is and corrected for the number of vectors (which may pass 1), the
isotropy score of Mu & Viswanath, effective rank, mean cosine. With labels also silhouette,
simplified silhouette, Calinski–Harabasz, Davies–Bouldin and Dunn. The same as functions:
jaxiso.isoscore(X), jaxiso.silhouette_score(X, labels), and so on. Numbers have standard errors, by
the jackknife over 20 blocks of rows; a 95 % interval is the number ± 2.09 of them. Of two files
with as many rows, the differences (second less first) are shown, with errors of their own: they are
taken for the same rows.

The Euclidean silhouette and Dunn compare all pairs. They are exact where that takes under a minute;
else the silhouette is estimated, without bias, from a sample of vectors whose silhouettes are exact
against all, and Dunn's index is bounded from above. Ctrl-C prints what is known so far.

Vectors of words get labels by word: from JSON lines {"word": "run", "labels": ["noun", "verb"]}, or
from a table or text of words and labels. Words without a label are left out of all measures. Where
a vector has several labels, each set of labels is a cluster, as in the paper "Isotropy, Clusters,
and Classifiers".
"""


@dataclass(frozen=True)
class Options(ProcessOptions):
    """The command line; each field is an option."""

    files: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FILE ...]")] = ()
    """One or more files of vectors."""
    labels: Annotated[str | None, DATA] = None
    """A column or array of the files of vectors; or a file: .txt with a label a line (or a word, a
    tab and its label), .npy, .npz, .safetensors, .csv, .tsv, .jsonl, .parquet, .arrow, .feather."""
    label_column: LabelColumn = None
    texts: str | None = None
    """Measure texts, in place of files of vectors: .txt (a text a line), .csv, .tsv, .jsonl,
    .parquet, .arrow, .feather, a folder by datasets.save_to_disk; or a corpus: lee, dbpedia, yahoo,
    brown. Labels are a column or field of it, or a file."""
    encoder: Annotated[tuple[str, ...], arg(metavar="MODEL [MODEL ...]")] = ("minilm",)
    """Models for the texts: minilm, mpnet, roberta, a folder, or a name on the hub (owner/name)."""
    text_field: str | None = None
    """Which column or field holds the texts. By default text, sentence, content, document, or the
    only one."""
    limit: Annotated[int, Ge(2), Or(0)] = 0
    """Take a random sample of this many texts; 0 for all."""
    data_dir: DataDir = None
    array: Array = None
    transform: Annotated[tuple[Transform, ...], arg(metavar="STEPS [STEPS ...]")] = ("none",)
    """What is done to the vectors first, each of several side by side, such as none abtt:3 whiten.
    Steps with commas between: none, center, unit, standardize, whiten[:k], abtt[:D], rogue[:k],
    cluster[:K,D]; see jaxiso.transforms. It takes all vectors into memory. Errors take
    the transform as it is; where that makes them wrong, as whitening does, there are none."""
    by_label: Annotated[bool, MEASUREMENT] = False
    """Also a table of each label's vectors by themselves."""
    metric: Literal["euclidean", "cosine", "sqeuclidean"] = "euclidean"
    """Distance of the silhouettes. Cosine and squared Euclidean (sqeuclidean) take linear time, and
    are always exact; under cosine, vectors that are zero are left out."""
    average: Literal["micro", "macro"] = "micro"
    """Silhouette: the mean over all vectors (micro), or over labels of their mean (macro)."""
    exact: bool = False
    """Compare all pairs however long it takes."""
    sample_size: Annotated[int | None, Ge(2)] = None
    """Take the Euclidean silhouette from a sample of this many vectors. By default 10,000, where
    all take over a minute."""
    no_error: FlagCreatePairsOff[bool] = False
    """No standard errors, for speed. There are none in any case of Mu & Viswanath and Dunn, of very
    many labels, and of the Euclidean silhouette where several processes share the vectors."""
    seed: Seed = 0
    json: Annotated[bool, OUTPUT] = False
    """Print JSON instead of tables."""
    plot: Path | None = None
    """File for a figure, written as .png and .pdf: variances, cosines, silhouettes by label."""
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, and options that do not go together, as `Checked` does."""
        super().__post_init__()
        if not self.files and self.texts is None:
            raise InputError(
                "no file given: python -m jaxiso.score FILE [FILE …]; --help says more"
            )
        self._check_texts()
        if not self.transform:
            raise InputError("--transform: give at least one, such as --transform none whiten")
        if self.label_column is not None and self.labels is None:
            raise InputError(f"--label-column {self.label_column}: only with --labels FILE")
        if self.by_label and self.labels is None:
            raise InputError("--by-label: only with --labels")
        if self.sample_size is not None and (self.exact or self.metric != "euclidean"):
            other = "--exact" if self.exact else f"--metric {self.metric}, which is always exact"
            raise InputError(f"--sample-size {self.sample_size}: not with {other}")
        check_plot(self.plot, "figures/vectors.png")

    def _check_texts(self) -> None:
        if self.texts is None:
            changed = {
                "--encoder": " ".join(self.encoder) if self.encoder != ("minilm",) else None,
                "--text-field": self.text_field,
                "--limit": self.limit or None,
                "--data-dir": self.data_dir,
            }
            for name, value in changed.items():
                if value is not None:
                    raise InputError(f"{name} {value}: only with --texts")
            return
        if self.files:
            raise InputError(
                f"--texts {self.texts}: not with files of vectors, such as {self.files[0]}"
            )
        if self.array is not None:
            raise InputError(f"--array {self.array}: not with --texts, which have no arrays")
        refuse_repeats("--encoder", self.encoder, "given twice")
