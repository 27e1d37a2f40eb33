"""The counts of the paper's Tables 1 and 2, on the real files."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from jaxiso.data.tasks import TASKS, load_task
from jaxiso.data.vectors import load_digits_task
from jaxiso.data.word2vec import word_vectors

LOCAL = ("polarity", "snli", "pos", "supersense", "cola", "rte", "sst2", "wnli")


@pytest.mark.parametrize("name", LOCAL)
def test_counts_of_the_paper(name, data_dir, targets_dir, capsys):
    with (targets_dir / "embed_params.csv").open() as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        rows = [row for row in lines if row["task"] == name]
    assert rows
    items = load_task(name, data_dir=data_dir)
    for row in rows:
        vectors, dim, inputs, classes, bias, parameters = (
            int(row[key]) for key in ("vectors", "dim", "inputs", "classes", "bias", "parameters")
        )
        if name != "pos":  # the paper's table says 11,462 there, its parameter count 14,466
            assert len(items) == int(row["items"])
        assert len(items.texts) == len(set(items.texts)) == vectors
        assert items.index.shape == (len(items), inputs)
        assert len(items.classes) == classes
        assert TASKS[name].bias == bool(bias)
        head = len(items.classes) * (items.index.shape[1] * dim + TASKS[name].bias)
        assert len(items.texts) * dim + head == parameters
    assert items.dropped == {}
    assert f"{name}: {len(items):,} items" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "clusters"), [("supersense", 830), ("pos", 15), ("snli", 3)])
def test_clusters(name, clusters, data_dir):
    items = load_task(name, data_dir=data_dir, quiet=True)
    np.testing.assert_array_equal(np.unique(items.clusters), np.arange(clusters))
    assert items.multilabel == (name != "snli")
    for cluster in range(0, clusters, 50):
        assert len(np.unique(items.targets[items.clusters == cluster], axis=0)) == 1


def test_every_class_occurs(data_dir):
    for name in LOCAL:
        items = load_task(name, data_dir=data_dir, quiet=True)
        used = (
            items.targets.any(axis=0).sum() if items.multilabel else len(np.unique(items.targets))
        )
        assert used == len(TASKS[name].classes)


@pytest.mark.parametrize("name", ["pos", "supersense"])
def test_every_word_has_a_vector(name, data_dir, capsys):
    items = load_task(name, data_dir=data_dir, quiet=True)
    vectors, found = word_vectors(items.texts, None, data_dir=data_dir)
    assert vectors.shape == (len(items), 300) and vectors.dtype == np.float32
    assert found.all() and items.keep(found) is items
    # the file's vectors are unit-length, at half precision
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=2e-3)
    assert f"{len(items):,} of {len(items):,} words, 300-d" in capsys.readouterr().err


def test_parity_is_of_the_digits():
    vectors, items = load_digits_task("parity")
    of_digits, digits = load_digits_task("digits")
    np.testing.assert_array_equal(vectors, of_digits)
    odd = [int(digits.classes[code]) % 2 for code in digits.targets]
    assert [items.classes[code] for code in items.targets] == ["odd" if o else "even" for o in odd]


def test_digits():
    vectors, items = load_digits_task("digits")
    assert vectors.shape == (1797, 64) and vectors.dtype == np.float32
    assert items.texts == [] and items.classes == TASKS["digits"].classes
    np.testing.assert_array_equal(items.index, np.arange(1797)[:, None])
    np.testing.assert_array_equal(items.targets, items.clusters)
