"""The notebooks: paired with their scripts, with their pictures, and executed top to bottom.

`python tests/test_notebooks.py [NAME …]` makes the .ipynb files anew from the .py files.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
NAMES = [
    *("beyond", "both_papers", "glue", "isotropy_vs_clusters", "sample_size", "theory"),
    *("transforms", "vae", "why_r_depends_on_n", "your_own_vectors"),
]
AGAIN = "run `python tests/test_notebooks.py`"

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python"},
}

# Python's own connections; those of the kernel to the test are made by another library. And one
# thread for small products: several that wait for each other took twice the CPU time.
BEFORE = """
import os
import socket

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

def refuse(self, address):
    raise AssertionError(f"reaches for the network: {address}")

socket.socket.connect = socket.socket.connect_ex = refuse
"""


class OwnKernel(AsyncKernelManager):
    """A kernel of this Python, whatever kernels the user has installed."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)


def execute(name: str, folder: Path) -> nbformat.NotebookNode:
    """A notebook with its outputs, made offline from its script.

    It runs in an empty folder that stands for a checkout with no runs but the repository's own,
    whatever the developer has made.
    """
    for inner in ("notebooks", "runs"):
        (folder / inner).mkdir()
    (folder / "runs/reference").symlink_to(ROOT / "runs/reference")
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE))
    NotebookClient(
        notebook,
        kernel_manager_class=OwnKernel,
        timeout=600,
        record_timing=False,
        resources={"metadata": {"path": str(folder / "notebooks")}},
    ).execute()
    del notebook.cells[0]
    # No version, date or random number, so that only what was found makes a difference.
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    for number, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return notebook


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
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    before = snapshot()
    notebook = execute(name, checkout)
    check_outputs(notebook)
    assert kinds(notebook) == kinds(read(name)), f"the outputs are out of date: {AGAIN}"
    assert snapshot() == before
    left = sorted(path.relative_to(checkout).as_posix() for path in checkout.rglob("*"))
    assert left == ["notebooks", "runs", "runs/reference"]


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as made:
            jupytext.write(execute(chosen, Path(made)), NOTEBOOKS / f"{chosen}.ipynb")
