"""What the experiment starts from: a task with its vectors, read and transformed."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np

from jaxiso import transforms
from jaxiso.cli.configs import determining
from jaxiso.cli.console import InputError, note
from jaxiso.cli.files import digest_of, file_digest, plain_name
from jaxiso.data.tasks import Items, find_task, load_task
from jaxiso.data.vectors import load_digits_task, load_vectors_file
from jaxiso.data.word2vec import word_vectors
from jaxiso.embed.options import Options
from jaxiso.encoders.encode import encode as encode_texts
from jaxiso.encoders.weights import ENCODERS, encoder_dim, find_encoder, published_name
from jaxiso.papers import EMBED


class Embeddings(NamedTuple):
    """Labelled items and the vectors of their texts.

    Attributes:
        vectors: (v, d) float32; None where the items are sentences that are not encoded yet.
        dim: d.
        items: labelled items over the rows of `vectors`.
        encoder: short name of where the vectors come from; empty for a task of vectors.
        digest: of the vectors, or of the encoder's files; None for the papers' encoders, which are
            known by name.
        bias: whether the paper's linear head has a bias.
        updates: the paper's number of updates.
    """

    vectors: np.ndarray | None
    dim: int
    items: Items
    encoder: str = ""
    digest: str | None = None
    bias: bool = True
    updates: int = EMBED["updates"]


def load_embeddings(options: Options) -> Embeddings:
    """Reads a task and its vectors; those of sentences are left to `encode`, which takes long.

    Raises InputError: the data, the vectors or the encoder cannot be found or used.
    """
    if options.vectors is not None:
        found = _of_vectors(
            *load_vectors_file(
                options.vectors,
                options.labels,
                label_column=options.label_column,
                array=options.array,
                quiet=options.quiet,
            )
        )
    else:
        task = find_task(options.task)
        if task.kind == "vectors":
            found = _of_vectors(*load_digits_task(task.name))
        else:
            items = load_task(task.name, data_dir=options.data_dir, quiet=options.quiet)
            found = (_of_words if task.kind == "word" else _of_sentences)(items, options)
        found = found._replace(bias=task.bias, updates=task.updates)
    items = found.items
    if int(items.clusters.max()) + 1 >= len(items):  # a silhouette needs fewer
        raise InputError(
            f"{items.source}: all {len(items):,} items have labels of their own; there must be "
            "fewer different labels than items"
        )
    return _transformed(found, options)


def _of_vectors(vectors: np.ndarray, items: Items, name: str = "") -> Embeddings:
    return Embeddings(vectors, vectors.shape[1], items, name, _digest("", vectors))


def _of_sentences(items: Items, options: Options) -> Embeddings:
    """Sentences, and the encoder that will be asked for their vectors."""
    encoder = options.encoder
    name, digest = published_name(encoder), None
    # Looked for now, so that its absence is found out before anything is encoded.
    files = None if name and options.dry_run else find_encoder(encoder, quiet=options.quiet)
    if files is not None and (not name or ENCODERS[name].sha256 not in (None, files.digest)):
        # Never the name of a published one, whose numbers would be taken for these.
        beside = (p for p in files.directory.rglob("*") if p.suffix in (".json", ".txt"))
        digest = digest_of(files.digest, *map(file_digest, sorted(beside)))
        name = f"custom-{plain_name(files.name)}"
    return Embeddings(None, encoder_dim(encoder), items, name or "", digest)


def _of_words(items: Items, options: Options) -> Embeddings:
    """Words that have a vector, with it."""
    file, quiet = options.word_vectors, options.quiet
    vectors, found = word_vectors(items.texts, file, data_dir=options.data_dir, quiet=quiet)
    items = items.keep(found[items.index[:, 0]], quiet=quiet)
    return _of_vectors(vectors, items, "word2vec" if file is None else plain_name(file.name))


def encode(embeddings: Embeddings, options: Options) -> Embeddings:
    """The same with vectors: encodes the texts where that has not been done."""
    if embeddings.vectors is not None:
        return embeddings
    texts = embeddings.items.texts
    return embeddings._replace(vectors=encode_texts(texts, options.encoder, quiet=options.quiet))


def _transformed(embeddings: Embeddings, options: Options) -> Embeddings:
    """The same with transformed vectors: texts are encoded for that, unless it is a dry run."""
    if options.transform == "none":
        return embeddings
    if options.dry_run and embeddings.vectors is None:
        note(f"--transform {options.transform}: the estimate is without it", quiet=options.quiet)
        return embeddings
    embeddings = encode(embeddings, options)
    try:
        vectors, fitted = transforms.parse(options.transform).fit_apply(embeddings.vectors)
    except ValueError as error:
        raise InputError(f"--transform {options.transform}: {error}") from None
    for remark in fitted.remarks:
        note(remark, quiet=options.quiet)
    return embeddings._replace(vectors=vectors, dim=vectors.shape[1])


def _digest(text: str, *arrays: np.ndarray) -> str:
    """SHA-256 of a text and of arrays; the same as in all earlier runs."""
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


def run_config(
    options: Options, embeddings: Embeddings, held_out: np.ndarray | None = None
) -> dict[str, Any]:
    """What determines the numbers of a run: options, and facts of its data.

    The options have the number of updates; vectors may be missing still. `held_out`, (n,) bool, are
    the items that are not trained on.
    """
    items = embeddings.items
    trained = items.index if held_out is None else items.index[~held_out]
    return {
        "experiment": "embed",
        **determining(options),
        "task": items.name,
        "encoder": embeddings.encoder or None,
        "items": len(items),
        "vectors": int(items.index.max()) + 1,
        "dim": embeddings.dim,
        "inputs": items.index.shape[1],
        "classes": list(items.classes),
        "multilabel": items.multilabel,
        "clusters": int(items.clusters.max()) + 1,
        "bias": embeddings.bias,
        "dropped": items.dropped,
        "data_sha256": _digest("\0".join(items.texts), items.index, items.targets),
        "vectors_sha256": embeddings.digest,
        "test_items": 0 if held_out is None else int(held_out.sum()),
        "trained_vectors": len(np.unique(trained)),
    }


def source(options: Options) -> dict[str, str | None]:
    """Where the data are, to find them again from another directory."""
    paths = {name: getattr(options, name) for name in ("data_dir", "vectors", "word_vectors")}
    found = {
        name: None if p is None else str(p.expanduser().absolute()) for name, p in paths.items()
    }
    return found | {name: getattr(options, name) for name in ("labels", "label_column", "array")}
