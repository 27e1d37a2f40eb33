"""Runs commands on disks that are too small, of twenty sizes; needs the right to mount a tmpfs.

    python tests/stress/full_disk.py

A command has to end well, or with one message that names a path, and nothing else: no traceback.
With more room the same command then goes on, and ends in the numbers of a run on a large disk.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import children

LARGE = 256 * 2**20


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        for _ in range(100):  # the system may take a moment to let go of a process that ended
            if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def used(folder: Path) -> int:
    """Bytes that a file system has in use."""
    return shutil.disk_usage(folder).used


def attempt(words: list[object], base: Path, faults: list[str], size: int) -> str:
    """Runs a command on a small disk; notes whatever it says beside one message."""
    ended = children.run(words, base)
    errors = [line for line in ended.output.splitlines() if line.startswith("error: ")]
    if ended.code == 0:
        return "enough"
    if ended.code != 1 or len(errors) != 1 or len(ended.output.splitlines()) != 1:
        faults.append(f"{words[:2]} of {size:,} bytes: exit {ended.code}: {ended.output[-600:]}")
    elif "/disk/" not in errors[0] or "No space left" not in errors[0]:
        faults.append(f"{words[:2]} of {size:,} bytes: {errors[0]}")
    return "full"


def main() -> int:
    """Prints a line a command, and what was wrong; the exit code says whether anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, default=20)
    options = parser.parse_args()
    children.preload()
    base = Path(tempfile.mkdtemp(prefix="jaxiso-full-"))
    children.make_vectors(base / "vectors.npz")
    children.make_corpus(base / "corpus")
    place = base / "disk" / "out"
    trained = base / "runs" / "vae"
    commands: dict[str, tuple[list[object], Path | None]] = {
        "embed": (children.embed(base / "vectors.npz", place), None),
        "vae": (children.vae(base / "corpus", place), None),
        "evaluate": (children.evaluate(place), trained),
        "report": (children.report(base / "runs", place), None),
    }
    for words in (
        children.embed(base / "vectors.npz", base / "runs" / "embed"),
        children.vae(base / "corpus", trained),
    ):
        ended = children.run(words, base)
        assert ended.code == 0, ended.output
    faults: list[str] = []
    for name, (words, start) in commands.items():
        with disk(base / "disk", LARGE):
            if start is not None:
                shutil.copytree(start, place)
            before = used(base / "disk")
            ended = children.run(words, base)
            assert ended.code == 0, ended.output
            whole, after = children.numbers(place), used(base / "disk")
        outcomes, size = [], 0
        for number in range(options.sizes):
            share = 1.6 * (number + 1) / options.sizes  # replacing a file takes room for two
            size = round(before + (after - before) * share) // 4096 * 4096
            with disk(base / "disk", max(size, 4096)):
                if start is not None:
                    shutil.copytree(start, place)
                outcomes.append(attempt(words, base, faults, size))
                remount = f"remount,size={LARGE}"
                subprocess.run(["mount", "-o", remount, base / "disk"], check=True)
                ended = children.run(words, base)
                different = children.differing(whole, children.numbers(place))
                if ended.code or different:
                    faults.append(f"{name} after {size:,} bytes: {different[:5]} {ended.output}")
        print(
            f"{name}: {options.sizes} sizes up to {size:,} bytes, "
            f"{outcomes.count('full')} of them too small",
            flush=True,
        )
    print(f"{len(faults)} faults")
    print("\n".join(faults))
    if not faults:
        shutil.rmtree(base)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
