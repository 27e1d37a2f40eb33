"""`python -m jaxiso.report` as its users meet it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import damage, write_embed, write_latents, write_vae

from jaxiso.cli.console import InputError
from jaxiso.cli.files import locked
from jaxiso.papers import embed_targets, vae_targets
from jaxiso.report import document
from jaxiso.report.__main__ import main


def run_report(folder: Path, out: Path) -> tuple[dict, str]:
    main([str(folder), "--out", str(out), "--quiet"])
    return json.loads((out / "report.json").read_text()), (out / "report.md").read_text()


def test_without_any_run_all_rows_say_how_to_run_them(tmp_path, capsys):
    found, text = run_report(tmp_path, tmp_path / "report")
    assert all(row["ours"] is None and row["missing"] == "not run" for row in found["rows"])
    papers = [row for row in found["rows"] if row["table"].startswith("B, ")]
    assert len(papers) == sum(map(len, vae_targets().values()))
    # Items and parameters; r and ρ; and for Section 3.2 the largest deviation over seeds.
    assert len(found["rows"]) - len(papers) == 4 * len(embed_targets()) + 4
    assert len(found["not_run"]) == len(embed_targets()) + len(vae_targets())
    for one in found["not_run"]:
        assert f"`{one['command']}`" in text
    assert "the time is not known" in text and "Not drawn: no run of it." in text
    assert not list((tmp_path / "report").rglob("*.png"))
    assert "| wnli, mpnet | -0.8908 | -0.99994 |" in text and "| not run |" not in text
    said = capsys.readouterr()
    assert "Paper A: 0 of 28 setups" in said.out and "report.json" in said.out


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A trajectory, two of the paper's models, smaller ones, and what cannot be shown."""
    folder = tmp_path_factory.mktemp("runs")
    write_embed(folder / "wnli")
    first = {"rec": [96.0], "active_units": [32.0], "bleu2": [37.0], "mean_sq_norm": [0.1]}
    first |= {"accuracy": [85.0], "accuracy_0.1%": [60.0], "accuracy_deleted": [84.0]}
    second = {"rec": [94.0], "active_units": [31.0], "bleu2": [39.0], "nll": [101.5]}
    write_vae(folder / "iso0", first, seed=0)
    write_vae(folder / "iso1", second, seed=1)
    write_vae(folder / "dia0", first | {"mapper_components": [3.0]}, posterior="diagonal")
    small = {"hidden_dim": 64, "sentences": 500}
    write_vae(folder / "small", {"rec": [50.0], "silhouette_means": [0.2]}, **small)
    write_vae(folder / "ae", {"rec": [20.0]}, posterior="none", **small)
    write_vae(folder / "own", {"rec": [9.0]}, corpus="my <b>`_*|[x]\nfile.txt", **small)
    write_vae(folder / "bare", None, seed=2)
    write_embed(folder / "bad")
    damage("result.json")(folder / "bad")
    for salt, name in enumerate(("iso0", "dia0")):
        write_latents(folder / name, salt)
    return folder


