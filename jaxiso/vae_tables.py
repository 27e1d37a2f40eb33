"""Evaluations of LSTM-VAEs as tables, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxiso.data.corpora import CORPORA
from jaxiso.experiments.papers import VAE_TARGETS, Reported


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
        *(Column(f"accuracy_{share}%{mark}", f"{share} %", 2) for share in ("10.0", "1.0", "0.1")),
        Column(f"accuracy_deleted{mark}", "30 % of words deleted", 2),
        Column(f"accuracy_linear{mark}", "Linear probe", 2),
    )


TABLES = (
    TableOf(
        "Reconstruction of test sentences (paper B, Table 4)",
        (
            Column("rec", "Rec.", 2),
            Column("kl", "KL", 2),
            Column("active_units", "AU", 1),
            Column("active_directions", "Active directions", 1),
            Column("bleu2", "BLEU-2", 2),
            Column("bleu4", "BLEU-4", 2),
            Column("rouge2", "ROUGE-2", 2),
            Column("rouge4", "ROUGE-4", 2),
            Column("mutual_information", "MI", 2),
        ),
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
    TableOf("Classification accuracy, %, 80/20 of the test set", _accuracies("_code")),
    TableOf(
        "Imputation of 75 % of the words (paper B, Table 1): likeness to the original",
        tuple(
            Column(f"imputation_{kind.lower()}{n}", f"{kind}-{n}", 2)
            for kind in ("BLEU", "ROUGE")
            for n in (2, 4)
        ),
    ),
    TableOf(
        "Posterior (paper B, Tables 2 and 3)",
        (
            Column("mean_sq_norm", "‖μ‖²", 2),
            Column("logdet_cov", "log det Cov", 2),
            Column("isotropy_score_samples", "Isotropy score: samples", 3),
            Column("isotropy_score_means", "means", 3),
            Column("isotropy_score_samples_random_signs", "random signs: samples", 3),
            Column("isotropy_score_means_random_signs", "means", 3),
        ),
    ),
    TableOf(
        "Geometry of the posterior means (both papers)",
        (
            Column("isoscore_means", "IsoScore", 3),
            Column("isotropy_score_means", "Mu & Viswanath", 3),
            Column("effective_rank_means", "Effective rank", 1),
            Column("silhouette_means", "Silhouette", 4),
            Column("calinski_harabasz_means", "Calinski-Harabasz", 1),
            Column("davies_bouldin_means", "Davies-Bouldin", 2),
            Column("mapper_components", "Mapper components", 1),
        ),
    ),
)


class Model(NamedTuple):
    """Evaluations of the same model, which differ by their seeds only.

    Attributes:
        config: of one of the runs.
        updates: how many there were.
        values: of each measure, one number a seed.
        texts: sentences that the first seed wrote.
    """

    config: dict[str, Any]
    updates: int
    values: dict[str, list[float]]
    texts: dict[str, Any]

    @property
    def target_kl(self) -> float | None:
        """C, where the model has one."""
        has = self.config["posterior"] != "none" and self.config["objective"] == "vae"
        return self.config["C"] if has else None

    @property
    def name(self) -> str:
        """Such as `dbpedia, isotropic, C = 5`."""
        parts = [self.config["corpus"], self.config["posterior"]]
        if self.config["objective"] != "vae":
            parts.append(self.config["objective"])
        if self.target_kl is not None:
            parts.append(f"C = {self.target_kl:g}")
        return ", ".join(parts)

    @property
    def reported(self) -> dict[str, Reported]:
        """The paper's numbers for this corpus, posterior and C; empty where it has none."""
        if self.config["objective"] != "vae":
            return {}
        key = (self.config["corpus"], self.config["posterior"], self.target_kl)
        return VAE_TARGETS.get(key, {})

    @property
    def unlike_the_paper(self) -> list[str]:
        """How the model differs from the paper's of that name."""
        from jaxiso.vae import DEFAULTS

        config = self.config
        facts = CORPORA.get(config["corpus"])
        differences = []
        if facts is not None and facts.sizes and config["sentences"] != facts.sizes[0]:
            differences.append(f"{config['sentences']:,} sentences, not {facts.sizes[0]:,}")
        if config.get("sentence_rule") not in (None, facts.rule if facts else None):
            differences.append(f"sentence rule {config['sentence_rule']}")
        for name, theirs in (DEFAULTS | {"latent_dim": 32, "lr": 5e-4, "beta": 1.0}).items():
            if name in ("C", "seeds") or config[name] == theirs:
                continue
            of = "" if theirs is None else f", not {theirs:,}"
            differences.append(f"{name.replace('_', ' ')} {config[name]:,}{of}")
        return differences


