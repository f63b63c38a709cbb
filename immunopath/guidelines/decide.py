"""The tables in their fixed order (`guidelines.md` 2.0), on facts alone."""

from collections.abc import Mapping
from dataclasses import replace

from immunopath.domain.guidance import WITHOUT_OPTIONS, Category
from immunopath.guidelines.accumulate import Draft
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.derive import DERIVED_FROM, derive
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.options import Chosen, choose, option_facts
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.tables import Hit, Listed

_FILTERS = frozenset({"barriers", "ici_excluded", "fitness", "overlay_measured", "tests"})
"""The tables that run after the options are listed."""
_TABLE_OF_ROUTE = {
    "stage_iii": "stage_iii",
    "perioperative": "perioperative",
    "adjuvant": "adjuvant",
}
_NEEDS_OPTIONS = frozenset(
    {
        Category.DRIVER_DIRECTED,
        Category.BRIDGE_CHEMO_PENDING_TESTS,
        Category.ICI_MONO_OPTIONS,
        Category.ICI_CHEMO_OPTIONS,
        Category.CHEMO_NO_ICI,
    }
)


def decide(
    kb: Knowledge,
    base: Mapping[str, Value],
    pdl1_hits: tuple[Hit, ...] = (),
    *,
    listing_only: bool = False,
) -> Decision:
    """Return what the tables say of the base facts; the same facts give the same decision.

    With ``listing_only`` (for 'what would change') the tables that only order tests, raise flags
    or move ranks are left out: category and regimens are those of the whole decision.
    """
    draft = Draft(kb, derive(kb, base), listing_only=listing_only)
    draft.take(pdl1_hits)
    if _stops(draft, "validation"):
        return _finish(draft, ())
    if _stops(draft, "scope"):
        if Category.REFUSE_OUT_OF_SCOPE not in draft.categories:
            draft.run("urgency")
            _flags_without_options(draft)
            draft.review = False  # scope has spoken: ECOG 4 outranks a barrier to ICI
        return _finish(draft, (), with_tests=True)
    draft.run("molecular_conflict")
    draft.run("urgency")
    if not draft.categories:
        _route(draft)
    if WITHOUT_OPTIONS & set(draft.categories):
        _flags_without_options(draft)
        return _finish(draft, (), with_tests=True)
    return _filtered(draft)


def early_reads(kb: Knowledge) -> frozenset[str]:
    """Return every fact that something before the filters reads."""
    found: frozenset[str] = kb.memos.rows.get("early reads", _early_reads, kb)
    return found


def _early_reads(kb: Knowledge) -> frozenset[str]:
    early = (table.reads for table in kb.tables.values() if table.name not in _FILTERS)
    return DERIVED_FROM.union(*early)


def refilter(before: Draft, changes: Mapping[str, Value]) -> Decision:
    """List again from the filters on, for facts that are not among `early_reads`."""
    draft = before.copy()
    draft.facts |= changes
    draft.listing_only = True
    return _filtered(draft)


def _filtered(draft: Draft) -> Decision:
    if draft.listing_only:
        return _finish(draft, _options(draft), with_tests=True)
    before = draft.copy()
    return replace(_finish(draft, _options(draft), with_tests=True), before_filters=before)


def _flags_without_options(draft: Draft) -> None:
    """Barriers, fitness and overlays for their flags and tests: nothing can be listed here."""
    draft.facts |= option_facts(draft.kb, ())
    draft.facts.setdefault("targeted_listed", False)
    for table in ("barriers", "fitness", "overlay_measured"):
        draft.run(table)


def _stops(draft: Draft, table: str) -> bool:
    return bool(draft.run(table))


def _route(draft: Draft) -> None:
    draft.run("router")
    route = draft.route
    if route is None:
        return
    draft.facts["route"] = route
    if route == "first_line":
        _first_line(draft)
    elif route == "later_line":
        _later_line(draft)
    elif route in _TABLE_OF_ROUTE:
        draft.run(_TABLE_OF_ROUTE[route])
    else:
        draft.flags.setdefault("ROUTE_NOT_COVERED", route)


def _first_line(draft: Draft) -> None:
    draft.facts["treatment_line"] = "first"
    draft.run("gate_drivers")
    if draft.route == "driver":
        draft.facts["route"] = "driver"
        draft.run("driver")
        if draft.append_first_line is not None and draft.facts["tps_known"]:
            _append_first_line(draft, draft.append_first_line)
        return
    if draft.categories:
        return
    draft.run("gate_pdl1")
    if not draft.categories:
        draft.run("driver")
        draft.run("first_line")


