"""Lint: what rules may read, emit, cite and say."""

import re
from collections.abc import Iterator
from datetime import date

from immunopath.guidelines.decide import decide
from immunopath.guidelines.derive import derive
from immunopath.guidelines.facts import empty_case
from immunopath.guidelines.lint_source import LintProblem, Source, listed, problem
from immunopath.guidelines.predicates import compile_condition
from immunopath.guidelines.schema import RuleSpec, Then

_PREDICTED, _PDL1 = "predicted", frozenset({"pdl1", "pdl1_notes"})
_LATER = frozenset(
    {
        "route", "treatment_line", "targeted_listed", "option_drugs", "option_classes",
        "option_regimens", "flags_so_far", "outstanding", "outstanding_gate",
    }
)  # fmt: skip
"""Facts that stages set on the way; an empty case does not show all of them."""
_BANNED = re.compile(r"recommend|should receive|\bsafe\b|guaranteed", re.IGNORECASE)
"""Words that turn an option into an order (RG-6)."""
_QUIET_TOPICS = frozenset({"half_life", "boxed_warning"})
"""Drug facts that no rule reads; graded ``?`` they are printed with the mark."""


def reads(rule: RuleSpec) -> frozenset[str]:
    """Return every fact that a rule and its cases read."""
    whens = (rule.when, *(case.when for case in rule.cases))
    return frozenset().union(*(compile_condition(when).reads for when in whens))


def facts_exist(source: Source) -> Iterator[LintProblem]:
    """Yield facts in conditions that nothing sets: such a row could never fire."""
    known = _known_facts(source)
    for file, table, rule in source.rules():
        if table.table in _PDL1:
            strange = {name for name in reads(rule) if not name.startswith("p_")}
        else:
            strange = {n for n in reads(rule) - known if not n.startswith("pred_")}
        for name in sorted(strange):
            yield problem(file, rule.id, "facts-exist", f"nothing sets the fact {name!r}")


def _known_facts(source: Source) -> frozenset[str]:
    base = empty_case(source.kb)
    return frozenset(derive(source.kb, base)) | frozenset(decide(source.kb, base).facts) | _LATER


def questions(source: Source) -> Iterator[LintProblem]:
    """Yield answers of the conditional tree that would set a fact nobody reads from a case."""
    kb, base = source.kb, set(empty_case(source.kb))
    for item in kb.questions.what_if:
        names = {item.fact}.union(*(result.set for result in item.results))
        for name in sorted(names - base):
            yield problem("questions.yaml", item.fact, "facts-exist", f"unknown fact {name!r}")
    for question in kb.questions.questions:
        for branch in question.branches:
            for name in sorted(set(branch.set) - base - {"all_gate"}):
                yield problem(
                    "questions.yaml", question.id, "facts-exist", f"unknown fact {name!r}"
                )


def predictions_read(source: Source) -> Iterator[LintProblem]:
    """MP-10, static: yield rules outside section 3 that read a prediction."""
    for file, table, rule in source.rules():
        if table.table == _PREDICTED and table.section.startswith("3."):
            continue
        found = sorted(name for name in reads(rule) if name.startswith("pred_"))
        if found:
            yield problem(file, rule.id, "predictions-read", f"reads {', '.join(found)}")


def predictions_inert(source: Source) -> Iterator[LintProblem]:
    """P-1: yield rows on predictions that do more than order tests and raise flags."""
    allowed = {"tests", "flags", "advance", "level"}
    for file, table, rule in source.rules():
        if table.table != _PREDICTED:
            continue
        for then in rule.thens:
            found = sorted(
                name for name, value in then if name not in allowed and value != _empty(name)
            )
            if found:
                yield problem(file, rule.id, "predictions-inert", f"emits {', '.join(found)}")


def _empty(name: str) -> object:
    return getattr(Then(), name)


def pending(source: Source) -> Iterator[LintProblem]:
    """Yield rules that reach anything pending, unverified or graded ``?``."""
    for file, _, rule in source.rules():
        for key in rule.references:
            row = source.kb.references.get(key)
            if row is not None and "?" in row.grade:
                yield problem(file, rule.id, "pending", f"cites {key}, graded ?")
        for name in sorted(listed(rule)):
            for why in _pending_parts(source, name):
                yield problem(file, rule.id, "pending", f"lists {name}: {why}")


def _pending_parts(source: Source, regimen_id: str) -> Iterator[str]:
    regimen = source.kb.regimens.get(regimen_id)
    if regimen is None:
        return  # the check of names reports it
    if regimen.status != "active" or regimen.regulatory == "unverified":
        yield f"the regimen is {regimen.status}, {regimen.regulatory}"
    drugs = {drug.name: drug for drug in source.file_of("drugs").drugs}
    for name in sorted(regimen.all_drugs() & set(drugs)):
        drug = drugs[name]
        if drug.us_status != "nsclc_label":
            yield f"{name} has the US status {drug.us_status}"
        for fact in drug.facts:
            if fact.grade == "?" and fact.topic not in _QUIET_TOPICS:
                yield f"{name}: its {fact.topic} is graded ?"
            if "PENDING_UNVERIFIED" in fact.text:
                yield f"{name}: its {fact.topic} is pending"


def reviewed(source: Source) -> Iterator[LintProblem]:
    """Yield files without a day of review and rows without section, summary or strength.

    The manifest's day is its knowledge date.
    """
    for name, file in source.files.items():
        day = getattr(file, "knowledge_date", None) or getattr(file, "last_reviewed", "")
        if not _is_day(str(day)):
            yield problem(name, "", "reviewed", f"last_reviewed is {str(day)!r}, not a day")
        if not getattr(file, "clinician_review", "none"):
            yield problem(name, "", "reviewed", "does not say whether a clinician reviewed it")
    for name, table, rule in source.rules():
        if not table.section:
            yield problem(name, rule.id, "reviewed", "the table names no section")
        if not rule.summary.strip() or not rule.strength.strip():
            yield problem(name, rule.id, "reviewed", "no summary or no strength")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def wording(source: Source) -> Iterator[LintProblem]:
    """RG-6: yield texts about options that sound like an order or a promise."""
    for file, record, text in _texts(source):
        found = _BANNED.search(text)
        if found:
            yield problem(file, record, "wording", f"{found.group()!r} in {text!r}")


def _texts(source: Source) -> Iterator[tuple[str, str, str]]:
    for file, _, rule in source.rules():
        yield file, rule.id, rule.summary
        for then in rule.thens:
            yield from ((file, rule.id, option.reason) for option in then.options)
    for category, text in source.kb.manifest.headlines.items():
        yield "manifest.yaml", category.value, text
    for flag in source.file_of("flags").flags:
        yield "flags.yaml", flag.code, flag.meaning
    for regimen in source.file_of("regimens").regimens:
        for text in (regimen.name, regimen.indication, regimen.headline, regimen.schedule):
            yield "regimens.yaml", regimen.id, text
    for question in source.kb.questions.questions:
        for branch in question.branches:
            yield "questions.yaml", question.id, f"{branch.condition} {branch.note}"
    for test in source.file_of("tests").tests:
        yield "tests.yaml", test.code, test.name
    for name, row in source.file_of("discordance").rules.items():
        yield "discordance.yaml", name, f"{row.message} {row.action}"