def test_a_report_of_everything(runs, tmp_path, capsys):
    main([str(runs), "--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert "left out: " in err and "bad/result.json: is not as it was written" in err
    found, text = (
        json.loads((tmp_path / "report.json").read_text()),
        (tmp_path / "report.md").read_text(),
    )
    first, *_, models, compared = found["summary"]
    assert first == "Paper A: 1 of 28 setups have been run with its settings."
    assert models == (
        "Paper B: 2 of 14 models have been trained with its settings and evaluated; 3 more are "
        "listed below."
    )
    assert "as in the paper in all pairs for BLEU-2; in none for active units" in compared
    # Summary first, then what there is, then what there is not.
    heads = re.findall("^# .*|^## .*", text, flags=re.MULTILINE)
    assert [head.split(":")[0] for head in heads] == [
        *("# Both papers, and our runs", "## Paper A", "## Paper B", "## Other runs"),
        *("## Not run, or not with all seeds", "## Directories that were left out"),
    ]
    assert text.index("largest distance") < text.index("## Paper A")
    assert text.index("| wnli, minilm | ") < text.index("## Not run") < text.index("| rte, mpnet |")
    assert [Path(one["run"]).name for one in found["not_read"]] == ["bad"]
    assert [Path(run).name for run in found["not_evaluated"]] == ["bare"]
    seeds = {one["label"]: one["seeds"] for one in found["not_run"]}
    assert seeds["dbpedia, isotropic, C = 15"] == 2 and seeds["dbpedia, none"] == 0
    assert "wnli, minilm" not in seeds
    for file in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (tmp_path / file).stat().st_size > 1000, file
    drawn = {one["name"]: one["files"] for one in found["figures"]}
    assert drawn["paper_a_figure2"] is None and len(drawn) == 7
    assert drawn["paper_a_figure4"] == [f"figures/paper_a_figure4.{s}" for s in ("png", "pdf")]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        Path(file).name for files in drawn.values() for file in files or ()
    )
    assert "imputed   a b e" in text and "## Directories that were left out" in text
    assert f"`python -m jaxiso.vae evaluate {runs}/bare`" in text
    # A name with marks of Markdown in it neither breaks a table nor becomes HTML.
    assert "| my \\<b\\>\\`\\_\\*\\|\\[x\\] file.txt, isotropic, C = 15 (1 seed) | 9.00 |" in text
    assert "### my \\<b\\>" in text and "<b>" not in text.split("wrote")[0]
    # What cannot be drawn any more is deleted, and what is not ours stays.
    (tmp_path / "figures" / "mine.png").write_text("mine")
    again, _ = run_report(tmp_path, tmp_path)
    assert again["rows"][-1]["ours"] is None
    assert [path.name for path in tmp_path.rglob("*.png")] == ["mine.png"]


class Page(HTMLParser):
    """What an HTML file has in it: how often each tag, attributes, pictures, and tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: dict[str, set[str]] = {}
        self.pictures: list[bytes] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")
            if name == "src":
                kind, _, data = (value or "").partition(",")
                assert kind == "data:image/png;base64"
                self.pictures.append(base64.b64decode(data, validate=True))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_one_file_that_can_be_sent(runs, tmp_path):
    found, text = run_report(runs, tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert not page.open and not page.tags.keys() & {"script", "a", "b", "link", "iframe"}
    assert page.attributes.keys() == {
        *("lang", "charset", "http-equiv", "content", "name", "src", "alt")
    }
    assert page.tags["table"] == len(re.findall(r"^\|( ---)", text, flags=re.MULTILINE)) > 8
    assert page.tags["tr"] == len(re.findall(r"^\|", text, flags=re.MULTILINE)) - page.tags["table"]
    drawn = [one for one in found["figures"] if one["files"]]
    files = [(tmp_path / one["files"][0]).read_bytes() for one in drawn]
    assert page.pictures == files and len(files) >= 4
    assert page.attributes["alt"] == {one["title"] for one in drawn}


def test_a_run_given_twice_counts_once(tmp_path, capsys):
    write_vae(tmp_path / "a", {"rec": [90.0]})
    arguments = [str(tmp_path / "a"), f"{tmp_path}/./a/", "--out", str(tmp_path / "report")]
    main(arguments)
    text = (tmp_path / "report" / "report.md").read_text()
    assert (
        "| dbpedia, isotropic, C = 15 (1 seed) | ours | 90.00 |" in text and "90.00 ±" not in text
    )
    assert "no run found" not in capsys.readouterr().err


def test_ctrl_c_leaves_the_old_report(tmp_path, monkeypatch):
    out = tmp_path / "report"
    run_report(tmp_path, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    write_embed(tmp_path / "wnli")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(document, "save_figure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_report(tmp_path, out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    # While files are written, it waits for the last of them.
    monkeypatch.undo()
    replacing = document.replacing

    def signalled(path: Path):
        if path.name == "report.md":
            os.kill(os.getpid(), signal.SIGINT)
        return replacing(path)

    monkeypatch.setattr(document, "replacing", signalled)
    found, text = run_report(tmp_path, out)
    assert "wnli" in {row["row"].split(",")[0] for row in found["rows"] if row["ours"]}
    assert "Paper A: 1 of 28" in text and (out / "figures" / "paper_a_figure4.pdf").exists()


def test_paths_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="nowhere: there is no such directory"):
        main([str(tmp_path / "nowhere")])
    write_embed(tmp_path / "run")
    with pytest.raises(InputError, match=r"--out .*is a run directory"):
        main(["--out", str(tmp_path / "run")])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*cannot be written"):
        main([str(tmp_path), "--out", str(tmp_path / "file" / "x")])
    with pytest.raises(InputError, match="file: is a file"):
        main([str(tmp_path / "file")])
    (tmp_path / "out").mkdir()
    with (
        locked(tmp_path / "out", "writing this report"),
        pytest.raises(InputError, match="another process is writing this report"),
    ):
        main([str(tmp_path), "--out", str(tmp_path / "out")])


def test_the_command_on_names_that_are_no_utf8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    (folder / "run").mkdir(parents=True)
    write_embed(tmp_path / "wnli")
    (tmp_path / "wnli").rename(folder / "wnli")
    arguments = [sys.executable, "-m", "jaxiso.report", str(folder), "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(arguments, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Paper A: 0 of 28" in done.stdout and b"left out: " in done.stderr
    assert "caf\\\\udce9/wnli" in (tmp_path / "out" / "report.md").read_text()
