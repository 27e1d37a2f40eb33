"""Commands as forked processes, which can be killed at a time or at a file operation.

A fork saves the two seconds that importing JAX takes. The parent only imports; JAX starts its
threads in the children.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PACKAGES = (
    "cli",
    "metrics",
    "models",
    "data",
    "encoders",
    "papers",
    "embed",
    "vae",
    "score",
    "report",
)
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "open"}
"""Audit events of Python that may change a folder."""
VOLATILE = {"seconds", "time", "hours", "origin", "origins", "run", "runs", "path", "source"}
"""Words in names of JSON fields that differ from one good run to the next."""


class Ended(NamedTuple):
    """How a child ended: its exit code, or the negative number of the signal that killed it."""

    code: int
    seconds: float
    operations: int
    output: str


def preload() -> None:
    """Imports what the commands import."""
    for package in PACKAGES:
        folder = importlib.import_module(f"jaxiso.{package}").__path__
        for module in pkgutil.iter_modules(folder, f"jaxiso.{package}."):
            importlib.import_module(module.name)
    import matplotlib.figure
    import orbax.checkpoint

    del matplotlib, orbax
    from jax._src import xla_bridge

    assert not xla_bridge.backends_are_initialized()


def run(
    words: Sequence[object],
    scratch: Path,
    *,
    kill_after: float | None = None,
    die_at: int | None = None,
    folder: Path | None = None,
) -> Ended:
    """Runs a command to its end, or kills it.

    Args:
        words: of the command line, after `python -m jaxiso.`.
        scratch: a folder of ours, for the output.
        kill_after: seconds until SIGKILL.
        die_at: number of the file operation that is not carried out any more.
        folder: where operations count.
    """
    log, counter = scratch / "output.txt", scratch / "operations.txt"
    counter.write_text("0")
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = _be_the_command([str(word) for word in words], log, counter, folder, die_at)
        finally:
            os._exit(code)
    code = _wait(child, started + kill_after if kill_after is not None else None)
    seconds = time.monotonic() - started
    return Ended(code, seconds, int(counter.read_text() or 0), log.read_text(errors="replace"))


def _wait(child: int, deadline: float | None) -> int:
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if deadline is not None and time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = None
        time.sleep(0.001)


def _be_the_command(
    words: list[str], log: Path, counter: Path, folder: Path | None, die_at: int | None
) -> int:
    from jaxiso.cli.command import run_command

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = words
    main = importlib.import_module(f"jaxiso.{words[0]}.__main__").main
    done = _count_operations(folder, die_at) if folder is not None else None
    code = 0
    try:
        run_command(lambda: main(words[1:]))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    if done is not None:
        counter.write_text(str(done()))
    sys.stdout.flush()
    return code


def _count_operations(folder: Path, die_at: int | None) -> Callable[[], int]:
    """Watches this process for good; audit hooks cannot be taken away."""
    place, count = str(folder), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in EVENTS or not _changes(event, arguments, place):
            return
        count += 1
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: count


def _changes(event: str, arguments: tuple[Any, ...], place: str) -> bool:
    path = arguments[0]
    if event == "open":
        _, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else "w" in mode
        if not writes:
            return False
    if not isinstance(path, str | bytes):
        return False
    text = os.fsdecode(path)
    # rmtree names files relative to an open folder
    return text.startswith(place) or (event != "open" and not text.startswith("/"))


def numbers(directory: Path) -> dict[str, Any]:
    """All numbers below a folder, by file and place in it, but for times and origins."""
    import pyarrow.parquet as pq

    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name.startswith((".", "checkpoints", "mine", "damaged")) or not path.is_file():
            continue
        if path.suffix == ".parquet":
            found |= {f"{name}:{k}": v for k, v in pq.read_table(path).to_pydict().items()}
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                found |= {f"{name}:{k}": arrays[k].tolist() for k in arrays.files}
        elif path.suffix == ".json" and path.name != "manifest.json":
            found |= dict(_leaves(json.loads(path.read_text(encoding="utf-8")), name))
        elif path.suffix == ".png":
            found[name] = path.read_bytes()
    return found


def _leaves(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            if not VOLATILE & set(key.split("_")):
                yield from _leaves(value, f"{name}:{key}")
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _leaves(value, f"{name}:{number}")
    else:
        yield name, content


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The names of what is not equal, or is in one only."""
    return sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))


def make_vectors(path: Path) -> None:
    """A small file of vectors and labels, for `embed` and `score`."""
    draws = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(path, X=draws.normal(size=(60, 6)) + labels[:, None], y=labels)


def make_corpus(folder: Path) -> None:
    """A small corpus of three splits with labels, for `vae`."""
    folder.mkdir(parents=True)
    draws = random.Random(0)
    words = [[f"{kind}{i}" for i in range(8)] for kind in "ab"]
    for split, size in (("train", 80), ("validation", 40), ("test", 60)):
        lines = []
        for number in range(size):
            text = " ".join(draws.choices(words[number % 2], k=draws.randint(3, 8)))
            lines.append(json.dumps({"text": text, "label": "ab"[number % 2]}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def embed(vectors: Path, out: Path) -> list[object]:
    """A training of `embed` in small."""
    size = ("--seeds", 2, "--updates", 8, "--checkpoint-every", 2)
    return ["embed", "--vectors", vectors, *size, "--out", out, "--quiet"]


def vae(corpus: Path, out: Path) -> list[object]:
    """A training of `vae` in small."""
    size = ("--epochs", 3, "--batch-size", 16, "--vocabulary", 20, "--max-length", 8, "--ramp", 5)
    model = ("--hidden-dim", 8, "--embedding-dim", 8, "--latent-dim", 4, "--C", 1, "--seeds", 1)
    often = ("--checkpoint-every", 3)
    return ["vae", "--corpus", corpus, *size, *model, *often, "--out", out, "--quiet"]


def evaluate(run_directory: Path) -> list[object]:
    """An evaluation in small."""
    size = (
        "--initialisations",
        1,
        "--draws",
        1,
        "--importance-samples",
        3,
        "--likelihood-sentences",
        20,
    )
    return ["vae", "evaluate", run_directory, *size, "--quiet"]


def report(folder: Path, out: Path) -> list[object]:
    """A report of the runs in a folder."""
    return ["report", folder, "--out", out, "--quiet"]
