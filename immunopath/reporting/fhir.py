"""One report as a FHIR R4B bundle, for research systems that read FHIR (`guidelines.md` 5.3).

* measured or stated facts: Observation, Condition, Specimen (`fhir_measured`, `fhir_clinical`)
* predictions from H&E: RiskAssessment only, never an Observation (`fhir_predicted`), those of a
  whole slide too (`fhir_slides`)
* tests, options, findings: ServiceRequest, CarePlan in a RequestGroup, DetectedIssue; all
  ``proposal`` and ``draft``. There is no medication resource of any kind (`fhir_guidance`)
* the answer, the report, who made them: GuidanceResponse, DiagnosticReport, Device, Provenance

Every resource carries the tag ``research-use``. Codes come from ``codes.yaml``; one that is not
verified there is left out and its text stays (`guidelines.codes.coded`). No profile of mCODE or
Genomics Reporting is claimed: the base specification is what was validated. References are
``urn:uuid`` and resolve inside the bundle. A refused report is a short bundle with the reason.
"""

import json
from typing import Any

from immunopath.domain.errors import EngineUnavailable, OutputError
from immunopath.domain.files import safe_name
from immunopath.domain.report import CaseReport, CaseStatus
from immunopath.reporting.fhir_answer import add_answer, add_report
from immunopath.reporting.fhir_base import Draft, identifier
from immunopath.reporting.fhir_clinical import add_clinical
from immunopath.reporting.fhir_engine import add_provenance, add_software
from immunopath.reporting.fhir_guidance import add_guidance
from immunopath.reporting.fhir_measured import add_measured
from immunopath.reporting.fhir_predicted import add_predicted
from immunopath.reporting.fhir_slides import add_slides


def fhir_bundle(report: CaseReport) -> dict[str, Any]:
    """Return the report as a validated bundle of plain JSON values.

    Raises `EngineUnavailable` when the package ``fhir.resources`` is not installed.
    """
    draft = Draft(report)
    _patient(draft)
    add_software(draft)
    if report.status is not CaseStatus.refused:
        add_measured(draft)
        add_clinical(draft)
        add_predicted(draft)
        add_slides(draft)
        add_guidance(draft)
    add_answer(draft)
    add_report(draft)
    add_provenance(draft)
    bundle = draft.bundle()
    _validate(bundle)
    return bundle


def render_fhir(report: CaseReport) -> str:
    """Return the bundle as JSON text, 2-space indented; the same report gives the same bytes."""
    return json.dumps(fhir_bundle(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _patient(draft: Draft) -> None:
    """Add the patient as a pseudonym: no name, no sex, no date."""
    case_id, patient_id = draft.raw_ids
    kind, raw = ("patient", patient_id) if patient_id else ("case", case_id)
    shown = draft.report.patient_id or draft.report.case_id
    body = {"identifier": [identifier(kind, shown), identifier(f"{kind}-file", safe_name(raw))]}
    draft.add("Patient", "patient", body, shared=f"{kind}|{safe_name(raw)}")


def require_fhir() -> Any:  # noqa: ANN401 - a class of a package that may be absent
    """Return the class that validates a bundle.

    Raises `EngineUnavailable` without its package: ask before a long run, not after it.
    """
    try:
        from fhir.resources.R4B.bundle import Bundle
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            "FHIR needs the package fhir.resources: pip install 'immunopath[interop]' (in a clone: "
            ".venv/bin/pip install -c constraints.txt -e '.[interop]')"
        ) from error
    return Bundle


def _validate(bundle: dict[str, Any]) -> None:
    kind = require_fhir()
    try:
        kind.model_validate(bundle)
    except ValueError as error:
        first = " ".join(str(error).split())[:300]
        raise OutputError(f"the report cannot be expressed in FHIR R4B: {first}") from error
