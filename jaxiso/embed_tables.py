"""The printed result of `python -m jaxiso.embed`: beside the paper's, or a row for each weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

NAMES = {
    "isoscore": "IsoScore",
    "silhouette": "Silhouette",
    "loss": "Loss",
    "accuracy": "Accuracy",
    "calinski_harabasz": "Calinski-Harabasz",
    "davies_bouldin": "Davies-Bouldin",
    "dunn": "Dunn",
    "test_isoscore": "IsoScore, held out",
    "test_silhouette": "Silhouette, held out",
    "test_accuracy": "Accuracy, held out",
}


def result_table(result: Mapping[str, Any]) -> Table:
    """The table of a result: this run beside the paper's, or a row for each weight of isotropy."""
    from rich.table import Table

    encoder = f", {result['encoder']}" if result["encoder"] else ""
    title = f"{result['task']}{encoder}"
    if "frontier" in result:
        return _frontier(result["frontier"], title, result["thinned"])
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in ("this run", "paper", "difference"):
        table.add_column(name, justify="right")
    for row in _rows(result):
        table.add_row(*row)
    return table


def _frontier(frontier: list[Mapping[str, Any]], title: str, thinned: bool) -> Table:
    """Where training ends for each weight of isotropy, under where all of them start."""
    from rich.table import Table

    names = ("isoscore", "silhouette", "accuracy", "test_accuracy", "loss")
    shown = [name for name in names if name in frontier[0]["final"]]
    table = Table(title=f"{title}: final means over seeds", title_justify="left")
    for name in ("λ", *(NAMES[name] for name in shown), "r"):
        table.add_column(name, justify="right")
    table.add_row("start", *(_number(frontier[0]["start"][name]["mean"]) for name in shown))
    mark = " *" if thinned else ""
    for row in frontier:
        final = (_number(row["final"][name]["mean"]) for name in shown)
        table.add_row(f"{row['isotropy']:g}", *final, f"{_number(row['pearson_r'], 4)}{mark}")
    return table


def _mean_and_sd(found: Mapping[str, float | None]) -> str:
    sd = "" if found["sd"] is None else f" ± {found['sd']:.5f}"
    return "not finite" if found["mean"] is None else f"{found['mean']:.5f}{sd}"


def remarks(result: Mapping[str, Any]) -> list[str]:
    """Lines below the table: how the run differs from the paper's, and what went wrong."""
    lines = [f"Not as in the paper: {line}" for line in result["not_as_in_the_paper"]]
    for summary in result.get("frontier", [result]):
        step = summary["diverged_at"]
        if step is not None:
            which = f" with λ = {summary['isotropy']:g}" if "isotropy" in summary else ""
            lines.append(
                f"Diverged{which}: not finite from update {step:,} on; lower --lr or --scale"
            )
    if result["thinned"]:
        lines.append(
            "* r over thinned measurements: not comparable with the paper, which measures after "
            "every update"
        )
    return lines


def _rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    paper = result["paper"] or {}
    mark = " *" if result["thinned"] else ""

    def row(label: str, key: str, digits: int):
        ours, theirs = result[key], paper.get(key)
        return (
            label,
            "not defined" if ours is None else f"{ours:.{digits}f}{mark}",
            "-" if theirs is None else f"{theirs:.{digits}f}",
            "" if ours is None or theirs is None else f"{ours - theirs:+.{digits}f}",
        )

    rows = [row("Pearson r", "pearson_r", 4), row("Spearman ρ", "spearman_rho", 5)]
    if paper and paper["spearman_rho"] is None:
        label, ours, _, _ = rows[1]
        rows[1] = (label, ours, "< -0.998", "")
    theirs = paper.get("parameters")
    rows.append(
        (
            "Parameters",
            f"{result['parameters']:,}",
            "-" if theirs is None else f"{theirs:,}",
            "" if theirs is None else f"{result['parameters'] - theirs:+,}",
        )
    )
    for key, label in NAMES.items():
        for when in ("start", "final"):
            if key in result[when]:
                rows.append((f"{label}, {when}", _mean_and_sd(result[when][key]), "-", ""))
    if result["largest_sd"] is not None:
        # Stated in Section 3.2, for the tasks whose ρ is not given each.
        limit = "< 0.0054" if paper and paper["spearman_rho"] is None else "-"
        label = "Largest sd over seeds, any step"
        rows.append((label, f"{result['largest_sd']:.5f}", limit, ""))
    return rows + _agreement(result)


def _agreement(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Whether the other indices of clusters move as the silhouette does, and against IsoScore."""
    return [
        (f"ρ({NAMES[index]}, {NAMES[other]})", _number(found["spearman_rho"]), "-", "")
        for index, others in result.get("agreement", {}).items()
        for other, found in others.items()
    ]


def _number(value: float | None, digits: int = 5) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
