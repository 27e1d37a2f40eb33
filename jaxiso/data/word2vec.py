"""Word vectors in word2vec's format, text or binary, or GloVe's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxiso.cli.console import InputError, note
from jaxiso.data.arrays import DEFLATE_RATIO, open_bytes, reading
from jaxiso.data.sources import SAY_DATA_DIR, resolve_data_dir, shorten

DEFAULT_FILE = "vectors/word2vec-googlenews-26k-300d.bin.gz"

_GET = (
    "give a file in word2vec's binary or text format (.bin, .txt, .vec, also with .gz) by "
    "--word-vectors FILE; Google's is downloaded (1.7 GB) by\n"
    '    python -c "import gensim.downloader as d; '
    "print(d.load('word2vec-google-news-300', return_path=True))\"\n"
    "  and the paper's is model 222 of http://vectors.nlpl.eu/repository/ (unzip it)"
)
_LINE = 2**24  # bytes of a line at most, where the first two tell the format
_BLOCK = 2**18  # bytes read at once
_LONGEST = 2**16  # bytes of a word; a longer one is a damaged file
_CUT = 98  # bytes after which word2vec.c cuts a word, even in the middle of a character

_Row = tuple[int, bytes, np.ndarray]
"""A row's number as messages give it, its word and its numbers."""


