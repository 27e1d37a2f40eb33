"""Items that are held out from training."""

from __future__ import annotations

import numpy as np


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
