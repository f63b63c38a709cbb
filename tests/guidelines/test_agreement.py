"""What independent engines say of one another, and of a resolution that cannot be right."""

from typing import Any

import pytest
from test_consistency import CUTS, NOTHING, SOURCE, field, profile

from immunopath.domain.finding import Adjudication, Severity
from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import (
    BiomarkerProfile,
    FieldVote,
    Morphometry,
    PhenotypeScores,
    PredictorResult,
    RetrievalResult,
)
from immunopath.domain.quality import (
    ImageSummary,
    IntakeResult,
    QualityReport,
    TileSummary,
    Verdict,
)
from immunopath.guidelines.adjudication import ON_SCALE, adjudicate

ABSENT = Unavailable(reason="absent")
GOOD = QualityReport(verdict=Verdict.accept, checks=(), tissue_share=1.0)
EXCLUDED = {"inflamed": 0.2, "excluded": 0.6, "desert": 0.2}


def counted(given: BiomarkerProfile, **shape: Any) -> Ok[PredictorResult]:
    base = {"n_nuclei": 900, "n_lymphocytes": 90, "tissue_mm2": 0.06}
    seen = Morphometry.model_validate(base | shape)
    return Ok[PredictorResult](
        value=PredictorResult(profile=given, cut_points=CUTS, morphometry=seen)
    )


def texture(value: str | None = None, **features: float) -> Ok[PhenotypeScores]:
    return Ok[PhenotypeScores](
        value=PhenotypeScores(
            scores=EXCLUDED if value else {},
            value=value,
            abstained=value is None,
            reason="" if value else "no nest-like epithelium found.",
            features=features,
            source=SOURCE,
        )
    )


def judge(
    prediction: Outcome[PredictorResult],
    second: Outcome[PhenotypeScores] = ABSENT,
    intake: IntakeResult = NOTHING,
    neighbours: Outcome[RetrievalResult] = ABSENT,
) -> Adjudication:
    return adjudicate(prediction, second, neighbours, intake)


def rules(judged: Adjudication) -> dict[str | None, Severity]:
    return {finding.rule_id: finding.severity for finding in judged.findings}


@pytest.mark.parametrize(
    "second", [texture(), texture(lymphoid_share=0.3), Abstained(reason="no field is large.")]
)
def test_an_engine_that_looked_and_abstained_does_not_confirm(
    second: Outcome[PhenotypeScores],
) -> None:
    judged = judge(counted(profile(immune_phenotype="excluded")), second)
    assert rules(judged)["AGR-3"] is Severity.caution
    assert "AGR-2" not in {f.rule_id for f in judged.findings if "immune_phenotype" in f.fields}
    [found] = [f for f in judged.findings if f.rule_id == "AGR-3"]
    assert "not confirmed by an independent engine" in found.message
    assert found.message.count("..") == 0
    assert judged.profile.immune_phenotype.value == "excluded"


@pytest.mark.parametrize("second", [ABSENT, Failed(error_id="e", message="broke")])
def test_an_engine_that_could_not_run_says_nothing_against(
    second: Outcome[PhenotypeScores],
) -> None:
    found = rules(judge(counted(profile(immune_phenotype="excluded")), second))
    assert found["AGR-2"] is Severity.note
    assert "AGR-3" not in found


def test_a_second_opinion_without_a_first_stays_a_note() -> None:
    found = rules(judge(counted(profile()), texture("excluded")))
    assert found["AGR-2"] is Severity.note
    assert "AGR-3" not in found


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.24, "low"), (0.25, "moderate"), (0.49, "moderate"), (0.50, "high"), (0.579, "high")],
)
def test_the_share_of_texture_is_an_opinion_on_density(share: float, said: str) -> None:
    judged = judge(counted(profile(til_density="low")), texture(lymphoid_share=share))
    [row] = [r for r in judged.agreement if r.field == "til_density"]
    opinion = row.opinions[1]
    assert (opinion.engine, opinion.value) == ("phenotype", said)
    assert "another quantity" in opinion.reason
    assert row.state == ("agree" if said == "low" else "disagree")
    found = rules(judged)
    assert ("AGR-4" in found) == (said != "low")
    assert "AGR-2" not in found
    assert judged.profile.til_density.value == "low"


def test_a_density_that_differs_is_a_caution_that_compares_classes_only() -> None:
    judged = judge(counted(profile(til_density="low")), texture(lymphoid_share=0.579))
    [found] = [f for f in judged.findings if f.rule_id == "AGR-4"]
    assert found.severity is Severity.caution
    assert "predictor low, phenotype high" in found.message
    assert "only the classes are compared" in found.message
    assert found.fields == ("til_density",)


