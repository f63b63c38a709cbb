"""The caution of regions that a person picked."""

import samples

from immunopath.domain.outcome import Ok, Unavailable
from immunopath.domain.prediction import PredictorResult, ValidationCard
from immunopath.domain.quality import IntakeResult
from immunopath.guidelines.adjudication import adjudicate
from immunopath.guidelines.picked import UNLIKE_VALIDATION, picked_findings


def taken(*picked: bool) -> IntakeResult:
    images = tuple(samples.image().model_copy(update={"picked": each}) for each in picked)
    return IntakeResult(usable=True, images=images, tiles=())


def test_only_what_a_person_picked_is_cautioned() -> None:
    assert picked_findings(taken(False, False)) == ()
    (one,) = picked_findings(taken(True))
    (two,) = picked_findings(taken(True, True))
    assert one.severity == "caution"
    assert one.message.startswith("1 region was picked by hand")
    assert two.message.startswith("2 regions were picked by hand")


def test_no_validation_opens_the_gate_for_what_a_person_picked() -> None:
    card = ValidationCard(cohort="elsewhere", n=200, metric="auroc", value=0.8, ci_low=0.7,
                          ci_high=0.9, null_value=0.5, external=True, ece=0.05)  # fmt: skip
    given = samples.profile()
    cd274 = given.cd274_expression.model_copy(
        update={"value": "high", "abstained": False, "reason": "", "validation": card}
    )
    result = PredictorResult(
        profile=given.model_copy(update={"cd274_expression": cd274}), cut_points=None
    )
    absent = Unavailable(reason="absent")
    spread, picked = (
        adjudicate(Ok[PredictorResult](value=result), absent, absent, taken(by_hand)).trust[0]
        for by_hand in (False, True)
    )
    assert spread.informative
    assert (picked.informative, picked.reason) == (False, UNLIKE_VALIDATION)
