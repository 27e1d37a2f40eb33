"""A task as arrays, ready for paper A's experiment: items, tiles, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso.experiments.triplets import TriplePool, make_pool
from jaxiso.metrics.pairwise import TilePlan, plan_tiles, tile_shape


@dataclass(frozen=True)
class EmbedConfig:
    """What has to be known to compile the experiment.

    Attributes:
        classes: number of classes.
        multilabel: an item has a set of labels; binary cross-entropy for each.
        clusters: number of distinct labels, or sets of labels.
        sample: items to measure after each update, drawn anew each time; None for all.
        bias: whether the class scores have one.
        learning_rate: of Adam.
        hidden: units of a hidden layer before the linear classifier; None for no such layer.
        triplets: triples of items drawn for each update, for the triplet loss without a classifier;
            None for cross-entropy.
        track: measure Calinski-Harabasz, Davies-Bouldin and Dunn as well.
    """

    classes: int
    multilabel: bool
    clusters: int
    sample: int | None
    bias: bool = True
    learning_rate: float = 1e-3
    hidden: int | None = None
    triplets: int | None = None
    track: bool = False


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


class EmbedData(NamedTuple):
    """The task as arrays: v vectors of d dimensions, and the items that read them.

    Attributes:
        vectors: pretrained vectors, the same start for every seed.
        train: the items trained on.
        test: the items held out; None where there are none.
        pool: the triples of the items trained on; None for cross-entropy.
    """

    vectors: Float[Array, "v d"]
    train: Part
    test: Part | None = None
    pool: TriplePool | None = None


def prepare(
    vectors: np.ndarray,
    rows: np.ndarray,
    targets: np.ndarray,
    clusters: np.ndarray,
    *,
    classes: int,
    bias: bool = True,
    sample: int | None = None,
    learning_rate: float = 1e-3,
    hidden: int | None = None,
    triplets: int | None = None,
    track: bool = False,
    held_out: np.ndarray | None = None,
) -> tuple[EmbedConfig, EmbedData]:
    """Turns a task in numpy arrays into what `make_embed` and its parts take.

    Args:
        vectors: (v, d) pretrained vectors.
        rows: (n, inputs) rows of `vectors`.
        targets: (n,) class ids, or (n, classes) of 0 and 1.
        clusters: (n,) numbers 0 to K - 1 of the distinct labels.
        classes: number of classes.
        bias: whether the head has a bias.
        sample: measure this many items, drawn anew after each update, where there are more.
        learning_rate: of Adam.
        hidden: see `EmbedConfig`.
        triplets: see `EmbedConfig`.
        track: see `EmbedConfig`.
        held_out: (n,) bool, the items that are not trained on, as from `hold_out`.
    """
    k = int(clusters.max()) + 1
    masks = [np.ones(len(rows), bool)] if held_out is None else [~held_out, held_out]
    whole = [sample is None or mask.sum() <= sample for mask in masks]
    config = EmbedConfig(
        classes=classes,
        multilabel=targets.ndim == 2,
        clusters=k,
        sample=None if all(whole) else sample,
        bias=bias,
        learning_rate=learning_rate,
        hidden=hidden,
        triplets=triplets,
        track=track,
    )
    parts = []
    for mask, planned in zip(masks, whole, strict=True):
        codes = jnp.asarray(clusters[mask], jnp.int32)
        # Labels never change, so the points of a part that is measured whole are sorted only here.
        shape = tile_shape(np.bincount(clusters[mask], minlength=k)) if planned else None
        table = None if held_out is None else jnp.asarray(np.unique(rows[mask]), jnp.int32)
        kind = jnp.float32 if targets.ndim == 2 else jnp.int32
        part = Part(
            rows=jnp.asarray(rows[mask], jnp.int32),
            targets=jnp.asarray(targets[mask], kind),
            clusters=codes,
            plan=None if shape is None else plan_tiles(codes, k, shape),
            table=table,
        )
        parts.append(part)
    data = EmbedData(
        vectors=jnp.asarray(vectors, jnp.float32),
        train=parts[0],
        test=None if held_out is None else parts[1],
        pool=None if triplets is None else make_pool(clusters[masks[0]], k),
    )
    return config, data


def parameter_count(
    vectors: int, dim: int, inputs: int, classes: int, bias: bool, hidden: int | None = None
) -> int:
    """Trainable numbers of one seed: the table of distinct vectors and the classifier.

    Paper A, Tables 1 and 2. No classes: no classifier, as for the triplet loss.
    """
    width = inputs * dim
    if hidden is None:
        return vectors * dim + classes * (width + bias)
    return vectors * dim + hidden * (width + 1) + classes * (hidden + bias)
