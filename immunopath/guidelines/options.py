"""Listed regimens to options: which survive the filters, at which rank, and with what notes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from immunopath.domain.guidance import Option
from immunopath.guidelines.accumulate import Draft
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.option_notes import (
    cap_of,
    checked_barriers,
    fired_cautions,
    notes_of,
    open_facts,
    unknowns_of,
)
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import Regimen, Rerank
from immunopath.guidelines.tables import Listed

_STRATUM_FLOOR = {"neg": 0, "unobtainable": 0, "low": 1, "high": 50}
Components = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Parts:
    """What remains of a regimen: its components, their drugs once each, their classes."""

    components: Components
    drugs: tuple[str, ...]
    classes: frozenset[str]


@dataclass(frozen=True)
class Chosen:
    """A regimen that survives every filter, before it is written out as an `Option`."""

    regimen: Regimen
    rank: int
    items: tuple[Listed, ...]
    parts: Parts

    @property
    def drugs(self) -> tuple[str, ...]:
        """Return the drugs of the components, once each, in order."""
        return self.parts.drugs


def groups_of(facts: Mapping[str, Value]) -> frozenset[str]:
    """Return the histology groups whose regimens may be listed."""
    if facts.get("mixed") is True:
        return frozenset({"nonsquamous", "squamous"})
    group = facts.get("histology_group")
    return frozenset({str(group)}) if group is not None else frozenset()


def classes_of(kb: Knowledge, drugs: Iterable[str]) -> frozenset[str]:
    """Return all class tokens of the drugs."""
    return frozenset(token for drug in drugs for token in kb.drug_classes.get(drug, ()))


def is_ici_mono(kb: Knowledge, regimen: Regimen) -> bool:
    """Return True for a single checkpoint inhibitor and nothing else."""
    drugs = regimen.all_drugs()
    return len(drugs) == 1 and "ICI" in classes_of(kb, drugs)


def option_facts(kb: Knowledge, chosen: Sequence[Chosen]) -> dict[str, Value]:
    """Return the facts that later tables read about what is listed."""
    return {
        "option_drugs": frozenset().union(*(item.parts.drugs for item in chosen)),
        "option_classes": frozenset().union(*(item.parts.classes for item in chosen)),
        "option_regimens": frozenset(item.regimen.id for item in chosen),
    }


def choose(draft: Draft) -> tuple[Chosen, ...]:
    """Return what survives every filter, by rank; ties keep the order of the tables."""
    if not draft.listed:
        return ()
    by_regimen: dict[str, list[Listed]] = {}
    for item in draft.listed:
        by_regimen.setdefault(item.regimen_id, []).append(item)
    kb, facts = draft.kb, draft.facts
    state = (groups_of(facts), frozenset(draft.removed))
    remaining: dict[str, Parts | None] = kb.memos.components.get(state, dict)
    later = facts.get("treatment_line") == "later"
    found: list[Chosen] = []
    for name, items in by_regimen.items():
        regimen = kb.regimens[name]
        if name not in remaining:
            remaining[name] = _remaining(kb, regimen, *state)
        parts = remaining[name]
        if parts is not None and later:
            parts = _not_yet_given(kb, facts, regimen, parts)
        if parts is not None and _label_fits(facts, regimen):
            found.append(Chosen(regimen, _rank(draft.reranks, name, items), tuple(items), parts))
    found.sort(key=lambda item: item.rank)
    return tuple(_dense(found))


def _dense(found: Sequence[Chosen]) -> Sequence[Chosen]:
    """Close the gaps that filters leave in the ranks."""
    ranks = {rank: n for n, rank in enumerate(sorted({c.rank for c in found}), start=1)}
    if all(rank == n for rank, n in ranks.items()):
        return found
    return [Chosen(c.regimen, ranks[c.rank], c.items, c.parts) for c in found]


def write_out(
    kb: Knowledge, facts: Mapping[str, Value], chosen: Sequence[Chosen]
) -> tuple[Option, ...]:
    """Return the options as they are reported; equal ones share one object."""
    if not chosen:
        return ()
    checked, unstated = checked_barriers(kb, facts), open_facts(kb, facts)
    cautions, adjuvant = fired_cautions(kb, facts), facts.get("route") == "adjuvant"
    found: list[Option] = []
    for item in chosen:
        unknowns = unknowns_of(kb, unstated, item.regimen, item.parts)
        notes = notes_of(facts, item, cautions)
        said = _Said(checked, unknowns, notes, cap_of(facts, item), adjuvant)
        rows = ((i.rule_id, i.rank, i.spec.reason, i.spec.strength) for i in item.items)
        key = (item.regimen.id, item.rank, item.parts.components, said, *rows)
        found.append(kb.memos.options.get(key, _option, item, said))
    return tuple(found)


class _Said(NamedTuple):
    """What stands beside an option in this case."""

    checked: tuple[str, ...]
    unknowns: tuple[str, ...]
    notes: tuple[str, ...]
    cap: str | None
    """Shown in place of the strength of the trials."""
    adjuvant: bool


def _option(item: Chosen, said: _Said) -> Option:
    regimen, items = item.regimen, item.items
    lead = min(items, key=lambda listed: listed.rank)
    return Option(
        rank=item.rank,
        regimen_id=regimen.id,
        name=regimen.name,
        components=item.parts.components,
        drugs=item.drugs,
        reason=lead.spec.reason,
        strength=lead.spec.strength if said.cap is None else said.cap,
        rule_ids=tuple(dict.fromkeys(listed.rule_id for listed in items)),
        evidence=_evidence(item, adjuvant=said.adjuvant),
        regulatory=regimen.regulatory,
        label=regimen.indication,
        schedule=regimen.schedule,
        headline="" if said.adjuvant and regimen.setting == "any" else regimen.headline,
        grade=regimen.grade,
        counter_indications_checked=said.checked,
        unknowns=said.unknowns,
        notes=said.notes,
    )


def _evidence(item: Chosen, *, adjuvant: bool) -> tuple[str, ...]:
    """Return the references of the regimen, and the guideline where its rule cites it.

    After resection a regimen that is not of that setting rests on what the rule cites.
    """
    cited = [key for listed in item.items for key in listed.references]
    if adjuvant and item.regimen.setting == "any":
        return tuple(dict.fromkeys(cited))
    own = (*item.regimen.references, *(key for key in cited if key == "ASCO"))
    return tuple(dict.fromkeys(own or cited))


def _remaining(
    kb: Knowledge, regimen: Regimen, groups: frozenset[str], removed: frozenset[str]
) -> Parts | None:
    """Return what remains under the filters, or None when the regimen cannot be given."""
    fits = groups & frozenset(regimen.histologies)
    blocked = (
        not fits
        or regimen.status != "active"
        or "ALL" in removed
        or regimen.id in removed
        or ("ICI_MONO" in removed and is_ici_mono(kb, regimen))
    )
    if blocked:
        return None
    components = tuple(
        tuple(d for d in part if d not in removed and not kb.drug_classes[d] & removed)
        for part in regimen.alternatives(fits)
    )
    return _parts(kb, components) if all(components) else None


def _parts(kb: Knowledge, components: Components) -> Parts:
    drugs = tuple(dict.fromkeys(drug for part in components for drug in part))
    return Parts(components, drugs, classes_of(kb, drugs))


def _not_yet_given(
    kb: Knowledge, facts: Mapping[str, Value], regimen: Regimen, parts: Parts
) -> Parts | None:
    """In a later line, leave out a regimen already given, or one of which every part was.

    Of a choice between single agents only those given go.
    """
    ids, drugs = facts.get("prior_regimens"), facts.get("prior_drugs")
    if not isinstance(ids, frozenset) or not isinstance(drugs, frozenset):
        return parts
    components = parts.components
    if len(components) == 1 and len(components[0]) > 1:
        fresh = tuple(d for d in components[0] if d not in drugs)
        return _parts(kb, (fresh,)) if fresh else None
    given = regimen.id in ids or all(set(part) & drugs for part in components)
    return None if given else parts


def _label_fits(facts: Mapping[str, Value], regimen: Regimen) -> bool:
    """A PD-L1 limit must be known to hold; an excluded driver must not be known to be present."""
    if regimen.tps_min > 0:
        stratum = facts.get("tps_stratum")
        if stratum is None or _STRATUM_FLOOR[str(stratum)] < regimen.tps_min:
            return False
    for gene in regimen.excludes_genes:
        if isinstance(facts.get(f"gene_{gene}"), frozenset):
            return False
    return True


def _rank(reranks: Iterable[Rerank], regimen_id: str, items: Sequence[Listed]) -> int:
    rank = items[0].rank if len(items) == 1 else min(item.rank for item in items)
    for change in reranks:
        if regimen_id in change.regimens:
            rank = max(1, rank + change.rank) if change.rank < 0 else min(rank, change.rank)
    return rank
