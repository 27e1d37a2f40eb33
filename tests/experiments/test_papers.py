"""The papers' numbers in the package against the tables they were read from."""

from __future__ import annotations

import csv

from jaxiso.data import TASKS
from jaxiso.experiments.papers import EMBED_TARGETS


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def test_correlations(targets_dir):
    table = rows(targets_dir / "embed_correlations.csv")
    assert len(table) == sum(len(targets) for targets in EMBED_TARGETS.values()) == 28
    for row in table:
        target = EMBED_TARGETS[row["task"]][row["encoder"]]
        assert target.pearson_r == float(row["pearson_r"])
        rho = row["spearman_rho"]
        assert target.spearman_rho == (float(rho) if rho else None)
        assert TASKS[row["task"]].updates == int(row["updates"])


def test_parameters(targets_dir):
    for row in rows(targets_dir / "embed_params.csv"):
        target = EMBED_TARGETS[row["task"]][row["encoder"]]
        assert (target.items, target.parameters) == (int(row["items"]), int(row["parameters"]))
        task = TASKS[row["task"]]
        assert task.bias == bool(int(row["bias"]))
        assert len(task.classes) == int(row["classes"])
