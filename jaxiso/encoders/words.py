"""Word vectors from a file in word2vec's format, read by gensim."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxiso import console
from jaxiso.data.sources import DATA_VARIABLE, resolve_data_dir
from jaxiso.errors import InputError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

DEFAULT_FILE = "vectors/word2vec-googlenews-26k-300d.bin.gz"

_GET = (
    "give a file in word2vec's binary or text format (.bin, .txt, .vec, also with .gz) by "
    "--word-vectors FILE; Google's is downloaded (1.7 GB) by\n"
    '    python -c "import gensim.downloader as d; '
    "print(d.load('word2vec-google-news-300', return_path=True))\"\n"
    "  and the paper's is model 222 of http://vectors.nlpl.eu/repository/ (unzip it)"
)


def word_vectors(
    words: Sequence[str], path: Path | None, *, data_dir: Path | None, quiet: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Looks words up, exactly as they are written, in a file of word vectors.

    The file is read whole by gensim (Google's 3 million vectors take 3.6 GB of memory for the
    moment); only the vectors of `words` are kept. Vectors are not rescaled.

    Args:
        words: the words.
        path: a file in word2vec's binary or text format, plain or .gz, with or without its header
            line (GloVe has none). None means `vectors/word2vec-googlenews-26k-300d.bin.gz` in the
            data directory.
        data_dir: the data directory; None means the environment's JAXISO_DATA.
        quiet: no note about the source.

    Returns:
        Vectors (found, dim) float32 of the words that have one, in order, and a mask (n,) bool of
        those words.

    Raises:
        InputError: no such file, it cannot be read as word vectors, none of the words is in it,
            or a vector that is needed is not finite.
    """
    path = _find(path, data_dir)
    vectors = read_word_file(path)
    row_of: dict[str, int] = vectors.key_to_index  # pyright: ignore[reportAssignmentType]
    rows = np.array([row_of.get(word, -1) for word in words], dtype=np.int64)
    found = rows >= 0
    if not found.any():
        raise InputError(f"{path}: has none of the {len(words):,} words, such as {words[:3]}")
    kept = vectors.vectors[rows[found]].astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(kept).all(axis=1))
    if len(bad):
        word = words[int(np.flatnonzero(found)[bad[0]])]
        raise InputError(f"{path}: the vector of {word!r} has a value that is not a finite number")
    console.note(
        f"word vectors: {len(kept):,} of {len(words):,} words, {kept.shape[1]}-d, from {path}",
        quiet=quiet,
    )
    return kept, found


def _find(path: Path | None, data_dir: Path | None) -> Path:
    if path is not None:
        if not path.is_file():
            raise InputError(f"word vectors: no file {path}; {_GET}")
        return path
    folder = resolve_data_dir(data_dir)
    if folder is None:
        raise InputError(
            f"word vectors: neither a file nor a data directory (--data-dir, or {DATA_VARIABLE}) "
            f"is given; {_GET}"
        )
    if not (folder / DEFAULT_FILE).is_file():
        raise InputError(f"word vectors: looked for {folder / DEFAULT_FILE}, not there; {_GET}")
    return folder / DEFAULT_FILE


def read_word_file(path: Path) -> KeyedVectors:
    """A word2vec or GloVe file, text or binary, as gensim's KeyedVectors.

    Never by their own `load`, which unpickles.

    Raises:
        InputError: it cannot be read as word vectors.
    """
    from gensim.models import KeyedVectors

    try:
        binary, header = _format(path)
        with warnings.catch_warnings():
            # Without a header gensim 4.4 opens the file twice and leaves one to the collector.
            warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
            return KeyedVectors.load_word2vec_format(
                str(path),
                binary=binary,
                no_header=not header,
                unicode_errors="replace",  # word2vec cuts some words in the middle of a character
            )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{path}: cannot be read as word vectors ({first}); {_GET}") from error


def _format(path: Path) -> tuple[bool, bool]:
    """Whether a file is binary and whether it has a header, from its first two lines.

    Names do not tell: gensim's own downloads are called `….gz` and are binary.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        first, second = file.readline(100_000), file.readline(100_000)
    if _is_text_vector(first):
        return False, False
    sizes = first.split()
    if len(sizes) != 2 or not all(size.isdigit() for size in sizes):
        raise ValueError("its first line is neither two sizes nor a word and numbers")
    return not _is_text_vector(second), True


def _is_text_vector(line: bytes) -> bool:
    """Whether a line is a word and at least two numbers."""
    try:
        numbers = [float(number) for number in line.split(b" ")[1:] if number.strip()]
    except ValueError:
        return False
    return len(numbers) >= 2