def word_vectors(
    words: Sequence[str], path: Path | None, *, data_dir: Path | None, quiet: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Looks words up, exactly as they are written, in a file of word vectors.

    The file is read whole and checked, but only the vectors of `words` are kept, not rescaled.

    Args:
        words: the words.
        path: a file in word2vec's binary or text format, plain or .gz, with or without its header
            line (GloVe has none). None means `DEFAULT_FILE` in the data directory.
        data_dir: the data directory; None means the environment's JAXISO_DATA.
        quiet: no note about the source.

    Returns:
        Vectors (found, dim) float32 of the words that have one, in order, and a mask (n,) bool of
        those words.

    Raises InputError if there is no such file, it cannot be read as word vectors, none of the words
    is in it, or a vector that is needed is not finite.
    """
    path = _find(path, data_dir)
    kept, vectors = read_word2vec(path, wanted=set(words))
    row_of = {word: row for row, word in enumerate(kept)}
    rows = np.array([row_of.get(word, -1) for word in words], dtype=np.int64)
    found = rows >= 0
    if not found.any():
        raise InputError(f"{path}: has none of the {len(words):,} words, such as {words[:3]}")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        word = kept[bad[0]]
        raise InputError(f"{path}: the vector of {word!r} has a value that is not a finite number")
    vectors = vectors[rows[found]]
    share = f"{len(vectors):,} of {len(words):,} words"
    note(f"word vectors: {share}, {vectors.shape[1]}-d, from {path}", quiet=quiet)
    return vectors, found


def _find(path: Path | None, data_dir: Path | None) -> Path:
    folder = None if path else resolve_data_dir(data_dir)
    place = path or (folder and folder / DEFAULT_FILE)
    if place is not None and place.is_file():
        return place
    missing = f"no file {place}" if path else f"looked for {place}, not there"
    if place is None:
        missing = f"neither a file nor a data directory {SAY_DATA_DIR} is given"
    raise InputError(f"word vectors: {missing}; {_GET}")


def read_word2vec(
    path: Path, *, wanted: Collection[str] | None = None, advice: str = _GET
) -> tuple[list[str], np.ndarray]:
    """Reads a word2vec or GloVe file, text or binary, plain or .gz.

    Its name does not tell the format: gensim's own downloads are called `….gz` and are binary.

    Args:
        path: the file.
        wanted: keep these words only.
        advice: what to do where the file is of another kind.

    Returns:
        The words, and their vectors (n, d) float32.

    Raises InputError if it cannot be read; it has not as many rows, or numbers a row, as its first
    line says; a word is there twice, or is no UTF-8.
    """
    with reading(path), open_bytes(path) as file:
        first, second = file.readline(_LINE), file.readline(_LINE)
        sizes = first.split()
        header = len(sizes) == 2 and all(size.isdigit() and len(size) < 16 for size in sizes)
        if not header and _numbers(first) < 2:
            raise InputError(
                f"{path}: cannot be read as word vectors (its first line is neither two sizes nor "
                f"a word and numbers); {advice}"
            )
        file.seek(len(first) if header else 0)
        if not header:
            return _gather(path, "line", _text_rows(path, file, 1), None, _numbers(first), wanted)
        n, d = map(int, sizes)
        binary = _numbers(second) < 1
        # Sizes that the file is too small for are refused before memory is taken for them.
        there = path.stat().st_size
        most = there * (DEFLATE_RATIO if path.suffix.lower() == ".gz" else 1)
        if d < 1 or n * ((4 if binary else 2) * d + 2) > most + 1:  # the last line may lack its end
            sizes = f" of {d:,} numbers, which its {there:,} bytes cannot hold"
            raise _other_than_said(path, n, f"{sizes}; it is cut off or damaged")
        if binary:
            return _gather(path, "vector", _binary_rows(path, file, n, d), n, d, wanted)
        return _gather(path, "line", _text_rows(path, file, 2), n, d, wanted)


def _numbers(line: bytes) -> int:
    """How many numbers a line has after its word; 0 if something else is there too."""
    try:
        return len([float(number) for number in line.split(b" ")[1:] if number.strip()])
    except ValueError:
        return 0


def _other_than_said(path: Path, n: int, found: str) -> InputError:
    return InputError(f"{path}: its first line says {n:,} vectors{found}: copy it again")


def _gather(
    path: Path,
    unit: str,
    rows: Iterator[_Row],
    n: int | None,
    d: int,
    wanted: Collection[str] | None,
) -> tuple[list[str], np.ndarray]:
    """Words and vectors of rows, which must be n, of d numbers each, of distinct words."""
    seen: dict[str, int] = {}
    kept: list[str] = []
    most = 1024 if n is None else n
    vectors = np.empty((most if wanted is None else min(most, len(wanted)), d), np.float32)
    for number, raw, row in rows:
        where = f"{path}, {unit} {number}"
        word = _word(raw, where)
        if len(row) != d:
            raise InputError(
                f"{where}: {shorten(word)!r} has {len(row)} numbers; every vector must have {d}"
            )
        if seen.setdefault(word, number) != number:
            raise InputError(
                f"{where}: the word {shorten(word)!r} was there before, in {unit} {seen[word]}; "
                "keep one of the two"
            )
        if wanted is None or word in wanted:
            if len(kept) == len(vectors):  # grows in place, where the system can
                vectors.resize((len(kept) * 5 // 4 + 1024, d), refcheck=False)
            vectors[len(kept)] = row
            kept.append(word)
    if n is not None and len(seen) != n:
        raise _other_than_said(path, n, f", but there are {len(seen):,}; it is cut off or damaged")
    vectors.resize((len(kept), d), refcheck=False)
    return kept, vectors


def _word(raw: bytes, where: str) -> str:
    if not raw or len(raw) > _LONGEST:
        raise InputError(
            f"{where}: a word of {len(raw):,} bytes; the file is damaged: copy it again"
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if len(raw) == _CUT and error.end == len(raw):
            return raw.decode(errors="backslashreplace")
        raise InputError(
            f"{where}: the word {raw!r} is not UTF-8; save the file as UTF-8"
        ) from None


def _text_rows(path: Path, file: BinaryIO, first: int) -> Iterator[_Row]:
    """Yields the lines that are not blank; the first one is line `first` of the file."""
    for number, line in enumerate(file, start=first):
        word, _, rest = line.partition(b" ")
        try:
            row = np.fromstring(rest, np.float32, sep=" ")
        except ValueError:
            raise InputError(
                f"{path}, line {number}: {shorten(repr(line)[2:-1])} is not a word and numbers, "
                "with blanks between; correct or delete it"
            ) from None
        if len(row) or line.strip():
            yield number, word.rstrip(b"\r\n"), row


def _binary_rows(path: Path, file: BinaryIO, n: int, d: int) -> Iterator[_Row]:
    """Yields n rows, or fewer where the file ends: a word, a blank, d float32, often a newline."""
    data, at, number = b"", 0, 0
    while number < n:
        blank = data.find(b" ", at)
        end = blank + 1 + 4 * d
        if blank >= 0 and end <= len(data):
            number += 1
            word = data[at:blank].lstrip(b"\n")
            yield number, word, np.frombuffer(data, "<f4", d, blank + 1)
            at = end
            continue
        more = file.read(max(_BLOCK, 4 * d))
        if not more or (blank < 0 and len(data) - at > _LONGEST):
            return
        data, at = data[at:] + more, 0
    if (data[at:] + file.read(_BLOCK)).strip():
        raise _other_than_said(path, n, ", but more follows; it is damaged")
