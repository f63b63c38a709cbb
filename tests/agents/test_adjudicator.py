"""The adjudicator agent: once for every subset of engines, always with something to say."""

from itertools import product
from typing import Any

import pytest
from agent_states import MISSING, answered, context, intake, predicted, run, scores

from immunopath.agents.adjudicator import adjudicator_agent
from immunopath.agents.state import ADJUDICATION, RETRIEVAL, CaseState
from immunopath.domain.finding import Adjudication
from immunopath.domain.outcome import Failed, Ok, why_not
from immunopath.domain.prediction import FIELD_VALUES, PhenotypeScores
from immunopath.guidelines.adjudication import adjudicate

ENGINES = ("prediction", "phenotype", "retrieval")


def judged(state: CaseState) -> Adjudication:
    written, _ = run(adjudicator_agent, state, context())
    assert set(written) == {"adjudication", "trace"}
    value = ADJUDICATION.value(written)  # type: ignore[arg-type]
    assert value is not None
    return value


@pytest.mark.parametrize("gone", list(product((False, True), repeat=3)))
@pytest.mark.parametrize("outcome", MISSING, ids=lambda outcome: outcome.status)
def test_every_subset_of_engines_is_judged(gone: tuple[bool, ...], outcome: Any) -> None:
    missing = {name: outcome for name, absent in zip(ENGINES, gone, strict=True) if absent}
    found = judged(answered(**missing))
    assert [row.field for row in found.trust] == list(FIELD_VALUES)
    if "prediction" in missing:
        for _, field in found.profile.items():
            assert field.abstained
            assert why_not(outcome) in field.reason
    said = {o.engine: o for row in found.agreement for o in row.opinions}
    if "phenotype" in missing:
        assert said["phenotype"].value is None
        assert said["phenotype"].reason == why_not(outcome)
    if "retrieval" in missing:
        assert said["neighbours"].reason == why_not(outcome)


@pytest.mark.parametrize("keys", [ENGINES, ("prediction",), ("phenotype", "retrieval")])
def test_engines_that_never_ran_are_judged_too(keys: tuple[str, ...]) -> None:
    found = judged(answered(**dict.fromkeys(keys)))
    if "prediction" in keys:
        assert all(field.abstained for _, field in found.profile.items())


def test_it_is_the_function_of_the_rules_and_nothing_more() -> None:
    state = answered()
    expected = adjudicate(
        Ok(value=predicted()), Ok(value=scores()), RETRIEVAL.read(state), intake()
    )
    assert judged(state) == expected


def test_a_second_opinion_against_the_first_withdraws_the_phenotype() -> None:
    against = Ok[PhenotypeScores](value=scores("desert"))
    held = judged(answered(phenotype=against)).profile.immune_phenotype
    assert held.abstained
    assert "excluded" in held.reason
    assert "desert" in held.reason
    assert judged(answered()).profile.immune_phenotype.value == "excluded"


def test_no_adjudication_makes_an_engine_more_sure() -> None:
    """Rules may withdraw a value. They never put one where the engine had none."""
    before = predicted().profile
    for second in ("inflamed", "excluded", "desert"):
        after = judged(answered(phenotype=Ok[PhenotypeScores](value=scores(second)))).profile
        for (name, was), (_, now) in zip(before.items(), after.items(), strict=True):
            assert now.value in (was.value, None), name


def test_without_intake_it_fails_by_name() -> None:
    written, _ = run(adjudicator_agent, answered(intake=None), context())
    found = ADJUDICATION.read(written)  # type: ignore[arg-type]
    assert isinstance(found, Failed)
    assert found.error_id == "ImmunoPathError"
    assert "without an intake result" in found.message


def test_the_same_state_is_judged_the_same() -> None:
    assert judged(answered()).model_dump_json() == judged(answered()).model_dump_json()
