"""The block of a dense pass over one slide."""

from immunopath.domain.heat import HeatReport, SlideHeat, SquareCounts
from immunopath.domain.provenance import Provenance


def block(name: str = "S.svs", **change: object) -> HeatReport:
    slide = SlideHeat(
        name=name,
        sha256="ab" * 32,
        source=Provenance(
            engine="embedded-predictor", revision="nuclei-2", weights_digest="5e" * 32
        ),
        tile_um=250,
        gain=1.25,
        grid=2000,
        measured=1234,
        rejected={"blur": 3, "glass": 763},
        n_nuclei=400_000,
        n_lymphocytes=100_000,
        tissue_mm2=75.1,
        lymphocytes_per_mm2=1331.6,
        raw_share=0.25,
        corrected_share=0.17,
        densest=(9000, 5000, 501, 501),
        densest_per_mm2=7654.3,
        windows=SquareCounts(
            side_um=500,
            phenotypes={"inflamed": 30, "excluded": 60, "desert": 210},
            without={"no_nests": 9},
        ),
        cells=SquareCounts(
            side_um=1000,
            phenotypes={"inflamed": 8, "excluded": 12, "desert": 20},
            without={"little_tissue": 33},
        ),
        mpp_plausible=True,
        warnings=("In 9 of 90 dense windows small dark nuclei touch.",),
    ).model_copy(update=change)
    return HeatReport(slides=(slide,), notes=("T.svs: <no> heat.",))
