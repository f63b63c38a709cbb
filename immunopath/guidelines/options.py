"""Listed regimens to options: ranks, filters and what was checked."""

from collections.abc import Iterable, Mapping, Sequence

from immunopath.domain.guidance import Option
from immunopath.guidelines.draft import Draft, Listed
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.schema import Regimen

_STRATUM_FLOOR = {"neg": 0, "unobtainable": 0, "low": 1, "high": 50}
_PEMETREXED_NOTE = "pemetrexed requires a predominant non-squamous component"


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


def option_facts(kb: Knowledge, options: Sequence[Option]) -> dict[str, Value]:
    """Return the facts that later tables read about what is listed."""
    drugs = frozenset(drug for option in options for drug in option.drugs)
    return {
        "option_drugs": drugs,
        "option_classes": classes_of(kb, drugs),
        "option_regimens": frozenset(option.regimen_id for option in options),
    }


def build_options(draft: Draft) -> tuple[Option, ...]:
    """Return the options that survive every filter, ranked; ties keep the order of the tables."""
    best: dict[str, list[Listed]] = {}
    for item in draft.listed:
        best.setdefault(item.regimen_id, []).append(item)
    checked = _checked(draft)
    found = [
        option for items in best.values() if (option := _option(draft, items, checked)) is not None
    ]
    found.sort(key=lambda option: option.rank)
    return tuple(_dense(found))


def _dense(options: Sequence[Option]) -> list[Option]:
    """Close the gaps that filters leave in the ranks."""
    ranks = {rank: n for n, rank in enumerate(sorted({o.rank for o in options}), start=1)}
    return [
        o if ranks[o.rank] == o.rank else o.model_copy(update={"rank": ranks[o.rank]})
        for o in options
    ]


def _option(draft: Draft, items: Sequence[Listed], checked: tuple[str, ...]) -> Option | None:
    regimen = draft.kb.regimens[items[0].regimen_id]
    components = _components(draft, regimen)
    if components is None or not _label_fits(draft.facts, regimen):
        return None
    lead = min(items, key=lambda item: item.rank)
    drugs = tuple(dict.fromkeys(drug for part in components for drug in part))
    evidence = (*regimen.references, *(key for item in items for key in item.references))
    return Option(
        rank=_rank(draft, regimen.id, lead.rank),
        regimen_id=regimen.id,
        name=regimen.name,
        components=components,
        drugs=drugs,
        reason=lead.spec.reason,
        strength=lead.spec.strength,
        rule_ids=tuple(dict.fromkeys(item.rule_id for item in items)),
        evidence=tuple(dict.fromkeys(evidence)),
        regulatory=regimen.regulatory,
        label=regimen.indication,
        schedule=regimen.schedule,
        headline=regimen.headline,
        grade=regimen.grade,
        counter_indications_checked=checked,
        unknowns=_unknowns(draft, drugs),
        notes=_notes(draft, regimen, drugs),
    )


def _components(draft: Draft, regimen: Regimen) -> tuple[tuple[str, ...], ...] | None:
    """Return the components that remain, or None when the regimen cannot be given."""
    kb, removed = draft.kb, draft.removed
    groups = groups_of(draft.facts) & frozenset(regimen.histologies)
    blocked = (
        not groups
        or regimen.status != "active"
        or "ALL" in removed
        or regimen.id in removed
        or ("ICI_MONO" in removed and is_ici_mono(kb, regimen))
    )
    if blocked:
        return None
    remaining = tuple(
        tuple(d for d in part if d not in removed and not kb.drug_classes[d] & removed)
        for part in regimen.alternatives(groups)
    )
    return None if not all(remaining) or _used(draft, regimen, remaining) else remaining


def _used(draft: Draft, regimen: Regimen, parts: Sequence[tuple[str, ...]]) -> bool:
    """In a later line, a regimen already given (or all of whose drugs were) is not new."""
    if draft.facts.get("treatment_line") != "later":
        return False
    ids, drugs = draft.facts.get("prior_regimens"), draft.facts.get("prior_drugs")
    if not isinstance(ids, frozenset) or not isinstance(drugs, frozenset):
        return False
    return regimen.id in ids or all(set(part) & drugs for part in parts)


def _label_fits(facts: Mapping[str, Value], regimen: Regimen) -> bool:
    """A PD-L1 limit must be known to hold; an excluded driver must not be known to be present."""
    if regimen.tps_min > 0:
        stratum = facts.get("tps_stratum")
        if stratum is None or _STRATUM_FLOOR[str(stratum)] < regimen.tps_min:
            return False
    return not any(
        isinstance(facts.get(f"gene_{gene}"), frozenset) for gene in regimen.excludes_genes
    )


def _rank(draft: Draft, regimen_id: str, rank: int) -> int:
    for change in draft.reranks:
        if regimen_id in change.regimens:
            rank = max(1, rank + change.rank) if change.rank < 0 else min(rank, change.rank)
    return rank


def _notes(draft: Draft, regimen: Regimen, drugs: Sequence[str]) -> tuple[str, ...]:
    notes: list[str] = []
    unclear = [g for g in regimen.excludes_genes if draft.facts.get(f"gene_{g}") is None]
    if unclear:
        notes.append(f"label requires {'/'.join(unclear)} negative: not established here")
    if "pemetrexed" in drugs and draft.facts.get("mixed") is True:
        notes.append(_PEMETREXED_NOTE)
    if regimen.regulatory == "FDA-A":
        notes.append("accelerated approval")
    if regimen.regulatory == "OFF":
        notes.append("off label in US NSCLC")
    if draft.facts.get("ecog") is None:
        notes.append("valid for ECOG 0-1; ECOG not stated")
    return tuple(notes)


_ASKED = (
    ("transplant", "ICI", "transplant history"),
    ("autoimmune", "ICI", "autoimmune disease"),
    ("ild", "ICI", "interstitial lung disease"),
    ("ild", "DXD", "interstitial lung disease"),
    ("crcl", "PEMETREXED", "creatinine clearance"),
    ("crcl", "PLATINUM", "creatinine clearance"),
    ("bleeding_barrier", "ANTI_VEGF", "bleeding and vascular risk"),
)


def _unknowns(draft: Draft, drugs: Sequence[str]) -> tuple[str, ...]:
    classes = classes_of(draft.kb, drugs)
    names = [
        text for fact, token, text in _ASKED if token in classes and draft.facts.get(fact) is None
    ]
    if draft.facts.get("ecog") is None:
        names.append("ECOG")
    return tuple(dict.fromkeys(names))


def _checked(draft: Draft) -> tuple[str, ...]:
    """Return the barrier rules that could be decided from stated facts."""
    return tuple(
        rule.spec.id
        for rule in draft.kb.tables["barriers"].rules
        if not any(name.startswith("option_") for name in rule.reads)
        and rule.condition.test(draft.facts) is not None
    )
