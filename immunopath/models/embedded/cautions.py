"""What a reader must know before trusting a count: known ways in which the nuclei can mislead."""

import numpy as np
from scipy.spatial import cKDTree

from immunopath.models.embedded.nuclei import CaseNuclei
from immunopath.models.embedded.shares import Share

PLAUSIBLE_AREA_UM2 = (11.0, 32.0)
"""Expected median area of a nuclear region; it moves with the square of an error in mpp."""
MIN_NUCLEI = 30
PIGMENT_SHARE = 0.02
COARSE_MPP = 0.75
DENSE_SHARE = 0.40
CROWDED_UM = 6.0
FEW_NUCLEI = 100


def median_area(case: CaseNuclei) -> float | None:
    """Return the median region area in µm², None without nuclei."""
    return float(np.median(case.nuclei.area_um2)) if len(case.nuclei) else None


def mpp_plausible(case: CaseNuclei) -> bool | None:
    """Return whether the nuclear size fits the resolution; None with fewer than 30 nuclei."""
    area = median_area(case)
    if area is None or len(case.nuclei) < MIN_NUCLEI:
        return None
    return PLAUSIBLE_AREA_UM2[0] <= area <= PLAUSIBLE_AREA_UM2[1]


def neighbour_distance(case: CaseNuclei) -> float | None:
    """Return the median distance in µm to the nearest other nucleus; None below 30 nuclei."""
    distances = []
    for image in np.unique(case.image_index):
        mine = case.nuclei.take(case.image_index == image)
        points = np.stack([mine.x_um, mine.y_um], axis=1)
        if len(points) > 1:
            # Unbalanced trees give the same distances and are built in half the time.
            tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
            found, _ = tree.query(points, k=2)
            distances.append(np.asarray(found)[:, 1])
    every = np.concatenate(distances) if distances else np.zeros(0)
    return float(np.median(every)) if every.size >= MIN_NUCLEI else None


def _crowded(case: CaseNuclei) -> bool:
    distance = neighbour_distance(case)
    return distance is not None and distance < CROWDED_UM


def warnings_of(case: CaseNuclei, share: Share | None, coarsest_mpp: float) -> tuple[str, ...]:
    """Return one sentence per known failure mode that the numbers point at."""
    out = []
    area = median_area(case)
    if mpp_plausible(case) is False and area is not None:
        out.append(
            f"The median nucleus measures {area:.0f} µm² where 11 to 32 µm² are expected: the "
            "resolution (mpp) may be wrong, or the field holds mostly very small or large nuclei."
        )
    if coarsest_mpp > COARSE_MPP:
        out.append(
            f"Pixels of {coarsest_mpp:.2f} µm are coarser than this engine works at: the share "
            "moved by 0.04 on average at 1.0 µm in the fit's own patches."
        )
    if case.n_candidates and case.n_pigment / case.n_candidates > PIGMENT_SHARE:
        out.append(
            f"{case.n_pigment} dark spots look like pigment and were left out; pigment beside "
            "nuclei can still be counted as lymphocytes."
        )
    if share is not None and share.value >= DENSE_SHARE and _crowded(case):
        out.append(
            "Small dark nuclei lie close together: necrosis with shrunken nuclei and crowded "
            "small epithelium are counted as lymphocytes too, look at the field."
        )
    if share is not None and len(case.nuclei) < FEW_NUCLEI:
        out.append(
            f"Only {len(case.nuclei)} nuclei: the sampling error of the share alone is large."
        )
    return tuple(out)
