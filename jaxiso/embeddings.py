"""A task with its vectors: what an experiment starts from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from jaxiso.data import Items


class Embeddings(NamedTuple):
    """Labelled items and the vectors of their texts.

    Attributes:
        vectors: (v, d) float32, or None where only shapes are wanted.
        dim: d.
        items: labelled items over the rows of `vectors`.
        encoder: short name of where the vectors come from; empty for a task of vectors.
        bias: whether the paper's linear head has a bias.
        updates: the paper's number of updates.
    """

    vectors: np.ndarray | None
    dim: int
    items: Items
    encoder: str
    bias: bool = True
    updates: int = 1000

    @property
    def name(self) -> str:
        """The task's name, as part of a file name."""
        return plain_name(self.items.name)

    def fingerprint(self) -> str:
        """Digest of the items, and of the vectors where no encoder computed them from texts.

        Encoded vectors may differ in their last bits from machine to machine, which must not keep
        a run from going on elsewhere.
        """
        digest = hashlib.sha256("\0".join(self.items.texts).encode())
        arrays = [self.items.index, self.items.targets]
        if not self.items.texts and self.vectors is not None:
            arrays.append(self.vectors)
        for array in arrays:
            digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
        return digest.hexdigest()


def load_embeddings(
    task: str,
    *,
    vectors_file: Path | None = None,
    encoder: str = "minilm",
    word_vectors_file: Path | None = None,
    data_dir: Path | None = None,
    encode: bool = True,
    quiet: bool = False,
) -> Embeddings:
    """Reads a task and the vectors of its texts.

    Args:
        task: a key of `jaxiso.data.TASKS`.
        vectors_file: an .npz file with arrays X and y, instead of the task.
        encoder: of tasks of sentences: a name, a directory or a hub id.
        word_vectors_file: of tasks of words; by default the one in the data directory.
        data_dir: folder with the corpora; by default JAXISO_DATA.
        encode: compute the vectors of sentences; else only their dimension is looked up.
        quiet: no notes and no progress bar.

    Raises:
        InputError: the data, the vectors or the encoder cannot be found or used.
    """
    from jaxiso.data import find_task, load_digits_task, load_task, load_vectors_file

    if vectors_file is not None:
        vectors, items = load_vectors_file(vectors_file)
        return Embeddings(vectors, vectors.shape[1], items, "")
    facts = find_task(task)
    if facts.kind == "vectors":
        vectors, items = load_digits_task()
        return Embeddings(vectors, vectors.shape[1], items, "", facts.bias, facts.updates)
    items = load_task(task, data_dir=data_dir, quiet=quiet)
    if facts.kind == "word":
        name = "word2vec" if word_vectors_file is None else plain_name(word_vectors_file.name)
        vectors, items = _look_up(items, word_vectors_file, data_dir, quiet)
        return Embeddings(vectors, vectors.shape[1], items, name, facts.bias, facts.updates)
    name = plain_name(encoder)
    if not encode:
        from jaxiso.encoders.weights import encoder_dim

        return Embeddings(None, encoder_dim(encoder), items, name, facts.bias, facts.updates)
    from jaxiso.encoders.sentence import encode_sentences

    vectors = encode_sentences(items.texts, encoder, quiet=quiet)
    return Embeddings(vectors, vectors.shape[1], items, name, facts.bias, facts.updates)


def _look_up(items: Items, file: Path | None, data_dir: Path | None, quiet: bool):
    """The vectors of words, and the items without those whose word has none."""
    from jaxiso.encoders.words import word_vectors

    vectors, found = word_vectors(items.texts, file, data_dir=data_dir, quiet=quiet)
    return vectors, items.keep(found[items.index[:, 0]], quiet=quiet)


def plain_name(name: str) -> str:
    """A name, path or hub id as part of a file name."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in name).strip("-.") or "unnamed"
