"""Texts → token ids, by the tokenizer in a model's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxiso.cli.console import InputError, Stopped, first_line
from jaxiso.encoders.architecture import ONLY_FILES, transformers

TEXTS_AT_ONCE = 4096  # the tokenizer's own objects are large; ours are five bytes a token


@dataclass(frozen=True)
class TextSettings:
    """How texts become tokens.

    Attributes:
        max_tokens: longer texts are cut to this many tokens, special tokens included.
        lower: texts are lower-cased before tokenisation (beyond what the tokenizer does).
        vocabulary: number of tokens that the model knows.
        pad_id: what a row of a batch is filled up with.
    """

    max_tokens: int
    lower: bool
    vocabulary: int
    pad_id: int


class Tokens(NamedTuple):
    """Texts as tokens.

    Attributes:
        ids: an int32 array a text, special tokens included.
        special: a bool array a text: which tokens the tokenizer added, such as [CLS].
        cut: number of texts that were cut.
    """

    ids: list[np.ndarray]
    special: list[np.ndarray]
    cut: int


def tokenize(texts: Sequence[str], directory: Path, settings: TextSettings) -> Tokens:
    """Token ids of every text, special tokens included.

    Surrounding blanks are dropped as sentence-transformers does (to RoBERTa's tokenizer a leading
    blank is part of the word).

    Raises InputError: the tokenizer cannot be read or used, or knows more tokens than the model.
    """
    tokenizer = load_tokenizer(directory).backend_tokenizer
    found = Tokens([], [], 0)
    cut = 0
    with reading_tokenizer(directory):
        tokenizer.no_padding()  # published files have both set, to 128 tokens
        tokenizer.enable_truncation(max_length=settings.max_tokens)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            chunk = [text.strip() for text in texts[start : start + TEXTS_AT_ONCE]]
            if settings.lower:
                chunk = [text.lower() for text in chunk]
            encodings = tokenizer.encode_batch_fast(chunk)
            found.ids.extend(np.asarray(one.ids, np.int32) for one in encodings)
            found.special.extend(np.asarray(one.special_tokens_mask, bool) for one in encodings)
            cut += sum(bool(encoding.overflowing) for encoding in encodings)
    highest = max((int(one.max()) for one in found.ids if one.size), default=0)
    if highest >= settings.vocabulary:
        raise InputError(
            f"{directory}: its tokenizer gives the token {highest}, but the model there has only "
            f"{settings.vocabulary} tokens: they do not belong together"
        )
    return found._replace(cut=cut)


def token_names(directory: Path, ids: Sequence[int] | np.ndarray) -> list[str]:
    """How the tokenizer writes tokens, such as `##ing`.

    Raises InputError: the tokenizer cannot be read.
    """
    tokenizer = load_tokenizer(directory).backend_tokenizer
    return [tokenizer.id_to_token(int(one)) or f"<{one}>" for one in ids]


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer in an encoder's folder, as sentence-transformers takes it: by AutoTokenizer.

    Raises InputError: it cannot be read, or is none of the library tokenizers.
    """
    with reading_tokenizer(directory):
        found = transformers().AutoTokenizer.from_pretrained(directory, **ONLY_FILES)
    if not found.is_fast:
        raise InputError(
            f"{directory}: its tokenizer, {type(found).__name__}, is not one of the library "
            "tokenizers; save a tokenizer.json beside it"
        )
    # Without files transformers takes a vocabulary of special tokens only: every word is unknown.
    if len(found) <= len(found.all_special_tokens):
        raise InputError(f"{directory}: its tokenizer has no words; copy its files again")
    return found


@contextmanager
def reading_tokenizer(directory: Path) -> Iterator[None]:
    """Turns whatever a tokenizer's strange or damaged files lead to into one InputError."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, Stopped):
        raise
    except BaseException as error:  # the Rust library panics with a class of its own
        raise InputError(
            f"{directory}: its tokenizer cannot be read ({first_line(error)}); copy tokenizer.json "
            "and tokenizer_config.json again"
        ) from None
