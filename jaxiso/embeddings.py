"""A task with its vectors: what an experiment starts from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxiso.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from jaxiso.data import Items


class Embeddings(NamedTuple):
    """Labelled items and the vectors of their texts.

    Attributes:
        vectors: (v, d) float32; None where the items are sentences that are not encoded yet.
        dim: d.
        items: labelled items over the rows of `vectors`.
        encoder: short name of where the vectors come from; empty for a task of vectors.
        digest: of the vectors, or of the weights that make them; None for the papers' encoders,
            which are known by name.
        bias: whether the paper's linear head has a bias.
        updates: the paper's number of updates.
    """

    vectors: np.ndarray | None
    dim: int
    items: Items
    encoder: str
    digest: str | None
    bias: bool = True
    updates: int = 1000

    @property
    def name(self) -> str:
        """The task's name, as part of a file name."""
        return plain_name(self.items.name)

    def fingerprint(self) -> str:
        """Digest of the items: texts, rows and targets."""
        digest = hashlib.sha256("\0".join(self.items.texts).encode())
        for array in (self.items.index, self.items.targets):
            digest.update(_bytes(array))
        return digest.hexdigest()


def load_embeddings(
    task: str,
    *,
    vectors_file: Path | None = None,
    encoder: str = "minilm",
    word_vectors_file: Path | None = None,
    data_dir: Path | None = None,
    locate: bool = True,
    quiet: bool = False,
) -> Embeddings:
    """Reads a task and its vectors; those of sentences are left to `encode`, which takes long.

    Args:
        task: a key of `jaxiso.data.TASKS`.
        vectors_file: an .npz file with arrays X and y, instead of the task.
        encoder: of tasks of sentences: a name, a directory or a hub id.
        word_vectors_file: of tasks of words; by default the one in the data directory.
        data_dir: folder with the corpora; by default JAXISO_DATA.
        locate: look for the encoder's weights, so that their absence is found out now.
        quiet: no notes and no progress bar.

    Raises:
        InputError: the data, the vectors or the encoder cannot be found or used.
    """
    from jaxiso.data import find_task, load_digits_task, load_task, load_vectors_file

    if vectors_file is not None:
        return _checked(_of_vectors(*load_vectors_file(vectors_file), ""))
    facts = find_task(task)
    if facts.kind == "vectors":
        found = _of_vectors(*load_digits_task(), "")
    else:
        items = load_task(task, data_dir=data_dir, quiet=quiet)
        if facts.kind == "word":
            found = _look_up(items, word_vectors_file, data_dir, quiet)
        else:
            found = _to_encode(items, encoder, locate, quiet)
    return _checked(found._replace(bias=facts.bias, updates=facts.updates))


def _checked(found: Embeddings) -> Embeddings:
    """Refuses labels that make no clusters: a silhouette needs fewer of them than points."""
    items = found.items
    if int(items.clusters.max()) + 1 >= len(items):
        raise InputError(
            f"{items.source}: all {len(items):,} items have labels of their own; there must be "
            "fewer different labels than items"
        )
    return found


def encode(embeddings: Embeddings, encoder: str, *, quiet: bool = False) -> np.ndarray:
    """The vectors, (v, d) float32; encodes the texts where that has not been done."""
    from jaxiso.encoders.sentence import encode_sentences

    if embeddings.vectors is not None:
        return embeddings.vectors
    return encode_sentences(embeddings.items.texts, encoder, quiet=quiet)


def _of_vectors(vectors: np.ndarray, items: Items, name: str) -> Embeddings:
    digest = hashlib.sha256(_bytes(vectors)).hexdigest()
    return Embeddings(vectors, vectors.shape[1], items, name, digest)


def _to_encode(items: Items, encoder: str, locate: bool, quiet: bool) -> Embeddings:
    """Sentences, and the encoder that will be asked for their vectors."""
    from jaxiso.encoders.cache import file_digest
    from jaxiso.encoders.weights import encoder_dim, find_encoder, published_name

    name = published_name(encoder)
    files = find_encoder(encoder, quiet=quiet) if locate or name is None else None
    digest = None
    if name is None and files is not None:
        # Never the name of a published one, whose numbers would be taken for these.
        name, digest = f"custom-{plain_name(files.name)}", file_digest(files.weights)
    assert name is not None
    return Embeddings(None, encoder_dim(encoder), items, name, digest)


def _look_up(items: Items, file: Path | None, data_dir: Path | None, quiet: bool) -> Embeddings:
    """Words that have a vector, with it."""
    from jaxiso.encoders.words import word_vectors

    vectors, found = word_vectors(items.texts, file, data_dir=data_dir, quiet=quiet)
    items = items.keep(found[items.index[:, 0]], quiet=quiet)
    return _of_vectors(vectors, items, "word2vec" if file is None else plain_name(file.name))


def _bytes(array: np.ndarray) -> bytes:
    return f"{array.shape}{array.dtype}".encode() + array.tobytes()


def plain_name(name: str) -> str:
    """A name, path or hub id as part of a file name."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in name).strip("-.") or "unnamed"
