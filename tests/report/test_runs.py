"""Which runs a report is made from: damaged ones are named and left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_runs import damage, set_in, write_embed, write_vae

from jaxiso.report.document import make_report
from jaxiso.report.runs import find_runs

REFERENCE = Path(__file__).parents[2] / "runs" / "reference"


def in_evaluation(change):
    return set_in("evaluation.json", change)


def spoil_first(name):
    """Changes a file in a way that JSON readers do not see, but the manifest tells."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text().replace("0", "1", 1))

    return apply


@pytest.mark.parametrize(
    ("kind", "spoil", "said"),
    [
        ("embed", damage("config.json"), "JSON"),
        ("embed", damage("result.json"), "not as it was written"),
        ("embed", damage("metrics.parquet"), "not as it was written"),
        ("embed", spoil_first("result.json"), "not as it was written"),
        ("embed", lambda folder: (folder / "result.json").unlink(), "not finished"),
        ("embed", lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        ("embed", lambda folder: (folder / "metrics.parquet").unlink(), "is missing"),
        ("embed", set_in("result.json", lambda r: r.pop("pearson_r")), "pearson_r"),
        ("embed", set_in("result.json", lambda r: r.update(pearson_r="high")), "'high'"),
        ("embed", set_in("result.json", lambda r: r.update(pearson_r=True)), "True"),
        ("embed", set_in("result.json", lambda r: r.update(seconds=float("nan"))), "nan"),
        ("embed", set_in("result.json", lambda r: r.update(seconds=10**400)), "seconds is 1000"),
        ("embed", set_in("result.json", lambda r: r["final"].clear()), "isoscore"),
        ("embed", set_in("config.json", lambda f: f["config"].pop("items")), "items"),
        ("embed", set_in("config.json", lambda f: f["config"].update(dim=0)), "dim is 0"),
        (
            "embed",
            set_in("config.json", lambda f: f["config"].update(experiment="x")),
            "run of 'x'",
        ),
        ("embed", set_in("config.json", lambda f: f["config"].update(task=["wnli"])), "damaged"),
        ("embed", set_in("config.json", lambda f: f.update(config=[])), "has no config"),
        ("vae", damage("evaluation.json"), "not as it was written"),
        ("vae", in_evaluation(lambda e: e.update(measures=[1])), "measures"),
        ("vae", in_evaluation(lambda e: e.update(measures={"rec": 1})), "no list of values"),
        ("vae", in_evaluation(lambda e: e["measures"]["rec"].update(values=["1"])), "values"),
        (
            "vae",
            in_evaluation(lambda e: e["measures"]["rec"].update(values=[])),
            "one value a seed",
        ),
        ("vae", in_evaluation(lambda e: e["measures"]["rec"].update(values=[float("inf")])), "inf"),
        ("vae", in_evaluation(lambda e: e["measures"]["rec"].update(values=[1e300])), "1e+300"),
        ("vae", in_evaluation(lambda e: e.update(settings=7)), "settings"),
        ("vae", in_evaluation(lambda e: e.update(texts={"imputation": [3]})), "texts"),
        ("vae", in_evaluation(lambda e: e.update(updates="100")), "updates"),
        ("vae", in_evaluation(lambda e: e["config"].update(seed=3)), "another configuration"),
        ("vae", in_evaluation(lambda e: e.update(model="of another run")), "of another model"),
        ("vae", in_evaluation(lambda e: e.pop("model")), "of another model"),
        ("vae", set_in("config.json", lambda f: f["config"].update(posterior="x")), "posterior"),
        ("vae", set_in("config.json", lambda f: f["config"].update(tokens=-1)), "tokens is -1"),
        ("vae", lambda f: (f / "evaluation.json").write_text("[" * 100_000), "not as it was"),
    ],
)
def test_a_damaged_run_is_named_and_the_others_are_shown(tmp_path, kind, spoil, said):
    if kind == "embed":
        write_embed(tmp_path / "bad", seeds=6)
    else:
        write_vae(tmp_path / "bad", {"rec": [90.0]})
    write_embed(tmp_path / "good")
    spoil(tmp_path / "bad")
    found = find_runs([tmp_path])
    assert [run.directory.name for run in found.embed] == ["good"] and not found.vae
    ((path, why),) = found.not_read
    assert path.name == "bad" and str(path) in why and said in why
    assert "Traceback" not in why and "\n" not in why


def test_deep_json_without_a_manifest(tmp_path):
    write_vae(tmp_path / "bad", {"rec": [90.0]})
    (tmp_path / "bad" / "manifest.json").unlink()
    (tmp_path / "bad" / "evaluation.json").write_text("[" * 100_000)
    ((_, why),) = find_runs([tmp_path]).not_read
    assert "nested too deeply" in why


def test_a_run_is_found_once_however_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_embed(Path("runs/a"))
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "notes").mkdir()  # no run, and nothing to complain about
    given = [Path("runs/a"), Path("./runs/a/"), Path("runs"), Path("link"), tmp_path / "runs" / "a"]
    found = find_runs(given)
    assert [run.directory for run in found.embed] == [Path("runs/a")] and not found.not_read


def test_configs_are_completed(tmp_path):
    write_embed(tmp_path / "old")
    new = ("hidden", "isotropy", "loss", "track", "test_items", "trained_vectors")
    cut = set_in("config.json", lambda file: [file["config"].pop(name) for name in new])
    cut(tmp_path / "old")
    (run,) = find_runs([tmp_path]).embed
    assert [run.config[name] for name in new] == [None, None, "cross-entropy", False, 0, 925]


def test_a_copy_reads_like_the_run(tmp_path):
    write_embed(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, second = find_runs([tmp_path]).embed
    assert first.result == second.result and first.metrics == second.metrics


def test_reference_runs_name_no_folder_of_a_machine():
    for path in REFERENCE.rglob("config.json"):
        source = json.loads(path.read_text()).get("source", {})
        assert not [of for of in source.values() if of is not None and Path(of).is_absolute()], path


def test_reference_runs_are_read():
    found = find_runs([REFERENCE])
    assert len(found.embed) >= 18 and len(found.vae) >= 4
    assert not [why for path, why in found.not_read if not path.name.startswith("vae-")]


ODD = [None, True, 0, -1, 10**400, 1e308, float("nan"), "", "`<b>|\n", [], [[1]], {}, {"values": 1}]


def places(content, path=()):
    """All places in a JSON object."""
    inside = content.items() if isinstance(content, dict) else ()
    for name, value in enumerate(content) if isinstance(content, list) else inside:
        yield (*path, name)
        yield from places(value, (*path, name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("embed", "config.json"),
        ("embed", "result.json"),
        ("vae", "config.json"),
        ("vae", "result.json"),
        ("vae", "evaluation.json"),
    ],
)
def test_odd_values_anywhere_are_left_out_or_shown(tmp_path, kind, name):
    if kind == "embed":
        write_embed(tmp_path / "run", seeds=1, isotropy=[0.0, 0.5])
    else:
        write_vae(tmp_path / "run", {"rec": [90.0], "accuracy": [50.0]})
    rng = np.random.default_rng(0)
    path = tmp_path / "run" / name
    before = path.read_text()
    left_out = 0
    for where in places(json.loads(before)):

        def change(content, where=where):
            for key in where[:-1]:
                content = content[key]
            content[where[-1]] = ODD[rng.integers(len(ODD))]

        set_in(name, change)(tmp_path / "run")
        found = find_runs([tmp_path])
        report = make_report(found)
        json.dumps(report.data, allow_nan=False).encode()
        report.text.encode()
        left_out += len(found.not_read)
        path.write_text(before)
    assert left_out > 0
