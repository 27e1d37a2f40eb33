"""A corpus's texts → its sentences in words: what is known of the corpus, reading, making."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxiso.data.sources import json_lines_paths, read_json_lines, shorten
from jaxiso.data.tasks import Hub
from jaxiso.data.words import split_sentences, split_words
from jaxiso.errors import InputError

SentenceRule = Literal["first", "cut"]
Sizes = tuple[int, int, int]

SPLITS = ("train", "validation", "test")

# What happened to texts on the way, as notes and `Corpus.counts` say it.
_BLANK = "blank texts left out"
_TWICE = "sentences left out that were there before"
_FIRST = "texts reduced to their first sentence"
_ASCII = "texts with characters other than ASCII, which are dropped as in the training texts"


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What is known of a corpus before it is read.

    Attributes:
        name: as given on the command line.
        about: one line for help texts.
        page: where the corpus is described, with its licence.
        classes: label names, in label order; empty where there are no labels.
        rule: what is done with a text by default: keep its first sentence, or the whole.
        tokenised: in the local copy words are apart already, so that it is split at blanks only.
        ascii: the local copy's training texts have no other characters: drop them throughout.
        hub: its training split on the Hugging Face hub, beside a split `test`; or None.
        text_field: there, the text.
        label_field: there, the label.
        sizes: numbers of sentences in the paper: train, dev, test; or None.
    """

    name: str
    about: str
    page: str
    classes: tuple[str, ...] = ()
    rule: SentenceRule = "cut"
    tokenised: bool = False
    ascii: bool = False
    hub: Hub | None = None
    text_field: str = "text"
    label_field: str = "label"
    sizes: Sizes | None = None


class Text(NamedTuple):
    """A text as it was read: where (for people), the text, and its label or None."""

    where: str
    text: str
    label: object


class Sentence(NamedTuple):
    """A sentence in words; where it is from, its label or None, and whether it lost its end."""

    where: str
    words: list[str]
    label: object
    cut: bool


class Maker:
    """Texts → sentences in words; counts what is left out."""

    def __init__(self, rule: SentenceRule, max_length: int | None) -> None:
        self._rule, self._max_length = rule, max_length
        self.counts: Counter[str] = Counter()

    def make(
        self, texts: Iterable[Text], facts: CorpusFacts, *, local: bool = True
    ) -> list[Sentence]:
        """The sentences of texts; `local`: of a copy on disk, not of the hub's."""
        made = []
        for where, text, label in texts:
            if facts.ascii and local:
                self.counts[_ASCII] += not text.isascii()
                text = text.encode("ascii", "ignore").decode()
            if self._rule == "first":
                sentence = next(split_sentences(text), "")
                self.counts[_FIRST] += len(sentence) < len(text.strip())
                text = sentence
            words = split_words(text, tokenised=facts.tokenised and local)
            if not words:
                self.counts[_BLANK] += 1
                continue
            limit = self._max_length or len(words)
            made.append(Sentence(where, words[:limit], label, len(words) > limit))
        return made

    def lee(self, facts: CorpusFacts) -> list[Sentence]:
        """The sentences of gensim's copy of the Lee corpus, found without importing gensim."""
        spec = importlib.util.find_spec("gensim")
        if spec is None or not spec.submodule_search_locations:
            raise InputError("corpus 'lee' ships inside gensim, not installed: pip install gensim")
        folder = Path(spec.submodule_search_locations[0]) / "test" / "test_data"
        texts: dict[str, Text] = {}
        for name in ("lee_background.cor", "lee.cor"):
            try:
                lines = (folder / name).read_text(encoding="latin-1").splitlines()
            except OSError as error:
                raise InputError(
                    f"corpus 'lee': {folder / name} cannot be read: {error.strerror}; "
                    "pip install --force-reinstall gensim"
                ) from error
            for number, line in enumerate(lines, start=1):
                for sentence in split_sentences(line):
                    self.counts[_TWICE] += sentence in texts
                    where = f"{folder / name}, line {number}"
                    texts.setdefault(sentence, Text(where, sentence, None))
        return self.make(texts.values(), facts)


def local_parts(folder: Path, facts: CorpusFacts, maker: Maker) -> dict[str, list[Sentence]]:
    """The sentences of each split that a folder has a file for."""
    parts = {}
    for split in SPLITS:
        path = next((path for path in json_lines_paths(folder, split) if path.exists()), None)
        if path is not None:
            parts[split] = maker.make(json_texts(path), facts)
    return parts


def json_texts(path: Path) -> Iterator[Text]:
    """Yields the texts of a file of JSON lines."""
    for where, row in read_json_lines(path):
        yield Text(where, string_field(row, "text", where), row.get("label"))


def string_field(row: dict[str, Any], name: str, where: str) -> str:
    """A row's field, which must be there and be a string."""
    if name not in row:
        raise InputError(f"{where}: no field {name!r}; found {', '.join(row) or 'none'}")
    if not isinstance(row[name], str):
        raise InputError(
            f"{where}: field {name!r} is {shorten(row[name])} ({type(row[name]).__name__}); it "
            "must be a string"
        )
    return row[name]


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in a folder's classes.json; none if there is no such file."""
    path = folder / "classes.json"
    if not path.exists():
        return ()
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: {shorten(names)}; it must be a list of the classes' names")
    return tuple(names)
