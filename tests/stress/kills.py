"""Kills commands at random times and at exact file operations, and counts what that changed.

    python tests/stress/kills.py --kills 300

Each command is killed by SIGKILL, started again and killed again, up to six times, and then left to
end; what it ends with is compared with an uninterrupted run, number by number. Files of a user in
the same directory have to be as they were.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import children
from children import Ended

MOST_KILLS_A_ROUND = 6
SHARES = {"embed": 0.4, "vae": 0.3, "evaluate": 0.15, "report": 0.15}
MINE = (".d/.movie.part", ".lock", ".jaxiso-notes.txt")
MINE_LATER = ("notes.txt", "figures/mine.txt", "mine/metrics.parquet")
"""Where there is a run already."""


@dataclass
class Scenario:
    """A command that is killed.

    Attributes:
        name: of the command.
        words: given the directory that it writes, its command line.
        start: makes the directory as it is before the command.
        whole: what an uninterrupted run ends with.
        seconds: and how long it took.
        operations: and how many file operations.
    """

    name: str
    words: Callable[[Path], list[object]]
    start: Callable[[Path], None]
    whole: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    operations: int = 0


@dataclass
class Count:
    """What happened to a scenario."""

    rounds: int = 0
    by_time: int = 0
    by_operation: int = 0
    numbers: int = 0
    differing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.by_time + self.by_operation


def make_scenarios(base: Path) -> list[Scenario]:
    """The commands, with their input below `base`."""
    children.make_vectors(base / "vectors.npz")
    children.make_corpus(base / "corpus")

    def empty(directory: Path) -> None:
        directory.mkdir()

    def trained(directory: Path) -> None:
        shutil.copytree(base / "runs" / "vae", directory)

    embed, vae = base / "runs" / "embed", base / "runs" / "vae"
    for words in (children.embed(base / "vectors.npz", embed), children.vae(base / "corpus", vae)):
        ended = children.run(words, base)
        assert ended.code == 0, ended.output
    return [
        Scenario("embed", lambda out: children.embed(base / "vectors.npz", out), empty),
        Scenario("vae", lambda out: children.vae(base / "corpus", out), empty),
        Scenario("evaluate", children.evaluate, trained),
        Scenario("report", lambda out: children.report(base / "runs", out), empty),
    ]


def measure(scenario: Scenario, base: Path) -> None:
    """Runs a command to its end, twice: with its programs compiled, it is as fast as it will be."""

    def whole(directory: Path) -> Ended:
        scenario.start(directory)
        ended = children.run(scenario.words(directory), base, folder=directory)
        assert ended.code == 0, ended.output
        return ended

    whole(base / f"{scenario.name}-first")
    directory = base / f"{scenario.name}-whole"
    ended = whole(directory)
    scenario.whole = children.numbers(directory)
    scenario.seconds, scenario.operations = ended.seconds, ended.operations
    print(
        f"{scenario.name}: {ended.seconds:.1f} s, {ended.operations} file operations, "
        f"{len(scenario.whole)} numbers and tables",
        flush=True,
    )


def play(scenario: Scenario, count: Count, base: Path, draws: random.Random, most: int) -> None:
    """One round: a directory, some kills, and the end."""
    directory = base / f"{scenario.name}-{count.rounds}"
    scenario.start(directory)
    write_mine(directory, MINE)
    planned = draws.randint(1, min(MOST_KILLS_A_ROUND, most))
    for number in range(100):
        options: dict[str, float | int] = {}
        if number < planned:
            if draws.random() < 0.5:
                options = {"kill_after": draws.uniform(0, scenario.seconds)}
            else:
                options = {"die_at": draws.randint(1, scenario.operations)}
        ended: Ended = children.run(
            scenario.words(directory),
            base,
            folder=directory,
            **options,  # pyright: ignore
        )
        if (directory / "config.json").exists():
            write_mine(directory, MINE_LATER)
        if ended.code == -9:
            count.by_time += "kill_after" in options
            count.by_operation += "die_at" in options
            continue
        if ended.code != 0 or "Traceback" in ended.output:
            count.wrong.append(f"{directory}: exit {ended.code}: {ended.output[-400:]}")
        break
    count.rounds += 1
    check(scenario, count, directory)


def check(scenario: Scenario, count: Count, directory: Path) -> None:
    """Compares what a round ended with."""
    found = children.numbers(directory)
    count.numbers += len(found)
    different = children.differing(scenario.whole, found)
    count.differing += [f"{directory}: {name}" for name in different]
    later = MINE_LATER if (directory / "config.json").exists() else ()
    for name in (*MINE, *later):
        path = directory / name
        if not path.exists() or path.read_text() != name:
            count.wrong.append(f"{directory}: {name}, a file of the user, was touched")
    left = [
        p for p in directory.rglob("*") if p.name.startswith(".jaxiso-") and p.suffix == ".part"
    ]
    left += directory.glob("checkpoints/*tmp*")
    count.wrong += [f"{path}: was left behind" for path in left]
    if not different and not any(str(directory) in line for line in count.wrong):
        shutil.rmtree(directory)


def write_mine(directory: Path, names: tuple[str, ...]) -> None:
    """Files of a user; each holds its name."""
    for name in names:
        path = directory / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


def main() -> int:
    """Prints a line a command, and what was wrong; the exit code says whether anything was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=SHARES, default=list(SHARES))
    options = parser.parse_args()
    children.preload()
    draws = random.Random(options.seed)
    base = Path(tempfile.mkdtemp(prefix="jaxiso-kills-"))
    scenarios = [s for s in make_scenarios(base) if s.name in options.only]
    shares = sum(SHARES[s.name] for s in scenarios)
    counts = {scenario.name: Count() for scenario in scenarios}
    for scenario in scenarios:
        measure(scenario, base)
        count, wanted = counts[scenario.name], options.kills * SHARES[scenario.name] / shares
        while count.kills < wanted:
            play(scenario, count, base, draws, round(wanted - count.kills + 0.5))
        print(
            f"{scenario.name}: {count.kills} kills ({count.by_time} at a time, "
            f"{count.by_operation} at a file operation) in {count.rounds} rounds; "
            f"{len(count.differing)} of {count.numbers} numbers differ; {len(count.wrong)} wrong",
            flush=True,
        )
    bad = [line for count in counts.values() for line in (*count.differing, *count.wrong)]
    print(f"{sum(count.kills for count in counts.values())} kills, {len(bad)} faults")
    print("\n".join(bad[:50]))
    if not bad:
        shutil.rmtree(base)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
