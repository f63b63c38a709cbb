"""From a report to the facts by which its case is queued."""

import pytest
import samples

from immunopath.domain.finding import TrustRow
from immunopath.domain.guidance import TestRequest
from immunopath.domain.outcome import Ok
from immunopath.domain.report import CaseReport
from immunopath.pipeline.cohort.record import record_of

CD274 = "cd274_expression"


def report(*tests: str, passed: bool = True) -> CaseReport:
    """A case with a table for CD274 that asks for these tests."""
    plain = samples.full()
    table = {"high": 0.7, "low": 0.3}
    cd274 = plain.profile.cd274_expression.model_copy(
        update={"value": "high", "abstained": False, "reason": "", "probabilities": table}
    )
    assert isinstance(plain.guidance, Ok)
    told = plain.guidance.value
    wanted = tuple(
        TestRequest(code=c, name=c, level="T1", turnaround="2-3 days", reason="r", rule_ids=())
        for c in tests
    )
    guidance = told.model_copy(
        update={"tests": wanted, "triage": told.triage.model_copy(update={"level": "T1"})}
    )
    return plain.model_copy(
        update={
            "profile": plain.profile.model_copy(update={CD274: cd274}),
            "guidance": Ok(value=guidance),
            "trust": (TrustRow(field=CD274, informative=passed, reason="r"),),
        }
    )


@pytest.mark.parametrize(
    ("found", "chance"),
    [
        (report("PDL1_IHC"), 0.7),
        (report("PDL1_IHC", passed=False), None),
        (report("NGS_DNA_RNA"), None),
    ],
)
def test_only_a_trusted_prediction_of_a_wanted_test_breaks_ties(
    found: CaseReport, chance: float | None
) -> None:
    queue = record_of(found, row=1, key="k", files={}).queue
    assert queue is not None
    assert queue.changing_probability == chance
