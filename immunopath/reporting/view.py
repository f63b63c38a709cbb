"""One `CaseReport` as a format-neutral `Document`: every sentence and number is made here, once.

The order is that of `guidelines.md` 7.3: what is missing, conflicting or stale stands before any
option, measured and predicted stand in boxes of their own.
"""

from immunopath.domain.finding import Finding
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.report import RESEARCH_USE, CaseReport, CaseStatus
from immunopath.reporting import clinical_view as clinical
from immunopath.reporting import guidance_view as rules
from immunopath.reporting import image_view as image
from immunopath.reporting import predicted_view as predicted
from immunopath.reporting.document import (
    Block,
    Box,
    Boxes,
    Document,
    Entries,
    Entry,
    Pair,
    Pairs,
    Para,
    Section,
    Tone,
)
from immunopath.reporting.drug_view import drugs_section
from immunopath.reporting.heat_view import heat_sections
from immunopath.reporting.missing_view import missing_section
from immunopath.reporting.option_words import with_regimen_names
from immunopath.reporting.provenance_view import provenance_section
from immunopath.reporting.sampling_view import sampling_sections
from immunopath.reporting.text import cleaned, plain_name
from immunopath.reporting.words import field_name, named_fields, rounded

_SEVERITY: dict[str, Tone] = {"serious": "stop", "caution": "caution", "note": "info"}


def document(report: CaseReport) -> Document:
    """Return the report in reading order, every string cleaned and none escaped."""
    shown = cleaned(report)
    refused = shown.status is CaseStatus.refused
    return Document(
        case_id=shown.case_id,
        status=str(shown.status),
        status_text=_status_text(shown),
        banner=RESEARCH_USE,
        facts=_facts(shown),
        sections=_refused(shown) if refused else _full(shown),
    )


def _status_text(report: CaseReport) -> str:
    words = {
        CaseStatus.ok: "every engine ran",
        CaseStatus.partial: "the report stands, but an engine gave no answer",
        CaseStatus.refused: "the image could not be used",
    }
    return report.status_reason or words[report.status]


def _facts(report: CaseReport) -> tuple[Pair, ...]:
    rows = [Pair("As of", report.as_of.isoformat())]
    if report.patient_id:
        rows.append(Pair("Patient", report.patient_id))
    return (*rows, *image.image_facts(report))


def _refused(report: CaseReport) -> tuple[Section, ...]:
    return (
        image.refusal_section(report),
        image.quality_section(report),
        _limits(report, None),
        provenance_section(report),
    )


def _full(report: CaseReport) -> tuple[Section, ...]:
    guidance = report.guidance.value if isinstance(report.guidance, Ok) else None
    sections = (
        _summary(report),
        missing_section(report, guidance),
        *(_decision(guidance) if guidance else (_no_guidance(report),)),
        _findings(report),
        Section("agreement", "Agreement of the engines", (predicted.agreement_grid(report),)),
        predicted.prediction_section(report),
        _counts(report),
        *sampling_sections(report),
        *heat_sections(report),
        image.neighbours_section(report),
        drugs_section(report),
        *(_why(guidance) if guidance else ()),
        _stated(report),
        image.quality_section(report),
        _limits(report, guidance),
        provenance_section(report),
    )
    return tuple(section for section in sections if section.blocks)


def _summary(report: CaseReport) -> Section:
    boxes = Boxes(
        measured=Box(
            "Measured or stated",
            "From laboratories and clinicians. Unknown is not negative.",
            clinical.measured_rows(report.clinical),
        ),
        predicted=Box(
            "Predicted from H&E",
            f"Unvalidated. {predicted.trust_note(report.trust)}",
            predicted.predicted_rows(report.profile),
        ),
    )
    blocks: list[Block] = [boxes]
    if said := predicted.summary_notes(report.profile):
        blocks.append(Para(said, "quiet"))
    if report.layout_note:
        blocks.append(Para(f"Layout: {report.layout_note}"))
    return Section("summary", "Case summary", tuple(blocks))


def _decision(guidance: Guidance) -> tuple[Section, ...]:
    conditional = (rules.conditional_section(guidance),) if guidance.conditional else ()
    return (
        rules.category_section(guidance),
        rules.options_section(guidance),
        rules.tests_section(guidance),
        rules.flags_section(guidance),
        *conditional,
    )


def _no_guidance(report: CaseReport) -> Section:
    status = report.guidance.status
    text = f"The rules gave no category ({plain_name(status)}): {why_not(report.guidance)}"
    return Section("category", "Category: none", (Para(text, "lead"),))


def _why(guidance: Guidance) -> tuple[Section, ...]:
    named = with_regimen_names(guidance)
    sections = (
        rules.change_section(named) if guidance.what_would_change else None,
        rules.path_section(guidance),
        rules.references_section(guidance) if guidance.references else None,
    )
    return tuple(section for section in sections if section is not None)


def _findings(report: CaseReport) -> Section:
    title = "Findings and what to do"
    if not report.findings:
        return Section("findings", title, (Para("No finding was raised."),))
    order = list(_SEVERITY)
    ranked = sorted(report.findings, key=lambda finding: order.index(finding.severity))
    items = tuple(_finding(finding) for finding in ranked)
    return Section("findings", title, (Entries("severity", items),))


def _finding(finding: Finding) -> Entry:
    rule = (f"rule {finding.rule_id}",) if finding.rule_id else ()
    lines = [Pair("What to do", named_fields(finding.action))]
    if finding.fields:
        lines.append(Pair("Concerns", ", ".join(map(field_name, finding.fields))))
    return Entry(
        head=named_fields(finding.message),
        mark=finding.severity.upper(),
        tone=_SEVERITY[finding.severity],
        tags=(finding.code, *rule),
        lines=tuple(lines),
    )


def _counts(report: CaseReport) -> Section:
    title = "Counted in the image"
    counts = report.morphometry
    if counts is None:
        return Section("counts", title, (Para("Nothing was counted: no engine gave counts."),))
    blocks: list[Block] = [Pairs(predicted.morphometry_rows(counts))]
    blocks += [Para(warning) for warning in counts.warnings]
    return Section("counts", title, tuple(blocks), "By image analysis on accepted tiles.")


def _stated(report: CaseReport) -> Section:
    results = clinical.result_rows(report.clinical)
    stated = clinical.stated_rows(report.clinical)
    absent = clinical.unstated(report.clinical)
    rest = (Pair("Unknown", ", ".join(absent), known=False),) if absent else ()
    blocks = tuple(Pairs(rows) for rows in (results, (*stated, *rest)) if rows)
    return Section("clinical", "Measured and stated facts, with their source", blocks)


def _limits(report: CaseReport, guidance: Guidance | None) -> Section:
    blocks: list[Block] = [
        Entries("plain", tuple(Entry(limit) for limit in report.limitations)),
    ]
    if guidance and guidance.bayes:
        blocks.append(rules.bayes_grid(guidance))
    if guidance and guidance.appendix:
        items = tuple(Entry(named_fields(rounded(line))) for line in guidance.appendix)
        blocks += [Para("Research appendix; no rule reads it.", "quiet"), Entries("plain", items)]
    return Section("limits", "Limits", tuple(blocks))
