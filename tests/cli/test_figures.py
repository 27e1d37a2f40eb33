from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from jaxiso.cli.console import InputError
from jaxiso.cli.figures import save_figure


def test_png_and_pdf(tmp_path):
    figure = Figure(figsize=(1, 1))
    saved = save_figure(figure, tmp_path / "new" / "a.b")
    assert [path.name for path in saved] == ["a.b.png", "a.b.pdf"]
    assert saved[0].read_bytes().startswith(b"\x89PNG")
    assert saved[1].read_bytes().startswith(b"%PDF")
    first = [path.read_bytes() for path in saved]
    assert [path.read_bytes() for path in save_figure(figure, tmp_path / "new" / "a.b")] == first
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("path", ["", ".", "/", ".."])
def test_a_figure_needs_a_name(path):
    with pytest.raises(InputError, match="no file name"):
        save_figure(Figure(), Path(path))


@pytest.mark.parametrize("name", ["a.b", "a.b.png", "a.b.PDF"])
def test_only_its_own_suffixes_are_taken_off_a_name(tmp_path, name):
    saved = save_figure(Figure(), tmp_path / name)
    assert [file.name for file in saved] == ["a.b.png", "a.b.pdf"]
