"""What `python -m jaxiso.vae evaluate` does: reads trained models, measures, keeps the measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxiso.cli.console import InputError, Progress, StopSignals, first_line, note
from jaxiso.manifest import verify
from jaxiso.papers import Reported
from jaxiso.run_files import EVALUATION, VOCABULARY, read_checkpoint, read_stored
from jaxiso.runs import Run
from jaxiso.seeds import ONE_DEVICE
from jaxiso.vae.configs import complete_config, mark_of, of_target, targets_of
from jaxiso.vae.evaluations import marked, read_evaluation
from jaxiso.vae.experiment import model_digest
from jaxiso.vae.measures import Measures
from jaxiso.vae.options import EvaluateOptions, Part
from jaxiso.vae.parts import PARTS, OneSeed, Trained
from jaxiso.vae.text import Text, load_text
from jaxiso.vae.train import start


def evaluate_runs(options: EvaluateOptions) -> list[dict[str, Any]]:
    """Evaluates runs, one after the other; each run once.

    Returns:
        What `evaluate` does, of all of them.

    Raises:
        InputError: as `evaluate`.
        Stopped: after SIGINT or SIGTERM.
    """
    directories: dict[Path, Path] = {}
    for directory in options.runs:  # before hours of work
        complete_config(read_stored(directory)["config"], directory)
        first = directories.setdefault(directory.resolve(), directory)
        if first is not directory:
            note(f"{directory}: is the same run as {first}; it counts once")
    return [found for run in directories.values() for found in evaluate(run, options)]


def evaluate(directory: Path, options: EvaluateOptions) -> list[dict[str, Any]]:
    """Measures what is missing of a run, and writes it part by part to its evaluation.json.

    A run of several target KLs has such a file for each.

    Returns:
        What is in these files, as `read_evaluation` gives it.

    Raises:
        InputError: no run of a VAE, no checkpoint, or a corpus that is not the one of the training.
        Stopped: after SIGINT or SIGTERM; the parts measured so far are kept.
    """
    evaluations: list[dict[str, Any]] = []
    with Run.existing(directory, quiet=options.quiet) as run:
        text = None
        for trained in load_models(directory):
            evaluation = _earlier(trained)
            parts: list[Part] = list(dict.fromkeys(options.parts or ()))
            if options.parts is None:
                settings = evaluation["settings"]
                parts = [p for p in PARTS if settings.get(_key(p, options)) != options.settings(p)]
            if parts:
                text = text or load_trained_text(trained, options)
                _measure(run, trained, text, parts, evaluation, options)
            else:
                path = directory / marked(EVALUATION, trained.mark) if trained.mark else directory
                note(f"{path}: measured before; --parts measures anew", quiet=options.quiet)
            evaluations.append(evaluation | {"run": str(directory)})
    return evaluations


def load_models(directory: Path) -> list[Trained]:
    """Reads the latest checkpoint of a run; the models of each of its target KLs.

    Raises InputError: no run of a VAE, or no checkpoint.
    """
    stored = read_stored(directory)
    config = complete_config(stored["config"], directory)
    state = jax.eval_shape(lambda: start(config, ONE_DEVICE)[1])
    template = {"state": state, "seconds": jax.ShapeDtypeStruct((), jnp.float32)}
    updates, saved = read_checkpoint(directory, template)
    params: Any = saved["state"]["seeds"].params
    source = stored.get("source")
    source = source if isinstance(source, dict) else {}
    digest, seeds = model_digest(params), config["seeds"]
    found = []
    for place, target in enumerate(targets_of(config)):
        models = range(place * seeds, (place + 1) * seeds)
        found.append(
            Trained(
                directory,
                of_target(config, target),
                mark_of(config, target),
                source,
                [jax.tree.map(lambda x, m=m: x[m], params) for m in models],
                updates,
                digest,
            )
        )
    return found


def load_trained_text(trained: Trained, options: EvaluateOptions) -> Text:
    """Reads the text that a model was trained on.

    Raises InputError: it cannot be found, or it has changed since.
    """
    directory, config = trained.directory, trained.config
    if (directory / VOCABULARY).exists():
        verify(directory, VOCABULARY)
    corpus = options.corpus or trained.source.get("corpus") or config["corpus"]
    data_dir = options.data_dir or trained.source.get("data_dir")
    if not options.data_dir and data_dir and not Path(str(data_dir)).is_dir():
        data_dir = None  # it may be elsewhere by now, as in JAXISO_DATA
    try:
        text = load_text(config, str(corpus), data_dir=data_dir, quiet=True)
    except InputError as error:
        raise InputError(
            f"{directory}: the text of the training cannot be read: {error}\nGive --corpus or "
            "--data-dir with the data of the training."
        ) from None
    # A file may have another name by now. Runs of earlier versions have no digests, and no "own-"
    # before the name of a file that is called as a known corpus.
    aside = {"cut"}
    if "test_sha256" in config or text.facts["corpus"] == f"own-{config['corpus']}":
        aside.add("corpus")
    changed = [
        _changed(name, config[name], now)
        for name, now in text.facts.items()
        if name not in aside and name in config and config[name] != now
    ]
    if changed:
        raise InputError(
            f"{directory}: was not trained on what {text.corpus.source} has now: "
            f"{'; '.join(changed)}. Give --corpus or --data-dir with the data of the training."
        )
    return text


def _changed(name: str, then: Any, now: Any) -> str:
    if name.endswith("_sha256"):
        split = name.removesuffix("_sha256")
        return f"its {split} sentences, their labels or the names of these are others ({name})"
    return f"{name}: then {then!r}, now {now!r}"


def _earlier(trained: Trained) -> dict[str, Any]:
    """What was measured of this very model before; what cannot be used is noted."""
    path = trained.directory / marked(EVALUATION, trained.mark)
    empty: dict[str, Any] = {"settings": {}, "measures": {}, "remarks": {}, "texts": {}}
    empty |= {"model": trained.digest, "updates": trained.updates, "config": trained.config}
    try:
        found = read_evaluation(trained.directory, trained.mark)
    except InputError as error:
        aside = path.with_name(f"damaged-{path.name}")
        path.replace(aside)
        note(f"{path} is put aside as {aside.name}, and all is measured anew: {first_line(error)}")
        return empty
    if found is None:
        return empty
    if found.get("model") != trained.digest or found["config"] != trained.config:
        note(f"{path}: is of another model than the one that is there now; all is measured anew")
        return empty
    return found


def _key(part: Part, options: EvaluateOptions) -> str:
    """What the settings of a part are kept by: classification has measures for each protocol."""
    code = part == "classification" and options.protocol == "code"
    return f"{part}_code" if code else part


def _measure(
    run: Run,
    trained: Trained,
    text: Text,
    parts: Sequence[Part],
    evaluation: dict[str, Any],
    options: EvaluateOptions,
) -> None:
    """Measures parts, and adds each to the evaluation, and to its file, when all seeds have it."""
    test = text.vocabulary.encode_all(text.corpus.test.sentences, "test", quiet=True)
    evaluation["test_sentences"] = len(test)
    what, steps = f"evaluating {run.directory.name}{trained.mark}", len(trained.params) * len(parts)
    progress = Progress(what, steps, unit="parts", quiet=options.quiet)
    with StopSignals("part") as signals, progress:
        models = range(len(trained.params))
        seeds = [OneSeed(run, options, trained, model, text, test) for model in models]
        for part in parts:
            found: list[Measures] = []
            for seed in seeds:
                found.append(seed.measure(part))
                progress.advance(info=f"{part}, seed {seed.number}")
            measures, remarks = summarise(found)
            kept = {k: v for k, v in evaluation["remarks"].items() if k not in measures}
            evaluation["measures"] |= measures
            evaluation["remarks"] = kept | remarks
            evaluation["settings"][_key(part, options)] = options.settings(part)
            evaluation["texts"] |= next((seed.texts for seed in seeds if seed.texts), {})
            name = marked(EVALUATION, trained.mark)
            run.write_json(name, evaluation | {"run": run.directory.name})
            signals.stop_if_received(
                f"{run.directory}: stopped after {part}; what was measured is kept, and the same "
                "command goes on"
            )


def summarise(found: Sequence[Measures]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Measures of all seeds with mean and standard deviation, and why some have no value."""
    measures: dict[str, dict[str, Any]] = {}
    remarks: dict[str, str] = {}
    for name in found[0]:
        given = [seed[name] for seed in found]
        values = [value for value in given if not isinstance(value, str)]
        mean = sd = None
        if len(values) < len(given):
            why = dict.fromkeys(value for value in given if isinstance(value, str))
            remarks[name] = "; ".join(why)
        else:
            mean, sd = Reported.over(values)
        values = [None if isinstance(value, str) else value for value in given]
        measures[name] = {"values": values, "mean": mean, "sd": sd}
    return measures, remarks
