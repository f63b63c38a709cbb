"""Reporter agent: one typed `CaseReport` out of everything the graph knows."""

from typing import Any

from immunopath.agents.boundary import agent
from immunopath.agents.context import EngineHandle, RunContext
from immunopath.agents.sampling import sampling_report
from immunopath.agents.state import (
    ADJUDICATION,
    DRUGS,
    GUIDANCE,
    INTAKE,
    PHENOTYPE,
    PREDICTION,
    REPORT,
    RETRIEVAL,
    CaseState,
    StateKey,
    read_case,
)
from immunopath.domain.drug import DrugProfile
from immunopath.domain.errors import ImmunoPathError
from immunopath.domain.finding import Adjudication
from immunopath.domain.outcome import Abstained, Ok, Outcome, why_not
from immunopath.domain.prediction import PredictorResult
from immunopath.domain.quality import IntakeResult
from immunopath.domain.report import CaseReport, CaseStatus, EngineStatus
from immunopath.guidelines.adjudication import empty_profile

_LIMITATIONS = (
    "Lymphocyte-like nuclei include plasma cells and may include neutrophils and apoptotic cells.",
    "The lymphocyte classifier was fitted on ten breast patches of one source; nothing here "
    "proves its value on frozen sections or other scanners.",
    "No field carries an external validation, so no prediction takes part in triage.",
    "CD274 expression, MSI, CD8 and the TME class cannot be seen in H&E morphology: the embedded "
    "engine abstains on them.",
    "The guideline knowledge was not reviewed by a clinician.",
)

_REPORTED: tuple[tuple[str, StateKey[Any]], ...] = (
    ("predictor", PREDICTION),
    ("phenotype", PHENOTYPE),
    ("retrieval", RETRIEVAL),
    ("adjudicator", ADJUDICATION),
    ("guideline", GUIDANCE),
    ("drugs", DRUGS),
)
_OF_LANGUAGE_MODELS = (
    "The predictor is a language model: its probabilities are read from its own logits and are not "
    "calibrated unless a field says so.",
    "Its training targets are RNA scores of whole tumours, not of the tissue in these patches.",
)


_OF_SLIDES = (
    "Of a slide a few regions of about half a millimetre are read, spread over its tissue by a "
    "fixed rule and not drawn at random; what none of them meets is in no predicted field.",
    "A few more are read because they look dark on the thumbnail, and regions of further rounds "
    "are chosen by what earlier ones showed: only the share weighted by area allows for that, and "
    "its interval leaves the error of the engine out.",
)
_OF_PICKED = (
    "The regions were picked by hand: whoever picked them may have looked for what they show, and "
    "nothing here is an estimate of the slide.",
)


@agent(REPORT, "reporter", bounded=False)
def reporter_agent(state: CaseState, context: RunContext) -> Outcome[CaseReport]:
    """Assemble the report; it holds no clock, no host and no pixel."""
    intake = INTAKE.value(state)
    if intake is None:
        raise ImmunoPathError("the reporter was reached without an intake result")
    case = read_case(state)
    # Each key is read once: reading validates, and guidance is large.
    seen = {key.name: key.read(state) for _, key in _REPORTED}
    judged, predicted, guidance, retrieval = (
        _value(seen[key.name]) for key in (ADJUDICATION, PREDICTION, GUIDANCE, RETRIEVAL)
    )
    engines = _engines(state, context, seen)
    status, reason = _status(intake, engines)
    report = CaseReport(
        case_id=case.case_id,
        patient_id=case.patient_id,
        as_of=context.as_of,
        status=status,
        status_reason=reason,
        images=intake.images,
        tiles=intake.tiles,
        clinical=case.clinical,
        profile=judged.profile if judged else empty_profile(_no_profile(intake, judged)),
        layout_note=predicted.layout_note if predicted else "",
        morphometry=predicted.morphometry if predicted else None,
        answers=predicted.answers if predicted else (),
        phenotype=seen[PHENOTYPE.name],
        retrieval=seen[RETRIEVAL.name],
        agreement=judged.agreement if judged else (),
        trust=judged.trust if judged else (),
        findings=judged.findings if judged else (),
        guidance=seen[GUIDANCE.name],
        drugs=_drugs(state, intake, seen[DRUGS.name]),
        engines=engines,
        limitations=_limitations(predicted, intake),
        provenance=context.provenance.model_copy(
            update={
                "knowledge_version": guidance.knowledge_version if guidance else None,
                "atlas_id": retrieval.atlas_id if retrieval else None,
            }
        ),
        sampling=sampling_report(intake, judged, predicted, context.sampling),
    )
    return Ok[CaseReport](value=report)


