"""Words and sentences of texts, against their rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.data.sentences import split_sentences, split_words
from jaxiso.data.vocabulary import UNKNOWN

few = settings(deadline=None, max_examples=40)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The band's 2nd album, (1992).", "the band 's 2nd album , ( 1992 ) ."),
        ("He doesn't; can't he?", "he does n't ; ca n't he ?"),
        ("Mr. J. B. O'Brien of St. Ives", "mr. j. b. o'brien of st. ives"),
        ("the U.S. at 2:15am, $1,000.50", "the u.s. at 2:15am , $ 1,000.50"),
        ("a comedy/horror film on Web.com", "a comedy/horror film on web.com"),
        ("a politician.Born in 1992.He", "a politician . born in 1992 . he"),
        ("(disambiguation) .Vampira is", "( disambiguation ) . vampira is"),
        ("`` well '' ... so--what “now”", "`` well '' ... so -- what \" now \""),
        ("a _UNK and <unk>, unk [UNK]", "a unk and unk , unk unk"),
        ("Bre\u0301zani\u200e was Ödön’s", "br\u00e9zani was ödön 's"),
        (" \t\n", ""),
    ],
)
def test_words(text, words):
    assert split_words(text) == words.split()


def test_words_of_tokenised_text():
    words = ["do", "n't", "ask", "(morgan)", UNKNOWN, ",", "mr.", "x.y"]
    assert split_words("do n't  ask (morgan) _UNK , Mr. X.Y\n", tokenised=True) == words


@few
@given(st.text(st.sampled_from("aBn'st1.,-:/!?`\"()<>unk_ \t\u00e9\u2019")))
def test_splitting_words_twice_changes_nothing(text):
    words = split_words(text)
    assert split_words(" ".join(words)) == words
    assert all(word and not any(character.isspace() for character in word) for word in words)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. J. Smith of the U.S. Army left.", "It rained."],
        ['"I go," he said.', '"In fact, I went."', "Then?!", "(No.)", "20 stayed."],
        ["He said it is approx. two or so... maybe."],
        ["what is it ? ? ?", "i do not know .", "ok"],
        ["`` i go . ''", "he went ."],
        ["1.5 m", ""],
        [],
    ],
)
def test_sentences(sentences):
    assert list(split_sentences(" ".join(sentences))) == [one for one in sentences if one]


def test_sentences_that_lost_a_blank():
    text = "It closed in 1992.The town (a port).It has 3.5 km of Web.com roads .A new"
    assert list(split_sentences(text)) == [
        "It closed in 1992.",
        "The town (a port).",
        "It has 3.5 km of Web.com roads .",
        "A new",
    ]
