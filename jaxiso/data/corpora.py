"""Corpora of sentences for the text models, read from wherever they are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxiso.cli.console import InputError, note
from jaxiso.cli.files import digest_of
from jaxiso.data import sources
from jaxiso.data.known_corpora import CORPORA, CorpusFacts
from jaxiso.data.sentences import (
    CLASSES,
    SPLITS,
    Maker,
    SentenceRule,
    Text,
    class_names,
    json_texts,
    split_sentences,
)
from jaxiso.data.sources import Hub
from jaxiso.data.splits import Read, Sizes, Split, draw, even_order, label_ids, three_parts

FILE_KINDS = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences to train on, to watch and to test on.

    Attributes:
        name: a key of `CORPORA`; or the file's or folder's name, "own-" before it if it is such a
            key.
        classes: label names, in label order; empty where there are no labels.
        source: where it was read from, for people.
        how: how the splits came about, for people.
        counts: number of texts or sentences that were changed or left out, by what happened.
        where: what `load_corpus` needs to find the same text again, as plain JSON: "corpus", the
            name or the absolute path of one's own file; "data_dir", the absolute path of the data
            directory where a copy there was read, or None.
    """

    name: str
    train: Split
    dev: Split
    test: Split
    classes: tuple[str, ...]
    source: str
    how: str
    counts: dict[str, int] = field(default_factory=dict)
    where: dict[str, str | None] = field(default_factory=dict)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each split: its words, its labels and what they are called."""
        digests = {}
        for name, split in {"train": self.train, "dev": self.dev, "test": self.test}.items():
            text = "\n".join(map(" ".join, split.sentences))  # no word has a blank in it
            labels = "none" if split.labels is None else split.labels.astype("<i4").tobytes()
            digests[name] = digest_of(text, labels, *self.classes)
        return digests


def load_corpus(
    name_or_file: str,
    *,
    data_dir: Path | str | None,
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

    Raises InputError for an unknown corpus or file, data not found, or such as cannot be used.
    """
    if max_length is not None and max_length < 1:
        raise InputError(f"max length {max_length}: it must be at least 1 word, or not be given")
    if sizes is not None and min(sizes) < 1:
        raise InputError(f"sizes {sizes}: train, dev and test must be at least 1 sentence each")
    rng = np.random.default_rng((seed, 0xC0B9))
    facts = CORPORA.get(name_or_file) or _own_facts(name_or_file)
    rule = sentence_rule or facts.rule
    maker = Maker(rule, max_length, facts.tokenised, facts.ascii)
    where: dict[str, str | None] = {"corpus": name_or_file, "data_dir": None}
    if name_or_file not in CORPORA:
        path = Path(name_or_file).expanduser()
        where["corpus"] = str(path.absolute())
        read = _read_own(path, maker)
    elif name_or_file == "lee":
        source = "gensim's lee_background.cor and lee.cor"
        read = Read(source, {"all": maker.make(_lee(maker))})
    else:
        folder = sources.resolve_data_dir(data_dir)
        copy = folder / facts.name if folder else None
        if copy and (parts := maker.make_folder(copy)):  # it always wins over the hub
            sources.check_classes(class_names(copy) or facts.classes, facts, str(copy / CLASSES))
            read = Read(str(copy), parts)
            there = str(copy.parent.absolute())
            where["data_dir"] = there if sources.is_unicode(there) else None
        else:
            maker = Maker(rule, max_length)  # the hub's texts are those that nobody made ready
            read = _read_hub(copy, facts, maker, sizes, rng, quiet)
    counts = {what: count for what, count in maker.counts.items() if count}
    for name, part in read.parts.items():
        if not part:
            out = ", ".join(f"{count:,} {what}" for what, count in counts.items())
            place = read.source if name == "all" else f"{read.source}, {name}"
            raise InputError(f"{place}: no sentence in it{f' ({out})' if out else ''}")
    labels, classes = label_ids(read, facts)
    splits, how = three_parts(read, labels, None if read.sized else sizes, rng)
    if cut := sum(split.cut for split in splits):
        counts[f"sentences cut to their first {max_length} words"] = cut
    how = f"{how} (seed {seed})"
    for what, count in counts.items():
        note(f"{facts.name}: {count:,} {what}", quiet=quiet)
    train, dev, test = splits
    note(
        f"{facts.name}: {len(train):,} sentences to train on, {len(dev):,} for dev, "
        f"{len(test):,} to test, {len(classes) or 'no'} classes, from {read.source}; {how}",
        quiet=quiet,
    )
    return Corpus(facts.name, train, dev, test, classes, read.source, how, counts, where)


def corpus_texts(name: str, *, data_dir: Path | str | None, quiet: bool = False) -> list[Text]:
    """The texts of a corpus as they are, not in words: where each is from, itself, its label.

    They are those to train on; where the data directory has none of these, all that it has.

    `name` is a key of `CORPORA`; the rest is as in `load_corpus`.

    Returns:
        Texts; the label is the name of a class, or None.

    Raises InputError if the data are not found or cannot be used.
    """
    facts = CORPORA[name]
    if name == "lee":
        return list(_lee(Maker("cut", None)))
    folder = sources.resolve_data_dir(data_dir)
    copy = folder / name if folder else None
    there = {
        split: path
        for split in SPLITS
        for path in (sources.json_lines_paths(copy, split) if copy else ())
        if path.exists()
    }
    if copy and there:
        names = class_names(copy) or facts.classes
        sources.check_classes(names, facts, str(copy / CLASSES))
        wanted = [there["train"]] if "train" in there else list(there.values())
        found = [text for path in wanted for text in json_texts(path)]
        note(f"{name}: texts of {', '.join(map(str, wanted))}", quiet=quiet)
    else:
        found = _hub_texts(copy, facts, quiet)
    return [
        (where, text, None if label is None else _class_name(label, where, facts))
        for where, text, label in found
    ]


