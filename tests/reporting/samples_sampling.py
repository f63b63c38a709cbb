"""A sampling block as a case with one slide has it."""

from immunopath.domain.sampling import (
    PhenotypeShares,
    SamplingBudget,
    SamplingReport,
    SamplingRound,
    SlideEstimate,
    SlideSampling,
    Stratum,
)

SHA = "ab" * 32
STRATA = tuple(Stratum(image=i, places=4) for i in range(5))


def block(first_alone: float | None = 0.27, name: str = "S.svs") -> SamplingReport:
    estimate = SlideEstimate(
        name=name,
        sha256=SHA,
        quantity="lymphocyte_share_of_nuclei",
        value=0.21,
        interval=(0.16, 0.26),
        coverage=0.9,
        n_regions=5,
        first_round_value=first_alone,
        variances=dict.fromkeys(range(5), 0.01),
    )
    shares = PhenotypeShares(
        name=name,
        sha256=SHA,
        quantity="share_of_1mm2_cells_by_engine_phenotype",
        n_cells=9,
        n_unjudged=1,
        seen_mm2=0.262,
        shares={"inflamed": 0.2, "excluded": 0.3, "desert": 0.5},
        inflamed_interval=(0.1, 0.4),
        coverage=0.9,
    )
    slide = SlideSampling(
        name=name, sha256=SHA, candidates=20, side_um=512, strata=STRATA, first=STRATA[:4]
    )
    return SamplingReport(
        rounds=(
            SamplingRound(images=(0, 1, 2, 3), because="spread over the tissue"),
            SamplingRound(images=(4,), because="the engines differ", width_before=0.3),
        ),
        slides=(slide,),
        budget=SamplingBudget(rounds=2, regions=1),
        stop="budget",
        stop_reason="1 further regions, as many as allowed",
        estimates=(estimate,),
        phenotypes=(shares,),
        notes=("T.svs: <few> cells.",),
    )
