"""What the papers report, for the column beside ours."""

from __future__ import annotations

from typing import NamedTuple


class EmbedTarget(NamedTuple):
    """A row of paper A, "Isotropy, Clusters, and Classifiers".

    Attributes:
        items: number of items (Table 1, or Table 2).
        parameters: number of trainable parameters (Table 1, or Table 2).
        pearson_r: of IsoScore and silhouette across training (Section 3.2, or Table 3).
        spearman_rho: likewise. Section 3.2 says only that it is always below -0.998: None there.
    """

    items: int
    parameters: int
    pearson_r: float
    spearman_rho: float | None


def _glue(items: int, parameters: tuple[int, int, int], *r_and_rho: float):
    names = ("minilm", "mpnet", "roberta")
    pairs = zip(r_and_rho[::2], r_and_rho[1::2], strict=True)
    return {
        name: EmbedTarget(items, count, r, rho)
        for name, count, (r, rho) in zip(names, parameters, pairs, strict=True)
    }


EMBED_TARGETS: dict[str, dict[str, EmbedTarget]] = {
    "polarity": {"minilm": EmbedTarget(10_662, 4_094_976, -0.808, None)},
    "snli": {"minilm": EmbedTarget(9_842, 4_987_395, -0.878, None)},
    "pos": {"word2vec": EmbedTarget(11_462, 4_341_004, -0.947, None)},
    "supersense": {"word2vec": EmbedTarget(2_275, 690_326, -0.978, None)},
    "cola": _glue(
        8_551,
        (3_277_058, 6_554_114, 6_554_114),
        *(-0.88291, -0.99996),
        *(-0.87299, -0.99998),
        *(-0.87137, -0.99999),
    ),
    "mnli": _glue(
        392_702,
        (199_380_483, 398_760_963, 398_760_963),
        *(-0.85217, -0.99938),
        *(-0.84458, -0.99920),
        *(-0.83865, -0.99920),
    ),
    "mrpc": _glue(
        3_668,
        (2_709_506, 5_419_010, 5_419_010),
        *(-0.93973, -0.99662),
        *(-0.92456, -0.99970),
        *(-0.91883, -0.99849),
    ),
    "qnli": _glue(
        104_743,
        (42_617_090, 85_234_178, 85_234_178),
        *(-0.91188, -0.98588),
        *(-0.90506, -0.96650),
        *(-0.89918, -0.96938),
    ),
    "qqp": _glue(
        363_846,
        (189_649_154, 379_298_306, 379_298_306),
        *(-0.92890, -0.99666),
        *(-0.91583, -0.99504),
        *(-0.91115, -0.99424),
    ),
    "rte": _glue(
        2_490,
        (1_738_370, 3_476_738, 3_476_738),
        *(-0.92648, -0.99985),
        *(-0.91348, -0.99980),
        *(-0.91515, -0.99941),
    ),
    "sst2": _glue(
        67_349,
        (25_720_322, 51_440_642, 51_440_642),
        *(-0.84551, -0.99997),
        *(-0.83864, -0.99995),
        *(-0.84103, -0.99995),
    ),
    "wnli": _glue(
        635,
        (356_738, 713_474, 713_474),
        *(-0.89690, -0.99987),
        *(-0.89077, -0.99994),
        *(-0.89020, -0.99991),
    ),
}
