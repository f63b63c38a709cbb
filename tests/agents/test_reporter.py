"""The reporter: every way a case can end becomes one report that hides none of it."""

from itertools import product
from typing import Any

import pytest
import samples
from agent_states import AS_OF, MISSING, answered, context, embedded, intake, predicted, run

from immunopath.agents.reporter import reporter_agent
from immunopath.agents.state import REPORT, CaseState
from immunopath.domain.outcome import Failed, Ok, why_not
from immunopath.domain.quality import IntakeResult
from immunopath.domain.report import CaseReport, EngineStatus

AGENTS = {
    "predictor": "prediction",
    "phenotype": "phenotype",
    "retrieval": "retrieval",
    "adjudicator": "adjudication",
    "guideline": "guidance",
    "drugs": "drugs",
}
ABSTAINED, UNAVAILABLE, FAILED = MISSING


def reported(state: CaseState, **changes: Any) -> CaseReport:
    written, _ = run(reporter_agent, state, context(**changes))
    assert set(written) == {"report", "trace"}
    value = REPORT.value(written)  # type: ignore[arg-type]
    assert value is not None
    return value


def refused(reason: str = "glass only") -> CaseState:
    """Return the state of a case that intake ended: nothing but intake has run."""
    gone = dict.fromkeys(AGENTS.values())
    result = Ok[IntakeResult](value=intake(usable=False, reason=reason))
    return answered(intake=result, **gone)


def rows(report: CaseReport) -> dict[str, EngineStatus]:
    return {row.agent: row for row in report.engines}


def test_when_every_agent_answered_the_report_is_whole() -> None:
    report = reported(answered())
    assert report.status == "ok"
    assert report.status_reason == ""
    assert [row.agent for row in report.engines] == list(AGENTS)
    assert {row.status for row in report.engines} == {"ok"}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("outcome", MISSING, ids=lambda outcome: outcome.status)
def test_one_agent_without_an_answer(agent: str, outcome: Any) -> None:
    """An abstention is an answer; only an absent or a broken engine leaves the report partial."""
    report = reported(answered(**{AGENTS[agent]: outcome}))
    row = rows(report)[agent]
    assert row.status == outcome.status
    assert row.reason == why_not(outcome)
    if outcome is ABSTAINED:
        assert report.status == "ok"
        assert report.status_reason == ""
    else:
        assert report.status == "partial"
        assert report.status_reason == f"without {agent}"


@pytest.mark.parametrize("gone", list(product((False, True), repeat=3)))
def test_the_reason_names_every_missing_engine_and_no_other(gone: tuple[bool, ...]) -> None:
    engines = ("predictor", "phenotype", "retrieval")
    missing = [name for name, absent in zip(engines, gone, strict=True) if absent]
    report = reported(answered(**{AGENTS[name]: FAILED for name in missing}))
    assert report.status == ("partial" if missing else "ok")
    assert report.status_reason == ("without " + ", ".join(missing) if missing else "")


def test_a_refused_case_says_why_and_holds_no_value() -> None:
    report = reported(refused("mostly glass"))
    assert report.status == "refused"
    assert report.status_reason == "mostly glass"
    assert {row.status for row in report.engines} == {"skipped"}
    assert all(field.abstained for _, field in report.profile.items())
    assert all("mostly glass" in field.reason for _, field in report.profile.items())
    assert report.morphometry is None
    assert report.findings == report.agreement == report.trust == ()
    assert report.images[0].quality == samples.STAINED


def test_refused_weighs_more_than_partial() -> None:
    state = refused()
    state["trace"].append({"agent": "predictor", "status": "failed"})
    assert reported(state).status == "refused"


def test_every_value_of_the_agents_is_in_the_report() -> None:
    report, seen = reported(answered()), predicted()
    assert report.morphometry == seen.morphometry
    assert report.layout_note == seen.layout_note
    full = samples.full()
    assert report.profile == full.profile
    assert report.trust == full.trust
    assert report.findings == full.findings
    assert report.agreement == full.agreement
    assert report.guidance == full.guidance
    assert report.drugs == full.drugs
    assert report.retrieval == full.retrieval
    assert report.tiles == samples.tiles()


def test_the_question_comes_back_with_the_answer() -> None:
    report = reported(answered())
    assert (report.case_id, report.patient_id, report.as_of) == ("P-17", "PAT-01", AS_OF)


def test_a_failed_adjudicator_leaves_no_unjudged_prediction() -> None:
    """Values that no rule has looked at are not reported, whatever the predictor said."""
    report = reported(answered(adjudication=FAILED))
    assert all(field.abstained for _, field in report.profile.items())
    assert "adjudicator failed" in report.profile.til_fraction.reason
    assert report.morphometry is not None


def test_an_agent_that_was_not_needed_did_not_fail() -> None:
    """Guidance that names no drug skips the drugs agent: nothing is missing then."""
    report = reported(answered(drugs=None))
    assert report.status == "ok"
    assert rows(report)["drugs"].status == "skipped"
    assert why_not(report.drugs) == "no drug is named"


def test_engines_are_named_with_their_digest_only_when_they_ran() -> None:
    handle = embedded("predictor")
    assert rows(reported(answered(), predictor=handle))["predictor"].engine is None
    info = handle.get().info
    row = rows(reported(answered(), predictor=handle))["predictor"]
    assert (row.engine, row.revision, row.weights_digest) == (
        info.name, info.revision, info.weights_digest,
    )  # fmt: skip
    assert rows(reported(refused(), predictor=handle))["predictor"].engine is None


def test_provenance_names_knowledge_and_atlas_only_when_they_were_used() -> None:
    whole, bare = reported(answered()), reported(answered(guidance=FAILED, retrieval=UNAVAILABLE))
    assert isinstance(whole.guidance, Ok)
    assert whole.provenance.knowledge_version == whole.guidance.value.knowledge_version
    assert whole.provenance.atlas_id == "embedded-atlas-1"
    assert bare.provenance.knowledge_version is None
    assert bare.provenance.atlas_id is None


@pytest.mark.parametrize("missing", [None, FAILED, UNAVAILABLE], ids=str)
def test_without_intake_there_is_no_report(missing: Any) -> None:
    written, _ = run(reporter_agent, answered(intake=missing), context())
    found = REPORT.read(written)  # type: ignore[arg-type]
    assert isinstance(found, Failed)
    assert "without an intake result" in found.message


def test_the_same_state_gives_the_same_bytes() -> None:
    assert reported(answered()).model_dump_json() == reported(answered()).model_dump_json()


def test_limits_are_always_stated() -> None:
    for state in (answered(), refused()):
        assert len(reported(state).limitations) >= 5
