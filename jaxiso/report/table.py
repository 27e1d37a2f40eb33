"""The one long table of a report, a record for each row and measure, and how it is shown.

A record is a plain dictionary, as report.json has it: `table`, `row` and `measure` say what it is
of; `ours` (mean, sd, seeds, runs) is None where there is nothing, and `missing` says why; `paper`,
`paper_sd` and `paper_below` are the paper's, and `difference` is ours minus that;
`unlike_the_paper` has how the row's runs differ from the paper's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxiso.cli.console import several
from jaxiso.papers import embed_targets, vae_places, vae_targets
from jaxiso.report.rows import ONE_SEED, Entry, Row, label_of, published
from jaxiso.report.runs import path_text
from jaxiso.vae.tables import TABLES, Column, spread

Record = dict[str, Any]

NOT_RUN, NOT_MEASURED = "not run", "not measured"
IN_WORDS = (NOT_RUN, NOT_MEASURED, ONE_SEED)
"""What a cell without a number says; any other reason is that it is not finite, or not defined."""
SIZES = (Column("items", "items", 0), Column("parameters", "parameters", 0))
CORRELATIONS = (Column("pearson_r", "Pearson r", 4), Column("spearman_rho", "Spearman ρ", 5))
LARGEST_SD = Column("largest_sd", "largest sd over seeds", 5)
ENDS = (
    Column("isoscore_start", "IsoScore, start", 4),
    Column("isoscore_final", "final", 4),
    Column("silhouette_start", "silhouette, start", 4),
    Column("silhouette_final", "final", 4),
)


class Table(NamedTuple):
    """A part of the long table, as it is shown.

    Attributes:
        title: its heading.
        columns: what is measured.
        rows: of what, each with a record for every column.
        wide: a row of a table on one line; or else a line each for ours, paper and difference.
        compared: whether the paper's numbers stand beside ours.
    """

    title: str
    columns: Sequence[Column]
    rows: list[tuple[Entry, list[Record]]]
    wide: bool = True
    compared: bool = True

    @property
    def records(self) -> list[Record]:
        """All numbers that we or the paper have."""
        return [record for _, records in self.rows for record in records if _is_known(record)]


def tables_of_a(chosen: Mapping[Row, Entry]) -> dict[str, Table]:
    """Paper A's Tables 1 to 3 and Section 3.2's correlations, by their names."""
    targets, encoders = embed_targets(), ("minilm", "mpnet", "roberta")
    setups = [row for row, target in targets.items() if not target.glue]
    glue = [row for name in encoders for row, t in targets.items() if t.glue and row[1] == name]
    sizes = "Items and trainable parameters"
    correlated = "Correlations of IsoScore and silhouette across training"
    shown = (
        ("A, Table 1", sizes, SIZES, setups),
        ("A, Section 3.2", correlated, (*CORRELATIONS, LARGEST_SD), setups),
        ("A, Table 2", f"{sizes}, GLUE", SIZES, glue),
        ("A, Table 3", f"{correlated}, GLUE", CORRELATIONS, glue),
    )
    tables = {}
    for name, title, columns, rows in shown:
        entries = _entries(rows, chosen)
        if columns is SIZES:  # which are the same for any number of seeds
            entries = [entry._replace(differences=[], remarks=[]) for entry in entries]
        tables[name] = _table(f"{name}: {title}", columns, entries, name)
    return tables


def table_of_other_runs(entries: Sequence[Entry]) -> Table:
    """Trajectories that stand in no table of paper A."""
    table = _table("Runs of jaxiso.embed", (*CORRELATIONS, *ENDS), entries, "other runs")
    return table._replace(compared=False)


def tables_of_b(chosen: Mapping[Row, Entry]) -> list[Table]:
    """Paper B's Tables 2 to 4 and Section 3.2, and what else was measured of these models."""
    places = {measure: f"B, {table}" for measure, table in vae_places().items()}
    return _vae_tables(_entries(vae_targets(), chosen), places)


def tables_of_other_models(entries: Sequence[Entry]) -> list[Table]:
    """The same of models that stand in no table of paper B, whose numbers are of other models."""
    labels = [entry.label for entry in entries]
    named = [
        entry._replace(label=f"{entry.label} ({entry.runs[0].directory.name})")
        if labels.count(entry.label) > 1
        else entry
        for entry in entries
    ]
    return [table._replace(compared=False) for table in _vae_tables(named, {})]


def _vae_tables(entries: Sequence[Entry], places: Mapping[str, str]) -> list[Table]:
    seen: set[str] = set()  # one measure is in two of the tables
    tables = []
    for shown in TABLES:
        columns = [column for column in shown.columns if column.name not in seen]
        seen |= {column.name for column in columns}
        known = {r["measure"] for r in _table("", columns, entries, "").records}
        columns = [column for column in columns if column.name in known]
        table = _table(shown.title, columns, entries, shown.title, places)
        rows = [row for row in table.rows if any(map(_is_known, row[1]))]
        if rows:
            tables.append(table._replace(rows=rows, wide=False))
    return tables


def _entries(rows: Iterable[Row], chosen: Mapping[Row, Entry]) -> list[Entry]:
    """What is there of a paper's rows."""
    return [
        chosen[row]._replace(label=label_of(row))
        if row in chosen
        else Entry(row, label_of(row), {}, {}, 0, (), [], [], None)
        for row in rows
    ]


