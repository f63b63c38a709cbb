"""The state that travels through the graph: what the agents found, under one key each.

With a checkpointer the values are plain dicts, which any of them can keep, validated when they are
read. Without one nothing leaves the process: the frozen outcomes themselves travel.

Every node owns one key and returns only that (plus its line in `trace`, which has a reducer).
Pixels, nuclei and engines are not state: they live in `RunContext`.
"""

import operator
from typing import Annotated, Any, Final, Generic, TypeAlias, TypedDict, TypeVar

from pydantic import TypeAdapter

from immunopath.domain.case import Case
from immunopath.domain.drug import DrugProfile
from immunopath.domain.finding import Adjudication
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Abstained, Failed, Ok, Outcome, Unavailable
from immunopath.domain.prediction import PhenotypeScores, PredictorResult, RetrievalResult
from immunopath.domain.quality import IntakeResult
from immunopath.domain.report import CaseReport

T = TypeVar("T")
Plain = dict[str, Any]
"""JSON-like: what `model_dump(mode="json")` gives."""
Kept: TypeAlias = Plain | Outcome[Any]
"""A value of the state, see `StateKey.kept`."""


class CaseState(TypedDict, total=False):
    """Keys in the order in which they are written; `case` is the input."""

    case: Plain
    intake: Kept
    prediction: Kept
    phenotype: Kept
    retrieval: Kept
    adjudication: Kept
    guidance: Kept
    drugs: Kept
    report: Kept
    trace: Annotated[list[Plain], operator.add]


class StateKey(Generic[T]):
    """A key of the state with the type of the value behind its outcome."""

    def __init__(self, name: str, adapter: TypeAdapter[Outcome[T]]) -> None:
        self.name = name
        self._adapter = adapter

    def read(self, state: CaseState) -> Outcome[T]:
        """Return the outcome under this key; a key that no node wrote reads as skipped."""
        kept = state.get(self.name)
        if kept is None:
            return Unavailable(reason=SKIPPED)
        return self._adapter.validate_python(kept)

    def value(self, state: CaseState) -> T | None:
        """Return the value when the outcome is `Ok`, else None."""
        outcome = self.read(state)
        return outcome.value if isinstance(outcome, Ok) else None

    def kept(self, outcome: Outcome[T], *, plain: bool) -> Kept:
        """Return what stands in the state for an outcome: plain data, or the frozen value."""
        return self.dump(outcome) if plain else outcome

    def dump(self, outcome: Outcome[T]) -> Plain:
        """Return the outcome as plain JSON-like data: no numpy scalar survives this."""
        plain: Plain = self._adapter.dump_python(outcome, mode="json")
        return plain


Missing: TypeAlias = Abstained | Unavailable | Failed
SKIPPED: Final = "not run: the case did not reach this step"

INTAKE: StateKey[IntakeResult] = StateKey("intake", TypeAdapter(Ok[IntakeResult] | Missing))
PREDICTION: StateKey[PredictorResult] = StateKey(
    "prediction", TypeAdapter(Ok[PredictorResult] | Missing)
)
PHENOTYPE: StateKey[PhenotypeScores] = StateKey(
    "phenotype", TypeAdapter(Ok[PhenotypeScores] | Missing)
)
RETRIEVAL: StateKey[RetrievalResult] = StateKey(
    "retrieval", TypeAdapter(Ok[RetrievalResult] | Missing)
)
ADJUDICATION: StateKey[Adjudication] = StateKey(
    "adjudication", TypeAdapter(Ok[Adjudication] | Missing)
)
GUIDANCE: StateKey[Guidance] = StateKey("guidance", TypeAdapter(Ok[Guidance] | Missing))
DRUGS: StateKey[tuple[DrugProfile, ...]] = StateKey(
    "drugs", TypeAdapter(Ok[tuple[DrugProfile, ...]] | Missing)
)
REPORT: StateKey[CaseReport] = StateKey("report", TypeAdapter(Ok[CaseReport] | Missing))


def read_case(state: CaseState) -> Case:
    """Return the case that the graph was started with."""
    return Case.model_validate(state["case"])
