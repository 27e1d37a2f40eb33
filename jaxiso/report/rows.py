"""Rows of both papers, and what is compared with them: a trajectory, or a model of several seeds.

Paper A's rows are (task, encoder), paper B's (corpus, posterior, C).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso import papers
from jaxiso.papers import Reported, embed_targets, vae_targets
from jaxiso.report.runs import FoundRun, path_text
from jaxiso.vae.evaluations import Model, identity, pool

Row = tuple[Any, ...]

NOT_DEFINED, ONE_SEED = "not defined", "one seed"


class Entry(NamedTuple):
    """What is compared with a row of a paper.

    Attributes:
        row: of the paper, or one that it has not.
        label: such as `rte, minilm` and `dbpedia, isotropic, C = 5`.
        values: of each measure; one a seed, or one that is of all seeds together.
        missing: why a measure has none.
        seeds: how many there are.
        runs: where they are from; empty where the row has not been run.
        differences: what keeps the numbers from being the paper's.
        remarks: what else is unlike the paper's.
        detail: the summary of the trajectory, as in result.json; or the pooled model.
    """

    row: Row
    label: str
    values: dict[str, list[float]]
    missing: dict[str, str]
    seeds: int
    runs: tuple[FoundRun, ...]
    differences: list[str]
    remarks: list[str]
    detail: Any

    @property
    def config(self) -> dict[str, Any]:
        """What determined the numbers, but for the seeds."""
        return self.runs[0].config

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics table of a trajectory."""
        return self.runs[0].metrics

    @property
    def written(self) -> float:
        """When the newest of the runs was, in seconds since 1970."""
        return max(run.written for run in self.runs)

    @property
    def unlike(self) -> list[str]:
        """All that is unlike the paper's."""
        return [*self.differences, *self.remarks]

    def measured(self, measure: str) -> Reported | None:
        """Mean and standard deviation over seeds; None where it has no value."""
        if not (values := self.values.get(measure)):
            return None
        return Reported.over(values)


def label_of(row: Row) -> str:
    """Such as `rte, minilm` and `dbpedia, isotropic, C = 5`."""
    parts = (f"C = {part:g}" if isinstance(part, float) else part for part in row)
    return ", ".join(part for part in parts if part)


def published(row: Row) -> tuple[dict[str, Reported], dict[str, float]]:
    """The paper's numbers for a row, by measure, and what it says that others are below."""
    if len(row) == 3:
        return papers.vae_target(*row), {}
    target = papers.embed_target(*row)
    if target is None:
        return {}, {}
    names = ("items", "parameters", "pearson_r", "spearman_rho")
    numbers = {name: getattr(target, name) for name in names}
    known = {name: Reported(number) for name, number in numbers.items() if number is not None}
    bounds = {"spearman_rho": papers.RHO_BELOW, "largest_sd": papers.SD_BELOW}
    return known, {} if "spearman_rho" in known else bounds


def entries_of_a(runs: Sequence[FoundRun]) -> list[Entry]:
    """The trajectory of each run of `jaxiso.embed`, or of each weight of isotropy in its loss."""
    return [
        _of_trajectory(run, summary)
        for run in runs
        for summary in run.result.get("frontier", [run.result])
    ]


def _of_trajectory(run: FoundRun, summary: dict[str, Any]) -> Entry:
    config, weight = run.config, summary.get("isotropy")
    row = (config["task"], config["encoder"] or "")
    decisive = papers.decisive(run.unlike)
    found: dict[str, Any] = {"items": config["items"], "parameters": run.parameters}
    found |= {name: summary[name] for name in ("pearson_r", "spearman_rho", "largest_sd")}
    missing = dict(summary.get("undefined", {}))  # runs of earlier versions do not say why
    for when, name in product(("start", "final"), ("isoscore", "silhouette")):
        found[f"{name}_{when}"] = summary[when][name]["mean"]
        missing[f"{name}_{when}"] = missing.get(f"{when} {name}", NOT_DEFINED)
    if config["seeds"] == 1:
        missing["largest_sd"] = ONE_SEED
    label = label_of(row) + ("" if weight is None else f", λ = {weight:g}")
    values = {name: [value] for name, value in found.items() if value is not None}
    why = {name: str(missing.get(name, NOT_DEFINED)) for name in found}
    differences = list(decisive.values())
    remarks = [line for name, line in run.unlike.items() if name not in decisive]
    if config["reduction"] == "mean":
        remarks.append(
            "a mean of the loss over items, where the paper's numbers are those of a sum"
        )
    return Entry(
        row, label, values, why, config["seeds"], (run,), differences, remarks, detail=summary
    )


