"""How well labels are clusters, by what takes linear time: a few passes over the vectors.

The formulas are those of `jaxiso.metrics.clusters` and `jaxiso.metrics.host_labels`, in double
precision: distances are taken from centroids, and nothing cancels but what is small beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jaxiso.metrics.blocks import ROUNDING
from jaxiso.metrics.clusters import HostClusters
from jaxiso.metrics.errors import Dealt, Estimate
from jaxiso.metrics.host import EPS
from jaxiso.metrics.moments import unit_rows
from jaxiso.score.cloud import Cloud


@dataclass(frozen=True)
class Groups(HostClusters):
    """The vectors of each label: how many they are, where, and how far from each other.

    Counts are under cosine those of vectors that are not zero; centroids are times the cloud's
    scale.

    Attributes:
        unit: whether vectors are taken to unit length first, as for cosines.
        without: the same without each block of vectors, where they were dealt into blocks.
    """

    unit: bool
    without: tuple[Groups, ...] = ()

    @classmethod
    def of(
        cls,
        cloud: Cloud,
        codes: np.ndarray,
        k: int,
        *,
        unit: bool = False,
        dealt: Dealt | None = None,
    ) -> Groups:
        """Three passes, the first of them only until every label was seen.

        Blocks of vectors take no further pass: O(n·d·B) work and O(K·d·B) memory for B of them.
        """
        b, cells = 1, codes
        if dealt is not None:
            b, cells = dealt.blocks, codes.astype(np.int64) * dealt.blocks + dealt.block
        members = _members(cloud, codes, k, unit)
        counts, totals = np.zeros(k * b), np.zeros((k * b, cloud.d))
        for _, x, mine in labelled(cloud, cells, unit, "centroids"):
            # Relative to one of their own, so that a label in one place has its centroid there.
            x -= members[mine // b]
            counts += np.bincount(mine, minlength=k * b)
            order = np.argsort(mine, kind="stable")
            firsts = np.flatnonzero(np.diff(mine[order], prepend=-1))
            totals[mine[order[firsts]]] += np.add.reduceat(x[order], firsts, axis=0)
        counts = cloud.part.sum(counts).reshape(k, b)
        totals = cloud.part.sum(totals).reshape(k, b, -1)
        every = counts.sum(axis=1)
        offsets = totals.sum(axis=1)
        left = every[:, None] - counts
        shifts = (offsets[:, None] - totals) / np.maximum(left, 1)[:, :, None]
        offsets /= np.maximum(every, 1)[:, None]
        shifts -= offsets[:, None]
        centroids = members + offsets
        sums, rest = np.zeros((2, k)), np.zeros((2, k, b))
        for _, x, mine in labelled(cloud, cells, unit, "spreads"):
            labels = mine // b
            x -= centroids[labels]
            squares = np.einsum("ij,ij->i", x, x)
            sums[0] += np.bincount(labels, squares, minlength=k)
            sums[1] += np.bincount(labels, np.sqrt(squares), minlength=k)
            if b > 1:
                _add_rest(rest, x, squares, mine, shifts)
        spread, radii = cloud.part.sum(sums) / np.maximum(every, 1)
        rest = cloud.part.sum(rest) / np.maximum(left, 1)
        left = left.astype(np.int64)
        without = tuple(
            cls(left[:, j], centroids + shifts[:, j], rest[0, :, j], rest[1, :, j], unit)
            for j in range(b if b > 1 else 0)
        )
        return cls(every.astype(np.int64), centroids, spread, radii, unit, without)

    def estimates(self) -> dict[str, Estimate]:
        """Both scores, and without each block."""
        every = (self, *self.without)
        found = {
            "calinski_harabasz": [groups.calinski_harabasz() for groups in every],
            "davies_bouldin": [groups.davies_bouldin() for groups in every],
        }
        return {name: Estimate(first, np.array(rest)) for name, (first, *rest) in found.items()}


def _members(cloud: Cloud, codes: np.ndarray, k: int, unit: bool) -> np.ndarray:
    """(k, d) a vector of each label: its first."""
    seen, first = np.unique(codes, return_index=True)
    by_place = np.argsort(first)
    members = np.zeros((k, cloud.d))
    some = cloud.rows.take(first[by_place]).astype(np.float64) * cloud.scale
    members[seen[by_place]] = unit_rows(some)[0] if unit else some
    return members


def _add_rest(
    rest: np.ndarray, x: np.ndarray, squares: np.ndarray, cells: np.ndarray, shifts: np.ndarray
) -> None:
    """Adds up distances, and their squares, to where a centroid is without each block.

    Args:
        rest: (2, k, b) sums of squares, and of distances, of vectors that are not in the block.
        x: (m, d) vectors less the centroid of their label.
        squares: (m,) their squared lengths.
        cells: (m,) label · b + block.
        shifts: (k, b, d) how centroids move without each block.
    """
    labels, blocks = np.divmod(cells, shifts.shape[1])
    order = np.argsort(labels, kind="stable")
    firsts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    for some in np.split(order, firsts[1:]):
        label = labels[some[0]]
        moved = shifts[label]
        size = squares[some, None] + np.einsum("ij,ij->i", moved, moved)
        found = size - 2 * x[some] @ moved.T
        found[found <= ROUNDING * EPS * size] = 0
        found[np.arange(len(some)), blocks[some]] = 0
        rest[0, label] += found.sum(axis=0)
        rest[1, label] += np.sqrt(found, out=found).sum(axis=0)


def labelled(
    cloud: Cloud, codes: np.ndarray, unit: bool, what: str
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The numbers of vectors, themselves and their labels; of unit length, then without zeros."""
    for where, x in cloud.blocks(what):
        numbers = np.arange(where.start, where.stop)
        if unit:
            x, directed = unit_rows(x)
            if not directed.all():
                numbers, x = numbers[directed], x[directed]
        yield numbers, x, codes[numbers]
