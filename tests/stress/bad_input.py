"""Gives the commands some eight hundred bad command lines, files and run directories.

    python tests/stress/bad_input.py

All in one process. What is bad has to be refused with exit code 2 and one message; what was merely
changed at random may be taken. Counted: tracebacks and internal errors, other exit codes, and bad
input that was taken without a word.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import children
from commands import run_here

from jaxiso.cli.options import fields_of, flag

DEEP = "[" * 100_000
LONG = "9" * 5000


class Case(NamedTuple):
    """One command line.

    Attributes:
        kind: for the table of counts.
        what: what is bad.
        words: the command line.
        refused: it has to be; else it may be taken.
        same: a directory whose numbers have to stay as they are if it is taken.
    """

    kind: str
    what: str
    words: list[object]
    refused: bool = True
    same: Path | None = None


def of_options(base: Path) -> Iterator[Case]:
    """Values that no option can have, and options that there are not."""
    vectors, corpus = base / "vectors.npz", base / "corpus"
    small = ["--vectors", vectors, "--updates", 2, "--seeds", 1, "--dry-run", "--quiet"]
    commands: dict[str, tuple[str, list[object]]] = {
        "embed": ("embed.options:Options", ["embed", *small]),
        "vae": ("vae.options:Options", ["vae", "--corpus", corpus, "--dry-run", "--quiet"]),
        "evaluate": ("vae.options:EvaluateOptions", ["vae", "evaluate", base / "runs/vae"]),
        "score": ("score.options:Options", ["score", vectors, "--labels", "y"]),
        "bench": ("bench.options:Options", ["bench"]),
    }
    for name, (where, words) in commands.items():
        module, _, options = where.partition(":")
        fields = fields_of(getattr(importlib.import_module(f"jaxiso.{module}"), options))
        for field, (hint, _) in fields.items():
            for value in bad_values(hint):
                shown = str(value)[:20]
                yield Case(name, f"{flag(field)} {shown}", [*words, flag(field), value])
        for stray in ("--nothing", "--seed=", "--see 1", "-x"):
            yield Case(name, stray, [*words, *stray.split()])
        yield Case(name, "an option without its value", [*words, "--seed"])
    yield Case("score", "no file", ["score"])
    yield Case("evaluate", "no run", ["vae", "evaluate"])


def bad_values(hint: Any) -> list[object]:
    """Values that an option of a type cannot have, whatever its bounds."""
    inner = [one for one in get_args(hint) if one is not type(None)] or [hint]
    kind = inner[0]
    if get_origin(hint) is Literal or get_origin(kind) is Literal:
        return ["nonsense", "", "λ"]
    if get_args(kind):
        kind = get_args(kind)[0]
    if kind is int:
        return ["-1", "x", "", "1.5", "nan", str(2**70), LONG]
    if kind is float:
        return ["-1", "x", "", "nan", "inf", "1e999", LONG]
    return []


def of_paths(base: Path) -> Iterator[Case]:
    """Paths that are not there, or cannot be used."""
    vectors, corpus = base / "vectors.npz", base / "corpus"
    missing = [base / "none", base / "corpus", "", "\udcff", vectors / "x", "x" * 300, "a\nb"]
    for path in missing:
        shown = ascii(str(path).replace(str(base), ""))[:30]
        yield Case("score", f"file {shown}", ["score", path])
        yield Case("score", f"--labels {shown}", ["score", vectors, "--labels", path])
        yield Case("embed", f"--vectors {shown}", ["embed", "--vectors", path, "--dry-run"])
        yield Case("evaluate", f"run {shown}", ["vae", "evaluate", path])
        if path != base / "corpus":
            yield Case("vae", f"--corpus {shown}", ["vae", "--corpus", path, "--dry-run"])
            yield Case("report", f"run {shown}", ["report", path, "--out", base / "r"], path != "")
        yield Case("embed", f"--task {shown}", ["embed", "--task", path, "--dry-run"])
    outs = [vectors, vectors / "x", base / "G[x]", "x" * 300, base / "\udcff", "/proc/none", "a\nb"]
    small = ["--updates", 2, "--seeds", 1, "--quiet"]
    for out in (*outs, base):
        shown = ascii(str(out).replace(str(base), ""))[:30]
        words = ["embed", "--vectors", vectors, *small, "--out", out]
        yield Case("embed", f"--out {shown}", words)
        yield Case("embed", f"--out {shown} --overwrite", [*words, "--overwrite"])
        yield Case("vae", f"--out {shown}", children.vae(corpus, Path(str(out))))
    for out in (vectors, vectors / "x", "x" * 300, "/proc/none", base / "runs" / "embed"):
        shown = ascii(str(out).replace(str(base), ""))[:30]
        yield Case("report", f"--out {shown}", ["report", base / "runs", "--out", out])
    for plot in ("", ".", "..", "/"):
        yield Case("score", f"--plot {plot!r}", ["score", vectors, "--plot", plot])
    yield Case("embed", "--data-dir", ["embed", "--task", "rte", "--data-dir", base / "none"])
    yield Case("vae", "--data-dir", ["vae", "--corpus", "yahoo", "--data-dir", base / "none"])


def of_vectors(base: Path, draws: random.Random) -> Iterator[Case]:
    """Files of vectors that were cut, flipped, filled up or are of another format."""
    folder = base / "vectors"
    folder.mkdir()
    for name, content in vectors_by_format(folder).items():
        for what, (changed, bad) in damaged(content, draws).items():
            path = folder / f"{what}-{name}"
            path.write_bytes(changed)
            yield Case("vectors", f"{name}: {what}", ["score", path, "--quiet"], bad)
        for other in (".npy", ".npz", ".csv", ".parquet", ".safetensors", ".bin", ".txt", ".xyz"):
            path = folder / f"renamed-{name}{other}"
            path.write_bytes(content)
            bad = not name.endswith(other) and not {other, Path(name).suffix} <= {".txt", ".csv"}
            words = ["embed", "--vectors", path, "--dry-run", "--quiet"]
            yield Case("vectors", f"{name} called {other}", words, bad)
    for what, arrays in bad_arrays().items():
        path = folder / f"{what}.npz"
        np.savez(path, **arrays, allow_pickle=True)  # pyright: ignore
        for words in (["score", path], ["embed", "--vectors", path, "--dry-run", "--quiet"]):
            if "y" in arrays and words[0] == "score":
                words += ["--labels", "y"]
            # What has no silhouette still has an IsoScore, and the reason stands beside.
            bad = words[0] == "embed" or what != "one label"
            yield Case("vectors", f"{words[0]}: {what}", words, bad)
    for what, text in BAD_TEXTS.items():
        path = folder / what
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        yield Case("vectors", what, ["score", path, "--quiet"], what != "same.csv")
    for what, text in BAD_LABELS.items():
        path = folder / f"labels-{what}"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        words = ["score", base / "vectors.npz", "--labels", path, "--quiet"]
        yield Case("labels", what, words, what != "one.txt")
        yield Case("labels", f"embed {what}", [*children.embed(base / "vectors.npz", base / "o"),
                                               "--labels", path, "--dry-run"])  # fmt: skip


def vectors_by_format(folder: Path) -> dict[str, bytes]:
    """The same vectors in every format."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    vectors = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32)
    words = [f"w{i}" for i in range(20)]
    np.save(folder / "a.npy", vectors)
    np.savez(folder / "a.npz", X=vectors, y=np.arange(20) % 2)
    save_file({"X": vectors}, folder / "a.safetensors")
    pq.write_table(pa.table({"X": vectors.tolist(), "label": words}), folder / "a.parquet")
    rows = [",".join(f"{x:.4f}" for x in row) for row in vectors]
    (folder / "a.csv").write_text("\n".join(rows) + "\n")
    (folder / "a.tsv").write_text("\n".join(rows).replace(",", "\t") + "\n")
    lines = [f"{word} {row.replace(',', ' ')}" for word, row in zip(words, rows, strict=True)]
    (folder / "w.txt").write_text("\n".join(["20 5", *lines]) + "\n")
    (folder / "glove.txt").write_text("\n".join(lines) + "\n")
    content = b"20 5\n"
    for word, row in zip(words, vectors, strict=True):
        content += word.encode() + b" " + row.tobytes() + b"\n"
    (folder / "w.bin").write_bytes(content)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(content: bytes, draws: random.Random) -> dict[str, tuple[bytes, bool]]:
    """Ways to damage a file, and whether it cannot be read then."""
    found: dict[str, tuple[bytes, bool]] = {
        "empty": (b"", True),
        "zeros": (bytes(len(content)), True),
        "noise": (draws.randbytes(len(content)), True),
        "tenth": (content[: len(content) // 10], False),
        "half": (content[: len(content) // 2], False),
        "short": (content[:-1], False),
        "long": (content + b"\0\xff\n", False),
        "twice": (content + content, False),
    }
    for number in range(5):
        flipped = bytearray(content)
        flipped[draws.randrange(len(flipped))] ^= 1 << draws.randrange(8)
        found[f"flip{number}"] = bytes(flipped), False
    return found


def bad_arrays() -> dict[str, dict[str, Any]]:
    """Arrays that cannot be measured."""
    good = np.random.default_rng(2).normal(size=(12, 4))
    labels = np.arange(12) % 2
    return {
        "a nan": {"X": np.where(good > 1, np.nan, good), "y": labels},
        "infinite": {"X": np.where(good > 1, np.inf, good), "y": labels},
        "one row": {"X": good[:1], "y": labels[:1]},
        "no row": {"X": good[:0], "y": labels[:0]},
        "one column": {"X": good[:, :1], "y": labels},
        "no column": {"X": good[:, :0], "y": labels},
        "three dimensions": {"X": good[None], "y": labels},
        "objects": {"X": good.astype(object), "y": labels},
        "text": {"X": good.astype(str), "y": labels},
        "complex": {"X": good.astype(complex), "y": labels},
        "too few labels": {"X": good, "y": labels[:-1]},
        "one label": {"X": good, "y": labels * 0},
        "labels that are objects": {"X": good, "y": np.array([{}] * 12, dtype=object)},
        "labels of three dimensions": {"X": good, "y": labels[:, None, None]},
    }


BAD_TEXTS = {
    "claims.txt": "1000000000000 300\na 1 2\n",
    "claims-d.txt": "2 1000000000000\na 1 2\nb 1 2\n",
    "negative.txt": "-2 3\na 1 2 3\nb 1 2 3\n",
    "ragged.txt": "a 1 2\nb 1\nc 1 2\n",
    "words.txt": "a b c\nd e f\n",
    "latin.txt": "caf\udce9 1 2\nb 2 1\nc 1 1\n",
    "nan.txt": "a 1 nan\nb 2 1\nc 1 1\n",
    "ragged.csv": "1,2\n3\n4,5\n",
    "text.csv": "a,b\nc,d\ne,f\n",
    "nan.csv": "1,2\nnan,3\n4,5\n",
    "quote.csv": '1,"2\n3,4\n',
    "nul.csv": "1,2\n3,\0\n5,6\n",
    "huge.csv": f"1,{LONG}\n2,3\n4,5\n",
    "header.csv": "a,b,c\n",
    "same.csv": "1,2\n1,2\n1,2\n",
}
BAD_LABELS = {
    "empty.txt": "",
    "short.txt": "a\nb\n",
    "long.txt": "a\nb\n" * 100,
    "one.txt": "a\n" * 60,
    "latin.txt": "caf\udce9\nb\n" * 30,
    "deep.jsonl": DEEP,
    "digits.jsonl": f'{{"label": {LONG}}}\n' * 60,
    "half.jsonl": '{"label": "\\ud800"}\n' * 60,
    "list.jsonl": "[1]\n" * 60,
    "null.jsonl": "null\n" * 60,
    "text.npy": "not numpy",
    "text.parquet": "PAR1",
    "text.safetensors": "{}",
}


def of_corpora(base: Path) -> Iterator[Case]:
    """Texts that cannot be trained on."""
    folder = base / "corpora"
    folder.mkdir()
    texts = {
        "empty.txt": "",
        "blank.txt": "\n \n\t\n",
        "one.txt": "a b c\n",
        "latin.txt": "caf\udce9 au lait\n" * 50,
        "nul.bin": "\0" * 100,
        "empty.jsonl": "",
        "deep.jsonl": DEEP + "\n",
        "digits.jsonl": f'{{"text": {LONG}}}\n' * 50,
        "half.jsonl": '{"text": "a \\ud800", "label": 1}\n' * 50,
        "number.jsonl": '{"text": 3, "label": 1}\n' * 50,
        "list.jsonl": '["a b c"]\n' * 50,
        "notext.jsonl": '{"label": "x"}\n' * 50,
        "syntax.jsonl": '{"text": "a b c"\n' * 50,
        "mixed.jsonl": '{"text": "a b c", "label": "x"}\n{"text": "a b c"}\n' * 50,
        "odd.jsonl": '{"text": "a b c", "label": {"a": 1}}\n' * 50,
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        yield Case("corpora", name, ["vae", "--corpus", folder / name, "--dry-run", "--quiet"])
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl"):
        for what, text in {"missing": None, "empty": "", "deep": DEEP}.items():
            copy = folder / f"{what}-{name}"
            shutil.copytree(base / "corpus", copy)
            (copy / name).unlink()
            if text is not None:
                (copy / name).write_text(text)
            words = ["vae", "--corpus", copy, "--dry-run", "--quiet"]
            # A split that is not there is drawn from another one, which the run says.
            yield Case("corpora", f"{what} {name}", words, what != "missing")
    (folder / "none").mkdir()
    yield Case("corpora", "empty folder", ["vae", "--corpus", folder / "none", "--dry-run"])


def of_runs(base: Path, draws: random.Random) -> Iterator[Case]:
    """Run directories that were damaged."""
    contents: dict[str, Callable[[bytes], bytes | None]] = {
        "missing": lambda _: None,
        "empty": lambda _: b"",
        "nothing": lambda _: b"{}",
        "list": lambda _: b"[1]",
        "null": lambda _: b"null",
        "deep": lambda _: DEEP.encode(),
        "number": lambda _: LONG.encode(),
        "half": lambda content: content[: len(content) // 2],
        "flipped": lambda content: flip(content, draws),
        "flipped again": lambda content: flip(content, draws),
        "noise": lambda content: draws.randbytes(len(content)),
    }
    for run in ("embed", "vae"):
        whole = base / "runs" / run
        for file in sorted(path for path in whole.iterdir() if path.is_file()):
            if file.name.startswith("."):
                continue
            for what, change in contents.items():
                copy = base / "damaged" / f"{run}-{file.name}-{what}" / "run"
                shutil.copytree(whole, copy)
                changed = change(file.read_bytes())
                (copy / file.name).unlink()
                if changed is not None:
                    (copy / file.name).write_bytes(changed)
                shown = f"{run}/{file.name}: {what}"
                out = copy.parent / "report"
                yield Case("runs", f"report of {shown}", children.report(copy.parent, out), False)
                if run == "embed":
                    words = children.embed(base / "vectors.npz", copy)
                    yield Case("runs", f"again, {shown}", words, False, whole)
                elif file.name in ("config.json", "evaluation.json", "vocabulary.json"):
                    words = [*children.evaluate(copy), "--parts", "geometry"]
                    yield Case("runs", f"evaluate {shown}", words, False, whole)
    for what, path in {"a link to itself": "loop", "no run": "corpus"}.items():
        if path == "loop":
            (base / path).symlink_to(base / path)
        yield Case("runs", f"evaluate {what}", ["vae", "evaluate", base / path])
    yield Case("runs", "evaluate of embed", ["vae", "evaluate", base / "runs" / "embed"])
    yield Case("runs", "embed in a run of vae",
               children.embed(base / "vectors.npz", base / "runs" / "vae"))  # fmt: skip


def flip(content: bytes, draws: random.Random) -> bytes:
    """One bit changed."""
    changed = bytearray(content)
    changed[draws.randrange(len(changed))] ^= 1 << draws.randrange(8)
    return bytes(changed)


def try_out(case: Case) -> str | None:
    """What is wrong with how a command took bad input; None if nothing is."""
    words = [str(word) for word in case.words]
    main = importlib.import_module(f"jaxiso.{words[0]}.__main__").main
    ended = run_here(lambda: main(words[1:]))
    if "Traceback" in ended.out + ended.err:
        return f"traceback: {ended.err[-300:]}"
    if ended.code not in (0, 2):
        return f"exit {ended.code}: {ended.err[-300:]}"
    if ended.code == 2 and len(ended.err) > 3000 + len(LONG):
        return f"a message of {len(ended.err)} characters"
    if ended.code == 0 and case.refused:
        return "taken without a word"
    if ended.code == 0 and case.same is not None:
        directory = next(Path(word) for word in words if word.endswith("/run"))
        try:
            ours = children.numbers(directory)
        except ValueError as error:
            return f"left a file that cannot be read: {error}"
        theirs = children.numbers(case.same)
        # An evaluation measures only a part anew, and finds the words again.
        names = [k for k in theirs if k in ours or "evaluate" not in words]
        if different := [k for k in names if ours.get(k) != theirs[k]]:
            return f"other numbers: {different[:3]}"
    return None


def main() -> int:
    """Prints a table of counts and what was wrong; the exit code says whether anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="kinds of cases")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="jaxiso-bad-"))
    children.preload()
    children.make_vectors(base / "vectors.npz")
    children.make_corpus(base / "corpus")
    runs = base / "runs"
    for words in (
        children.embed(base / "vectors.npz", runs / "embed"),
        children.vae(base / "corpus", runs / "vae"),
        [*children.evaluate(runs / "vae"), "--parts", "geometry", "posterior"],
    ):
        ended = children.run(words, base)
        assert ended.code == 0, ended.output
    draws = random.Random(options.seed)
    cases = [
        case
        for make in (of_options(base), of_paths(base), of_vectors(base, draws), of_corpora(base),
                     of_runs(base, draws))
        for case in make
        if not options.only or case.kind in options.only
    ]  # fmt: skip
    print(f"{len(cases)} cases", flush=True)
    tried: Counter[str] = Counter()
    faults: list[str] = []
    started = time.monotonic()
    for case in cases:
        tried[case.kind] += 1
        if (why := try_out(case)) is not None:
            faults.append(f"{case.kind}: {case.what}: {why}")
            print(faults[-1], flush=True)
    print(json.dumps(tried), f"{time.monotonic() - started:.0f} s")
    kinds = Counter(fault.split(": ", 2)[2].split(" ")[0] for fault in faults)
    print(f"{len(cases)} cases, {len(faults)} faults: {dict(kinds)}")
    if not faults:
        shutil.rmtree(base)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
