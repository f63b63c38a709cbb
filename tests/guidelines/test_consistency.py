"""D-7 to D-12 on profiles built for the purpose."""

import re
from typing import Any

import pytest

from immunopath.domain.outcome import Abstained, Ok, Unavailable
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    CutPoints,
    EngineCaution,
    FieldPrediction,
    PhenotypeScores,
    PredictorResult,
)
from immunopath.domain.provenance import Provenance
from immunopath.domain.quality import IntakeResult
from immunopath.guidelines.adjudication import adjudicate, empty_profile
from immunopath.guidelines.consistency import (
    check_density_label,
    check_phenotype,
    check_tiles,
    discordance_table,
    suppress_all,
    withdraw,
)
from immunopath.guidelines.loader import load_knowledge

CUTS = CutPoints(low=0.12, high=0.40)
SOURCE = Provenance(engine="under-test", revision="1")
NOTHING = IntakeResult(usable=True, images=(), tiles=())


def field(value: Any, **more: Any) -> Any:
    kind = FieldPrediction[float] if isinstance(value, float) else FieldPrediction[str]
    base = {"quantity": "q", "n_tiles": 1, "qc_pass": True, "source": SOURCE}
    missing = {"abstained": value is None, "reason": "cannot know" if value is None else ""}
    return kind.model_validate(base | missing | {"value": value} | more)


def profile(**values: Any) -> BiomarkerProfile:
    fields = dict.fromkeys(FIELD_VALUES, None) | values
    return BiomarkerProfile.model_validate(
        {k: v if isinstance(v, FieldPrediction) else field(v) for k, v in fields.items()}
    )


def result(given: BiomarkerProfile) -> Ok[PredictorResult]:
    return Ok[PredictorResult](value=PredictorResult(profile=given, cut_points=CUTS))


def scores(value: str | None) -> Ok[PhenotypeScores]:
    table = {"inflamed": 0.2, "excluded": 0.6, "desert": 0.2}
    return Ok[PhenotypeScores](
        value=PhenotypeScores(
            scores=table, value=value, abstained=value is None, reason="r", source=SOURCE
        )
    )


def test_what_an_engine_says_against_itself_is_a_finding() -> None:
    caution = EngineCaution(
        code="IMAGE_IGNORED", severity="serious", message="m", action="a", fields=("msi_status",)
    )
    given = PredictorResult(profile=profile(), cut_points=CUTS, cautions=(caution,))
    missing = Unavailable(reason="absent")
    judged = adjudicate(Ok[PredictorResult](value=given), missing, missing, NOTHING)
    [finding] = [f for f in judged.findings if f.code == "IMAGE_IGNORED"]
    assert (finding.severity, finding.message, finding.fields) == ("serious", "m", ("msi_status",))


def test_without_cut_points_a_number_contradicts_no_class() -> None:
    given = profile(til_fraction=0.05, til_density="high", immune_phenotype="inflamed")
    assert check_density_label(given, None) == (given, [])
    assert check_phenotype(given, None) == (given, [])
    assert check_phenotype(given, CUTS)[1]


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"immune_phenotype": "inflamed", "til_fraction": 0.05}, "D-7"),
        ({"immune_phenotype": "inflamed", "cd8_infiltration": "low"}, "D-7"),
        ({"immune_phenotype": "desert", "til_fraction": 0.40}, "D-8"),
        ({"immune_phenotype": "desert", "tme_subtype": "IE"}, "D-9"),
        ({"immune_phenotype": "inflamed", "tme_subtype": "D"}, "D-9"),
        ({"immune_phenotype": "inflamed", "tme_subtype": "F", "til_density": "high"}, "D-9"),
    ],
)
def test_a_contradicted_phenotype_is_withdrawn(values: dict[str, Any], rule: str) -> None:
    judged, findings = check_phenotype(profile(**values), CUTS)
    assert [finding.rule_id for finding in findings] == [rule]
    assert judged.immune_phenotype.value is None
    assert judged.immune_phenotype.reason.startswith("withdrawn")


@pytest.mark.parametrize(
    "values",
    [
        {"immune_phenotype": "inflamed", "til_fraction": 0.12, "tme_subtype": "IE/F"},
        {"immune_phenotype": "desert", "til_fraction": 0.39, "tme_subtype": "D"},
        {"immune_phenotype": "excluded", "til_fraction": 0.9, "tme_subtype": "IE"},
        {"til_fraction": 0.0, "tme_subtype": "D"},
    ],
)
def test_consistent_profiles_pass_untouched(values: dict[str, Any]) -> None:
    given = profile(**values)
    assert check_phenotype(given, CUTS) == (given, [])