def test_without_a_share_neighbours_that_differ_are_told_as_before() -> None:
    vote = FieldVote(field="til_density", n_votes=3, value="high")
    near = Ok[RetrievalResult](
        value=RetrievalResult(
            neighbours=(), votes=(vote,), atlas_id="a", atlas_size=3, source=SOURCE
        )
    )
    judged = judge(counted(profile(til_density="low")), texture(), neighbours=near)
    assert rules(judged)["AGR-1"] is Severity.caution
    [row] = [r for r in judged.agreement if r.field == "til_density"]
    assert row.opinions[1].value is None
    assert "no share" in row.opinions[1].reason


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [(0.058, 0.0, True), (0.0, 0.02, True), (0.03, 0.015, False), (0.009, 0.0, False)],
)
def test_nests_that_one_engine_sees_alone_are_told(own: float, other: float, told: bool) -> None:
    found = rules(judge(counted(profile(), nest_mm2=own), texture(nest_mm2=other)))
    assert found.get("AGR-5") is (Severity.caution if told else None)


def test_nests_are_compared_only_where_both_engines_looked() -> None:
    seen = counted(profile(), nest_mm2=0.05)
    for second in (ABSENT, texture(lymphoid_share=0.1)):
        assert "AGR-5" not in rules(judge(seen, second))
    assert "AGR-5" not in rules(judge(counted(profile()), texture(nest_mm2=0.05)))


def _intake(*images: tuple[str, float, str, Verdict]) -> IntakeResult:
    summaries, tiles = [], []
    for index, (name, mpp, source, verdict) in enumerate(images):
        summaries.append(
            ImageSummary(
                name=name,
                sha256="0",
                pixels_sha256="0",
                width=9,
                height=9,
                format="PNG",
                mpp=mpp,
                mpp_source=source,
                quality=GOOD,
            )
        )
        report = GOOD.model_copy(update={"verdict": verdict})
        tiles.append(
            TileSummary(tile_id=name, image_index=index, box=(0, 0, 9, 9), mpp=mpp, quality=report)
        )
    return IntakeResult(usable=True, images=tuple(summaries), tiles=tuple(tiles))


IMPLAUSIBLE = {"mpp_plausible": False, "median_nuclear_area_um2": 7.5, "nest_mm2": 0.05}


def test_an_implausible_resolution_is_told_once_and_names_every_image_used() -> None:
    intake = _intake(
        ("a.png", 0.5, "user", Verdict.accept),
        ("b.png", 0.25, "tag", Verdict.flag),
        ("glass.png", 1.0, "user", Verdict.refuse),
    )
    judged = judge(counted(profile(til_fraction=0.3), **IMPLAUSIBLE), texture(), intake)
    [found] = [f for f in judged.findings if "resolution" in f.message]
    assert found.rule_id == "IMG-2"
    assert found.message.endswith("a.png 0.5 µm/px (user), b.png 0.25 µm/px (tag).")
    assert found.fields == ON_SCALE


def test_an_implausible_resolution_withholds_what_rests_on_counts() -> None:
    given = profile(
        til_fraction=field(0.9, raw_value=0.8),
        til_density="high",
        immune_phenotype="desert",
        immune_score=field(0.9, hint=True),
        msi_status="MSS",
    )
    judged = judge(
        counted(given, **IMPLAUSIBLE), texture("excluded", lymphoid_share=0.1, nest_mm2=0.0)
    )
    for name in ON_SCALE:
        held = getattr(judged.profile, name)
        assert held.abstained
        assert "the resolution is implausible" in held.reason
        assert held.raw_value is None
    assert judged.profile.msi_status.value == "MSS"
    assert not {"D-8", "AGR-1", "AGR-4", "AGR-5"} & set(rules(judged))


@pytest.mark.parametrize("plausible", [True, None])
def test_a_resolution_that_nothing_speaks_against_withholds_nothing(plausible: bool | None) -> None:
    judged = judge(counted(profile(til_fraction=0.3), mpp_plausible=plausible))
    assert judged.profile.til_fraction.value == 0.3
    assert "IMG-2" not in rules(judged)


def test_one_tile_and_one_nucleus_are_not_many() -> None:
    intake = _intake(("a.png", 0.5, "user", Verdict.flag))
    judged = judge(counted(profile(), n_nuclei=1), texture(), intake)
    said = {f.code: f.message for f in judged.findings}
    assert said["QC_FLAGGED"].startswith("Quality control flagged 1 of 1 tile:")
    assert "1 nucleus were" not in said["SMALL_FIELD"]
    assert said["SMALL_FIELD"].endswith("and 1 nucleus.")
