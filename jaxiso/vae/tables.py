"""Evaluations of LSTM-VAEs as tables, ours beside the paper's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from jaxiso.cli.console import note, printer, several
from jaxiso.papers import Reported
from jaxiso.vae.evaluations import Model, pool, sentences

COUNT = 0
"""Decimals of a count: none where all seeds have the same, one for a mean over others."""
PAPER = "  paper"
"""The label of a row of the paper's numbers."""
LABEL, HEADING = 36, 11
"""Characters after which a model's name and a column's heading go on in the next line."""


class Column(NamedTuple):
    """A measure in a table: its name in evaluation.json, its heading and its decimals."""

    name: str
    heading: str
    digits: int


class TableOf(NamedTuple):
    """What a table shows."""

    title: str
    columns: tuple[Column, ...]


def _accuracies(mark: str) -> tuple[Column, ...]:
    return (
        Column(f"accuracy{mark}", "All", 2),
        Column(f"accuracy_deleted{mark}", "30 % of words deleted", 2),
        Column(f"accuracy_linear{mark}", "Linear probe", 2),
    )


def _few_shot(mark: str) -> tuple[Column, ...]:
    return tuple(
        column
        for share in ("10.0", "1.0", "0.1")
        for column in (
            Column(f"accuracy_{share}%{mark}", f"{float(share):g} %", 2),
            Column(f"accuracy_{share}%{mark}_sd", "sd over draws", 2),
        )
    )


def _likenesses(mark: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"{mark}{kind.lower()}{n}", f"{kind}-{n}", 2)
        for kind in ("BLEU", "ROUGE")
        for n in (2, 4)
    )


TABLES = (
    TableOf(
        "Reconstruction of test sentences (paper B, Table 4)",
        (
            Column("rec", "Rec.", 2),
            Column("kl", "KL", 2),
            Column("active_units", "Active units", COUNT),
            Column("active_directions", "Active directions", COUNT),
            Column("mutual_information", "Mutual information", 2),
        ),
    ),
    TableOf(
        "Reconstruction of test sentences: likeness to the original, % (paper B, Table 4)",
        _likenesses(""),
    ),
    TableOf(
        "Likelihood by importance weights",
        (
            Column("nll", "NLL (nats a sentence)", 2),
            Column("nll_se", "standard error", 2),
            Column("perplexity", "Perplexity a token", 1),
        ),
    ),
    TableOf("Classification accuracy, % (paper B, Figure 2 and Section 3.2)", _accuracies("")),
    TableOf(
        "Classification accuracy, %, from a part of the training sentences (paper B, Figure 2)",
        _few_shot(""),
    ),
    TableOf("Classification accuracy, %, 80/20 of the test set", _accuracies("_code")),
    TableOf("Classification accuracy, %, from a part of these 80 %", _few_shot("_code")),
    TableOf(
        "Imputation of 75 % of the words: likeness to the original, % (paper B, Table 1)",
        _likenesses("imputation_"),
    ),
    TableOf(
        "Posterior (paper B, Tables 2 and 3)",
        (
            Column("mean_sq_norm", "‖μ‖²", 2),
            Column("logdet_cov", "log det Cov", 2),
            Column("isotropy_score_samples", "Isotropy score of samples", 3),
            Column("isotropy_score_means", "Isotropy score of means", 3),
            Column("isotropy_score_samples_random_signs", "random signs: samples", 3),
            Column("isotropy_score_means_random_signs", "random signs: means", 3),
        ),
    ),
    TableOf(
        "Geometry of the posterior means: isotropy (both papers)",
        (
            Column("isoscore_means", "IsoScore", 3),
            Column("isotropy_score_means", "Mu & Viswanath", 3),
            Column("effective_rank_means", "Effective rank", 1),
        ),
    ),
    TableOf(
        "Geometry of the posterior means: clusters (both papers)",
        (
            Column("silhouette_means", "Silhouette", 4),
            Column("calinski_harabasz_means", "Calinski-Harabasz", 1),
            Column("davies_bouldin_means", "Davies-Bouldin", 2),
            Column("mapper_components", "Mapper components", COUNT),
        ),
    ),
)


def spread(mean: float | None, sd: float | None, digits: int) -> str:
    """A mean over seeds ± their standard deviation, the value alone where there is one, or –.

    A count that is the same for all seeds is but that count.
    """
    if mean is None:
        return "–"
    if sd is None or (digits == COUNT and sd == 0 and mean.is_integer()):
        return f"{mean:.{digits}f}"
    digits = digits or 1  # the mean of counts is no count
    return f"{mean:.{digits}f} ± {sd:.{digits}f}"


def rows_of(table: TableOf, models: Iterable[Model]) -> list[list[str]]:
    """The table's cells: a row for each model, and the paper's below one that is as the paper's."""
    rows = []
    for model in models:
        if not any(column.name in model.values for column in table.columns):
            continue
        seeds = max(map(len, model.values.values()))
        ours = _cells(table, {n: Reported.over(v) for n, v in model.values.items()}, "–")
        rows.append([f"{model.name} ({several(seeds, 'seed')})", *ours])
        theirs = _cells(table, model.reported, "")
        if any(theirs) and not model.unlike_the_paper:
            rows.append([PAPER, *theirs])
    return rows


def _cells(table: TableOf, known: Mapping[str, Reported], none: str) -> list[str]:
    return [spread(*known[c.name], c.digits) if c.name in known else none for c in table.columns]


def print_tables(evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Prints all tables that have rows, what differs from the paper, and sentences."""
    out, models = printer(), pool(evaluations)
    for shown in TABLES:
        if rows := rows_of(shown, models):
            out.print(shown.title, style="italic")  # which would wrap as the table's own title
            out.print(_framed(shown, rows))
    unlike: dict[str, list[str]] = {}
    for model in models:
        if model.reported and (differences := "; ".join(model.unlike_the_paper)):
            unlike.setdefault(differences, []).append(model.name)
    for differences, names in unlike.items():
        out.print(f"Differences from the paper of {'; '.join(names)}: {differences}")
    for model in models:
        for double in model.doubles:
            note(f"{double}: has seeds of another run of {model.name}; they count once")
        for why in dict.fromkeys(model.remarks.values()):
            names = ", ".join(name for name, reason in model.remarks.items() if reason == why)
            out.print(f"{model.name}, no {names}: {why}")
    for model in models:
        for line in sentences(model):
            out.print(line)


def _framed(shown: TableOf, rows: Sequence[Sequence[str]]) -> Table:
    """A table for people, narrow: names, headings and deviations go on in a line of their own."""
    table = Table()
    table.add_column("", overflow="fold")
    for column in shown.columns:
        heading = textwrap.fill(column.heading, HEADING)
        table.add_column(heading, justify="right", overflow="fold")
    for label, *cells in rows:
        if len(label) > LABEL:
            name, opened, seeds = label.rpartition(" (")
            label = "\n".join([*textwrap.wrap(name, LABEL), opened.strip() + seeds])
        table.add_row(
            label,
            *(cell.replace(" ±", "\n±") for cell in cells),
            style="dim" if label == PAPER else None,
        )
    return table
