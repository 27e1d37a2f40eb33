"""The models of paper B that a report shows: evaluations pooled over seeds, and chosen among."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxiso.experiments.papers import VAE_TARGETS
from jaxiso.report_runs import VAERun
from jaxiso.vae_evaluation import Options as EvaluationOptions
from jaxiso.vae_tables import Model, pool

VAERow = tuple[str, str, float | None]
"""Corpus, posterior and C."""


class Evaluated(NamedTuple):
    """Evaluations of one model, and the runs that they are of.

    Attributes:
        model: the numbers, one a seed.
        runs: where they are from.
        differences: what keeps them from being the paper's.
    """

    model: Model
    runs: tuple[VAERun, ...]
    differences: list[str]

    @property
    def row(self) -> VAERow:
        """Corpus, posterior and C."""
        config = self.model.config
        return config["corpus"], config["posterior"], self.model.target_kl

    @property
    def seeds(self) -> int:
        """Number of trained models."""
        return max(map(len, self.model.values.values()), default=0)

    @property
    def written(self) -> float:
        """When the newest of the runs was, in seconds since 1970."""
        return max(run.written for run in self.runs)

    @property
    def reproduces(self) -> bool:
        """Whether its numbers stand beside the paper's."""
        return bool(self.model.reported) and not self.differences


def pool_runs(runs: Sequence[VAERun]) -> list[Evaluated]:
    """Brings evaluations together that differ by their seeds only; by corpus, C and posterior.

    Where runs share seeds, as one with seeds 0 and one with seeds 0 to 2, the larger or else the
    newer one counts.
    """
    groups: list[list[VAERun]] = []
    evaluated = [run for run in runs if run.evaluation is not None]
    for run in sorted(evaluated, key=lambda run: (-run.config["seeds"], -run.written)):
        same = [group for group in groups if len(_pool([group[0], run])) == 1]
        if not same:
            groups.append([run])
        # Seed i of a run is the same, however many there are.
        elif all(run.config["seed"] != other.config["seed"] for other in same[0]):
            same[0].append(run)
    models = [_evaluated(sorted(group, key=lambda run: str(run.directory))) for group in groups]
    order = ("none", "diagonal", "isotropic")
    return sorted(models, key=lambda m: (m.row[0], m.row[2] or 0, order.index(m.row[1])))


def _pool(runs: Sequence[VAERun]) -> list[Model]:
    return pool([run.evaluation or {} for run in runs])


def _evaluated(runs: Sequence[VAERun]) -> Evaluated:
    (model,) = _pool(runs)
    differences = list(model.unlike_the_paper)
    for run in runs:
        evaluation = run.evaluation or {}
        if evaluation["updates"] != run.updates:
            differences.append(
                f"evaluated after {evaluation['updates']:,} of {run.updates:,} updates"
            )
        chosen = evaluation["settings"].get("classification", {})
        usual = EvaluationOptions(()).initialisations
        if chosen.get("initialisations", usual) != usual and chosen.get("protocol") == "paper":
            differences.append(f"{chosen['initialisations']} probes of each kind, not {usual}")
    return Evaluated(model, tuple(runs), list(dict.fromkeys(differences)))


def best_models(models: Sequence[Evaluated]) -> dict[VAERow, Evaluated]:
    """The model with the most seeds of each row that is reproduced; the newest of several."""
    best: dict[VAERow, Evaluated] = {}
    for model in sorted(models, key=lambda model: (model.seeds, model.written)):
        if model.reproduces and model.row in VAE_TARGETS:
            best[model.row] = model
    return best


def comparable(models: Sequence[Evaluated]) -> list[Evaluated]:
    """For each corpus of the paper the most models that differ in posterior and C only.

    Models as in the paper come before others, and then the larger and the newer set.
    """
    sets: dict[str, dict[tuple[str, float | None], Evaluated]] = {}
    corpora = {corpus for corpus, _, _ in VAE_TARGETS}
    for model in sorted(models, key=lambda m: (m.seeds, m.written)):
        config = model.model.config
        if config["corpus"] not in corpora or config["objective"] != "vae":
            continue
        own = {"posterior", "C", "seed", "seeds"}
        same = repr(sorted((k, repr(v)) for k, v in config.items() if k not in own))
        key = f"{same} {model.model.updates}"
        sets.setdefault(key, {})[config["posterior"], model.model.target_kl] = model
    best: dict[str, list[Evaluated]] = {}

    def goodness(found: Sequence[Evaluated]) -> tuple[bool, int, int, float]:
        newest = max(model.written for model in found)
        seeds = sum(model.seeds for model in found)
        return not any(model.differences for model in found), len(found), seeds, newest

    for found in sorted((list(found.values()) for found in sets.values()), key=goodness):
        best[found[0].row[0]] = found
    order = {row: place for place, row in enumerate(VAE_TARGETS)}
    chosen = [model for found in best.values() for model in found]
    return sorted(chosen, key=lambda model: (order.get(model.row, len(order)), model.row[2] or 0))
