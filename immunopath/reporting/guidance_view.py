"""What the rules say, as sections: options and never orders, tests, flags, the path."""

from immunopath.domain.guidance import (
    ConditionalBranch,
    Flag,
    Guidance,
    Option,
    TestRequest,
)
from immunopath.guidelines.citations import identifier, reference_text
from immunopath.reporting.document import (
    Block,
    Branch,
    Entries,
    Entry,
    Grid,
    Pair,
    Para,
    Question,
    Section,
    Tree,
)
from immunopath.reporting.option_words import LEGEND
from immunopath.reporting.path_view import graded, path_steps
from immunopath.reporting.text import listed, plain_name

NO_ORDER = "Options consistent with the rules for the facts stated; not orders."


def category_section(guidance: Guidance) -> Section:
    """Return the category in one sentence, every stop, and who goes to the laboratory first."""
    triage = guidance.triage
    if triage.level is None:
        line = "Laboratory queue: no laboratory test is outstanding."
    else:
        parts = (f"priority {triage.level}", *map(_queue_reason, triage.reasons))
        line = f"Laboratory queue: {'; '.join(parts)}. Basis: {plain_name(triage.basis)}."
    stops = tuple(_flag(flag) for flag in guidance.flags if flag.severity == "stop")
    shown: tuple[Entries, ...] = (Entries("severity", stops),) if stops else ()
    return Section(
        "category",
        f"Category: {plain_name(guidance.category)}",
        (Para(guidance.headline, "lead"), *shown, Para(line)),
    )


def _queue_reason(reason: str) -> str:
    """Return ``TR-1: the reason`` with the rule after its words."""
    rule, colon, words = reason.partition(": ")
    return f"{words} (rule {rule})" if colon and " " not in rule else reason


def options_section(guidance: Guidance) -> Section:
    """Return the ranked options, or the sentence that there are none and why."""
    title = "Options"
    if not guidance.options:
        text = f"No option is listed in the category {plain_name(guidance.category)}."
        return Section("options", title, (Para(text),))
    details = Entries("ranked", tuple(_option(option) for option in guidance.options))
    headers = ("Rank", "Option", "Strength", "Status")
    rows = tuple((str(o.rank), o.name, o.strength, o.regulatory) for o in guidance.options)
    overview = (Grid("Overview", headers, rows),) if len(rows) > 1 else ()
    return Section("options", title, (*overview, LEGEND, details), NO_ORDER)


def _option(option: Option) -> Entry:
    rows = (
        ("Note", "; ".join(option.notes)),
        ("Components", _components(option)),
        ("Why", option.reason),
        ("Evidence", _joined(option.headline, listed(option.evidence))),
        ("Label", _joined(option.label, option.regulatory)),
        ("Schedule", option.schedule),
        ("Checked against", listed(option.counter_indications_checked)),
        ("Still unknown", listed(option.unknowns)),
        ("Rules", listed(option.rule_ids)),
    )
    return Entry(
        head=option.name,
        mark=str(option.rank),
        tags=tuple(
            tag for tag in (option.strength, graded(option.grade), option.regimen_id) if tag
        ),
        lines=tuple(
            Pair(label, text, tone="caution" if label == "Note" else "plain")
            for label, text in rows
            if text
        ),
    )


def _components(option: Option) -> str:
    return " + ".join(" or ".join(names) for names in option.components)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def conditional_section(guidance: Guidance) -> Section:
    """Return the tree of what each missing result would lead to."""
    return Section(
        "conditional",
        "If the missing results come back",
        (Tree(_questions(guidance.conditional)),),
        "Conditional branches of the rules. They are not options of this case.",
    )


def _questions(branches: tuple[ConditionalBranch, ...]) -> tuple[Question, ...]:
    grouped: dict[str, list[Branch]] = {}
    for branch in branches:
        grouped.setdefault(branch.question, []).append(_branch(branch))
    return tuple(Question(text, tuple(found)) for text, found in grouped.items())


