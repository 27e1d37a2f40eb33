"""The geometry of your own vectors: isotropy, and how well labels are clusters.

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

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from jaxiso import console
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from jaxiso.figures_score import Drawn
    from jaxiso.score_input import Scored
    from jaxiso.score_result import Scores


@dataclass(frozen=True)
class Options:
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
    sample: int = 10_000
    """Take silhouette and Dunn, which compare all pairs, of random samples of this many vectors,
    where that makes fewer pairs; 0 for all vectors."""
    draws: int = 5
    """Number of such samples; they give the mean and its standard error."""
    seed: int = 0
    """Number that the samples are drawn from."""
    json: bool = False
    """Print JSON instead of tables."""
    plot: Path | None = None
    """File for a figure, written as .png and .pdf: variances, cosines, silhouettes by label."""
    quiet: bool = False
    """No notes."""


def main(arguments: list[str] | None = None) -> None:
    """Runs `python -m jaxiso.score`."""
    import tyro

    options = tyro.cli(Options, prog="python -m jaxiso.score", description=__doc__, args=arguments)
    check(options)
    start = time.perf_counter()
    from jaxiso import backend, score_result

    backend.keep_compiled_programs()
    scores, drawn = [], []
    for path in options.files:
        one, figure = measure(path, options)
        scores.append(one)
        drawn.append(figure)
    seconds = time.perf_counter() - start
    if options.json:
        names = ("sample", "draws", "seed")
        determining = {name: getattr(options, name) for name in names}
        found = score_result.as_json(scores, determining, backend.origin(), seconds)
        print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        score_result.print_scores(scores, draws=options.draws, seconds=seconds)
    if options.plot is not None:  # last, as its folder may not be writable
        _plot(options.plot, drawn, quiet=options.quiet)


def check(options: Options) -> None:
    """Refuses options that no file can be measured with.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    if not options.files:
        raise InputError("no file given: python -m jaxiso.score FILE [FILE …]; --help says more")
    for name, least in (("draws", 2), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise InputError(f"--{name} {value}: must be at least {least}")
    if options.sample != 0 and options.sample < 3:
        raise InputError(f"--sample {options.sample}: must be at least 3 (or 0 for all vectors)")
    if options.label_column is not None and options.labels is None:
        raise InputError(f"--label-column {options.label_column}: only with --labels FILE")
    if options.by_label and options.labels is None:
        raise InputError("--by-label: only with --labels")


def measure(path: Path, options: Options) -> tuple[Scores, Drawn | None]:
    """Reads a file and measures it; what to draw of it only if there is a figure.

    Raises:
        InputError: the file, or its labels, cannot be used.
    """
    from jaxiso.score_input import load

    scored = load(
        path,
        options.labels,
        label_column=options.label_column,
        array=options.array,
        quiet=options.quiet,
    )
    try:
        return _measure(scored, options)
    except ValueError as error:  # outside of float32's range
        raise InputError(f"{path}: {error}") from error


def _measure(scored: Scored, options: Options) -> tuple[Scores, Drawn | None]:
    from jaxiso import score_measures as measures
    from jaxiso.score_result import Scores

    vectors, labels = scored.vectors, scored.labels
    n, d = vectors.shape
    of = f"{n:,} vectors of {d:,} dimensions"
    if labels is not None:
        of += f", {len(labels.names):,} labels"
    console.note(f"{scored.path}: {of}", quiet=options.quiet)
    values = measures.free_measures(vectors)
    silhouettes = rows = None
    if labels is not None:
        found, silhouettes = measures.cluster_measures(
            vectors,
            labels.codes,
            len(labels.names),
            sample=options.sample,
            draws=options.draws,
            seed=options.seed,
        )
        values |= found
        if options.by_label:
            rows = measures.by_label(vectors, labels.codes, labels.names, silhouettes)
    sampled = silhouettes is not None and silhouettes.draws > 0
    scores = Scores(
        scored.path,
        n,
        d,
        None if labels is None else len(labels.names),
        scored.left_out,
        values,
        options.sample if sampled else None,
        rows,
    )
    if options.plot is None:
        return scores, None
    from jaxiso.figures_score import PAIRS, Drawn
    from jaxiso.score_spectrum import covariance_eigenvalues, random_cosines

    drawn = Drawn(
        scored.path,
        covariance_eigenvalues(vectors),
        random_cosines(vectors, PAIRS, options.seed),
        None if silhouettes is None else silhouettes.values,
        None if silhouettes is None else silhouettes.codes,
        () if labels is None else labels.names,
    )
    return scores, drawn


def _plot(path: Path, drawn: list[Drawn | None], *, quiet: bool) -> None:
    from jaxiso.figures import save_figure
    from jaxiso.figures_score import figure_scores

    bare = path.with_suffix("") if path.suffix.lower() in (".png", ".pdf") else path
    saved = save_figure(figure_scores([one for one in drawn if one is not None]), bare)
    console.note(f"figure: {', '.join(map(str, saved))}", quiet=quiet)


if __name__ == "__main__":
    console.run_command(main)
