"""Share of 1 mm² cells of a slide that are inflamed, excluded or desert.

The form is that of Lunit SCOPE IO (Park, J Clin Oncol 2022;40:1916), which tiles a slide into 1 mm²
and gives each tile a phenotype; a slide is inflamed from 20 % inflamed tiles on in the study of
J Immunother Cancer 2024;12:e008339. The rule that gives a cell its phenotype is the engine's here,
not Lunit's densities in cancer epithelium and stroma; only 0.26 mm² of a cell are read, and only
cells with a region that was read for its place alone count (first round, evenly spread). So the
shares stand beside our phenotype, Lunit's cut is not applied to them, and they are no IIP.
"""

from collections.abc import Mapping, Sequence

from immunopath.domain.intervals import WILSON_COVERAGE, wilson
from immunopath.domain.prediction import FIELD_VALUES, ImageCall
from immunopath.domain.quality import ImageSummary, IntakeResult
from immunopath.domain.sampling import MIN_CELLS, PhenotypeShares, SlideSampling

QUANTITY = "share_of_1mm2_cells_by_engine_phenotype"
CELL_UM = 1000.0


def phenotype_shares(
    intake: IntakeResult, calls: Sequence[ImageCall]
) -> tuple[tuple[PhenotypeShares, ...], tuple[str, ...]]:
    """Return the shares of every slide with eight judged cells, and why others have none."""
    by_image = {call.image_index: call for call in calls}
    shares, notes = list[PhenotypeShares](), list[str]()
    for slide in intake.sampling.slides if intake.sampling else ():
        found, unjudged = _cells(slide, intake.images, by_image)
        if len(found) < MIN_CELLS:
            notes.append(
                f"{slide.name}: {len(found)} cells of 1 mm² with a phenotype ({unjudged} without); "
                f"their shares need {MIN_CELLS}."
            )
            continue
        inflamed = sum(value == "inflamed" for value in found.values())
        shares.append(
            PhenotypeShares(
                name=slide.name,
                sha256=slide.sha256,
                quantity=QUANTITY,
                n_cells=len(found),
                n_unjudged=unjudged,
                seen_mm2=round((slide.side_um / 1000) ** 2, 3),
                shares={
                    name: sum(value == name for value in found.values()) / len(found)
                    for name in FIELD_VALUES["immune_phenotype"] or ()
                },
                inflamed_interval=wilson(inflamed, len(found)),
                coverage=WILSON_COVERAGE,
            )
        )
    return tuple(shares), tuple(notes)


def _cells(
    slide: SlideSampling, images: Sequence[ImageSummary], calls: Mapping[int, ImageCall]
) -> tuple[dict[tuple[int, int], str], int]:
    """Return the phenotype by cell, from evenly spread regions only, and how many have none."""
    found: dict[tuple[int, int], str] = {}
    seen = set[tuple[int, int]]()
    for stratum in slide.first:
        image = images[stratum.image]
        x, y, width, height = image.region or (0, 0, 0, 0)
        cell = (
            int((x + width / 2) * image.mpp // CELL_UM),
            int((y + height / 2) * image.mpp // CELL_UM),
        )
        seen.add(cell)
        call = calls.get(stratum.image)
        if call is not None and call.phenotype is not None:
            found.setdefault(cell, call.phenotype)
    return found, len(seen) - len(found)
