"""Vocabularies: their words, encoding, files and complaints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxiso.cli.console import InputError
from jaxiso.cli.files import write_json
from jaxiso.data.vocabulary import MARKS, UNKNOWN, Vocabulary
from jaxiso.models.tokens import EOS, UNK

few = settings(deadline=None, max_examples=40)

SENTENCES = [["b", "a", "b"], ["c", "b"], [UNKNOWN, "a", UNKNOWN, UNKNOWN, UNKNOWN]]


def test_vocabulary_order_and_size(capsys):
    whole = Vocabulary.build(SENTENCES, 4)
    assert whole.words == (*MARKS, UNKNOWN, "b", "a", "c") and len(whole) == 4 + 3
    assert capsys.readouterr().err == ""
    assert Vocabulary.build(SENTENCES, 2).words == (*MARKS, UNKNOWN, "b")
    assert Vocabulary.build(SENTENCES, 9) == whole
    assert "vocabulary: 4 words are all there are, not 9" in capsys.readouterr().err
    # equally frequent words by alphabet, whatever their order
    assert Vocabulary.build([["z", "y", "x"]], 3).words[UNK:] == (UNKNOWN, "x", "y")
    assert Vocabulary.build([["z", "y", "x"]], 3).digest != whole.digest


def test_encode_and_decode():
    vocabulary = Vocabulary.build(SENTENCES, 3)
    ids = vocabulary.encode(["a", "c", UNKNOWN, "<pad>", "<eos>", "b"])
    assert ids.dtype == np.int32 and ids.tolist() == [5, 3, 3, 3, 3, 4, EOS]
    assert vocabulary.decode([1, 4, 0, 5, EOS, 4]) == ["b", "a"]
    assert vocabulary.decode(np.array([], np.int32)) == []
    assert vocabulary.encode([]).tolist() == [EOS]


word = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)
word_lists = st.lists(st.lists(word.filter(lambda w: w not in MARKS), max_size=9), min_size=1)


@few
@given(word_lists)
def test_vocabulary_round_trip(sentences):
    sentences = [["some"], *sentences]
    vocabulary = Vocabulary.build(sentences, 10_000, quiet=True)
    marks = {"_unk", "<unk>", "[unk]"}
    for sentence in sentences:
        expected = [UNKNOWN if one in marks else one for one in sentence]
        assert vocabulary.decode(vocabulary.encode(sentence)) == expected


def test_unk_is_counted_aloud(capsys):
    vocabulary = Vocabulary.build(SENTENCES, 3)
    encoded = vocabulary.encode_all(SENTENCES, "train")
    assert [len(ids) for ids in encoded] == [4, 3, 6]
    assert "train: 5 of 10 words (50.0%) are unk: not among the 3" in capsys.readouterr().err
    vocabulary.encode_all(SENTENCES, "train", quiet=True)
    assert capsys.readouterr().err == ""


def test_nothing_but_unk():
    with pytest.raises(InputError, match="vocabulary of 1: nothing but unk would be left; it must"):
        Vocabulary.build(SENTENCES, 1)
    with pytest.raises(InputError, match="none of the 2 sentences for the vocabulary has a word"):
        Vocabulary.build([[UNKNOWN], ["_unk", "<pad>"]], 9)
    with pytest.raises(
        InputError, match="test: all 2 words are unk in a vocabulary of 3 words, su"
    ):
        Vocabulary.build(SENTENCES, 3).encode_all([["x"], ["y"]], "test")


def test_words_are_read_again(tmp_path):
    vocabulary = Vocabulary.build([["é", "日本", '"', "\\"]], 9, quiet=True)
    path = tmp_path / "vocabulary.json"
    write_json(path, {"words": list(vocabulary.words)})
    assert Vocabulary.load(path) == vocabulary
    assert Vocabulary.load(path).digest == vocabulary.digest and len(vocabulary.digest) == 16

    def complaint(text):
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            Vocabulary.load(path)
        return str(caught.value).removeprefix(f"{path}: ")

    assert complaint("{").startswith("is not JSON (")
    assert complaint("[" * 100_000).startswith("is nested too deeply")
    assert "surrogate" in complaint(json.dumps({"words": ["<pad>", "\ud800"]}))
    assert complaint("[1]").startswith("not a vocabulary; it must hold")
    assert complaint('{"words": [1]}').startswith("not a vocabulary")
    good = [*MARKS, UNKNOWN, "a"]
    for words in (good[1:], good[:4], [*good, "a"]):
        assert complaint(json.dumps({"words": words})).startswith("its words must be <pad>, <bos>,")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Vocabulary.load(tmp_path / "absent.json")
