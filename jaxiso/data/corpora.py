"""Corpora of sentences for the text models: one table of facts, and `load_corpus`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from jaxiso import console
from jaxiso.data.sentences import (
    SPLITS,
    CorpusFacts,
    Maker,
    SentenceRule,
    Sizes,
    Text,
    class_names,
    json_texts,
    local_parts,
)
from jaxiso.data.sources import DATA_VARIABLE, asking_hub, read_lines, resolve_data_dir
from jaxiso.data.splits import Read, Split, hub_parts, label_ids, three_parts
from jaxiso.data.tasks import Hub
from jaxiso.errors import InputError

FILE_KINDS = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz")

_DBPEDIA_CLASSES = (
    "Company EducationalInstitution Artist Athlete OfficeHolder MeanOfTransportation Building "
    "NaturalPlace Village Animal Plant Album Film WrittenWork"
)
_YAHOO_CLASSES = (
    "Society & Culture, Science & Mathematics, Health, Education & Reference, "
    "Computers & Internet, Sports, Business & Finance, Entertainment & Music, "
    "Family & Relationships, Politics & Government"
)
_BROWN_CLASSES = (
    "adventure belles_lettres editorial fiction government hobbies humor learned lore mystery news "
    "religion reviews romance science_fiction"
)

_ROWS = (
    CorpusFacts(
        name="lee",
        about="sentences of Australian news, from gensim: needs no download",
        page="https://github.com/piskvorky/gensim (gensim/test/test_data)",
    ),
    CorpusFacts(
        name="dbpedia",
        about="abstracts of Wikipedia articles in 14 classes",
        page="https://huggingface.co/datasets/fancyzhx/dbpedia_14",
        classes=tuple(_DBPEDIA_CLASSES.split()),
        rule="first",
        ascii=True,
        hub=Hub("fancyzhx/dbpedia_14", "dbpedia_14", "train"),
        text_field="content",
        sizes=(140_000, 14_000, 14_000),
    ),
    CorpusFacts(
        name="yahoo",
        about="questions to Yahoo Answers in 10 topics; the local copy has no labels",
        page="https://huggingface.co/datasets/community-datasets/yahoo_answers_topics",
        classes=tuple(_YAHOO_CLASSES.split(", ")),
        rule="first",
        tokenised=True,
        hub=Hub("community-datasets/yahoo_answers_topics", "yahoo_answers_topics", "train"),
        # The paper trains on "Yahoo Question": the question alone, not what explains or answers it.
        text_field="question_title",
        label_field="topic",
        sizes=(100_000, 10_000, 10_000),
    ),
    CorpusFacts(
        name="brown",
        about="sentences of the Brown corpus in 15 genres; local copy only",
        page="https://www.nltk.org/nltk_data/ (brown; non-commercial use)",
        classes=tuple(_BROWN_CLASSES.split()),
        tokenised=True,
    ),
)

CORPORA: dict[str, CorpusFacts] = {facts.name: facts for facts in _ROWS}


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences to train on, to watch and to test on.

    Attributes:
        name: a key of `CORPORA`, or the file's or folder's name.
        train, dev, test: the sentences.
        classes: label names, in label order; empty where there are no labels.
        source: where it was read from, for people.
        how: how the splits came about, for people.
        counts: number of texts or sentences that were changed or left out, by what happened.
    """

    name: str
    train: Split
    dev: Split
    test: Split
    classes: tuple[str, ...]
    source: str
    how: str
    counts: dict[str, int] = field(default_factory=dict)


def load_corpus(
    name_or_file: str,
    *,
    data_dir: Path | None,
    max_length: int | None = None,
    sentence_rule: SentenceRule | None = None,
    sizes: Sizes | None = None,
    seed: int = 0,
    quiet: bool = False,
) -> Corpus:
    """Reads a corpus, in words.

    Args:
        name_or_file: a key of `CORPORA`; or a file with a sentence a line (.txt) or JSON lines with
            `text` and, on all rows or none, `label` (.jsonl), plain or .gz; or a folder with such
            train, validation and test.jsonl, and the names of the classes in classes.json.
        data_dir: folder with `<corpus>/<split>.jsonl[.gz]`; None means the environment's
            JAXISO_DATA. What is not there comes from the Hugging Face hub.
        max_length: words that a sentence may have; longer ones are cut. None: no limit.
        sentence_rule: 'first': of each text its first sentence; 'cut': the whole text. Both are
            then cut to `max_length`. None: the corpus's own, `CorpusFacts.rule`; 'cut' for files.
        sizes: sentences in train, dev and test, drawn at random by `seed`; from the hub with
            classes as even as can be. None: all there are, from the hub as many as in the paper.
        seed: of what is drawn at random: sampling, and splits where the data have none.
        quiet: no notes.

    Raises:
        InputError: no such corpus or file, data not found, or data that cannot be used.
    """
    if max_length is not None and max_length < 1:
        raise InputError(f"max length {max_length}: it must be at least 1 word, or not be given")
    if sizes is not None and min(sizes) < 1:
        raise InputError(f"sizes {sizes}: train, dev and test must be at least 1 sentence each")
    rng = np.random.default_rng((seed, 0xC0B9))
    facts = CORPORA.get(name_or_file) or _own_facts(name_or_file)
    maker = Maker(sentence_rule or facts.rule, max_length)
    if name_or_file == "lee":
        read = Read("gensim's lee_background.cor and lee.cor", {"all": maker.lee(facts)}, ())
    elif name_or_file in CORPORA:
        read = _read_known(facts, maker, data_dir, sizes, rng, quiet)
    else:
        read = _read_own(Path(name_or_file).expanduser(), facts, maker)
    counts = {what: count for what, count in maker.counts.items() if count}
    for name, part in read.parts.items():
        if not part:
            out = ", ".join(f"{count:,} {what}" for what, count in counts.items())
            where = read.source if name == "all" else f"{read.source}, {name}"
            raise InputError(f"{where}: no sentence in it{f' ({out})' if out else ''}")
    labels, classes = label_ids(read, facts)
    parts, how = three_parts(read, labels, None if read.sized else sizes, rng)
    corpus = Corpus(facts.name, *parts, classes, read.source, f"{how} (seed {seed})", counts)
    return _say(corpus, max_length, quiet)