def test_d10_recomputes_the_label_and_keeps_the_fraction() -> None:
    judged, findings = check_density_label(profile(til_fraction=0.5, til_density="low"), CUTS)
    assert judged.til_density.value == "high"
    assert judged.til_density.probabilities is None
    assert judged.til_fraction.value == 0.5
    assert [finding.rule_id for finding in findings] == ["D-10"]


def test_d11_withdraws_classes_but_not_the_fraction() -> None:
    split = {"n_tiles": 4, "tile_disagreement": 0.5}
    judged, findings = check_tiles(
        profile(til_fraction=field(0.5, **split), til_density=field("high", **split))
    )
    assert judged.til_fraction.value == 0.5
    assert judged.til_density.value is None
    assert {finding.rule_id for finding in findings} == {"D-11"}


def test_d11_needs_twenty_tiles_for_a_slide_but_not_for_a_field() -> None:
    few = {"n_tiles": 19, "scope": "slide"}
    assert check_tiles(profile(til_density=field("high", **few)))[1]
    assert not check_tiles(profile(til_density=field("high", n_tiles=19)))[1]


def test_d12_withdraws_everything() -> None:
    judged, findings = suppress_all(profile(til_fraction=0.5, immune_phenotype="desert"), "why.")
    assert all(each.abstained for _, each in judged.items())
    assert findings[0].rule_id == "D-12"
    assert findings[0].severity == "serious"


def test_withdrawing_drops_what_the_engine_had_said() -> None:
    sure = field("high", probabilities={"high": 1.0, "moderate": 0.0, "low": 0.0})
    gone = withdraw(sure, "because")
    assert gone.value is None
    assert gone.probabilities is None
    assert gone.reason == "because"


def test_engines_that_differ_leave_the_phenotype_indeterminate() -> None:
    given = result(profile(immune_phenotype="desert", til_fraction=0.2))
    judged = adjudicate(given, scores("excluded"), Unavailable(reason="x"), NOTHING)
    assert judged.profile.immune_phenotype.value is None
    assert "engines differ" in judged.profile.immune_phenotype.reason
    assert {row.field: row.state for row in judged.agreement}["immune_phenotype"] == "disagree"
    assert "ENGINES_DISAGREE" in {finding.code for finding in judged.findings}


def test_engines_that_agree_confirm_and_one_alone_does_not() -> None:
    given = result(profile(immune_phenotype="excluded", til_fraction=0.3))
    both = adjudicate(given, scores("excluded"), Unavailable(reason="x"), NOTHING)
    assert both.agreement[0].state == "agree"
    assert both.profile.immune_phenotype.value == "excluded"
    alone = adjudicate(given, scores(None), Abstained(reason="x"), NOTHING)
    assert alone.agreement[0].state == "single"
    assert "NOT_CONFIRMED" in {finding.code for finding in alone.findings}


def test_without_a_predictor_every_field_says_why_and_gives_no_prior() -> None:
    judged = adjudicate(
        Unavailable(reason="no weights"), scores(None), Unavailable(reason="x"), NOTHING
    )
    for _name, each in judged.profile.items():
        assert each.abstained
        assert "no weights" in each.reason
        assert each.prior is None
    assert not any(row.informative for row in judged.trust)


def test_the_empty_profile_names_no_engine() -> None:
    assert {each.source.engine for _, each in empty_profile("r").items()} == {"none"}


def test_rules_have_resolvable_references_and_the_gates_agree() -> None:
    knowledge = load_knowledge()
    for rule in discordance_table().rules.values():
        assert set(rule.references) <= set(knowledge.references)
    limit = discordance_table().limits["tile_disagreement"]
    assert limit == knowledge.trust.max_tile_disagreement


def test_every_row_of_the_discordance_section_is_decided_or_explained() -> None:
    table, kb = discordance_table(), load_knowledge()
    rules = {rule.spec.id for t in kb.tables.values() for rule in t.rules}
    for n in range(1, 19):
        row = f"D-{n}"
        assert row in table.rules or row in table.elsewhere, row
        named = set(re.findall(r"[A-Z][A-Z0-9]*-[0-9]+[A-Z]?", table.elsewhere.get(row, "")))
        assert named <= rules | {"D-18"}, row
        assert named or row in table.rules or "not applicable" in table.elsewhere[row], row
