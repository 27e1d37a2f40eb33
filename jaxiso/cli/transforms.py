"""How transforms are written: `center,abtt:3`, and which there are.

What they do is in `jaxiso.transforms`; here is only their grammar, so that the commands can refuse
a wrong one before JAX is imported.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxiso.cli.console import InputError

TRANSFORMS: dict[str, tuple[str, ...]] = {
    "none": (),
    "center": (),
    "unit": (),
    "standardize": (),
    "whiten": ("k",),
    "abtt": ("D",),
    "rogue": ("k",),
    "cluster": ("K", "D"),
}
"""By name, the numbers that may follow: none of them, or all."""

MOST = 2**31 - 1


class Step(NamedTuple):
    """A transform by name, with the numbers that were given."""

    name: str
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name + ":" * bool(self.numbers) + ",".join(map(str, self.numbers))


def usage() -> str:
    """The transforms as they may be written: `none, center, …, cluster[:K,D]`."""
    named = (name + (f"[:{','.join(n)}]" if n else "") for name, n in TRANSFORMS.items())
    return ", ".join(named)


def read_steps(text: str) -> tuple[Step, ...]:
    """Reads transforms that are separated by commas, to be applied in this order.

    Args:
        text: such as `center,abtt:3` or `cluster:27,12,unit`: a number after a comma belongs to the
            transform before it. `none` does nothing.

    Returns:
        The steps, without `none`.

    Raises ValueError: an unknown name, or numbers that it does not take; says what is allowed.
    """
    parts: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if parts and ":" in parts[-1] and part[:1].isdigit():
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    steps = [_step(part, text) for part in parts]
    return tuple(step for step in steps if step.name != "none")


def _step(part: str, text: str) -> Step:
    name, colon, rest = (piece.strip() for piece in part.partition(":"))
    where = "" if part == text.strip() else f" in {text!r}"
    if name not in TRANSFORMS:
        what = f"unknown transform {name!r}{where}" if name else f"a transform is missing{where}"
        raise ValueError(
            f"{what}; allowed are {usage()}; several with commas between them are applied in order"
        )
    allowed = TRANSFORMS[name]
    given = [number.strip() for number in rest.split(",")] if colon else []
    whole = all(n.isascii() and n.isdecimal() and 1 <= int(n[:11]) <= MOST for n in given)
    if not whole or len(given) not in (0, len(allowed)):
        counts = {0: "no number", 1: "a whole number", 2: "two whole numbers"}
        numbers = (
            f", {' and '.join(allowed)}, each at least 1" if len(allowed) > 1 else ", at least 1"
        )
        raise ValueError(
            f"transform {part!r}{where}: {name} takes {counts[len(allowed)]}"
            + (f"{numbers}, as in {name}:{','.join('3' for _ in allowed)}" if allowed else "")
        )
    return Step(name, tuple(map(int, given)))


def written(steps: tuple[Step, ...]) -> str:
    """Steps as text that `read_steps` reads, each transform written in one way; `none` for none."""
    return ",".join(map(str, steps)) or "none"


def check_transform(name: str, text: str) -> str:
    """An option's transforms, written in one way.

    Raises InputError: names the option, its value and what is allowed.
    """
    try:
        return written(read_steps(text))
    except ValueError as error:
        raise InputError(f"{name} {text}: {error}") from None
