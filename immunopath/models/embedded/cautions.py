"""What a reader must know before trusting a count: known ways in which the nuclei can mislead."""

import numpy as np
from scipy.spatial import cKDTree

from immunopath.domain.words import counted
from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.shares import Share

PLAUSIBLE_AREA_UM2 = (11.0, 32.0)
"""Expected median area of a nuclear region; it moves with the square of an error in mpp."""
COARSE_TO_FINE = 1.15
"""Largest plausible ratio of structure (`scale`); correct fields reach 1.12, most of those read at
twice their resolution lie above. A blur of 1 µm raises it too."""
MIN_NUCLEI = 30
PIGMENT_SHARE = 0.02
COARSE_MPP = 0.75
DENSE_SHARE = 0.40
WINDOW_UM = 50.0
TOUCHING_UM = 4.0
TOUCHING_SHARE = 0.2
CROWDED_WINDOWS = 0.1
"""Share of crowded windows from which the field is named: a lymphoid core has one in twenty."""
FEW_NUCLEI = 100


def median_area(case: CaseNuclei) -> float | None:
    """Return the median region area in µm², None without nuclei."""
    return float(np.median(case.nuclei.area_um2)) if len(case.nuclei) else None


def mpp_plausible(case: CaseNuclei) -> bool | None:
    """Return whether nuclear size and structure fit the resolution; None below 30 nuclei."""
    return fits_resolution(len(case.nuclei), median_area(case), case.coarse_to_fine)


def fits_resolution(n: int, area_um2: float | None, ratio: float | None) -> bool | None:
    """Return whether a median area and coarse over fine structure fit; None below 30 nuclei."""
    if area_um2 is None or n < MIN_NUCLEI:
        return None
    if ratio is not None and ratio > COARSE_TO_FINE:
        return False
    return PLAUSIBLE_AREA_UM2[0] <= area_um2 <= PLAUSIBLE_AREA_UM2[1]


def crowded_windows(case: CaseNuclei) -> tuple[int, int]:
    """Return how many windows of 50 µm are crowded, and how many hold 30 nuclei at all.

    Crowded: a share of lymphocytes of 0.40 or more, of which one in five or more has another
    nucleus within 4 µm. Lymphocytes of a follicle keep more distance than shrunken nuclei do.
    """
    crowded = judged = 0
    for image in np.unique(case.image_index):
        mine = case.nuclei.take(case.image_index == image)
        if len(mine) < MIN_NUCLEI:
            continue
        points = np.stack([mine.x_um, mine.y_um], axis=1)
        # Unbalanced trees give the same distances and are built in half the time.
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        found, _ = tree.query(points, k=2)
        close = np.asarray(found)[:, 1] < TOUCHING_UM
        cells = np.floor(points / WINDOW_UM).astype(np.int64)
        _, window = np.unique(cells, axis=0, return_inverse=True)
        window = window.reshape(-1)
        every = np.bincount(window)
        lymphocytes = np.bincount(window, weights=mine.is_lymphocyte)
        touching = np.bincount(window, weights=mine.is_lymphocyte & close)
        dense = every >= MIN_NUCLEI
        judged += int(dense.sum())
        tight = dense & (lymphocytes >= DENSE_SHARE * every)
        crowded += int((tight & (touching >= TOUCHING_SHARE * lymphocytes)).sum())
    return crowded, judged


def warnings_of(case: CaseNuclei, share: Share | None, coarsest_mpp: float) -> tuple[str, ...]:
    """Return one sentence per known failure mode that the numbers point at.

    An implausible resolution is not among them: `mpp_plausible` says it, and the adjudicator acts.
    """
    out = []
    if coarsest_mpp > COARSE_MPP:
        out.append(
            f"Pixels of {coarsest_mpp:.2f} µm are coarser than this engine works at: the share "
            "moved by 0.04 on average at 1.0 µm in the fit's own patches."
        )
    out += spot_warnings(case.n_pigment, case.n_candidates, *crowded_windows(case))
    if share is not None and len(case.nuclei) < FEW_NUCLEI:
        out.append(
            f"Only {counted(len(case.nuclei), 'nucleus', 'nuclei')}: the sampling error "
            "of the share alone is large."
        )
    return tuple(out)


def spot_warnings(n_pigment: int, n_candidates: int, crowded: int, judged: int) -> tuple[str, ...]:
    """Return what pigment and windows of touching small nuclei say against a count.

    n_pigment: dropped spots of `n_candidates`; crowded, judged: see `crowded_windows`.
    """
    out = []
    if n_candidates and n_pigment / n_candidates > PIGMENT_SHARE:
        out.append(
            f"{n_pigment} dark spots look like pigment and were left out; pigment beside "
            "nuclei can still be counted as lymphocytes."
        )
    if crowded and crowded >= CROWDED_WINDOWS * judged:
        out.append(
            f"In {crowded} of {judged} dense windows of 50 µm small dark nuclei touch: debris in "
            "necrosis or in glands, neutrophils and crowded small epithelium are counted as "
            "lymphocytes too, look at the field."
        )
    return tuple(out)
