"""Texts of a corpus → its sentences in words, and the files of one's own that hold texts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from jaxiso.cli.console import InputError
from jaxiso.cli.files import read_json
from jaxiso.data.sources import json_lines_paths, read_json_lines, shorten, text_field
from jaxiso.data.vocabulary import UNKNOWN, UNKNOWN_MARKS

SentenceRule = Literal["first", "cut"]
SPLITS = ("train", "validation", "test")
CLASSES = "classes.json"

Text = tuple[str, str, object]
"""A text as it was read: where (for people), the text, and its label or None."""

# What happened to texts on the way, as notes and `Corpus.counts` say it.
_BLANK = "blank texts left out"
_FIRST = "texts reduced to their first sentence"
_ASCII = "texts with characters other than ASCII, which are dropped as in the training texts"

# Sorted only to be readable; `no` is left out, as it is a word more often.
_ABBREVIATIONS = (
    "adm ave bros c ca capt cf co col corp cpl cv dept dr ed eds est etc ft gen gov hon inc jr "
    "lt ltd maj mr mrs ms mt op prof rep rev sen sgt sr st vol vs"
)
_CLITIC = r"'(?:s|re|ve|ll|d|m)\b"
_WORD = re.compile(
    rf"""
      <unk> | \[unk\]
    | (?=\w{{1,4}}\.)(?:{"|".join(_ABBREVIATIONS.split())})\.(?!\w)   # Mr.
    | (?:[^\W\d_]\.)+(?!\w)                            # J. and U.S.
    | \w+?(?=n't\b) | n't\b | {_CLITIC}                # does n't, band 's
    | \w+ (?: [-./] \w+ | (?<=\d)[,:](?=\d)\w+ | (?!{_CLITIC})'\w+ )*
    | \.{{2,}} | -{{2,}} | `` | '' | \S
    """,
    re.VERBOSE,
)
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"'} | dict.fromkeys("\u200b\u200e\u200f\xad\ufeff")
)

# A sentence that lost the blank, or the line break, before the next: `in 1992.It is`.
_GLUED = re.compile(r"(?<=[a-z0-9)\]\s])([.!?])(?=[A-Z][a-z]|[AI]\s)")
# A word that ends in a mark, or a mark that stands alone; marks that stand alone behind it; and
# the first character after them.
_END = re.compile(
    r"""(?<!\S)(\S*?)([.!?]+["'”’)\]]*)(?!\S)((?:\s+(?:[.!?)\]]+|'')(?!\S))*)(?=\s*(\S?))"""
)
_OPENING = "\"'“‘(["
_NO_END = re.compile(rf"(?:{'|'.join(_ABBREVIATIONS.split())}|(?:[^\W\d_]\.)*[^\W\d_])", re.I)


def split_words(text: str, *, tokenised: bool = False) -> list[str]:
    """A text's words, in lower case, punctuation apart.

    The rule is close to the Penn Treebank's: clitics stand alone (`does n't`, `band 's`), `Mr.`,
    `U.S.` and initials keep their period, hyphens, slashes and periods inside of words stay, and
    all other punctuation is a word each. Splitting words that were split before, joined by
    blanks, changes nothing. Words that stand for a left-out word (`_UNK`, `<unk>`) become `unk`.
    A text that is `tokenised`, in words already, is split at blanks only.
    """
    if tokenised:
        words = text.lower().split()
    else:
        # Composed, since a combining accent is no part of a word to `re`.
        text = unicodedata.normalize("NFC", _GLUED.sub(r" \1 ", text)).translate(_PLAIN)
        words = _WORD.findall(text.lower())
    return [UNKNOWN if word in UNKNOWN_MARKS else word for word in words]


def split_sentences(text: str) -> Iterator[str]:
    """Yields a text's sentences.

    A sentence ends with a period, question or exclamation mark that stands alone, or that ends a
    word and comes before a capital, a digit or an opening quote or bracket; but not after an
    abbreviation (`Mr.`), an initial (`J.`) or initials (`U.S.`). Closing quotes and brackets stay
    with their sentence. A period without a blank before a capitalised word ends one as well
    (`in 1992.It is`), since DBpedia's texts lost their line breaks.
    """
    text = _GLUED.sub(r"\1 ", text)
    start = 0
    for match in _END.finditer(text):
        word, after = match[1].lstrip(_OPENING), match[4]
        if word and match[2] == "." and _NO_END.fullmatch(word):
            continue
        if word and after and not (after.isupper() or after.isdigit() or after in _OPENING):
            continue
        yield text[start : match.end(3)].strip()
        start = match.end(3)
    if text[start:].strip():
        yield text[start:].strip()


class Sentence(NamedTuple):
    """A sentence in words; where it is from, its label or None, and whether it lost its end."""

    where: str
    words: list[str]
    label: object
    cut: bool


@dataclass
class Maker:
    """Texts → sentences in words; counts what is left out.

    Attributes:
        rule: 'first': of each text its first sentence; 'cut': the whole text.
        max_length: words that a sentence may have; longer ones are cut. None: no limit.
        tokenised: words are apart already, so that texts are split at blanks only.
        ascii: other characters are dropped.
        counts: texts that were changed or left out, by what happened.
    """

    rule: SentenceRule
    max_length: int | None
    tokenised: bool = False
    ascii: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def make(self, texts: Iterable[Text]) -> list[Sentence]:
        """The sentences of texts; those without a word are left out."""
        made = []
        for where, text, label in texts:
            if self.ascii:
                self.counts[_ASCII] += not text.isascii()
                text = text.encode("ascii", "ignore").decode()
            if self.rule == "first":
                sentence = next(split_sentences(text), "")
                self.counts[_FIRST] += len(sentence) < len(text.strip())
                text = sentence
            words = split_words(text, tokenised=self.tokenised)
            if not words:
                self.counts[_BLANK] += 1
                continue
            limit = self.max_length or len(words)
            made.append(Sentence(where, words[:limit], label, len(words) > limit))
        return made

    def make_folder(self, folder: Path) -> dict[str, list[Sentence]]:
        """The sentences of each split that a folder has a file for."""
        files = {
            split: next((path for path in json_lines_paths(folder, split) if path.exists()), None)
            for split in SPLITS
        }
        return {split: self.make(json_texts(path)) for split, path in files.items() if path}


def json_texts(path: Path) -> Iterator[Text]:
    """Yields the texts of a file of JSON lines, with their labels."""
    for where, row in read_json_lines(path):
        yield where, text_field(row, "text", where), row.get("label")


def class_names(folder: Path) -> tuple[str, ...]:
    """The names in a folder's classes.json, which must be a list; none if there is no such file."""
    path = folder / CLASSES
    if not path.exists():
        return ()
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: {shorten(names)}; it must be a list of the classes' names")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: the class {twice[0]!r} is there twice; each must have its own name"
        )
    return tuple(names)
