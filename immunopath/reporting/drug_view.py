"""Drugs as blocks: the curated record first, then, apart and labelled, what a model said."""

from immunopath.domain.drug import DrugProfile, InSilicoFact, InSilicoPanel
from immunopath.domain.outcome import Ok, why_not
from immunopath.domain.report import CaseReport
from immunopath.domain.words import counted
from immunopath.reporting.card_view import source_text
from immunopath.reporting.document import Entries, Entry, Pair, Para, Section
from immunopath.reporting.text import plain_name, share
from immunopath.reporting.words import label_status, system_name, topic_name

IN_SILICO = "In silico"
"""How every line of a model begins."""
_CURATED = "Curated text with source and grade (V read, M from memory, ? uncertain); no model's."
_MODEL = (
    f" Lines that begin with '{IN_SILICO}' are a model's answers about a structure: research only, "
    "uncalibrated, no evidence, and never above the curated text."
)


def drugs_section(report: CaseReport) -> Section:
    """Return the curated drug facts, labelled as such, each record's in-silico panel after them."""
    outcome = report.drugs
    title = "Drug facts (curated knowledge base)"
    if not isinstance(outcome, Ok):
        text = f"No drug facts: {plain_name(outcome.status)}. {why_not(outcome)}"
        return Section("drugs", title, (Para(text),))
    if not outcome.value:
        return Section("drugs", title, (Para("No drug is named in this report."),))
    asked = any(drug.in_silico is not None for drug in outcome.value)
    guidance = report.guidance
    listed = guidance.value.option_drugs() if isinstance(guidance, Ok) else ()
    items = tuple(_drug(drug, opened=drug.name in listed) for drug in outcome.value)
    note = _CURATED + (_MODEL if asked else "")
    return Section("drugs", title, (Entries("plain", items),), note)


def _drug(drug: DrugProfile, *, opened: bool) -> Entry:
    facts = tuple(
        Pair(topic_name(fact.topic), fact.text, f"{fact.source}; grade {fact.grade}")
        for fact in drug.facts
    )
    ids = ", ".join(f"{system_name(i.system)} {i.value or 'none'} ({i.status})" for i in drug.ids)
    origin = (
        f"{drug.curated_by}, label as of {drug.label_asof.isoformat()}, {drug.knowledge_version}"
    )
    tail = (Pair("Registry ids", ids), Pair("Curated by", origin))
    model = _panel(drug.in_silico) if drug.in_silico is not None else ()
    return Entry(
        head=drug.name,
        tags=(drug.drug_class, label_status(drug.us_status)),
        lines=(*facts, *(row for row in tail if row.value), *model),
        opened=opened,
    )


def _panel(panel: InSilicoPanel) -> tuple[Pair, ...]:
    """Return the lines of a model, what has an answer first; its source stands under them."""
    if panel.status != "ok" or panel.source is None:
        return (Pair(IN_SILICO, panel.reason, plain_name(panel.status), known=False),)
    answered = tuple(_answer(fact) for fact in panel.facts if fact.state == "answered")
    unparsed = tuple(
        Pair(f"{IN_SILICO}: {fact.topic}", f"unparsed: {fact.reason}", fact.task, known=False)
        for fact in panel.facts
        if fact.state == "unparsed"
    )
    missing = [fact.topic for fact in panel.facts if fact.state == "not_computed"]
    rest: tuple[Pair, ...] = ()
    if missing:
        named = ", ".join(missing)
        how_many = counted(len(missing), "question")
        rest = (Pair(f"{IN_SILICO}: not computed", named, how_many, known=False),)
    if panel.reason:
        rest = (*rest, Pair(f"{IN_SILICO}: note", panel.reason, known=False))
    return (*answered, *unparsed, *rest, Pair(f"{IN_SILICO}: model", source_text(panel.source)))


def _answer(fact: InSilicoFact) -> Pair:
    """Return one answer: the option in the prompt's words, or the rank, which has no unit."""
    if fact.rank is not None:
        value = f"relative rank {fact.rank} of 1000 (no unit)"
    else:
        value = fact.statement or f"option ({fact.answer})"
        value += (
            ", no probability"
            if fact.probability is None
            else (f", P(positive) {share(fact.probability)} uncalibrated")
        )
    detail = "; ".join(part for part in (fact.task, "research only", fact.caveat) if part)
    return Pair(f"{IN_SILICO}: {fact.topic}", value, detail)
