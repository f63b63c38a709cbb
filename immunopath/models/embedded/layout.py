"""How lymphocytes lie against tumour nests, on a 10 µm grid.

Nests are where large round other nuclei are dense. Without nests there is no phenotype: normal
lung and a lymphoid follicle are neither desert nor inflamed. The Morisita-Horn index is reported
and decides nothing (real excluded fields score as low as 0.33 and as high as 0.59).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from immunopath.models.embedded.classifier import Correction
from immunopath.models.embedded.density import BOOL
from immunopath.models.embedded.layout_maps import (
    CELL_MM2,
    F64,
    block_table,
    cells_of,
    large_enough,
    nest_maps,
    square_counts,
)
from immunopath.models.embedded.nuclei import CaseNuclei

MIN_NEST_MM2 = 0.01
"""A nest smaller than 100 x 100 µm is below what a blur of 25 µm can place."""
DESERT_SHARE = 0.12
DESERT_IN_NEST, DESERT_OUTSIDE = 2000.0, 2500.0
EXCLUDED_RATIO = 0.4


@dataclass(frozen=True)
class Layout:
    """The layout of a case.

    phenotype: inflamed, excluded, desert, or None with `reason`. in_nest: one per nucleus.
    blocks: (k, 6) counts per 100 µm block of the usable images: lymphocytes in nests, mm² of
    nests, lymphocytes outside, mm² outside, lymphocytes, nuclei. Areas are of tissue pixels, so
    that nests are never larger than the tissue. Densities per mm², None without area; corrected
    by nothing.
    """

    phenotype: str | None
    reason: str
    in_nest: BOOL
    blocks: F64
    nest_mm2: float | None
    density_in_nests: float | None
    density_outside: float | None
    morisita_horn: float | None
    by_image: Mapping[int, str] = field(default_factory=dict)
    """Phenotype of each image that has one of its own."""


def analyse_layout(case: CaseNuclei, correction: Correction) -> Layout:
    """Return the layout over all images of a case that are large enough."""
    in_nest = np.zeros(len(case.nuclei), np.bool_)
    blocks, counts, nest_um2 = [], [], 0.0
    by_image: dict[int, str] = {}
    for image_index in sorted({b.image_index for b in case.boxes}):
        boxes = [b for b in case.boxes if b.image_index == image_index]
        mine = case.image_index == image_index
        if not large_enough(boxes, int(mine.sum())):
            continue
        nuclei = case.nuclei.take(mine)
        maps = nest_maps(nuclei, boxes, [g for g in case.tissue if g.image_index == image_index])
        row, column = cells_of(nuclei, maps)
        in_nest[mine] = maps.nest[row, column]
        nest_um2 += float(maps.tissue_um2[maps.nest].sum())
        blocks.append(block_table(nuclei, maps, row, column))
        own, _ = call_of(blocks[-1].sum(axis=0), correction)
        if own is not None:
            by_image[image_index] = own
        counts.append(square_counts(nuclei, maps))
    if not blocks:
        reason = (
            "The layout needs a field at least 200 µm across with 0.04 mm² and 100 nuclei; "
            "none is that large."
        )
        return Layout(None, reason, in_nest, np.zeros((0, 6)), None, None, None, None)
    table = np.concatenate(blocks)
    table = table[table[:, 5] + table[:, 1] + table[:, 3] > 0]
    total = table.sum(axis=0)
    overlap = morisita_horn(np.concatenate(counts, axis=1))
    inside = float(total[0] / total[1]) if total[1] > 0 else None
    outside = float(total[2] / total[3]) if total[3] > 0 else None
    value, reason = call_of(total, correction)
    return Layout(
        value, reason, in_nest, table, nest_um2 * 1e-6, inside, outside, overlap, by_image
    )


def call_of(total: F64, correction: Correction) -> tuple[str | None, str]:
    """Return the phenotype of the sums over a case, or None with the reason."""
    if total[1] < MIN_NEST_MM2:
        return None, (
            "No tumour nests were found: without them a field is neither inflamed, excluded nor "
            "desert (normal lung and lymphoid follicles look alike)."
        )
    return str(decide(total[None], np.array([correction.floor]), correction.ceiling)[0]), ""


def decide(totals: F64, floor: F64, ceiling: float | F64) -> npt.NDArray[np.str_]:
    """Return the phenotype of each row of `totals`, shape (n, 6) as `Layout.blocks`.

    Desert: corrected share below 0.12, or fewer than 2000 lymphocytes per mm² in nests and 2500
    outside (false lymphocytes alone reach about 1000). Excluded: less than 0.4 times as dense in
    nests as outside. Else inflamed.
    """
    share = np.clip((totals[:, 4] / np.maximum(totals[:, 5], 1) - floor) / (ceiling - floor), 0, 1)
    inside = totals[:, 0] / np.maximum(totals[:, 1], CELL_MM2)
    outside = totals[:, 2] / np.maximum(totals[:, 3], CELL_MM2)
    desert = (share < DESERT_SHARE) | ((inside < DESERT_IN_NEST) & (outside < DESERT_OUTSIDE))
    excluded = inside < EXCLUDED_RATIO * outside
    return np.where(desert, "desert", np.where(excluded, "excluded", "inflamed"))


def morisita_horn(counts: F64) -> float | None:
    """Return the Morisita-Horn overlap in [0, 1] of two rows of counts; None if one is empty."""
    first, second = counts[0], counts[1]
    a, b = first.sum(), second.sum()
    if a == 0 or b == 0:
        return None
    spread = (first**2).sum() / a**2 + (second**2).sum() / b**2
    return float(min(2 * (first * second).sum() / (spread * a * b), 1.0))
