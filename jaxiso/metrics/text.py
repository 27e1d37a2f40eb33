"""How much of a text comes back: BLEU and ROUGE of sentences of tokens, on the host.

Tokens are anything that can be compared and hashed: words, or their numbers in a vocabulary. Scores
are in percent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable

Sentences = Collection[Collection[Hashable]]


def corpus_bleu(hypotheses: Sentences, references: Sentences, order: int) -> float:
    """BLEU of a corpus with one reference a sentence, uniform weights and no smoothing, in percent.

    The geometric mean of the clipped precisions of 1- to `order`-grams, each counted over the whole
    corpus, times the brevity penalty. As in nltk, a hypothesis shorter than n tokens adds one
    missed n-gram to the total (in the paper it adds none).

    Args:
        hypotheses: sentences of tokens.
        references: as many sentences.
        order: the longest n-grams that count: 2 for BLEU-2, 4 for BLEU-4.

    Returns:
        From 0 to 100; 0 if there is an order without any match.

    Raises:
        ValueError: no sentences, not as many references, a string in place of a sentence's tokens,
            or an order below 1.

    Reference: Papineni, Roukos, Ward and Zhu (2002), "BLEU: a Method for Automatic Evaluation of
    Machine Translation".

    Example:
        >>> corpus_bleu([["the", "cat", "sat"]], [["the", "cat", "sat"]], order=2)
        100.0
    """
    pairs = _pairs(hypotheses, references, order)
    log_precision = 0.0
    for n in range(1, order + 1):
        matches = total = 0
        for hypothesis, reference in pairs:
            counts = Counter(_ngrams(hypothesis, n))
            matches += (counts & Counter(_ngrams(reference, n))).total()
            total += max(1, counts.total())
        if matches == 0:
            return 0.0
        log_precision += math.log(matches / total) / order
    ours = sum(len(hypothesis) for hypothesis, _ in pairs)
    theirs = sum(len(reference) for _, reference in pairs)
    return 100 * math.exp(log_precision + min(0.0, 1 - theirs / ours))


def rouge_n(hypotheses: Sentences, references: Sentences, n: int) -> float:
    """ROUGE-n: F1 of the *sets* of n-grams of each sentence, averaged over sentences, in percent.

    Args:
        hypotheses: sentences of tokens.
        references: as many sentences.
        n: tokens in an n-gram.

    Returns:
        From 0 to 100. A sentence that is shorter than n tokens, or whose reference is, counts as 0,
        even where they are the same: they share no n-gram.

    Raises:
        ValueError: as for `corpus_bleu`.

    Reference: Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries"; sets instead of
    counts as in paper B's code.

    Example:
        >>> rouge_n([["the", "cat", "sat"]], [["the", "cat", "ran"]], n=2)
        50.0
    """
    pairs = _pairs(hypotheses, references, n)
    total = 0.0
    for hypothesis, reference in pairs:
        ours, theirs = set(_ngrams(hypothesis, n)), set(_ngrams(reference, n))
        total += 2 * len(ours & theirs) / max(1, len(ours) + len(theirs))
    return 100 * total / len(pairs)


def _ngrams(sentence: tuple, n: int) -> list[tuple]:
    return [sentence[i : i + n] for i in range(len(sentence) - n + 1)]


def _pairs(hypotheses: Sentences, references: Sentences, order: int) -> list[tuple[tuple, tuple]]:
    if order < 1:
        raise ValueError(f"Expected n-grams of at least 1 token; got {order}.")
    if len(hypotheses) != len(references):
        raise ValueError(
            "Expected a reference for each hypothesis; got "
            f"{len(hypotheses)} hypotheses and {len(references)} references."
        )
    if len(hypotheses) == 0:
        raise ValueError("Expected at least one sentence; got none.")
    for sentence in (*hypotheses, *references):
        if isinstance(sentence, str | bytes):
            raise ValueError(f"Expected sentences of tokens; got {sentence!r}: split it first.")
    return [
        (tuple(ours), tuple(theirs)) for ours, theirs in zip(hypotheses, references, strict=True)
    ]
