"""What the tables say, as proposals a person has to act on: tests, options, findings, the answer.

Options are CarePlans with ``intent=proposal`` under one RequestGroup of which at most one may be
chosen; nothing orders, prescribes or administers a drug. Conditional branches are sentences in the
notes of the GuidanceResponse: they have no resource that could be taken for an option. The reasons
of a test are Observations (R4B allows no RiskAssessment there); a prediction that moved a test
forward is ``supportingInfo``.
"""

from collections.abc import Iterator

from immunopath.domain.finding import Finding
from immunopath.domain.guidance import ConditionalBranch, Guidance, Option, TestRequest
from immunopath.domain.outcome import Ok
from immunopath.reporting.fhir_base import (
    Draft,
    concept,
    identifier,
    local_coding,
    note,
    plain,
)
from immunopath.reporting.fhir_predicted import risk_role
from immunopath.reporting.markdown import escape
from immunopath.reporting.words import named_fields

PRIORITY = {"T0": "stat", "T1": "urgent", "T2": "routine", "T3": "routine"}
_SEVERITY = {"serious": "high", "caution": "moderate", "note": "low"}
_REASONS = {
    "PDL1_IHC": ("observation/pdl1/",),
    "NGS_DNA_RNA": ("observation/gene/",),
    "CTDNA_NGS": ("observation/gene/",),
    "EGFR_RAPID": ("observation/gene/EGFR/",),
    "ALK_IHC_RAPID": ("observation/gene/ALK/",),
    "MMR_IHC": ("observation/mmr",),
    "MSI_NGS": ("observation/msi",),
    "MSI_MMR_RESOLVE": ("observation/msi", "observation/mmr"),
    "PATH_REVIEW": ("observation/histology",),
    "HER2_IHC": ("observation/her2_ihc",),
    "MET_IHC": ("observation/met_ihc",),
}
_ALWAYS = frozenset({"MSI_MMR_RESOLVE", "PATH_REVIEW"})
"""Tests that question a value which is there."""
_PREDICTED = {"PDL1_IHC": "cd274_expression", "MMR_IHC": "msi_status", "MSI_NGS": "msi_status"}


def add_guidance(draft: Draft) -> None:
    """Add findings, then the tests and options of the tables, when they gave an answer."""
    for number, finding in enumerate(draft.report.findings):
        _finding(draft, f"finding/{number}", finding)
    if not isinstance(draft.report.guidance, Ok):
        return
    guidance = draft.report.guidance.value
    for number, test in enumerate(guidance.tests):
        if not test.done:
            _test(draft, f"test/{number}", test, guidance)
    for number, option in enumerate(guidance.options):
        _care_plan(draft, f"option/{number}", option)
    if guidance.options:
        _group(draft, guidance)


def _finding(draft: Draft, role: str, finding: Finding) -> None:
    body = {
        "status": "preliminary",
        "code": concept(finding.code, local_coding("ours_finding", finding.code)),
        "severity": _SEVERITY[finding.severity],
        "patient": draft.ref("patient"),
        "identifiedDateTime": draft.day,
        "author": draft.ref("software"),
        "implicated": draft.refs([risk_role(field) for field in finding.fields]),
        "detail": plain(named_fields(f"{finding.message} What to do: {finding.action}")),
    }
    draft.add("DetectedIssue", role, body)


def _test(draft: Draft, role: str, test: TestRequest, guidance: Guidance) -> None:
    prefixes = _REASONS.get(test.code, ())
    missing = [
        found
        for prefix in prefixes
        for found in draft.roles(prefix)
        if found in draft.without_value or test.code in _ALWAYS
    ]
    predicted = {rule.rule_id for rule in guidance.fired if rule.table == "predicted"}
    moved = test.code in _PREDICTED and predicted & set(test.rule_ids)
    body = {
        "status": "draft",
        "intent": "proposal",
        "priority": PRIORITY[test.level],
        "code": concept(test.name, local_coding("ours_test", test.code)),
        "subject": draft.ref("patient"),
        "authoredOn": draft.day,
        "requester": draft.ref("software"),
        "reasonCode": [concept(test.reason)],
        "reasonReference": draft.refs(missing),
        "supportingInfo": draft.refs([risk_role(_PREDICTED[test.code])]) if moved else [],
        "note": note(
            "A test to consider, not an order.",
            f"Level {test.level}; turnaround {test.turnaround}; rules {', '.join(test.rule_ids)}",
        ),
    }
    draft.add("ServiceRequest", role, body)


def _care_plan(draft: Draft, role: str, option: Option) -> None:
    said = (
        "An option consistent with the tables for this case, not an order.",
        f"Strength {option.strength}; grade {option.grade}; rules {', '.join(option.rule_ids)}",
        f"Label status {option.regulatory}: {option.label}",
        f"Schedule, reference only: {option.schedule}",
        f"Headline: {option.headline}",
        f"Checked: {', '.join(option.counter_indications_checked)}"
        if option.counter_indications_checked
        else "",
        f"Unknown and to be cleared: {', '.join(option.unknowns)}" if option.unknowns else "",
        *option.notes,
    )
    parts = [
        {"detail": {"status": "not-started", "description": plain(" or ".join(part))}}
        for part in option.components
    ]
    body = {
        "identifier": [identifier("regimen", option.regimen_id)],
        "status": "draft",
        "intent": "proposal",
        "category": [concept("option", local_coding("ours_regimen", option.regimen_id))],
        "title": plain(option.name),
        "description": plain(option.reason),
        "subject": draft.ref("patient"),
        "created": draft.day,
        "author": draft.ref("software"),
        "addresses": draft.refs(["condition"]),
        "activity": parts,
        "note": note(*said),
    }
    draft.add("CarePlan", role, body)


def _group(draft: Draft, guidance: Guidance) -> None:
    cited = {row.key: row for row in guidance.references}
    actions = [
        {
            "prefix": str(option.rank),
            "title": plain(option.name),
            "description": plain(option.reason),
            "documentation": [
                {
                    "type": "citation",
                    "label": plain(row.key),
                    "citation": escape(f"{row.text} ({row.ident}; grade {row.grade})"),
                }
                for row in (cited[key] for key in option.evidence if key in cited)
            ],
            "resource": draft.ref(f"option/{number}"),
        }
        for number, option in enumerate(guidance.options)
    ]
    body = {
        "status": "draft",
        "intent": "proposal",
        "code": concept("options to discuss, none ordered"),
        "subject": draft.ref("patient"),
        "authoredOn": draft.day,
        "author": draft.ref("software"),
        "action": [
            {
                "title": "Options, ranked; at most one may be chosen by a clinician, or none",
                "selectionBehavior": "at-most-one",
                "action": actions,
            }
        ],
    }
    draft.add("RequestGroup", "options", body)


def conditional_lines(branches: tuple[ConditionalBranch, ...], path: str = "") -> Iterator[str]:
    """Yield the conditional tree as sentences, each marked as no option of the case."""
    for branch in branches:
        condition = f"{path} and {branch.condition}" if path else branch.condition
        names = ", ".join(option.name for option in branch.options)
        listed = f"; the tables would then list {names}" if names else ""
        outcome = f": {branch.category}" if branch.category else ""
        more = f" ({branch.note})" if branch.note else ""
        yield (
            f"Conditional, not an option of this case: {branch.question} "
            f"If {condition}{outcome}{more}{listed}"
        )
        yield from conditional_lines(branch.branches, condition)
