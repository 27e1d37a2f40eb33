"""What a report begins with: what reproduces, how near to the papers, and what does not.

All of it is counted from the runs that the report has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from jaxiso.cli.console import several
from jaxiso.papers import embed_targets, vae_targets
from jaxiso.report.rows import Entry, Row, comparable, published
from jaxiso.report.table import markdown_table, plain

MEASURES_OF_A = {
    "items": ("items", 0),
    "parameters": ("trainable parameters", 0),
    "pearson_r": ("Pearson's r", 4),
    "spearman_rho": ("Spearman's ρ", 5),
}
BOUNDED = {"spearman_rho": "Spearman's ρ", "largest_sd": "the largest sd over seeds"}
MEASURES_OF_B = {
    "active_units": ("active units", 1),
    "rec": ("reconstruction loss", 2),
    "bleu2": ("BLEU-2", 2),
    "bleu4": ("BLEU-4", 2),
    "rouge2": ("ROUGE-2", 2),
    "rouge4": ("ROUGE-4", 2),
    "accuracy": ("accuracy of probes", 2),
    "accuracy_deleted": ("accuracy with 30 % of the words deleted", 2),
    "mean_sq_norm": ("squared norm of the aggregated posterior's mean", 2),
    "logdet_cov": ("log determinant of its covariance", 2),
    "isotropy_score_samples": ("isotropy score of the samples", 3),
    "isotropy_score_means": ("isotropy score of the means", 3),
}
"""Names for a summary, and decimals."""

Pair = tuple[str, float]
"""Corpus and C."""


class Summary(NamedTuple):
    """Sentences, as report.json and the command have them, and tables in Markdown."""

    sentences: list[str]
    tables: list[list[str]]


def summarise(chosen: Mapping[Row, Entry], models: Sequence[Entry]) -> Summary:
    """How far all that was run is from the papers.

    `chosen` reproduces rows of a paper; `models` are all that were evaluated.
    """
    of_a = [chosen[row] for row in embed_targets() if row in chosen]
    of_b = [chosen[row] for row in vae_targets() if row in chosen]
    more = len(models) - len(of_b)
    sentences = [
        f"Paper A: {len(of_a)} of {len(embed_targets())} setups have been run with its settings.",
        *_sentences_of_a(of_a),
        f"Paper B: {len(of_b)} of {len(vae_targets())} models have been trained with its "
        f"settings and evaluated; {more} more {'is' if more == 1 else 'are'} listed below.",
        *_sentences_of_b(comparable(models)),
    ]
    distances = [
        _distances("paper A", _groups_of_a(of_a), MEASURES_OF_A, _bounds(of_a)),
        _distances("paper B", {"": of_b}, MEASURES_OF_B, []),
        _comparison(comparable(models)),
    ]
    return Summary(sentences, [lines for lines in distances if lines])


def _groups_of_a(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The setups with the paper's data, and those whose words have to be others."""
    groups: dict[str, list[Entry]] = {"": [], "other words": []}
    for entry in entries:
        groups["other words" if "words" in entry.runs[0].unlike else ""].append(entry)
    return groups


def distances_from_paper(entries: Sequence[Entry], measure: str) -> dict[str, float]:
    """|ours - the paper's|, by the name of the row, where both have the measure."""
    return {
        entry.label: abs(ours.mean - numbers[measure].mean)
        for entry in entries
        if (ours := entry.measured(measure)) and measure in (numbers := published(entry.row)[0])
    }


def _distances(
    paper: str,
    groups: Mapping[str, Sequence[Entry]],
    measures: Mapping[str, tuple[str, int]],
    more: Sequence[list[str]],
) -> list[str]:
    rows = []
    for group, entries in groups.items():
        for measure, (name, digits) in measures.items():
            if found := distances_from_paper(entries, measure):
                most = max(found.values())
                where = max(found, key=lambda label: found[label]) if most else ""
                shown = (f"{value:,.{digits}f}" for value in (median(found.values()), most))
                of = f"{name}, {group}" if group else name
                rows.append([of, str(len(found)), *shown, plain(where)])
    header = [paper, "rows", "median distance", "largest distance", "of"]
    return markdown_table(header, [*rows, *more]) if rows else []


def _bounds(entries: Sequence[Entry]) -> list[list[str]]:
    """Where the paper gives a bound in place of numbers, whether it holds."""
    rows = []
    for measure, name in BOUNDED.items():
        bounds = {e.label: published(e.row)[1].get(measure) for e in entries}
        ours = {e.label: found.mean for e in entries if (found := e.measured(measure))}
        held = {o: ours[o] < b for o, b in bounds.items() if b is not None and o in ours}
        if held:
            (bound,) = {b for b in bounds.values() if b is not None}
            broken = [label for label, holds in held.items() if not holds]
            where = f"not {plain('; '.join(broken))}" if broken else ""
            holds = f"holds in {sum(held.values())}"
            rows.append([f"{name} below {bound:g}", str(len(held)), "", holds, where])
    return rows


