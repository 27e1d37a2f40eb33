"""The corpora that are known by name: one table of facts, one row a corpus."""

from __future__ import annotations

from dataclasses import dataclass

from jaxiso.data.sentences import SentenceRule
from jaxiso.data.sources import Facts, Hub
from jaxiso.data.splits import Sizes


@dataclass(frozen=True, kw_only=True)
class CorpusFacts(Facts):
    """What is known of a corpus before it is read; see `Facts`.

    Attributes:
        hub: its training split on the Hugging Face hub, beside a split `test`; or None.
        rule: what is done with a text by default: keep its first sentence, or the whole.
        tokenised: in the local copy words are apart already, so that it is split at blanks only.
        ascii: the local copy's training texts have no other characters: drop them throughout.
        text_field, label_field: their names on the hub.
        sizes: numbers of sentences in the paper: train, dev, test; or None.
    """

    kind_of_data = "corpus"
    rule: SentenceRule = "cut"
    tokenised: bool = False
    ascii: bool = False
    text_field: str = "text"
    label_field: str = "label"
    sizes: Sizes | None = None


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
