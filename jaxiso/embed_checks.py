"""What `python -m jaxiso.embed` refuses before it starts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jaxiso.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from jaxiso.data import Items
    from jaxiso.embed import Options


def check(options: Options) -> None:
    """Refuses options that no task can use.

    Raises:
        InputError: names the option, its value and what is allowed.
    """
    for name, least in (("seeds", 1), ("seed", 0), ("updates", 1), ("every", 1), ("hidden", 1)):
        _at_least(name, getattr(options, name), least)
    _at_least("checkpoint-every", options.checkpoint_every, 0)
    if options.sample != 0:
        _at_least("sample", options.sample, 3, " (or 0 to measure all items)")
    if options.seed >= 2**32:
        raise InputError(f"--seed {options.seed}: must be below {2**32} (2^32)")
    for name in ("lr", "scale"):
        value = getattr(options, name)
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name} {value}: must be a finite number above 0")
    _check_source(options)
    _check_isotropy(options.isotropy)
    _check_triplets(options)
    fraction = options.test_fraction
    if fraction is not None and not 0 < fraction < 1:
        raise InputError(f"--test-fraction {fraction}: must be above 0 and below 1")


def _at_least(name: str, value: int | None, least: int, also: str = "") -> None:
    if value is not None and value < least:
        raise InputError(f"--{name} {value}: must be at least {least}{also}")


def _check_source(options: Options) -> None:
    from jaxiso.data import TASKS, find_task

    if options.vectors is not None and options.task != type(options).task:
        raise InputError(
            f"--vectors {options.vectors} and --task {options.task}: give one of the two"
        )
    kind = "vectors" if options.vectors is not None else find_task(options.task).kind
    if kind != "sentence" and options.encoder != type(options).encoder:
        sentences = ", ".join(name for name, task in TASKS.items() if task.kind == "sentence")
        raise InputError(f"--encoder {options.encoder}: only for tasks of sentences ({sentences})")
    if kind != "word" and options.word_vectors is not None:
        raise InputError(
            f"--word-vectors {options.word_vectors}: only for tasks of words (pos, supersense)"
        )


def _check_isotropy(weights: tuple[float, ...] | None) -> None:
    if weights is None:
        return
    if not weights:
        raise InputError("--isotropy: give at least one weight, such as --isotropy 0 0.1 1")
    for weight in weights:
        if weight != 0 and not 1e-30 <= weight <= 1e30:  # single precision has no others
            raise InputError(
                f"--isotropy {weight:g}: each weight must be 0, or a number from 1e-30 to 1e30"
            )
    shown = [f"{weight:g}" for weight in weights]  # to as many digits as results show them
    twice = [text for text in shown if shown.count(text) > 1]
    if twice:
        raise InputError(f"--isotropy {twice[0]}: given more than once; each weight once")


def _check_triplets(options: Options) -> None:
    if options.loss != "triplet":
        if options.triplets != type(options).triplets:
            raise InputError(f"--triplets {options.triplets}: only with --loss triplet")
        return
    _at_least("triplets", options.triplets, 1)
    if options.hidden is not None:
        raise InputError(
            f"--loss triplet and --hidden {options.hidden}: the triplet loss has no classifier to "
            "put a hidden layer into; give one of the two"
        )


def held_out(options: Options, items: Items) -> np.ndarray | None:
    """The items that --test-fraction holds out, (n,) bool; None where it is not given.

    Raises:
        InputError: the labels on one side are no clusters; names the share, items and labels.
    """
    if options.test_fraction is None:
        return None
    import numpy as np

    from jaxiso.experiments.splits import hold_out

    mask = hold_out(items.clusters, options.test_fraction, options.seed)
    for side, what, help_ in ((mask, "hold out", "larger"), (~mask, "keep", "smaller")):
        count, labels = int(side.sum()), len(np.unique(items.clusters[side]))
        if not 2 <= labels < count:
            raise InputError(
                f"--test-fraction {options.test_fraction}: of {len(items):,} items it would "
                f"{what} {count:,}, with {labels} different label(s); there must be at least 2, "
                f"and fewer than items: give a {help_} share"
            )
    return mask
