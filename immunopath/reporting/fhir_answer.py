"""The run's answer: GuidanceResponse with what is missing or why it failed, and the report itself.

``data-required`` carries TEST_FIRST; a rejected, refused or failed evaluation is ``failure`` with
an OperationOutcome. No person has verified anything, so a DiagnosticReport is never ``final``:
``partial`` (FHIR: may be incomplete or unverified), or ``cancelled`` for a refused image.
"""

from urllib.parse import quote

from immunopath.domain.files import safe_name
from immunopath.domain.guidance import Category, Guidance
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.report import CaseStatus
from immunopath.guidelines.codes import find_code
from immunopath.reporting.fhir_base import (
    Draft,
    Json,
    codings,
    concept,
    extension,
    identifier,
    local_coding,
    note,
    plain,
)
from immunopath.reporting.fhir_guidance import conditional_lines
from immunopath.reporting.text import plain_name

MODULE = "urn:immunopath:guideline-tables"
_STATUS = {
    Category.TEST_FIRST: "data-required",
    Category.REJECT_INVALID_INPUT: "failure",
    Category.REFUSE_OUT_OF_SCOPE: "failure",
}
_ISSUE = {
    Category.REJECT_INVALID_INPUT: "invalid",
    Category.REFUSE_OUT_OF_SCOPE: "not-supported",
}
_MISSING = {
    "tps_stratum": ("pdl1_tps", "PD-L1 tumour proportion score"),
    "msi": ("msi", "microsatellite instability"),
    "ecog": ("ecog", "ECOG performance status"),
}


def add_answer(draft: Draft) -> None:
    """Add the GuidanceResponse; a refused image has none of the tables' words in it."""
    outcome = draft.report.guidance
    if draft.report.status is CaseStatus.refused:
        _failure(draft, f"The image could not be used: {draft.report.status_reason}")
    elif isinstance(outcome, Ok):
        _answer(draft, outcome.value)
    else:
        _failure(draft, f"The tables gave no answer ({outcome.status}): {why_not(outcome)}")


def _base(draft: Draft, status: str, version: str | None) -> Json:
    # a canonical has no white space and one bar, whatever a version holds
    pinned = f"|{quote(version, safe='+.-_')}" if version else ""
    return {
        "moduleCanonical": f"{MODULE}{pinned}",
        "status": status,
        "subject": draft.ref("patient"),
        "occurrenceDateTime": draft.day,
        "performer": draft.ref("software"),
    }


def _failure(draft: Draft, reason: str, code: str = "processing") -> None:
    issue = {"severity": "error", "code": code, "diagnostics": plain(reason)}
    message = draft.add("OperationOutcome", "issues", {"issue": [issue]})
    body = {
        **_base(draft, "failure", draft.report.provenance.knowledge_version),
        "evaluationMessage": [message],
        "note": note(draft.report.research_use, reason),
    }
    draft.add("GuidanceResponse", "answer", body)


def _answer(draft: Draft, guidance: Guidance) -> None:
    status = _STATUS.get(guidance.category, "success")
    result = draft.refs(["options"])
    body = {
        **_base(draft, status, guidance.knowledge_version),
        "reasonCode": [
            concept(guidance.headline, local_coding("ours_category", str(guidance.category)))
        ],
        "evaluationMessage": _issues(draft, guidance) if status == "failure" else [],
        "note": note(*_notes(guidance)),
        "result": result[0] if result else None,
        "dataRequirement": [] if status == "failure" else _requirements(guidance),
    }
    draft.add("GuidanceResponse", "answer", body)


def _issues(draft: Draft, guidance: Guidance) -> list[Json]:
    code = _ISSUE[guidance.category]
    said = [f"{p.field}: {p.message} ({p.code})" for p in guidance.problems] or [guidance.headline]
    rows = [{"severity": "error", "code": code, "diagnostics": plain(text)} for text in said]
    return [draft.add("OperationOutcome", "issues", {"issue": rows})]


def _notes(guidance: Guidance) -> tuple[str, ...]:
    return (
        guidance.research_use,
        f"Knowledge {guidance.knowledge_version} of {guidance.knowledge_date.isoformat()}; "
        f"not reviewed by a clinician",
        *(f"{f.severity}: {f.code}, {f.meaning} (rule {f.rule_id})" for f in guidance.flags),
        *conditional_lines(guidance.conditional),
        f"Rule path: {', '.join(guidance.rule_ids())}" if guidance.fired else "",
    )


def _requirements(guidance: Guidance) -> list[Json]:
    """Return what is missing; without such a list, the tests that are outstanding."""
    names = [_requirement(name) for name in guidance.missing]
    if not names:
        names = [
            _filtered([{"display": plain(test.name)}]) for test in guidance.tests if not test.done
        ]
    return names


def _requirement(name: str) -> Json:
    gene = name.removeprefix("gene_")
    if gene != name and find_code(f"gene.{gene}"):
        wanted = _filtered(codings("variant"))
        studied = [{**item, "display": gene} for item in codings(f"gene.{gene}")]
        wanted["codeFilter"].append({"path": "component.value", "code": studied})
        return wanted
    key, text = _MISSING.get(name, ("", plain_name(name)))
    named = [{**item, "display": text} for item in codings(key)] or [{"display": plain(text)}]
    return _filtered(named)


def _filtered(codes: list[Json]) -> Json:
    return {"type": "Observation", "codeFilter": [{"path": "code", "code": codes}]}


def add_report(draft: Draft) -> None:
    """Add the DiagnosticReport that lists every observation, those without a value too.

    Its ``result`` takes Observations only; predictions and the answer are linked by extension.
    """
    report = draft.report
    refused = report.status is CaseStatus.refused
    case_id, _ = draft.raw_ids
    links = [("prediction", link) for link in draft.refs(draft.roles("risk/"))]
    links += [("answer", link) for link in draft.refs(["answer"])]
    body = {
        "extension": [extension(name, valueReference=link) for name, link in links],
        "identifier": [
            identifier("case", report.case_id),
            identifier("case-file", safe_name(case_id)),
        ],
        "status": "cancelled" if refused else "partial",
        "code": concept("ImmunoPath research report on H&E images"),
        "subject": draft.ref("patient"),
        "effectiveDateTime": draft.day,
        "specimen": draft.refs(draft.roles("specimen/")),
        "result": draft.refs(draft.roles("observation/")),
        "media": [{"link": link} for link in draft.refs(draft.roles("image/"))],
        "conclusion": plain(" ".join(_conclusion(draft))),
    }
    draft.add("DiagnosticReport", "report", body)


def _conclusion(draft: Draft) -> list[str]:
    report = draft.report
    said = [report.research_use]
    if report.status is CaseStatus.refused:
        return [*said, f"Refused: {report.status_reason}"]
    if report.status is CaseStatus.partial:
        said.append(f"Partial: {report.status_reason}")
    if isinstance(report.guidance, Ok):
        return [*said, f"{report.guidance.value.category}: {report.guidance.value.headline}"]
    return [*said, f"The tables gave no answer: {why_not(report.guidance)}"]
