"""The task as arrays: the items that are trained on, those that are held out, and their vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxiso.cli.console import InputError, several
from jaxiso.data.tasks import Items
from jaxiso.embed.inputs import Embeddings
from jaxiso.embed.options import LEAST, MOST, Options
from jaxiso.embed.triplets import TriplePool, make_pool
from jaxiso.metrics.tiles import TilePlan, plan_tiles, tile_shape


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
