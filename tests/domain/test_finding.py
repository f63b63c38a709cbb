"""Findings: an order of severity, and states that a reader can rely on."""

import pytest
from domain_strategies import instances
from hypothesis import given, settings
from pydantic import ValidationError

from immunopath.domain.finding import Adjudication, Agreement, Finding, Opinion, Severity, TrustRow


def test_severity_is_declared_from_mild_to_serious() -> None:
    assert [level.value for level in Severity] == ["note", "caution", "serious"]


@pytest.mark.parametrize("missing", ["code", "severity", "message", "action"])
def test_a_finding_says_what_was_seen_and_what_to_do(missing: str) -> None:
    whole = {"code": "C", "severity": "note", "message": "seen", "action": "do"}
    assert Finding.model_validate(whole).fields == ()
    with pytest.raises(ValidationError, match=missing):
        Finding.model_validate({k: v for k, v in whole.items() if k != missing})


@pytest.mark.parametrize("severity", ["NOTE", "fatal", "", None, 1])
def test_no_other_severity_exists(severity: object) -> None:
    with pytest.raises(ValidationError):
        Finding.model_validate({"code": "C", "severity": severity, "message": "m", "action": "a"})


@pytest.mark.parametrize("state", ["agree", "disagree", "single", "none"])
def test_agreement_states(state: str) -> None:
    row = Agreement.model_validate({"field": "f", "opinions": (), "state": state})
    assert row.state == state


@pytest.mark.parametrize("state", ["agrees", "unknown", "", "AGREE"])
def test_other_states_are_refused(state: str) -> None:
    with pytest.raises(ValidationError, match="state"):
        Agreement.model_validate({"field": "f", "opinions": (), "state": state})


def test_an_engine_without_an_opinion_says_none_outright() -> None:
    """``value`` has no default: silence must be written down."""
    with pytest.raises(ValidationError, match="value"):
        Opinion.model_validate({"engine": "predictor"})
    assert Opinion(engine="predictor", value=None).reason == ""


def test_trust_is_never_assumed() -> None:
    with pytest.raises(ValidationError, match="informative"):
        TrustRow.model_validate({"field": "msi_status", "reason": "r"})


@settings(max_examples=10, deadline=None)
@given(instances(Adjudication))
def test_an_adjudication_is_complete(adjudication: Adjudication) -> None:
    """All four parts are asked for: an adjudicator cannot leave one out by accident.

    What only slides have may be absent.
    """
    plain = adjudication.model_dump()
    assert set(plain) - {"estimates", "sampling"} == {"profile", "agreement", "trust", "findings"}
    for name in ("profile", "agreement", "trust", "findings"):
        with pytest.raises(ValidationError, match=name):
            Adjudication.model_validate({k: v for k, v in plain.items() if k != name})
