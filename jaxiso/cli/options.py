"""Options of the commands: declared once, with their bounds, in a frozen dataclass.

A field is an option; its annotation says what is allowed, and one loop checks it:

    seeds: Annotated[int, Ge(1)] = 5
    sample: Annotated[int, Ge(3), Or(0)] = 20_000
    lr: Annotated[float, Gt(0)] = 1e-3       # numbers always have to be finite
    out: Annotated[Path | None, FREE] = None  # FREE: does not change the numbers of a run

What is not FREE makes up the config of a run, see `configs`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from tyro.conf import arg

from jaxiso.cli.console import InputError
from jaxiso.cli.transforms import check_transform, usage


class Free:
    """Marks an option that does not change the numbers of a run."""


FREE = Free()


class Or:
    """Marks values that are allowed besides those inside of the bounds."""

    def __init__(self, *values: float) -> None:
        self.values = values


class Written:
    """Marks text that can be written in several ways, of which one stands for all of them.

    Args:
        rewrite: option's name, value → that way; raises InputError where it cannot be read.
    """

    def __init__(self, rewrite: Callable[[str, str], str]) -> None:
        self.rewrite = rewrite


class Later:
    """Marks an option that runs were recorded without before it came, as they are at its default.

    So the config of a run that leaves it alone is that of an earlier one.
    """


LATER = Later()


class Group:
    """Marks where --help shows an option, and those after it until the next such mark."""

    def __init__(self, name: str) -> None:
        self.name = name


GROUPS = ("data", "training", "measurement", "output", "device")
"""In the order that --help has them."""
DATA, TRAINING, MEASUREMENT, OUTPUT, DEVICE = map(Group, GROUPS)
GENERAL = Group("")
"""With --help itself."""

MOST = 2**31 - 1
"""The largest whole number an option may be where it says nothing else: what 32 bits count to."""

Seed = Annotated[int, Ge(0), Lt(2**32), arg(help="Number that all random draws start from.")]
DataDir = Annotated[
    Path | None,
    FREE,
    DATA,
    arg(
        help="Folder with <corpus>/<split>.jsonl[.gz]. By default $JAXISO_DATA; what is not there "
        "comes from the Hugging Face hub."
    ),
]
Out = Annotated[
    Path | None,
    FREE,
    OUTPUT,
    arg(help="Run directory. By default runs/ and a name made of the options."),
]
Overwrite = Annotated[
    bool, FREE, OUTPUT, arg(help="Delete an earlier run in that directory and start anew.")
]
DryRun = Annotated[
    bool,
    FREE,
    OUTPUT,
    arg(help="Print sizes, parameters, memory and an estimate of the time; train nothing."),
]
Quiet = Annotated[bool, FREE, GENERAL, arg(help="No notes and no progress bar: the result only.")]
Transform = Annotated[
    str,
    Written(check_transform),
    DATA,
    arg(
        metavar="STEPS",
        help="What is done to the vectors first, in this order, with commas between: "
        f"{usage()}. Fitted on all vectors; see jaxiso.transforms.",
    ),
]
Labels = Annotated[
    str | None,
    FREE,
    DATA,
    arg(
        help="A column or array of the files of vectors; or a file: .txt with a label a line (or a "
        "word, a tab and its label), .npy, .npz, .safetensors, .csv, .tsv, .parquet, .jsonl."
    ),
]
LabelColumn = Annotated[
    str | None,
    FREE,
    DATA,
    arg(
        help="Which column, array or field of the file of labels. By default label, labels, y, "
        "class, target, or the only one."
    ),
]
Array = Annotated[
    str | None,
    FREE,
    DATA,
    arg(
        help="Which array, or column of lists, holds the vectors. By default X, embeddings or "
        "vectors, or the only one with two dimensions."
    ),
]


@dataclass(frozen=True)
class Checked:
    """Options that refuse values out of bounds as soon as they are made."""

    def __post_init__(self) -> None:
        """Checks every field by its annotation; what concerns several fields, subclasses add.

        Raises InputError: names the option, its value and what is allowed.
        """
        for name, (_, marks) in fields_of(type(self)).items():
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                check_value(flag(name), one, marks)
            for mark in (mark for mark in marks if isinstance(mark, Written)):
                several = isinstance(value, tuple)
                found = tuple(mark.rewrite(flag(name), v) for v in (value if several else (value,)))
                object.__setattr__(self, name, found if several else found[0])


@dataclass(frozen=True, kw_only=True)
class ProcessOptions(Checked):
    """Options of commands that compute in several processes, in a precision of choice."""

    precision: Annotated[
        Literal["highest", "BF16_BF16_F32_X3", "BF16_BF16_F32_X6", "TF32_TF32_F32_X3"],
        LATER,
        DEVICE,
    ] = "highest"
    """How float32 numbers are multiplied. highest: in full. The others are for tensor cores, with
    sums of numbers of fewer bits: faster, and nearly as exact, X3 of bfloat16 the least."""
    distributed: Annotated[bool, FREE] = False
    """Compute with all processes of this SLURM, Open MPI or Kubernetes job, one a host or a GPU.
    A run directory has to be on a file system that they share."""
    coordinator: Annotated[str | None, FREE, arg(metavar="HOST:PORT")] = None
    """Address of process 0: the same by hand. Every process is started by the same command with
    --processes N, and with a --process of its own."""
    processes: Annotated[int | None, Ge(1), FREE] = None
    """How many processes there are."""
    process: Annotated[int | None, Ge(0), FREE] = None
    """Which one this is, counted from 0."""
    timeout: Annotated[float, Gt(0), Le(10**6), FREE] = 300.0
    """Seconds in which all processes have to join."""


def flag(name: str) -> str:
    """A field's name as it is typed: `--test-fraction`."""
    return f"--{name.replace('_', '-')}"


