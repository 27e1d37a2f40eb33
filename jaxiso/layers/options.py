"""Options of `python -m jaxiso.layers`: what --help shows, and what is allowed.

Nothing heavy is imported here, so that --help is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge
from tyro.conf import FlagCreatePairsOff, arg

from jaxiso.cli.console import InputError
from jaxiso.cli.options import (
    DATA,
    DEVICE,
    MEASUREMENT,
    OUTPUT,
    Checked,
    DataDir,
    Or,
    Quiet,
    Seed,
    Transform,
    check_plot,
    refuse_repeats,
)

ABOUT = """\
The geometry of a model's representations, layer by layer, on texts of your own.

    python -m jaxiso.layers --encoder minilm mpnet --texts reviews.csv --labels label --plot figure

Layer 0 is the embedding layer. Of each layer: IsoScore, as it is and corrected for the number of
vectors; mean cosine; effective rank; intrinsic dimension (TwoNN); the largest share of the mean
cosine that one (rogue) dimension holds. With labels also silhouette, Euclidean and cosine,
Calinski–Harabasz and Davies–Bouldin. Vectors are the network's own, not normalised, unless by
--transform unit. Numbers have standard errors, by the jackknife over 20 blocks of rows.

With --tokens the vectors are of single tokens, drawn at random from all texts, and there are
Ethayarajh's measures of how contextual words are: self-similarity, intra-sentence similarity and
maximum explainable variance, as they are and less what tokens drawn at random give. A word is a
token of the model's vocabulary that is in at least five texts.

BERT, MPNet and RoBERTa models run in Flax, all others in PyTorch: pip install "jaxiso[torch]". What
is encoded is kept on disk, so that a second run takes seconds.
"""


@dataclass(frozen=True)
class Options(Checked):
    """The command line; each field is an option."""

    texts: Annotated[str, DATA] = ""
    """File of texts: .txt (a text a line), .csv, .tsv, .jsonl, .parquet, .arrow, .feather, a folder
    by datasets.save_to_disk; or a corpus: lee, dbpedia, yahoo, brown."""
    encoder: Annotated[tuple[str, ...], arg(metavar="MODEL [MODEL ...]")] = ("minilm",)
    """One or more models: minilm, mpnet, roberta, a folder, or a name on the hub (owner/name)."""
    labels: str | None = None
    """A column or field of the texts' file; or a file of labels, one a text."""
    text_field: str | None = None
    """Which column or field holds the texts. By default text, sentence, content, document, or the
    only one."""
    label_column: str | None = None
    """Which column, array or field of a file of labels."""
    limit: Annotated[int, Ge(4), Or(0)] = 2000
    """Take a random sample of this many texts, where there are more; 0 for all."""
    pooling: Literal["mean", "cls", "last"] = "mean"
    """A text's vector: the mean of its tokens, its first token, or its last."""
    transform: Transform = "none"
    tokens: Annotated[bool, MEASUREMENT] = False
    """Measure the vectors of single tokens instead of texts."""
    token_sample: Annotated[int, Ge(20)] = 10_000
    """Tokens to draw; up to as many again are kept of words and of whole texts."""
    batch_size: Annotated[int | None, Ge(1), DEVICE] = None
    """Texts at a time, rounded down to a power of two. By default what suits their length and the
    device."""
    data_dir: DataDir = None
    seed: Annotated[Seed, MEASUREMENT] = 0
    no_error: FlagCreatePairsOff[bool] = False
    """No standard errors, for speed."""
    json: Annotated[bool, OUTPUT] = False
    """Print JSON instead of tables."""
    plot: Path | None = None
    """File for a figure, written as .png and .pdf: each measure by layer."""
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuses values out of bounds, and options that do not go together, as `Checked` does."""
        super().__post_init__()
        if not self.texts:
            raise InputError(
                "no texts given: python -m jaxiso.layers --texts FILE; --help says more"
            )
        if not self.encoder or not all(self.encoder):
            raise InputError("--encoder: give a model's name or folder, such as minilm")
        refuse_repeats("--encoder", self.encoder, "given twice")
        if self.label_column is not None and self.labels is None:
            raise InputError(f"--label-column {self.label_column}: only with --labels FILE")
        if self.tokens and self.pooling != "mean":
            raise InputError(f"--pooling {self.pooling}: not with --tokens, which are not pooled")
        if not self.tokens and self.token_sample != Options.token_sample:
            raise InputError(f"--token-sample {self.token_sample}: only with --tokens")
        check_plot(self.plot, "figures/layers.png")