def _sentences_of_a(entries: Sequence[Entry]) -> list[str]:
    sentences = []
    for group, of in _groups_of_a(entries).items():
        if found := distances_from_paper(of, "pearson_r"):
            farthest = max(found, key=lambda label: found[label])
            data = "With other words than its own" if group else "With its data"
            sentences.append(
                f"{data}, Pearson's r of IsoScore and silhouette is within {found[farthest]:.4f} "
                f"of the paper's in {several(len(found), 'setup')}; farthest: {farthest}."
            )
    moved = {e.label: _is_traded(e) for e in entries if _ends(e)}
    if moved:
        broken = [label for label, traded in moved.items() if not traded]
        but = f"; not in {'; '.join(broken)}" if broken else ""
        sentences.append(
            f"IsoScore falls and the silhouette rises from start to end in {sum(moved.values())} "
            f"of {several(len(moved), 'setup')}{but}."
        )
    return sentences


ENDS = ("isoscore_start", "isoscore_final", "silhouette_start", "silhouette_final")


def _ends(entry: Entry) -> list[float]:
    """IsoScore and silhouette at start and end; empty where one is missing."""
    found = [entry.values[name][0] for name in ENDS if name in entry.values]
    return found if len(found) == len(ENDS) else []


def _is_traded(entry: Entry) -> bool:
    isoscore, isoscore_final, silhouette, silhouette_final = _ends(entry)
    return isoscore_final < isoscore and silhouette_final > silhouette


def _gains(numbers: Mapping[Row, Mapping[str, float]], measure: str) -> dict[Pair, float]:
    """What the isotropic posterior has more of a measure than the diagonal one, with the same C."""
    means = {row: found[measure] for row, found in numbers.items() if measure in found}
    return {
        (corpus, target): mean - means[corpus, "diagonal", target]
        for (corpus, posterior, target), mean in means.items()
        if posterior == "isotropic" and (corpus, "diagonal", target) in means
    }


def _both_gains(models: Sequence[Entry]) -> dict[str, tuple[dict[Pair, float], dict[Pair, float]]]:
    """Of each measure that we have: the paper's gains and ours."""
    paper = {row: {m: n.mean for m, n in of.items()} for row, of in vae_targets().items()}
    ours = {
        model.row: {m: found.mean for m in MEASURES_OF_B if (found := model.measured(m))}
        for model in models
    }
    found = {m: (_gains(paper, m), _gains(ours, m)) for m in MEASURES_OF_B}
    return {measure: gains for measure, gains in found.items() if gains[1]}


def _alike(theirs: Mapping[Pair, float], ours: Mapping[Pair, float]) -> list[bool]:
    """For each pair that both have, whether the same posterior has more."""
    return [(theirs[pair] > 0) == (ours[pair] > 0) for pair in ours if pair in theirs]


def _comparison(models: Sequence[Entry]) -> list[str]:
    """The table of isotropic against diagonal posteriors."""

    def counted(gains: Mapping[Pair, float]) -> str:
        return f"{sum(gain > 0 for gain in gains.values())} of {len(gains)}" if gains else "–"

    rows = []
    for measure, (theirs, ours) in _both_gains(models).items():
        alike = _alike(theirs, ours)
        same = f"{sum(alike)} of {len(alike)}" if alike else "–"
        rows.append([MEASURES_OF_B[measure][0], counted(theirs), counted(ours), same])
    header = ["more of it with the isotropic posterior, same corpus and C", "paper B, pairs"]
    return markdown_table([*header, "ours, pairs", "as in the paper"], rows) if rows else []


def _sentences_of_b(models: Sequence[Entry]) -> list[str]:
    found: dict[str, list[str]] = {"all": [], "some": [], "none": []}
    for measure, (theirs, ours) in _both_gains(models).items():
        if alike := _alike(theirs, ours):
            kind = "all" if all(alike) else "some" if any(alike) else "none"
            found[kind].append(MEASURES_OF_B[measure][0])
    said = (("all", "all pairs for"), ("some", "some for"), ("none", "none for"))
    parts = [f"in {words} {', '.join(found[kind])}" for kind, words in said if found[kind]]
    if not parts:
        return []
    unlike = any(model.differences for model in models)
    but = "; how these models differ from the paper's is said with their numbers" * unlike
    return [
        "Which posterior has more of a measure, the isotropic or the diagonal one with the same C, "
        f"is as in the paper {'; '.join(parts)}{but}."
    ]
