"""Evaluations of LSTM-VAEs: their files, and as tables, ours beside the paper's."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from jaxiso import papers
from jaxiso.cli.console import InputError, note, printer, several
from jaxiso.cli.files import read_object
from jaxiso.papers import Reported
from jaxiso.runs import EVALUATION, verify
from jaxiso.vae.options import complete_config, has_target, kl_words

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


def marked(name: str, mark: str) -> str:
    """The name of a file as that of one target KL has it, whose mark is `mark_of`."""
    return name.replace(".", f"{mark}.")


def read_evaluation(directory: Path, mark: str = "") -> dict[str, Any] | None:
    """What evaluation.json of a run holds; None where there is none.

    Args:
        directory: of the run.
        mark: of the target KL, where the run has several.

    Returns:
        run: its directory. model: digest of the parameters that were measured (not in old files).
        updates: how many these had seen. test_sentences. config: of the training, completed.
        settings: what each part was measured with. measures: by name, `values` of all seeds, each
        a number or None, with `mean` and `sd`. remarks: why a measure has no value. texts: what a
        seed wrote.

    Raises:
        InputError: it is damaged.
    """
    path = directory / marked(EVALUATION, mark)
    if not path.exists():
        return None
    verify(directory, path.name)
    found = read_object(path)
    for name in ("config", "settings", "measures", "texts"):
        if not isinstance(found.get(name), dict):
            raise InputError(f"{path}: {name} is missing, or no JSON object")
    for name, measure in found["measures"].items():
        values = measure.get("values") if isinstance(measure, dict) else None
        if not isinstance(values, list) or not all(map(_is_value, values)):
            raise InputError(f"{path}: measure {name!r} has no list of values")
    if not all(isinstance(setting, dict) for setting in found["settings"].values()):
        raise InputError(f"{path}: settings of a part are no JSON object")
    if type(found.get("updates")) is not int:
        raise InputError(f"{path}: updates is missing, or no whole number")
    try:
        _lines(found["texts"])
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: its texts are damaged") from None
    config = complete_config(found["config"], directory)
    return {"remarks": {}, **found, "config": config, "run": str(directory)}


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class Model(NamedTuple):
    """Evaluations of the same model, which differ by their seeds only.

    Attributes:
        config: of one of the runs.
        updates: how many there were.
        values: of each measure that all seeds have, one number a seed.
        remarks: of each measure that is not in `values`, why.
        texts: sentences that the first seed wrote.
        doubles: runs of seeds that another one has, which do not count twice.
    """

    config: dict[str, Any]
    updates: int
    values: dict[str, list[float]]
    remarks: dict[str, str]
    texts: dict[str, Any]
    doubles: list[str]

    @property
    def target_kl(self) -> float | None:
        """C, where the model has one."""
        return self.config["C"] if has_target(self.config) else None

    @property
    def name(self) -> str:
        """Such as `dbpedia, isotropic, C = 5`."""
        parts = [self.config["corpus"], self.config["posterior"]]
        if self.config["objective"] != "vae":
            parts.append(self.config["objective"])
        if self.target_kl is not None:
            parts.append(f"C = {self.target_kl:g}")
        return ", ".join(parts + kl_words(self.config))

    @property
    def reported(self) -> dict[str, Reported]:
        """The paper's numbers for this corpus, posterior and C; empty where it has none."""
        if self.config["objective"] != "vae":
            return {}
        return papers.vae_target(self.config["corpus"], self.config["posterior"], self.target_kl)

    @property
    def unlike_the_paper(self) -> list[str]:
        """How the model differs from the paper's of that name."""
        return list(papers.unlike(self.config, papers.vae_settings(self.config["corpus"])).values())


def pool(evaluations: Sequence[Mapping[str, Any]]) -> list[Model]:
    """Brings runs together that differ by their seeds only; sorted by corpus, C and posterior.

    Seed i of a run is the same however many there are: of two runs that start from the same seed,
    as a run and its copy, the one with more seeds counts, and the other is in `doubles`.

    Args:
        evaluations: from `read_evaluation`.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for evaluation in evaluations:
        same = {k: v for k, v in evaluation["config"].items() if k not in ("seed", "seeds")}
        key = repr((sorted(same.items()), evaluation["updates"]))
        groups.setdefault(key, []).append(evaluation)
    order = ("none", "diagonal", "isotropic")
    return sorted(
        map(_pooled, groups.values()),
        key=lambda m: (m.config["corpus"], m.target_kl or 0, order.index(m.config["posterior"])),
    )


def _pooled(group: Sequence[Mapping[str, Any]]) -> Model:
    chosen: dict[int, Mapping[str, Any]] = {}
    for evaluation in sorted(group, key=lambda e: -e["config"]["seeds"]):
        chosen.setdefault(evaluation["config"]["seed"], evaluation)
    runs = [e for e in group if any(e is kept for kept in chosen.values())]
    doubles = [e["run"] for e in group if not any(e is kept for kept in chosen.values())]
    values: dict[str, list[Any]] = {}
    remarks: dict[str, str] = {}
    for run in runs:
        for name, measure in run["measures"].items():
            values.setdefault(name, []).extend(measure["values"])
            if None in measure["values"]:
                remarks[name] = run.get("remarks", {}).get(name, "no value")
    values = {name: found for name, found in values.items() if name not in remarks}
    first = runs[0]
    texts = next((run["texts"] for run in runs if run["texts"]), {})
    return Model(dict(first["config"]), first["updates"], values, remarks, texts, doubles)


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


def cell(values: Sequence[float] | None, digits: int) -> str:
    """Mean ± standard deviation of seeds; – where there are none."""
    if not values:
        return "–"
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return spread(float(np.mean(values)), sd, digits)


def paper_cell(reported: Reported | None, digits: int) -> str:
    """The paper's value, likewise; empty where it has none."""
    return "" if reported is None else spread(reported.mean, reported.sd, digits)


def rows_of(table: TableOf, models: Iterable[Model], *, always: bool = False) -> list[list[str]]:
    """The table's cells: a row for each model, and below it the paper's where it has any.

    Args:
        table: what is shown.
        models: of whom.
        always: the paper's numbers also below models that are unlike the paper's of their name.
    """
    rows = []
    for model in models:
        if not any(column.name in model.values for column in table.columns):
            continue
        ours = [cell(model.values.get(column.name), column.digits) for column in table.columns]
        seeds = max(map(len, model.values.values()))
        rows.append([f"{model.name} ({several(seeds, 'seed')})", *ours])
        theirs = [paper_cell(model.reported.get(c.name), c.digits) for c in table.columns]
        if any(theirs) and (always or not model.unlike_the_paper):
            rows.append([PAPER, *theirs])
    return rows


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


def sentences(model: Model) -> list[str]:
    """What a model wrote, a line each."""
    lines = _lines(model.texts)
    return [f"{model.name} wrote:", *lines] if lines else []


def _lines(texts: Mapping[str, Any]) -> list[str]:
    lines = []
    for text in texts.get("imputation", ()):
        lines += [
            f"  original  {text['original']}",
            f"  left      {text['left']} …",
            f"  imputed   {text['imputed']}",
        ]
    for text in texts.get("interpolation", ()):
        lines += [f"  from      {text['from']}"]
        lines += [f"            {decoded}" for decoded in text["decoded"]]
        lines += [f"  to        {text['to']}"]
    return lines + [f"  prior     {text}" for text in texts.get("prior", ())]