def _branch(branch: ConditionalBranch) -> Branch:
    return Branch(
        condition=branch.condition,
        outcome=plain_name(branch.category) if branch.category else "",
        note=branch.note,
        leaves=tuple(
            Entry(option.name, tags=tuple(filter(None, (f"rank {option.rank}", option.strength))))
            for option in branch.options
        ),
        questions=_questions(branch.branches),
    )


def tests_section(guidance: Guidance) -> Section:
    """Return the confirmatory tests, the most urgent level first."""
    if not guidance.tests:
        return Section("tests", "Confirmatory tests", (Para("The rules ask for no test."),))
    ordered = sorted(guidance.tests, key=lambda test: (test.done, test.level))
    return Section(
        "tests",
        "Confirmatory tests",
        (Entries("checklist", tuple(_test(test) for test in ordered)),),
        "Priority T0 is the most urgent. Turnaround times are operational defaults.",
    )


def _test(test: TestRequest) -> Entry:
    rows = (
        ("Turnaround", test.turnaround),
        ("Why", test.reason),
        ("Rules", listed(test.rule_ids) if test.rule_ids else ""),
    )
    state = "already reported" if test.done else "to consider"
    return Entry(
        head=test.name,
        mark="done" if test.done else "",
        tags=(f"priority {test.level}", state, test.code),
        lines=tuple(Pair(label, text) for label, text in rows if text),
    )


def flags_section(guidance: Guidance) -> Section:
    """Return the flags of the rules, stops first."""
    if not guidance.flags:
        return Section("flags", "Flags of the rules", (Para("The rules raised no flag."),))
    order = ("stop", "caution", "info")
    ranked = sorted(guidance.flags, key=lambda flag: order.index(flag.severity))
    items = tuple(_flag(flag) for flag in ranked)
    return Section("flags", "Flags of the rules", (Entries("severity", items),))


def _flag(flag: Flag) -> Entry:
    return Entry(
        head=flag.meaning,
        mark=flag.severity.upper(),
        tone=flag.severity,
        tags=(flag.code, f"rule {flag.rule_id}"),
    )


def change_section(guidance: Guidance) -> Section:
    """Return what would change this."""
    rows = tuple(
        (
            row.question,
            row.if_result,
            plain_name(row.category),
            listed(row.opens),
            listed(row.closes),
        )
        for row in guidance.what_would_change
    )
    headers = ("Question", "If", "Category", "Opens", "Closes")
    table = Grid("One result at a time", headers, rows)
    return Section("change", "What would change this", (table,))


def path_section(guidance: Guidance) -> Section:
    """Return the fired rules, stage by stage in their fixed order, with their citations."""
    head = Para(
        f"Knowledge {guidance.knowledge_version}, dated {guidance.knowledge_date.isoformat()}. "
        "Stages in their fixed order; a stage without a fired rule is left out.",
        "quiet",
    )
    blocks: list[Block] = [head]
    for stage, entries in path_steps(guidance).items():
        blocks += [Para(stage.capitalize()), Entries("plain", entries)]
    return Section("path", "Guideline path", tuple(blocks))


def references_section(guidance: Guidance) -> Section:
    """Return the reference list with the grade of each entry."""
    rows = tuple(
        (row.key, reference_text(row), identifier(row), row.grade) for row in guidance.references
    )
    caption = "Grade V was seen in a stored public source, M is from memory"
    table = Grid(caption, ("Key", "Reference", "Id", "Grade"), rows)
    return Section("references", "References", (table,))


def bayes_grid(guidance: Guidance) -> Grid:
    """Return why a prediction is not a result: predictive values at the base rate."""
    rows = tuple(
        (
            r.target,
            *(f"{x:.3g}" for x in (r.prevalence, r.sensitivity, r.specificity, r.ppv, r.npv)),
        )
        for r in guidance.bayes
    )
    headers = ("Target", "Prevalence", "Sens.", "Spec.", "PPV", "NPV")
    return Grid("What a positive or negative prediction would be worth", headers, rows)