def _drugs(
    state: CaseState, intake: IntakeResult, found: Outcome[tuple[DrugProfile, ...]]
) -> Outcome[tuple[DrugProfile, ...]]:
    """Return the drugs; the graph skips their agent when guidance names none."""
    if DRUGS.name not in state and intake.usable:
        return Abstained(reason="no drug is named")
    return found


def _limitations(predicted: PredictorResult | None, intake: IntakeResult) -> tuple[str, ...]:
    answers = predicted is not None and bool(predicted.answers)
    language = _OF_LANGUAGE_MODELS if answers else ()
    picked = _OF_PICKED if any(image.picked for image in intake.images) else ()
    return (*_LIMITATIONS, *language, *(_OF_SLIDES if intake.sampling else ()), *picked)


def _no_profile(intake: IntakeResult, judged: Adjudication | None) -> str:
    return f"image refused: {intake.reason}" if not intake.usable else "the adjudicator failed"


def _status(intake: IntakeResult, engines: tuple[EngineStatus, ...]) -> tuple[CaseStatus, str]:
    if not intake.usable:
        return CaseStatus.refused, intake.reason
    missing = [e.agent for e in engines if e.status in ("unavailable", "failed")]
    if missing:
        return CaseStatus.partial, "without " + ", ".join(missing)
    return CaseStatus.ok, ""


def _value(outcome: Outcome[Any]) -> Any:  # noqa: ANN401 - one of the types of `_REPORTED`
    return outcome.value if isinstance(outcome, Ok) else None


def _engines(
    state: CaseState, context: RunContext, seen: dict[str, Outcome[Any]]
) -> tuple[EngineStatus, ...]:
    """Return how every agent ended; `skipped` when the graph did not reach it."""
    ran = {entry["agent"] for entry in state.get("trace", [])}
    handles: dict[str, EngineHandle] = {
        "predictor": context.predictor,
        "phenotype": context.phenotype,
        "retrieval": context.embedder,
        "drugs": context.drugs,
    }
    rows: list[EngineStatus] = []
    for agent_name, key in _REPORTED:
        outcome = seen[key.name]
        handle = handles.get(agent_name) if agent_name in ran else None
        info = handle.loaded_info() if handle else None
        rows.append(
            EngineStatus(
                agent=agent_name,
                status=outcome.status if agent_name in ran else "skipped",
                reason=why_not(outcome),
                engine=info.name if info else None,
                revision=info.revision if info else None,
                weights_digest=info.weights_digest if info else None,
            )
        )
    return (*rows, *_in_silico(state))


def _in_silico(state: CaseState) -> tuple[EngineStatus, ...]:
    """Return how the model behind the drugs ended, apart from the curated records it follows."""
    drugs = DRUGS.value(state) or ()
    panels = [drug.in_silico for drug in drugs if drug.in_silico is not None]
    asked = [panel for panel in panels if panel.status != "not_applicable"]
    if not panels:
        return ()
    failed = next((p.reason for p in asked if p.status == "unavailable"), "")
    source = next((p.source for p in asked if p.source is not None), None)
    status = "unavailable" if failed else "ok" if asked else "abstained"
    return (
        EngineStatus(
            agent="drugs in silico",
            status=status,
            reason=failed or ("" if asked else "no drug here is a small molecule to ask about"),
            engine=source.engine if source else None,
            revision=source.revision if source else None,
            weights_digest=source.weights_digest if source else None,
        ),
    )