def entries_of_b(runs: Sequence[FoundRun]) -> tuple[list[Entry], list[Path]]:
    """Evaluations that differ by their seeds only, pooled; sorted by corpus, C and posterior.

    Where runs share seeds (one with seeds 0 and one with seeds 0 to 2, or a run and its copy), the
    larger or else the newer one counts; the others are named.
    """
    groups: dict[str, list[FoundRun]] = {}
    for run in sorted(runs, key=lambda run: -run.written):
        if run.evaluation:  # as `pool` groups them, so that it makes one model of each group
            same = identity(run.evaluation["config"], run.evaluation["updates"])
            groups.setdefault(same, []).append(run)
    entries, doubles = [], []
    for group in groups.values():
        (model,) = pool([run.evaluation or {} for run in group])
        doubles += [run.directory for run in group if str(run.directory) in model.doubles]
        kept = [run for run in group if str(run.directory) not in model.doubles]
        entries.append(_of_model(model, sorted(kept, key=lambda run: str(run.directory))))

    def place(entry: Entry) -> tuple[Any, ...]:
        return *entry.detail.place, str(entry.runs[0].directory)

    return sorted(entries, key=place), sorted(doubles)


def _of_model(model: Model, runs: Sequence[FoundRun]) -> Entry:
    differences = model.unlike_the_paper
    for run in runs:
        if not run.result or run.updates != run.planned:
            what = "evaluated" if run.result else "not finished: evaluated"
            of = f" of {run.planned:,}" if run.planned else ""
            differences.append(f"{what} after {run.updates:,}{of} updates")
        probes = (run.evaluation or {})["settings"].get("classification", {})
        count = probes.get("initialisations", papers.VAE_PROBES)
        if count != papers.VAE_PROBES and probes.get("protocol") == "paper":
            differences.append(f"{count} probes of each kind, not {papers.VAE_PROBES}")
    differences += [f"no {measure}: {why}" for measure, why in model.remarks.items()]
    if model.config["objective"] != "vae":
        differences.append(f"the objective {model.config['objective']}")
    row = (model.config["corpus"], model.config["posterior"], model.target_kl)
    values, why, unlike = model.values, model.remarks, list(dict.fromkeys(differences))
    seeds = max(map(len, values.values()), default=0)
    return Entry(row, model.name, values, why, seeds, tuple(runs), unlike, [], detail=model)


def best(entries: Sequence[Entry]) -> dict[Row, Entry]:
    """Of each row of the papers that is reproduced the entry with the most seeds, or the newest.

    Trajectories under a mean of the loss come after those under a sum.
    """

    def place(entry: Entry) -> tuple[bool, int, float]:
        return not _is_mean(entry), entry.seeds, entry.written

    found = {entry.row: entry for entry in sorted(entries, key=place) if not entry.differences}
    return {row: found[row] for row in (*embed_targets(), *vae_targets()) if row in found}


def _is_mean(entry: Entry) -> bool:
    """Whether it is a trajectory under a mean of the loss."""
    return entry.config.get("reduction") == "mean"


def others(entries: Sequence[Entry], chosen: Mapping[Row, Entry]) -> list[Entry]:
    """The entries that stand in no table of the papers; their differences say why."""
    found, known = [], {*embed_targets(), *(corpus for corpus, _, _ in vae_targets())}
    for entry in entries:
        stands, differences = chosen.get(entry.row), entry.differences
        if stands is entry:
            continue
        if not differences and stands:
            where = path_text(stands.runs[0].directory)
            summed = _is_mean(entry) and not _is_mean(stands)
            why = "has a sum of the loss" if summed else "has more seeds or is newer"
            differences = [f"none, but the paper's tables show {where}, which {why}"]
        if not differences or known.isdisjoint({entry.row, entry.row[0]}):
            differences = ["the paper has no such row", *differences]
        found.append(entry._replace(differences=differences))
    return found


def comparable(models: Sequence[Entry]) -> list[Entry]:
    """For each corpus of paper B the most models that differ in posterior and C only.

    Models as in the paper come before others, and then the larger and the newer set. Of one model
    that which has been trained the longest counts, whether its training is finished or not.
    """
    sets: dict[str, dict[Row, Entry]] = {}
    corpora = {corpus for corpus, _, _ in vae_targets()}
    for model in sorted(models, key=lambda m: (m.detail.updates, m.seeds, m.written)):
        if model.row[0] in corpora and model.config["objective"] == "vae":
            same = identity(model.config, but=("posterior", "C"))
            sets.setdefault(same, {})[model.row] = model

    def goodness(found: Mapping[Row, Entry]) -> tuple[bool, int, int, float]:
        of = found.values()
        newest, seeds = max(model.written for model in of), sum(model.seeds for model in of)
        return not any(model.differences for model in of), len(of), seeds, newest

    chosen = {next(iter(found))[0]: found for found in sorted(sets.values(), key=goodness)}
    order = {row: place for place, row in enumerate(vae_targets())}
    shown = [model for found in chosen.values() for model in found.values()]
    return sorted(shown, key=lambda model: (order.get(model.row, len(order)), model.row[2] or 0))