def _table(
    title: str,
    columns: Sequence[Column],
    entries: Iterable[Entry],
    name: str,
    places: Mapping[str, str] | None = None,
) -> Table:
    """A table; its records say that they are of `places`, by measure, or else of `name`."""
    names = [((places or {}).get(column.name, name), column.name) for column in columns]
    return Table(title, columns, [(e, [_record(*at, e) for at in names]) for e in entries])


def _record(table: str, measure: str, entry: Entry) -> Record:
    numbers, bounds = published(entry.row)
    paper, ours = numbers.get(measure), None
    if found := entry.measured(measure):
        runs = [r for r in entry.runs if not r.evaluation or measure in r.evaluation["measures"]]
        seeds = entry.seeds if len(entry.row) == 2 else len(entry.values[measure])
        ours = {**found._asdict(), "seeds": seeds, "runs": [path_text(r.directory) for r in runs]}
    missing = entry.missing.get(measure, NOT_MEASURED if entry.runs else NOT_RUN)
    return {
        "table": table,
        "row": entry.label,
        "measure": measure,
        "ours": ours,
        "missing": None if ours else missing,
        "paper": paper.mean if paper else None,
        "paper_sd": paper.sd if paper else None,
        "paper_below": bounds.get(measure),
        "difference": ours["mean"] - paper.mean if ours and paper else None,
        "unlike_the_paper": entry.unlike,
    }


def _is_known(record: Record) -> bool:
    return any(record[name] is not None for name in ("ours", "paper", "paper_below"))


def as_markdown(table: Table) -> list[str]:
    """The lines of a table, of the rows that have been run; empty where none has."""
    shown = table._replace(rows=[row for row in table.rows if row[0].runs])
    if not table.compared:
        shown = _measured(shown)
    return (_wide(shown) if table.wide else _tall(shown)) if shown.rows else []


def _measured(table: Table) -> Table:
    """Without rows and columns in which nothing was measured, whatever the paper has of them."""
    all_kept = [[record["missing"] != NOT_MEASURED for record in found] for _, found in table.rows]
    kept = [i for i in range(len(table.columns)) if any(of[i] for of in all_kept)]
    rows = [
        (entry, [found[i] for i in kept])
        for (entry, found), measured in zip(table.rows, all_kept, strict=True)
        if any(measured)
    ]
    return table._replace(columns=[table.columns[i] for i in kept], rows=rows)


def papers_markdown(table: Table) -> list[str]:
    """The lines of a table of the paper's numbers, of the rows that have not been run."""
    rows = []
    for entry, found in table.rows:
        threes = zip(found, table.columns, strict=True)
        cells = [_three(record, column.digits)[1] for record, column in threes]
        if any(cells) and not entry.runs:
            rows.append([plain(entry.label), *cells])
    return _without_empty(["", *(column.heading for column in table.columns)], rows)


def _wide(table: Table) -> list[str]:
    shown = 3 if table.compared else 1
    header = ["", *(h for c in table.columns for h in (c.heading, "paper", "difference")[:shown])]
    header += ["seeds", "run", "differences from the paper"]
    rows = []
    for entry, found in table.rows:
        threes = zip(found, table.columns, strict=True)
        cells = [
            cell for record, column in threes for cell in _three(record, column.digits)[:shown]
        ]
        runs = ", ".join(code(path_text(run.directory)) for run in entry.runs)
        why = plain("; ".join(entry.unlike))
        rows.append([plain(entry.label), *cells, str(entry.seeds or ""), runs, why])
    return _without_empty(header, rows)


def _without_empty(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table without the columns that have nothing in them, or of none."""
    kept = [0, *(i for i in range(1, len(header)) if any(row[i] for row in rows))]
    lines = [[row[i] for i in kept] for row in rows]
    return markdown_table([header[i] for i in kept], lines) if rows else []


def _tall(table: Table) -> list[str]:
    rows = []
    for entry, found in table.rows:
        early = "" if all(run.result for run in entry.runs) else ", not finished"
        of = f" ({several(entry.seeds, 'seed')}{early})" if entry.seeds else ""
        columns = zip(found, table.columns, strict=True)
        threes = [_three(record, column.digits) for record, column in columns]
        ours, paper, difference = zip(*threes, strict=True)
        rows.append([f"{plain(entry.label)}{of}", "ours" * table.compared, *ours])
        if table.compared:
            rows += [["", "paper", *paper]] * any(paper)
            rows += [["", "difference", *difference]] * any(difference)
    return _without_empty(["", "", *(column.heading for column in table.columns)], rows)


def _three(record: Record, digits: int) -> tuple[str, str, str]:
    """Ours, the paper's and the difference."""
    ours, difference, below = record["ours"], record["difference"], record["paper_below"]
    shown = record["missing"] if record["missing"] in IN_WORDS else "–"
    if ours:
        shown = _number(ours["mean"], ours["sd"], digits)
    if below is not None:
        holds = ("holds" if ours["mean"] < below else "does not hold") if ours else ""
        return shown, f"< {below:g}", holds
    paper = "" if record["paper"] is None else _number(record["paper"], record["paper_sd"], digits)
    if difference is None:
        return shown, paper, ""
    digits = digits or int(not float(difference).is_integer())
    return shown, paper, f"{difference:+z,.{digits}f}"


def _number(mean: float, sd: float | None, digits: int) -> str:
    """A mean ± standard deviation; a count with commas."""
    return f"{mean:,.0f}" if digits == 0 and sd is None else spread(mean, sd, digits)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; bars inside of cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(one.replace("|", "\\|") for one in line) + " |" for line in lines]


def plain(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Text on one line as code, whatever marks are in it."""
    text = " ".join(text.split())
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{marks}{space}{text}{space}{marks}"
