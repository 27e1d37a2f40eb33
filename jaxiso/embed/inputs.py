"""What the experiment starts from: a task with its vectors, read and turned into arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso import transforms
from jaxiso.cli.configs import determining
from jaxiso.cli.console import InputError, note, several
from jaxiso.cli.files import digest_of, file_digest, plain_name
from jaxiso.data.tasks import Items, find_task, load_task
from jaxiso.data.vectors import load_digits_task, load_vectors_file
from jaxiso.data.word2vec import word_vectors
from jaxiso.embed.options import LEAST, MOST, Options
from jaxiso.embed.triplets import TriplePool, make_pool
from jaxiso.encoders.encode import encode as encode_texts
from jaxiso.encoders.weights import ENCODERS, encoder_dim, find_encoder, published_name
from jaxiso.metrics.tiles import TilePlan, plan_tiles, tile_shape
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


# --- held-out items ---------------------------------------------------------------------------


def hold_out(clusters: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Chooses items to hold out, at random and the same share of every label.

    Args:
        clusters: (n,) numbers 0 to K - 1 of the labels, or sets of labels.
        fraction: share of the items, between 0 and 1.
        seed: of the draw.

    Returns:
        (n,) bool: `fraction`·n of the items, rounded, and so many of each label, up or down by less
        than one.
    """
    n = len(clusters)
    by_label = np.lexsort((np.random.default_rng(seed).random(n), clusters))
    # Every 1/fraction-th place of the items by label: the shares of all labels come out at once.
    quota = np.floor(np.arange(n + 1) * fraction + 0.5)
    mask = np.zeros(n, bool)
    mask[by_label] = np.diff(quota) > 0
    return mask


def held_out_items(options: Options, items: Items) -> np.ndarray | None:
    """The items that --test-fraction holds out, (n,) bool; None where it is not given.

    Raises InputError: the labels on one side are no clusters; names the share, items and labels.
    """
    if options.test_fraction is None:
        return None
    mask = hold_out(items.clusters, options.test_fraction, options.seed)
    for side, what, help_ in ((mask, "hold out", "larger"), (~mask, "keep", "smaller")):
        count, labels = int(side.sum()), len(np.unique(items.clusters[side]))
        if not 2 <= labels < count:
            raise InputError(
                f"--test-fraction {options.test_fraction}: of {len(items):,} items it would "
                f"{what} {count:,}, with {several(labels, 'different label')}; there must be at "
                f"least 2, and fewer than items: give a {help_} share"
            )
    return mask


# --- arrays -----------------------------------------------------------------------------------


class Part(NamedTuple):
    """n items that read `inputs` vectors each: all of the task, or those trained on, or held out.

    Attributes:
        rows: rows of the vectors that an item reads; its features are their concatenation.
        targets: class ids, shape (n,), or 0 and 1 for each label, shape (n, classes).
        clusters: number of the item's label, or set of labels.
        plan: tiles for the silhouette of all items; None where samples are measured.
        table: the distinct rows that these items read; None where these are all vectors.
    """

    rows: Int[Array, "n inputs"]
    targets: Array
    clusters: Int[Array, " n"]
    plan: TilePlan | None
    table: Int[Array, " u"] | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class EmbedData:
    """The task as arrays: v vectors of d dimensions, and the items that read them.

    Attributes:
        vectors: pretrained vectors, the same start for every seed.
        train: the items trained on.
        test: the items held out; None where there are none.
        pool: the triples of the items trained on; None for cross-entropy.
        reference: covariance of the pretrained vectors that these items read; None without --star.
        classes: number of classes.
        clusters: number of distinct labels, or sets of labels.
        bias: whether the class scores have one.
    """

    vectors: Float[Array, "v d"]
    train: Part
    test: Part | None
    pool: TriplePool | None
    reference: Float[Array, "d d"] | None
    classes: int = field(metadata={"static": True})
    clusters: int = field(metadata={"static": True})
    bias: bool = field(metadata={"static": True})


def prepare(
    options: Options, embeddings: Embeddings, held_out: np.ndarray | None = None
) -> EmbedData:
    """Turns a task and its vectors into what the functions of `make_embed` take.

    `held_out`, (n,) bool, are the items that are not trained on, as from `hold_out`.

    Raises InputError: the scale brings the vectors out of the range that float32 computes in.
    """
    items, vectors = embeddings.items, embeddings.vectors
    assert vectors is not None
    largest = float(np.abs(vectors).max()) * options.scale
    if not LEAST <= largest <= MOST:
        raise InputError(
            f"--scale {options.scale:g}: the largest number in the vectors would be {largest:.3g}; "
            f"in single precision it has to lie between {LEAST:g} and {MOST:g}; give "
            "another --scale"
        )
    k = int(items.clusters.max()) + 1

    def part(mask: np.ndarray) -> Part:
        codes, targets = items.clusters[mask], items.targets[mask]
        whole = options.sample == 0 or len(codes) <= options.sample
        # Labels never change, so the points of a part that is measured whole are sorted only here.
        shape = tile_shape(np.bincount(codes, minlength=k)) if whole else None
        clusters = jnp.asarray(codes, jnp.int32)
        read = None if held_out is None else np.unique(items.index[mask])
        return Part(
            rows=jnp.asarray(items.index[mask], jnp.int32),
            targets=jnp.asarray(targets, jnp.float32 if items.multilabel else jnp.int32),
            clusters=clusters,
            plan=None if shape is None else plan_tiles(clusters, k, shape),
            table=None if read is None else jnp.asarray(read, jnp.int32),
        )

    train = np.ones(len(items), bool) if held_out is None else ~held_out
    scaled, items_trained = vectors * np.float32(options.scale), part(train)
    reference = None
    if options.star is not None:
        read = scaled if items_trained.table is None else scaled[np.asarray(items_trained.table)]
        reference = jnp.asarray(np.cov(read.astype(np.float64), rowvar=False), jnp.float32)
    return EmbedData(
        vectors=jnp.asarray(scaled, jnp.float32),
        train=items_trained,
        test=None if held_out is None else part(held_out),
        pool=make_pool(items.clusters[train], k) if options.loss == "triplet" else None,
        reference=reference,
        classes=len(items.classes),
        clusters=k,
        bias=embeddings.bias,
    )