def _append_first_line(draft: Draft, rank: int) -> None:
    """List the driver-negative options behind the targeted ones, as a weaker alternative."""
    side = Draft(draft.kb, dict(draft.facts))
    side.run("first_line")
    draft.removed |= side.removed
    draft.hits += side.hits
    for item in side.listed:
        key = ("alternative", item.rule_id, item.rank, item.regimen_id, rank)
        draft.listed.append(draft.kb.memos.rows.get(key, _alternative, item, rank))


def _alternative(item: Listed, rank: int) -> Listed:
    reason = f"alternative as in driver-negative disease: {item.spec.reason}"
    spec = item.spec.model_copy(update={"reason": reason, "strength": "C"})
    return replace(item, spec=spec, rank=item.rank + rank - 1)


def _later_line(draft: Draft) -> None:
    draft.facts["treatment_line"] = "later"
    draft.run("driver")
    listed = option_facts(draft.kb, choose(draft))["option_classes"]
    draft.facts["targeted_listed"] = isinstance(listed, frozenset) and "TARGETED" in listed
    draft.run("later_line")


def _options(draft: Draft) -> tuple[Chosen, ...]:
    """Barriers, fitness and measured overlays, then the filter itself."""
    draft.facts.setdefault("targeted_listed", False)
    allergies = draft.facts.get("allergies")
    draft.removed |= set(allergies) if isinstance(allergies, frozenset) else set()
    if not draft.listing_only:  # what is listed decides flags and tests of barriers only
        draft.facts |= option_facts(draft.kb, choose(draft))
    draft.facts["flags_so_far"] = frozenset(draft.flags)
    draft.run("barriers")
    if draft.ici_stopped:
        draft.removed.add("ICI")
        if draft.facts.get("route") == "first_line":
            _without_ici(draft)
    draft.run("fitness")
    if not draft.listing_only:
        draft.run("overlay_measured")
    return choose(draft)


def _without_ici(draft: Draft) -> None:
    if Category.BRIDGE_CHEMO_PENDING_TESTS not in draft.categories:
        draft.run("ici_excluded")


def _finish(draft: Draft, options: tuple[Chosen, ...], *, with_tests: bool = False) -> Decision:
    category = _category(draft, options)
    if category in WITHOUT_OPTIONS:
        options = ()
    wanted = with_tests and not draft.listing_only
    if wanted and category is not Category.REFUSE_OUT_OF_SCOPE:
        draft.facts |= option_facts(draft.kb, options)
        draft.facts["flags_so_far"] = frozenset(draft.flags)
        draft.run("tests")
    return Decision(
        category=category,
        kb=draft.kb,
        chosen=options,
        hits=tuple(draft.hits),
        tests={code: tuple(rows) for code, rows in draft.tests.items()},
        flags=dict(draft.flags),
        asks=tuple(dict.fromkeys(draft.asks)),
        facts=draft.facts,
    )


def _category(draft: Draft, options: tuple[Chosen, ...]) -> Category:
    """Return the highest category that applies (hit policy P of 2.0)."""
    found = set(draft.categories)
    if not options and found & _NEEDS_OPTIONS:
        found -= _NEEDS_OPTIONS
        if Category.TEST_FIRST not in found:
            draft.flags.setdefault("NO_OPTION_LISTED", "2.0")
        found.add(Category.MDT_SAFETY_REVIEW) if not found else None
    if draft.review and not draft.facts.get("targeted_listed"):
        found.add(Category.MDT_SAFETY_REVIEW)
    if Category.SUBSEQUENT_LINE_OPTIONS in found and not options:
        if draft.asks or "DRIVER_UNKNOWN_LATER_LINE" in draft.flags:
            found.add(Category.TEST_FIRST)
        if Category.TEST_FIRST not in found:  # a test that is awaited is the reason, no filter
            draft.flags.setdefault("NO_OPTION_LISTED", "2.0")
    if Category.DRIVER_DIRECTED in found and not _any_of(options, "TARGETED"):
        found = (found - {Category.DRIVER_DIRECTED}) | {Category.CHEMO_NO_ICI}
    ici = {Category.ICI_MONO_OPTIONS, Category.ICI_CHEMO_OPTIONS}
    if found & ici and not _any_of(options, "ICI"):
        found = (found - ici) | {Category.CHEMO_NO_ICI}
    for category in draft.kb.manifest.category_priority:
        if category in found:
            return category
    draft.flags.setdefault("ROUTE_NOT_COVERED", "2.0")
    return Category.TEST_FIRST


def _any_of(options: tuple[Chosen, ...], token: str) -> bool:
    return any(token in item.parts.classes for item in options)
