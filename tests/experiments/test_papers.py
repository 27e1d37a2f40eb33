"""The papers' numbers in the package against the tables they were read from."""

from __future__ import annotations

import csv

from jaxiso.data import TASKS
from jaxiso.experiments.papers import EMBED_TARGETS, TABLE4, VAE_TARGETS, Reported


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


def posterior(row) -> str:
    return "none" if row["posterior"] == "autoencoder" else row["posterior"]


def test_tables_of_the_vae(targets_dir):
    numbers = 0
    for row in rows(targets_dir / "vae_table4.csv"):
        kl = float(row["C"]) if row["C"] else None
        target = VAE_TARGETS[row["corpus"].lower(), posterior(row), kl]
        for name in TABLE4:
            if not row[name]:
                assert name not in target
                continue
            assert target[name] == Reported(float(row[name]), float(row[f"{name}_sd"]))
            numbers += 1
    names = {"isotropy_samples": "isotropy_score_samples", "isotropy_means": "isotropy_score_means"}
    for row in rows(targets_dir / "vae_isotropy.csv"):
        kind = posterior(row)
        target = VAE_TARGETS[row["corpus"].lower(), kind, None if kind == "none" else 15]
        for column in ("mean_sq_norm", "logdet_cov", *names):
            if row[column]:
                assert target[names.get(column, column)] == Reported(float(row[column]))
                numbers += 1
    for row in rows(targets_dir / "vae_robustness.csv"):
        kind = posterior(row)
        target = VAE_TARGETS[row["corpus"].lower(), kind, None if kind == "none" else 15]
        assert target["accuracy_deleted"] == Reported(float(row["accuracy"]))
        numbers += 1
    assert numbers == sum(len(target) for target in VAE_TARGETS.values())
