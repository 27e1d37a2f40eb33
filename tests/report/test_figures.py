"""The figures of both papers, of made-up runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_runs import damage, set_in, write_embed, write_latents, write_vae

from jaxiso.report.figures import figure_trajectories, figures_of_a, figures_of_b
from jaxiso.report.rows import best, entries_of_a, entries_of_b
from jaxiso.report.runs import find_runs


def test_trajectories_have_two_panels_a_task_and_a_line_an_encoder(tmp_path):
    values = write_embed(tmp_path / "a", seeds=2)
    write_embed(tmp_path / "b", encoder="mpnet", dim=768)
    scored = write_embed(tmp_path / "c", task="rte", items=2490, vectors=4523)["isoscore"]
    chosen = best(entries_of_a(find_runs([tmp_path]).embed))
    figure = figure_trajectories(chosen)
    shown = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(shown) == ["rte", "wnli"]
    lines = shown["wnli"].get_lines()
    assert len(lines) == 2 and len(shown["rte"].get_lines()) == 1
    mean = values["silhouette"].mean(axis=1)
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata(), float), mean, atol=1e-6)
    (scores,) = [ax for ax in figure.axes if ax.get_ylabel() == "Log-norm. IsoScore"]
    logs = np.log(scored)
    expected = ((logs - logs.min()) / np.ptp(logs)).mean(axis=1)
    drawn = np.asarray(scores.get_lines()[0].get_ydata(), float)
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["minilm", "mpnet"]
    two, three, four = figures_of_a(chosen)
    assert two.figure is None and three.figure is None and four.figure is not None
    assert two.notes == [
        "Not run: polarity, minilm; snli, minilm; pos, word2vec; supersense, word2vec."
    ]
    assert four.notes[0] == "Means over 2 or 5 seeds."
    assert "rte, minilm;" not in four.notes[1] and "rte, mpnet;" in four.notes[1]


def codes(folder: Path, name: str):
    return next(d for d in figures_of_b(entries_of_b(find_runs([folder]).vae)[0]) if name in d.name)


@pytest.fixture
def pair(tmp_path) -> Path:
    for salt, posterior in enumerate(("isotropic", "diagonal")):
        write_vae(tmp_path / posterior, {"mapper_components": [3.0]}, posterior=posterior)
        write_latents(tmp_path / posterior, salt)
    return tmp_path


def test_codes_of_both_posteriors(pair):
    tsne, mapper = codes(pair, "tsne"), codes(pair, "mapper")
    assert tsne.figure is not None and mapper.figure is not None
    assert [ax.get_title() for ax in tsne.figure.axes] == ["diagonal", "isotropic"]
    assert "Components over all test sentences, by seed: diagonal 3; isotropic 3." in mapper.notes


def test_codes_that_cannot_be_read_are_named(pair):
    damage("latents.npz")(pair / "diagonal")
    (note,) = [note for note in codes(pair, "tsne").notes if "latents.npz" in note]
    assert "cannot be read" in note and "not as it was written" in note
    set_in("config.json", lambda file: None)(pair / "isotropic")  # one without a manifest
    np.savez(
        pair / "isotropic" / "latents.npz", means=np.full((9, 4), np.nan), tsne=np.ones((9, 2))
    )
    found = codes(pair, "tsne")
    assert found.figure is None and "its codes are not finite" in " ".join(found.notes)


def test_nothing_to_draw():
    assert [drawn.figure for drawn in figures_of_b([])] == [None] * 4
