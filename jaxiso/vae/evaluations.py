"""Evaluations of LSTM-VAEs: their files, and those of runs that differ by their seeds, pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxiso import papers
from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_object
from jaxiso.manifest import verify
from jaxiso.papers import Reported
from jaxiso.run_files import EVALUATION
from jaxiso.vae.configs import complete_config, kl_words
from jaxiso.vae.options import has_target

POSTERIORS = ("none", "diagonal", "isotropic")
"""In the order in which models are shown."""


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

    Raises InputError: it is damaged.
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


def name_of(config: Mapping[str, Any]) -> str:
    """What a model with one target KL is called, such as `dbpedia, isotropic, C = 5`."""
    parts = [config["corpus"], config["posterior"]]
    if config["objective"] != "vae":
        parts.append(config["objective"])
    if has_target(config):
        parts.append(f"C = {config['C']:g}")
    return ", ".join(parts + kl_words(config))


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
    def place(self) -> tuple[str, float, int]:
        """By which models are sorted: corpus, C, posterior."""
        posterior = POSTERIORS.index(self.config["posterior"])
        return self.config["corpus"], self.target_kl or 0, posterior

    @property
    def name(self) -> str:
        """Such as `dbpedia, isotropic, C = 5`."""
        return name_of(self.config)

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


def identity(config: Mapping[str, Any], *more: object, but: tuple[str, ...] = ()) -> str:
    """The same for models that differ by their seeds, and `but` for these options, only.

    As text, in which a C of 15 and one of 15.0 differ.
    """
    same = {name: value for name, value in config.items() if name not in ("seed", "seeds", *but)}
    return repr((sorted(same.items()), more))


def pool(evaluations: Sequence[Mapping[str, Any]]) -> list[Model]:
    """Brings runs together that differ by their seeds only; sorted by corpus, C and posterior.

    Seed i of a run is the same however many there are: of two runs that start from the same seed,
    as a run and its copy, the one with more seeds counts, and the other is in `doubles`.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for evaluation in evaluations:
        same = identity(evaluation["config"], evaluation["updates"])
        groups.setdefault(same, []).append(evaluation)
    return sorted(map(_pooled, groups.values()), key=lambda model: model.place)


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
