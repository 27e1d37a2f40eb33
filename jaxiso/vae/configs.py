"""What a training of `jaxiso.vae` is: from its options to its config, and from config.json back.

A config is plain JSON: all that determines the numbers, by the names that `Options` has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from jaxiso import papers
from jaxiso.cli.configs import determining, run_name
from jaxiso.cli.console import InputError
from jaxiso.cli.files import plain_name
from jaxiso.cli.options import fields_of
from jaxiso.vae.options import DEFAULTS, LARGE, OF_TARGET, SMALL, Options, has_target, weighs_kl


def corpus_defaults(corpus: str, sentences: int = LARGE) -> dict[str, Any]:
    """The defaults of the options that depend on the corpus, and on its sentences to train on."""
    if corpus == "lee":
        return SMALL
    if corpus in papers.VAE_CORPORA or sentences >= LARGE:
        return DEFAULTS
    return SMALL | {"max_length": None}  # none of one's own sentences is cut unless that is asked


def kl_words(config: Mapping[str, Any]) -> list[str]:
    """What is unusual about a training against collapse, in words."""
    annealing, free = config.get("annealing"), config.get("free_bits")
    found = [] if annealing is None else [f"{annealing} annealing"]
    if free:
        found.append(f"{free:g} free bits")
    elif free is not None and annealing is None:
        found.append("plain ELBO")
    shares = {name: config.get(name, 0.0) for name in ("word_dropout", "dropout")}
    return found + [
        f"{name.replace('_', ' ')} {share:g}" for name, share in shares.items() if share
    ]


def targets_of(config: Mapping[str, Any]) -> list[Any]:
    """The target KLs of a run: of its models with all seeds, one after the other.

    A single one, None or a number that is not used, where there is no target.
    """
    return config["C"] if isinstance(config["C"], list) else [config["C"]]


def of_target(config: Mapping[str, Any], target: float | None) -> dict[str, Any]:
    """The config of those models of a run that have one target KL."""
    return {**config, "C": target}


def mark_of(config: Mapping[str, Any], target: float | None) -> str:
    """What tells the files of one target KL apart; nothing where a run has but one."""
    return f"-C{target:g}" if isinstance(config["C"], list) else ""


def run_config(options: Options) -> dict[str, Any]:
    """The options that determine the numbers; a single C is a number, as it was in all runs."""
    chosen = determining(options)
    if len(chosen["C"] or ()) == 1:
        (chosen["C"],) = chosen["C"]
    return chosen


def with_defaults(options: Options, sentences: int = LARGE) -> Options:
    """Fills in what depends on the corpus, and on its sentences to train on."""
    usual = corpus_defaults(options.corpus, sentences)
    if weighs_kl(vars(options)):
        usual = {name: value for name, value in usual.items() if name not in OF_TARGET}
    return replace(options, **{k: v for k, v in usual.items() if getattr(options, k) is None})


def fitted(options: Options, updates: int, sentences: int = LARGE) -> Options:
    """Fills in what depends on how many updates there are.

    A rise takes as many as is usual for the corpus (in the paper, about a quarter of them), but no
    more than a third: it would not end in a short training.
    """
    rise = min(corpus_defaults(options.corpus, sentences)["ramp"], max(1, updates // 3))
    found: dict[str, Any] = {}
    if has_target(vars(options)) and options.ramp is None:
        found["ramp"] = rise
    if options.annealing and options.annealing_updates is None:
        found["annealing_updates"] = rise if options.annealing == "linear" else updates
    return replace(options, **found)


def default_name(options: Options, corpus: str, sentences: int = LARGE) -> str:
    """The default name of the run directory: the model, and what is not the default.

    Args:
        options: of the training.
        corpus: its name.
        sentences: of it, to train on.
    """
    options = with_defaults(options, sentences)
    parts = [plain_name(corpus), options.posterior]
    if options.objective != "vae":
        parts.append(options.objective)
    elif options.C is not None and options.posterior != "none":
        parts.append("C" + "-".join(f"{target:g}" for target in options.C))
    parts += [f"{options.seeds}seeds", f"{options.epochs}epochs"]
    named = ("corpus", "posterior", "objective", "C", "seeds", "epochs")
    chosen, usual = (
        {name: value for name, value in determining(found).items() if name not in named}
        for found in (options, with_defaults(Options(corpus=options.corpus), sentences))
    )
    if options.ramp is None:  # there is no target
        del usual["ramp"], chosen["ramp"]
    return run_name(parts, chosen, usual)


NEEDED = ("corpus", "posterior", "objective", "C", "seeds", "seed", "latent_dim")
NEEDED += ("sentences", "tokens", "ids", "vocabulary_digest")
"""What the config of every training has, however old."""


def complete_config(config: Mapping[str, Any], where: object) -> dict[str, Any]:
    """The config of a training, with the defaults of options that came after it.

    `where` names the run in messages.

    Raises InputError: it is of another command, lacks what every training has, or has a value that
    no option can have.
    """
    kind = config.get("experiment")
    if kind != "vae":
        raise InputError(
            f"{where}: is a run of jaxiso.{kind or '?'}, not of jaxiso.vae; give the directory "
            "of a VAE's training"
        )
    if missing := sorted(set(NEEDED) - config.keys()):
        raise InputError(f"{where}/config.json: has no {', '.join(missing)}; is it damaged?")
    known = fields_of(Options)
    given = {name: value for name, value in config.items() if name in known}
    if given["C"] is not None:
        given["C"] = tuple(targets_of(given))
    needed = {
        name for name, value in corpus_defaults(config["corpus"]).items() if value is not None
    }
    if weighs_kl(given):
        needed -= OF_TARGET
    if given.get("annealing") is not None:
        needed.add("annealing_updates")
        given.setdefault("annealing_updates", None)
    for name, value in given.items():
        if (value is None and name in needed) or not _fits(value, known[name][0]):
            raise InputError(f"{where}/config.json: {name} {value!r}: is it damaged?")
    try:
        return {**run_config(with_defaults(Options(**given))), **config}
    except InputError as error:
        raise InputError(f"{where}/config.json: {error}; is it damaged?") from None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the type of an option."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(one, get_args(hint)[0]) for one in value)
    if get_args(hint):
        return any(_fits(value, one) for one in get_args(hint))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)
