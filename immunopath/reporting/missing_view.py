"""What is missing, conflicting, stale or seriously wrong: it stands before any option."""

from immunopath.domain.finding import Severity
from immunopath.domain.guidance import Guidance
from immunopath.domain.outcome import why_not
from immunopath.domain.report import CaseReport
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.wording import fact_name
from immunopath.reporting import clinical_view as clinical
from immunopath.reporting.document import Pair, Pairs, Para, Section
from immunopath.reporting.path_view import missing_rows
from immunopath.reporting.words import named_fields

STALE_AFTER_DAYS = 180
"""Age at which the knowledge base is called stale (`guidelines.md` RG-11)."""
_TITLE = "Missing, conflicting or stale"
_NOTHING = (
    "Nothing that decides the category is missing, conflicting or stale. What single options still "
    "need to know stands with them."
)


def missing_section(report: CaseReport, guidance: Guidance | None) -> Section:
    """Return what limits everything below it, serious findings first."""
    rows = (
        *_serious(report),
        *_input_problems(report, guidance),
        *_assumed(report),
        *(
            Pair(row.agent, f"{row.status}: {row.reason}" if row.reason else row.status)
            for row in report.engines
            if row.status not in {"ok", "abstained", "skipped"}
        ),
    )
    if rows:
        return Section("missing", _TITLE, (Pairs(rows),))
    return Section("missing", _TITLE, (Para(_NOTHING),))


def _serious(report: CaseReport) -> tuple[Pair, ...]:
    return tuple(
        Pair("Serious", named_fields(finding.message), finding.code, tone="stop")
        for finding in report.findings
        if finding.severity is Severity.serious
    )


def _input_problems(report: CaseReport, guidance: Guidance | None) -> list[Pair]:
    if guidance is None:
        return [Pair("Not judged", "the rules gave no answer", why_not(report.guidance))]
    words = {name: fact_name(load_knowledge(), name) for name in guidance.missing}
    rows = [*missing_rows(guidance, clinical.open_results(report.clinical), words)]
    rows += [
        Pair("Conflict", named_fields(finding.message), finding.code)
        for finding in report.findings
        if finding.code.startswith(("DISCORD", "PRED_INTERNAL"))
        and finding.severity is not Severity.serious
    ]
    age = (report.as_of - guidance.knowledge_date).days
    if age > STALE_AFTER_DAYS and "KNOWLEDGE_STALE" not in guidance.flag_codes():
        rows.append(Pair("Stale", f"the knowledge base is {age} days older than this report"))
    return rows


def _assumed(report: CaseReport) -> list[Pair]:
    return [
        Pair("Assumed", f"resolution of {shown.name}: {shown.mpp:.4g} µm/px", "nobody stated it")
        for shown in report.images
        if shown.mpp_source == "assumed"
    ]