def pool(evaluations: Sequence[Mapping[str, Any]]) -> list[Model]:
    """Brings runs together that differ by their seeds only; sorted by corpus, C and posterior.

    Args:
        evaluations: what `evaluation.json` files hold.
    """
    models: dict[str, Model] = {}
    for evaluation in evaluations:
        config = dict(evaluation["config"])
        same = {k: v for k, v in config.items() if k not in ("seed", "seeds")}
        key = repr((sorted(same.items(), key=lambda item: item[0]), evaluation["updates"]))
        model = models.setdefault(
            key, Model(config, evaluation["updates"], {}, evaluation["texts"])
        )
        for name, measure in evaluation["measures"].items():
            model.values.setdefault(name, []).extend(measure["values"])
    order = ("none", "diagonal", "isotropic")
    return sorted(
        models.values(),
        key=lambda m: (m.config["corpus"], m.target_kl or 0, order.index(m.config["posterior"])),
    )


def cell(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation of seeds; the value alone where there is one."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def paper_cell(reported: Reported | None, digits: int) -> str:
    """The paper's value, likewise."""
    if reported is None:
        return ""
    mean = f"{reported.mean:.{digits}f}"
    return mean if reported.sd is None else f"{mean} ± {reported.sd:.{digits}f}"


def rows_of(table: TableOf, models: Sequence[Model]) -> list[list[str]]:
    """The table's cells, a row for each model, followed by the paper's where it has any."""
    rows = []
    for model in models:
        if not any(column.name in model.values for column in table.columns):
            continue
        ours = [
            cell(model.values[c.name], c.digits) if c.name in model.values else "-"
            for c in table.columns
        ]
        seeds = max(map(len, model.values.values()))
        rows.append([f"{model.name} ({seeds} seed{'s' * (seeds > 1)})", *ours])
        theirs = [paper_cell(model.reported.get(c.name), c.digits) for c in table.columns]
        if any(theirs):
            rows.append(["  paper", *theirs])
    return rows


def print_tables(evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Prints all tables that have rows, what differs from the paper, and sentences."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False, soft_wrap=True, markup=False)
    if not out.is_terminal:
        out = Console(highlight=False, soft_wrap=True, markup=False, width=160)
    models = pool(evaluations)
    for shown in TABLES:
        rows = rows_of(shown, models)
        if not rows:
            continue
        table = Table(title=shown.title, title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for column in shown.columns:
            table.add_column(column.heading, justify="right")
        for row in rows:
            table.add_row(*row, style="dim" if row[0] == "  paper" else None)
        out.print(table)
    for model in models:
        if model.reported and (unlike := model.unlike_the_paper):
            out.print(f"{model.name}, unlike the paper's: {'; '.join(unlike)}")
    for model in models:
        for line in sentences(model):
            out.print(line)


def sentences(model: Model) -> list[str]:
    """What a model wrote, a line each."""
    lines = []
    for text in model.texts.get("imputation", ()):
        lines += [
            f"  original  {text['original']}",
            f"  left      {text['left']} …",
            f"  imputed   {text['imputed']}",
        ]
    for text in model.texts.get("interpolation", ()):
        lines += [f"  from      {text['from']}"]
        lines += [f"            {decoded}" for decoded in text["decoded"]]
        lines += [f"  to        {text['to']}"]
    lines += [f"  prior     {text}" for text in model.texts.get("prior", ())]
    return [f"{model.name} wrote:", *lines] if lines else []
