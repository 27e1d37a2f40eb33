"""Text → sentences → words: the rules by which the text models' corpora are split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from jaxiso.data.vocabulary import UNK, UNK_MARKS

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
    blanks, changes nothing.

    Args:
        text: any text.
        tokenised: it is in words already: split at blanks only.

    Returns:
        The words; those that stand for a left-out word (`_UNK`, `<unk>`) as `unk`.
    """
    if tokenised:
        words = text.lower().split()
    else:
        # Composed, since a combining accent is no part of a word to `re`.
        text = unicodedata.normalize("NFC", _GLUED.sub(r" \1 ", text)).translate(_PLAIN)
        words = _WORD.findall(text.lower())
    return [UNK if word in UNK_MARKS else word for word in words]


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