@lru_cache
def fields_of(options: type) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """The type of each field, and the marks beside it, or beside a part of it."""
    hints = get_type_hints(options, include_extras=True)
    found = {}
    for field in dataclasses.fields(options):
        hint = hints[field.name]
        found[field.name] = _bare(hint), tuple(_marks(hint))
    return found


def _bare(hint: Any) -> Any:
    return _bare(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _marks(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        yield from marks
        yield from _marks(inner)
    elif get_origin(hint) is not Literal:
        for part in get_args(hint):
            yield from _marks(part)


def check_value(name: str, value: Any, marks: Iterable[Any]) -> None:
    """Refuses a number that is out of bounds.

    `name` is how messages call it. What is no number, and marks other than `Ge`, `Gt`, `Le`, `Lt`
    and `Or`, are not looked at.

    Raises InputError: names the value and what is allowed.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    marks = tuple(marks)
    also = [other for mark in marks if isinstance(mark, Or) for other in mark.values]
    if value in also:
        return
    whole = isinstance(value, int)
    if whole and not any(isinstance(mark, Le | Lt) for mark in marks):
        marks = (*marks, Le(MOST))
    bounds = list(_bounds(marks))
    if (whole or math.isfinite(value)) and all(holds(value) for _, holds in bounds):
        return
    words = " and ".join(text for text, _ in bounds)
    kind = "must be" if whole else "must be a finite number"
    or_ = "".join(f" (or {other})" for other in also)
    raise InputError(f"{name} {value}: {kind} {words}{or_}".rstrip())


def _bounds(marks: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for mark in marks:
        if isinstance(mark, Ge):
            yield f"at least {mark.ge}", lambda x, m=mark: x >= m.ge
        elif isinstance(mark, Gt):
            yield f"above {mark.gt}", lambda x, m=mark: x > m.gt
        elif isinstance(mark, Le):
            yield f"at most {mark.le}", lambda x, m=mark: x <= m.le
        elif isinstance(mark, Lt):
            yield f"below {mark.lt}", lambda x, m=mark: x < m.lt


def refuse_repeats(name: str, values: Sequence[str], why: str) -> None:
    """Refuses a value of an option that is given more than once.

    Raises InputError: names the option and the value, and says why.
    """
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise InputError(f"{name} {twice}: {why}")


def check_plot(path: Path | None, example: str) -> None:
    """Refuses a --plot that names no file, before anything is measured for it.

    Raises InputError: it has no name; gives the example.
    """
    if path is not None and path.name in ("", ".."):
        raise InputError(f"--plot {path}: must be the name of a file, such as {example}")
