"""`python -m jaxiso.report` as its users meet it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import EMBED, damage, write_embed, write_latents, write_vae

from jaxiso.cli.console import InputError
from jaxiso.cli.files import locked
from jaxiso.cli.options import parse
from jaxiso.embed.options import Options as EmbedOptions
from jaxiso.papers import embed_targets, vae_targets
from jaxiso.report import document
from jaxiso.report.__main__ import main
from jaxiso.report.document import (
    cost_text,
    embed_cost,
    embed_operations,
    list_not_run,
    vae_cost,
    vae_operations,
)
from jaxiso.report.rows import best, entries_of_a
from jaxiso.report.runs import Found, find_runs
from jaxiso.vae.options import Options as VAEOptions
from jaxiso.vae.options import with_defaults


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
    assert found["summary"] == [
        "Paper A: 1 of 28 setups have been run with its settings.",
        "Paper B: 2 of 14 models have been trained with its settings and evaluated; 3 more are "
        "listed below.",
    ]
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
    assert "| my \\<b\\>\\`\\_\\*\\|\\[x\\] file.txt, isotropic, C = 15 (1 seed) | ours |" in text
    assert (
        "<summary>my \\&lt;b" in text and "<b>" not in text.replace("<b>`", "", 0).split("wrote")[0]
    )
    # What cannot be drawn any more is deleted, and what is not ours stays.
    (tmp_path / "figures" / "mine.png").write_text("mine")
    again, _ = run_report(tmp_path, tmp_path)
    assert again["rows"][-1]["ours"] is None
    assert [path.name for path in tmp_path.rglob("*.png")] == ["mine.png"]


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


def test_defaults_of_the_commands_are_the_papers():
    named = set()
    for one in list_not_run({}, Found([], [], [])):
        train, _, evaluate = one["command"].partition(" && ")
        python, m, module, *arguments = shlex.split(train)
        assert (python, m, one["seeds"]) == ("python", "-m", 0)
        assert one["cost"]["operations"] > 1e11
        if module == "jaxiso.embed":
            options = parse(EmbedOptions, prog="", description="", arguments=arguments)
            words = options.task in ("pos", "supersense")
            named.add((options.task, "word2vec" if words else options.encoder))
            assert options.seeds == 5 == one["of"]
        else:
            assert module == "jaxiso.vae"
            options = with_defaults(parse(VAEOptions, prog="", description="", arguments=arguments))
            assert options.C and len(options.C) == 1
            target = None if options.posterior == "none" else options.C[0]
            named.add((options.corpus, options.posterior, target))
            assert options.seeds == 3 == one["of"]
            assert evaluate == f"python -m jaxiso.vae evaluate {options.out}"
    assert named == embed_targets().keys() | vae_targets().keys()


def test_operations_by_hand():
    # 251 measurements of 635 pairs and 925 vectors, and 250 updates, of 5 seeds.
    by_hand = 251 * (635**2 * 768 / 2 + 925 * 384**2) + 250 * 3 * 635 * 768 * 2
    assert embed_operations(EMBED) == 5 * by_hand
    large = EMBED | {"items": 10**6, "vectors": 10**6, "updates": 10, "every": 4, "seeds": 1}
    measurement = 20_000**2 * 768 / 2 + 20_000 * 384**2
    assert embed_operations(large) == 4 * measurement + 10 * 3 * 10**6 * 768 * 2
    config = {"tokens": 10, "epochs": 2, "seeds": 3, "ids": 7, "posterior": "diagonal"}
    config |= {"embedding_dim": 2, "hidden_dim": 3, "latent_dim": 4}
    lstms = 4 * 3 * (2 + 3) * 2 + 4 * 3 * 4
    assert vae_operations(config) == 10 * 2 * 3 * 3 * (lstms + 3 * 7)


def test_times_are_scaled_from_the_nearest_run(tmp_path):
    write_embed(tmp_path / "wnli", seeds=1)
    write_embed(tmp_path / "wnli-hidden", seeds=1, hidden=2)  # faster, if it counted
    write_embed(tmp_path / "rte", task="rte", items=2490, vectors=4523, seeds=2)
    found = find_runs([tmp_path])
    assert embed_cost(("wnli", "minilm"), found.embed)["seconds"] == pytest.approx(50)
    assert embed_cost(("rte", "minilm"), found.embed)["seconds"] == pytest.approx(50)
    mrpc = embed_cost(("mrpc", "minilm"), found.embed)
    assert mrpc["run"].endswith("rte") and mrpc["device"] == "cpu"  # nearer in size
    scale = mrpc["operations"] / embed_operations(found.embed[0].config)
    assert mrpc["seconds"] == pytest.approx(20 * scale)
    missing = list_not_run(best(entries_of_a(found.embed)), found)
    (wnli,) = [one for one in missing if one["label"] == "wnli, minilm"]
    assert (wnli["seeds"], wnli["of"], wnli["paper"]) == (1, 5, "A")
    assert cost_text(wnli["cost"]).startswith("about 50.0 s on cpu, estimated from ")


def test_times_of_a_training(tmp_path):
    write_vae(tmp_path / "vae", None)
    write_vae(tmp_path / "iwae", None, objective="iwae", samples=5, tokens=3)
    (trained,) = find_runs([tmp_path / "vae"]).vae
    cost = vae_cost(("yahoo", "diagonal", 5.0), find_runs([tmp_path]).vae)
    scale = cost["operations"] / vae_operations(trained.config)
    assert cost["seconds"] == pytest.approx(1000 * scale)
    assert cost["operations"] == vae_operations(
        trained.config | {"tokens": 100_000 * 12.9, "seeds": 3}
    )