def _own_facts(given: str) -> CorpusFacts:
    """The facts of a user's file or folder."""
    path = Path(given).expanduser()
    if path.is_dir() or (path.exists() and path.name.endswith(FILE_KINDS)):
        name = path.resolve().name.split(".")[0] or path.name
        return CorpusFacts(name=name, about="a corpus of one's own", page="")
    allowed = f"{', '.join(CORPORA)}, or a file ({', '.join(FILE_KINDS)}) or folder"
    if path.exists():
        raise InputError(
            f"corpus {path}: what kind of file it is does not show; allowed: {allowed}"
        )
    if path.name.endswith(FILE_KINDS) or len(path.parts) > 1:
        raise InputError(f"corpus {path}: no such file or folder; allowed: {allowed}")
    near = difflib.get_close_matches(given.lower(), CORPORA, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"unknown corpus {given!r}; it must be one of {allowed}.{hint}")


def _read_own(path: Path, facts: CorpusFacts, maker: Maker) -> Read:
    if path.is_dir():
        parts = local_parts(path, facts, maker)
        if not parts:
            looked_for = ", ".join(f"{split}.jsonl[.gz]" for split in SPLITS)
            raise InputError(f"{path}: a corpus folder must hold {looked_for}; none is there")
        return Read(str(path), parts, class_names(path))
    if ".jsonl" in path.suffixes:
        return Read(str(path), {"all": maker.make(json_texts(path), facts)}, ())
    texts = (Text(where, line, None) for where, line in read_lines(path))
    return Read(str(path), {"all": maker.make(texts, facts)}, ())


def _read_known(
    facts: CorpusFacts,
    maker: Maker,
    data_dir: Path | None,
    sizes: Sizes | None,
    rng: np.random.Generator,
    quiet: bool,
) -> Read:
    """A local copy that is present always wins over the hub."""
    folder = resolve_data_dir(data_dir)
    local = folder / facts.name if folder else None
    if local is not None and (parts := local_parts(local, facts, maker)):
        names = class_names(local)
        if names and names != facts.classes:
            raise InputError(
                f"{local / 'classes.json'}: its classes are {', '.join(names)}; "
                f"corpus {facts.name!r} expects {', '.join(facts.classes)}, in this order"
            )
        return Read(str(local), parts, facts.classes)
    if facts.hub is None or facts.sizes is None:
        raise InputError(_how_to_get(facts, local, ""))
    with asking_hub(facts.hub, lambda state: _how_to_get(facts, local, state), quiet=quiet):
        parts = hub_parts(facts, facts.hub, sizes or facts.sizes, maker, rng)
    hub = replace(facts.hub, split="train and test")
    return Read(f"the Hugging Face hub ({hub})", parts, facts.classes, sized=True)


def _say(corpus: Corpus, max_length: int | None, quiet: bool) -> Corpus:
    """Says what was read and what was left out; the corpus with the cut sentences counted."""
    counts = dict(corpus.counts)
    if cut := sum(split.cut for split in (corpus.train, corpus.dev, corpus.test)):
        counts[f"sentences cut to their first {max_length} words"] = cut
    for what, count in counts.items():
        console.note(f"{corpus.name}: {count:,} {what}", quiet=quiet)
    console.note(
        f"{corpus.name}: {len(corpus.train):,} sentences to train on, {len(corpus.dev):,} for dev, "
        f"{len(corpus.test):,} to test, {len(corpus.classes) or 'no'} classes, from "
        f"{corpus.source}; {corpus.how}",
        quiet=quiet,
    )
    return replace(corpus, counts=counts)


def _how_to_get(facts: CorpusFacts, folder: Path | None, hub_state: str) -> str:
    """The message for a corpus that is nowhere."""
    looked_for = f"no folder: no data directory given (--data-dir, or {DATA_VARIABLE})"
    if folder:
        looked_for = f"{folder}/{{{','.join(SPLITS)}}}.jsonl[.gz]"
    get = ""
    if facts.hub:
        both = "\n    ".join(replace(facts.hub, split=split).command for split in ("train", "test"))
        get = f"while online, run\n    {both}\n  or "
    names = ", ".join(f"{i} {name}" for i, name in enumerate(facts.classes))
    return (
        f"corpus {facts.name!r}: its data were not found\n  looked for: {looked_for}{hub_state}\n"
        f"  to get them: {get}write {folder or f'DATA-DIR/{facts.name}'}/train.jsonl, and likewise "
        f'validation and test, one JSON object a line:\n    {{"text": "…", "label": 0}}\n'
        f"    labels: {names}\n  about the data and their licence: {facts.page}"
    )
