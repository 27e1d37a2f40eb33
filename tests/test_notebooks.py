"""The notebooks: paired with their scripts, with their pictures, and executed top to bottom."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
NAMES = ["beyond", "both_papers", "glue", "isotropy_vs_clusters", "theory", "vae"]
AGAIN = "run `jupytext --sync notebooks/*.py && jupyter execute --inplace notebooks/*.ipynb`"

# Python's own connections; those of the kernel to the test are made by another library.
OFFLINE = """
import socket

def refuse(self, address):
    raise AssertionError(f"reaches for the network: {address}")

socket.socket.connect = socket.socket.connect_ex = refuse
"""


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Of each code cell, the kinds of its outputs."""
    return [
        [", ".join(sorted(output.get("data", [output.output_type]))) for output in cell.outputs]
        for cell in code_cells(notebook)
    ]


def check_outputs(notebook: nbformat.NotebookNode) -> None:
    """No errors, no warnings, and nothing of the machine that they were made on."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", output.text
        for mime, text in output.get("data", {"text": output.get("text", "")}).items():
            if not mime.startswith("image/"):
                places = re.findall(r"(?<![\w.~])/(?:[\w.-]+/)+[\w.-]*|[A-Z]:\\\S+", text)
                assert not places, (places, text)
                assert str(Path.home()) not in text.split()


def test_every_script_has_its_notebook():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.py")) == NAMES
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_script_and_notebook_say_the_same(name):
    script = jupytext.read(NOTEBOOKS / f"{name}.py")
    of_script, of_notebook = (
        [(cell.cell_type, cell.source) for cell in notebook.cells]
        for notebook in (script, read(name))
    )
    assert of_script == of_notebook, AGAIN
    assert script.cells[0].source.startswith("# ") and "**Question.**" in script.cells[0].source


@pytest.mark.parametrize("name", NAMES)
def test_notebook_shows_its_pictures(name):
    notebook = read(name)
    nbformat.validate(notebook)
    check_outputs(notebook)
    assert any("image/png" in kind for cell in kinds(notebook) for kind in cell), AGAIN
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), f"not from top to bottom: {AGAIN}"
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < 500_000


def snapshot() -> dict[Path, tuple[int, int]]:
    """Size and time of all files that a notebook might write to."""
    files = [path for folder in (NOTEBOOKS, ROOT / "runs/reference") for path in folder.rglob("*")]
    found = {path: path.stat() for path in files if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_offline_and_changes_nothing(name, tmp_path, monkeypatch):
    # A checkout with no runs but those of the repository, whatever the developer has made.
    for folder in ("notebooks", "runs", "jupyter"):
        (tmp_path / folder).mkdir()
    (tmp_path / "runs/reference").symlink_to(ROOT / "runs/reference")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "jupyter"))
    before = snapshot()
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(OFFLINE))
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[])),
        timeout=600,
        resources={"metadata": {"path": str(tmp_path / "notebooks")}},
    )
    client.execute()
    notebook.cells.pop(0)
    check_outputs(notebook)
    assert kinds(notebook) == kinds(read(name)), f"the outputs are out of date: {AGAIN}"
    assert snapshot() == before
    assert os.listdir(tmp_path / "runs") == ["reference"] and not os.listdir(tmp_path / "notebooks")
