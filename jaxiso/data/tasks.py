"""The tasks: one table of facts, one row a task."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from jaxiso.errors import InputError


@dataclass(frozen=True)
class Hub:
    """Where a task lies on the Hugging Face hub.

    Attributes:
        id: repository, `owner/name`; it holds parquet files, as datasets 5 reads no scripts.
        config: name of the configuration, or None for the only one.
        split: split to read; several are joined by `+`.
    """

    id: str
    config: str | None
    split: str

    def __str__(self) -> str:
        config = f", config {self.config}" if self.config else ""
        return f"{self.id}{config}, split {self.split}"

    @property
    def command(self) -> str:
        """A shell command that downloads the data into the cache of `datasets`."""
        config = f"'{self.config}', " if self.config else ""
        call = f"load_dataset('{self.id}', {config}split='{self.split}')"
        return f'python -c "from datasets import load_dataset; {call}"'


@dataclass(frozen=True)
class Task:
    """What is known of a task before its data are read.

    Attributes:
        name: as given on the command line.
        kind: 'sentence' (encoded by a sentence encoder), 'word' (looked up in a file of word
            vectors) or 'vectors' (the data are vectors already).
        fields: text fields of an item, in order; their vectors are concatenated.
        classes: label names, in label order.
        multilabel: an item has a set of labels, in a field `labels`; else one, in `label`.
        bias: the paper's linear head has a bias.
        updates: number of updates in the paper.
        local: place below the data directory, `<corpus>/<split>`, or None.
        hub: place on the Hugging Face hub, or None.
        about: one line for help texts.
        page: where the data are described, with their licence.
    """

    name: str
    kind: Literal["sentence", "word", "vectors"]
    fields: tuple[str, ...]
    classes: tuple[str, ...]
    multilabel: bool
    bias: bool
    updates: int
    local: str | None
    hub: Hub | None
    about: str
    page: str

    @property
    def label_field(self) -> str:
        """Name of the field that holds the label or labels."""
        return "labels" if self.multilabel else "label"


def _sentences(
    name: str,
    fields: tuple[str, ...],
    classes: tuple[str, ...],
    local: str,
    hub: Hub,
    about: str,
    page: str,
    bias: bool = True,
) -> Task:
    return Task(name, "sentence", fields, classes, False, bias, 1000, local, hub, about, page)


def _glue(name: str, fields: tuple[str, ...], classes: tuple[str, ...], about: str) -> Task:
    hub, page = Hub("nyu-mll/glue", name, "train"), "https://gluebenchmark.com/tasks"
    local = f"glue/{name}/train"
    return Task(name, "sentence", fields, classes, False, True, 250, local, hub, about, page)


def _words(name: str, classes: tuple[str, ...], about: str, page: str) -> Task:
    local = f"{name}/words"
    return Task(name, "word", ("word",), classes, True, True, 1000, local, None, about, page)


_PAIR = ("sentence1", "sentence2")
_NLI = ("entailment", "neutral", "contradiction")
_SUPERSENSES = (
    "Tops act animal artifact attribute body cognition communication event feeling food group "
    "location motive object person phenomenon plant possession process quantity relation shape "
    "state substance time"
)

_ROWS = (
    _sentences(
        "polarity",
        ("text",),
        ("neg", "pos"),
        "polarity/train",
        # Its three splits together are the 10,662 sentences of Pang & Lee.
        Hub("cornell-movie-review-data/rotten_tomatoes", None, "train+validation+test"),
        "is a sentence of a film review positive (Pang & Lee)",
        "https://www.cs.cornell.edu/people/pabo/movie-review-data/",
        bias=False,
    ),
    _sentences(
        "snli",
        ("premise", "hypothesis"),
        _NLI,
        "snli/validation",
        Hub("stanfordnlp/snli", "plain_text", "validation"),
        "does the premise entail the hypothesis (SNLI, development split)",
        "https://nlp.stanford.edu/projects/snli/",
    ),
    _words(
        "pos",
        ("adjective", "adverb", "noun", "verb"),
        "parts of speech of a word, several at once",
        "https://codwoe.atilf.fr/",
    ),
    _words(
        "supersense",
        tuple(f"noun.{name}" for name in _SUPERSENSES.split()),
        "WordNet supersenses of a noun, several at once",
        "https://wordnet.princeton.edu/documentation/lexnames5wn",
    ),
    _glue("cola", ("sentence",), ("unacceptable", "acceptable"), "is a sentence grammatical"),
    _glue("mnli", ("premise", "hypothesis"), _NLI, "does the premise entail the hypothesis"),
    _glue("mrpc", _PAIR, ("not_equivalent", "equivalent"), "do two news sentences mean the same"),
    _glue(
        "qnli",
        ("question", "sentence"),
        ("entailment", "not_entailment"),
        "does the sentence answer the question",
    ),
    _glue(
        "qqp",
        ("question1", "question2"),
        ("not_duplicate", "duplicate"),
        "do two questions ask the same",
    ),
    _glue("rte", _PAIR, ("entailment", "not_entailment"), "does one text entail the other"),
    _glue("sst2", ("sentence",), ("negative", "positive"), "is a phrase of a review positive"),
    _glue("wnli", _PAIR, ("not_entailment", "entailment"), "what does a pronoun refer to"),
    Task(
        "digits",
        "vectors",
        (),
        tuple("0123456789"),
        multilabel=False,
        bias=True,
        updates=1000,
        local=None,
        hub=None,
        about="8×8 images of handwritten digits, from scikit-learn: needs no download",
        page="https://archive.ics.uci.edu/dataset/80",
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ROWS}


def find_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        InputError: there is none; names the allowed ones and the nearest.
    """
    if name in TASKS:
        return TASKS[name]
    near = difflib.get_close_matches(name.lower(), TASKS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"unknown task {name!r}; it must be one of {', '.join(TASKS)}.{hint}")