def _class_name(label: object, where: str, facts: CorpusFacts) -> str:
    return facts.classes[sources.class_id(label, "label", where, facts)]


def _hub_texts(copy: Path | None, facts: CorpusFacts, quiet: bool) -> list[Text]:
    nowhere = _nowhere(copy, facts)
    if facts.hub is None:
        raise InputError(nowhere(""))
    fields = (facts.text_field, facts.label_field)
    data: Any = sources.hub_table(facts, facts.hub, fields, nowhere, quiet=quiet)
    rows = zip(data[facts.text_field][:], data[facts.label_field][:], strict=True)
    return [(f"{facts.hub}, row {i}", text, label) for i, (text, label) in enumerate(rows, 1)]


def _own_facts(given: str) -> CorpusFacts:
    """The facts of a user's file or folder."""
    path = Path(given).expanduser()
    if not sources.is_unicode(given):  # a run could not write down what it read
        raise InputError(f"corpus {given!a}: its name is not valid Unicode; rename it")
    is_file = path.name.endswith(FILE_KINDS)
    if path.is_dir() or (path.exists() and is_file):
        name = path.resolve().name.split(".")[0] or path.name
        name = f"own-{name}" if name in CORPORA else name  # not taken for that corpus by any table
        classes = class_names(path) if path.is_dir() else ()
        return CorpusFacts(name=name, about="a corpus of one's own", page="", classes=classes)
    allowed = f"{', '.join(CORPORA)}, or a file ({', '.join(FILE_KINDS)}) or folder"
    if path.exists() or is_file or len(path.parts) > 1:
        why = "what kind of file it is does not show" if path.exists() else "no such file or folder"
        raise InputError(f"corpus {path}: {why}; allowed: {allowed}")
    near = sources.did_you_mean(given, CORPORA)
    raise InputError(f"unknown corpus {given!r}; it must be one of {allowed}.{near}")


def _read_own(path: Path, maker: Maker) -> Read:
    if path.is_dir():
        if parts := maker.make_folder(path):
            return Read(str(path), parts)
        looked_for = ", ".join(f"{split}.jsonl[.gz]" for split in SPLITS)
        raise InputError(f"{path}: a corpus folder must hold {looked_for}; none is there")
    texts = json_texts(path)
    if ".jsonl" not in path.suffixes:
        texts = ((where, line, None) for where, line in sources.read_lines(path))
    return Read(str(path), {"all": maker.make(texts)})


def _lee(maker: Maker) -> Iterator[Text]:
    """The sentences of gensim's copy of the Lee corpus, each once; gensim is not imported."""
    spec = importlib.util.find_spec("gensim")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("corpus 'lee' ships inside gensim, not installed: pip install gensim")
    folder = Path(spec.submodule_search_locations[0]) / "test" / "test_data"
    seen: set[str] = set()
    for path in (folder / "lee_background.cor", folder / "lee.cor"):
        try:
            lines = path.read_text(encoding="latin-1").splitlines()
        except OSError as error:
            raise InputError(
                f"corpus 'lee': {path} cannot be read: {error.strerror}; "
                "pip install --force-reinstall gensim"
            ) from error
        for number, line in enumerate(lines, start=1):
            for sentence in split_sentences(line):
                if sentence in seen:
                    maker.counts["sentences left out that were there before"] += 1
                    continue
                seen.add(sentence)
                yield f"{path}, line {number}", sentence, None


def _hubs(facts: CorpusFacts) -> list[Hub]:
    return [replace(facts.hub, split=split) for split in ("train", "test")] if facts.hub else []


def _nowhere(copy: Path | None, facts: CorpusFacts) -> Callable[[str], str]:
    """The message for a corpus that is nowhere, given a line that says why."""
    looked_for = f"no folder: {sources.NO_DATA_DIR}"
    if copy:
        looked_for = f"{copy}/{{{','.join(SPLITS)}}}.jsonl[.gz]"
    file = f"{copy or f'DATA-DIR/{facts.name}'}/train.jsonl"
    write, line = f"write {file}, and likewise validation and test", '{"text": "…", "label": 0}'
    return partial(sources.not_found, facts, looked_for, _hubs(facts), write, line, "")


def _read_hub(
    copy: Path | None,
    facts: CorpusFacts,
    maker: Maker,
    sizes: Sizes | None,
    rng: np.random.Generator,
    quiet: bool,
) -> Read:
    """Draws train and dev from the hub's training split, test from its test split."""
    hub, sizes = facts.hub, sizes or facts.sizes
    nowhere = _nowhere(copy, facts)
    if hub is None or sizes is None:
        raise InputError(nowhere(""))
    hubs = _hubs(facts)
    parts = {}
    drawn = ({"train": sizes[0], "validation": sizes[1]}, {"test": sizes[2]})
    fields = (facts.text_field, facts.label_field)
    for place, wanted in zip(hubs, drawn, strict=True):
        data: Any = sources.hub_table(facts, place, fields, nowhere, quiet=quiet)
        order = even_order(np.asarray(data[facts.label_field][:]), rng)
        samples = draw(order, wanted.values(), str(place))
        for part, rows in zip(wanted, samples, strict=True):
            texts: list[Text] = []
            for i, row in zip(rows + 1, data.select(rows).to_list(), strict=True):
                where = f"{place}, row {i}"
                text = sources.text_field(row, facts.text_field, where)
                texts.append((where, text, row[facts.label_field]))
            parts[part] = maker.make(texts)
    whole = replace(hub, split="train and test")
    return Read(f"the Hugging Face hub ({whole})", parts, sized=True)
