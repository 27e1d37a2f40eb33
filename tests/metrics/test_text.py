"""BLEU against nltk, ROUGE against its definition."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu as nltk_bleu

from jaxiso.metrics.text import corpus_bleu, rouge_n

# Few words, so that n-grams recur; lengths below the order and of zero included.
SENTENCE = st.lists(st.integers(0, 4), max_size=9)
CORPUS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


def nltk_percent(hypotheses, references, order) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nltk warns of orders without a match
        score = nltk_bleu([[r] for r in references], hypotheses, weights=(1 / order,) * order)
    assert isinstance(score, int | float)
    return 100 * score


@settings(max_examples=300, deadline=None)
@given(corpus=CORPUS, order=st.sampled_from([1, 2, 4]))
def test_bleu_is_nltks(corpus, order):
    hypotheses, references = zip(*corpus, strict=True)
    expected = nltk_percent(hypotheses, references, order)
    # In place of 0, nltk takes the smallest float there is for the precision.
    expected = 0 if expected < 1e-50 else expected
    assert corpus_bleu(hypotheses, references, order) == pytest.approx(expected, rel=1e-12)


def test_bleu_by_hand():
    hypothesis = ["the", "the", "cat", "sat", "on", "it"]
    reference = ["the", "cat", "sat", "on", "the", "red", "mat"]
    # 1-grams: the (2 of 2), cat, sat, on: 5 of 6; 2-grams: the cat, cat sat, sat on: 3 of 5.
    expected = 100 * np.sqrt(5 / 6 * 3 / 5) * np.exp(1 - 7 / 6)
    assert corpus_bleu([hypothesis], [reference], 2) == pytest.approx(expected)


def rouge_by_definition(hypotheses, references, n) -> float:
    scores = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        ours = {
            tuple(hypothesis[i : i + n]) for i in range(len(hypothesis)) if i + n <= len(hypothesis)
        }
        theirs = {
            tuple(reference[i : i + n]) for i in range(len(reference)) if i + n <= len(reference)
        }
        shared = sum(gram in theirs for gram in ours)
        if shared == 0:
            scores.append(0.0)
            continue
        precision, recall = shared / len(ours), shared / len(theirs)
        scores.append(2 * precision * recall / (precision + recall))
    return 100 * float(np.mean(scores))


@settings(max_examples=200, deadline=None)
@given(corpus=CORPUS, n=st.sampled_from([1, 2, 4]))
def test_rouge_by_definition(corpus, n):
    hypotheses, references = zip(*corpus, strict=True)
    found = rouge_n(hypotheses, references, n)
    assert found == pytest.approx(rouge_by_definition(hypotheses, references, n), rel=1e-12)
    assert 0 <= found <= 100 * (1 + 1e-12)
    assert found == pytest.approx(rouge_n(references, hypotheses, n))  # F1 is symmetric


@settings(max_examples=50, deadline=None)
@given(sentences=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=9), min_size=1))
def test_identical_sentences_score_100(sentences):
    for order in (2, 4):
        assert corpus_bleu(sentences, sentences, order) == pytest.approx(100)
        assert rouge_n(sentences, sentences, order) == pytest.approx(100)


def test_repeated_ngrams_count_once_in_rouge():
    assert rouge_n([["a", "b", "a", "b", "a", "b"]], [["a", "b"]], 2) == pytest.approx(200 / 3)


def test_short_and_empty_sentences():
    assert rouge_n([["a"], ["a", "b"]], [["a"], ["a", "b"]], 2) == pytest.approx(50)
    assert rouge_n([[]], [["a"]], 1) == corpus_bleu([[]], [["a"]], 1) == 0
    assert corpus_bleu([["a"]], [["a"]], 2) == 0
    assert corpus_bleu([["a", "b"], []], [["a", "b"], ["c"]], 1) < 100


def test_strings_numbers_and_arrays():
    words = [["a", "b", "c"], ["b", "a", "d"]], [["a", "b", "d"], ["b", "a", "d"]]
    numbers = [[[ord(word) for word in sentence] for sentence in side] for side in words]
    arrays = [np.array(side, np.int32) for side in numbers]
    for metric in (corpus_bleu, rouge_n):
        score = metric(words[0], words[1], 2)
        assert score == metric(numbers[0], numbers[1], 2) == metric(arrays[0], arrays[1], 2)
        assert 0 < score < 100


@pytest.mark.parametrize("metric", [corpus_bleu, rouge_n])
@pytest.mark.parametrize(
    ("hypotheses", "references", "order", "message"),
    [
        ([["a"]], [["a"], ["b"]], 2, "got 1 hypotheses and 2 references"),
        ([], [], 2, "at least one sentence; got none"),
        ([["a"]], [["a"]], 0, "at least 1 token; got 0"),
        (["a b"], [["a", "b"]], 2, "Expected sentences of tokens; got 'a b': split it first"),
        ([["a", "b"]], ["a b"], 2, "split it first"),
    ],
)
def test_refusals(metric, hypotheses, references, order, message):
    with pytest.raises(ValueError, match=message):
        metric(hypotheses, references, order)
