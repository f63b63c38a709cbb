"""The tables in their fixed order (`guidelines.md` 2.0), on facts alone."""

from collections.abc import Mapping

from immunopath.domain.guidance import WITHOUT_OPTIONS, Category, Option
from immunopath.guidelines.derive import derive
from immunopath.guidelines.draft import Decision, Draft
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.options import build_options, option_facts
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.tables import Hit

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


def decide(kb: Knowledge, base: Mapping[str, Value], pdl1_hits: tuple[Hit, ...] = ()) -> Decision:
    """Return what the tables say of the base facts; the same facts give the same decision."""
    draft = Draft(kb, derive(kb, base))
    draft.take(pdl1_hits)
    if _stops(draft, "validation"):
        return _finish(draft, ())
    if _stops(draft, "scope"):
        if Category.REFUSE_OUT_OF_SCOPE not in draft.categories:
            draft.run("urgency")
            draft.run("barriers")
        return _finish(draft, (), with_tests=True)
    draft.run("molecular_conflict")
    draft.run("urgency")
    if not draft.categories:
        _route(draft)
    if WITHOUT_OPTIONS & set(draft.categories):
        draft.facts |= option_facts(kb, ())
        draft.run("barriers")
        return _finish(draft, (), with_tests=True)
    return _finish(draft, _options(draft), with_tests=True)


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
        spec = item.spec.model_copy(
            update={"reason": f"alternative as in driver-negative disease: {item.spec.reason}",
                    "strength": "C"}
        )  # fmt: skip
        draft.listed.append(
            type(item)(spec, item.regimen_id, item.rank + rank - 1, item.rule_id, item.references)
        )


def _later_line(draft: Draft) -> None:
    draft.facts["treatment_line"] = "later"
    draft.run("driver")
    targeted = [o for o in build_options(draft) if _targeted(draft, o)]
    draft.facts["targeted_listed"] = bool(targeted)
    draft.run("later_line")


def _targeted(draft: Draft, option: Option) -> bool:
    return any("TARGETED" in draft.kb.drug_classes[drug] for drug in option.drugs)


def _options(draft: Draft) -> tuple[Option, ...]:
    """Barriers, fitness and measured overlays, then the filter itself."""
    draft.facts.setdefault("targeted_listed", False)
    allergies = draft.facts.get("allergies")
    draft.removed |= set(allergies) if isinstance(allergies, frozenset) else set()
    draft.facts |= option_facts(draft.kb, build_options(draft))
    draft.facts["flags_so_far"] = frozenset(draft.flags)
    draft.run("barriers")
    if draft.ici_stopped:
        draft.removed.add("ICI")
        if draft.facts.get("route") == "first_line":
            _without_ici(draft)
    draft.run("fitness")
    draft.run("overlay_measured")
    return build_options(draft)


def _without_ici(draft: Draft) -> None:
    if Category.BRIDGE_CHEMO_PENDING_TESTS not in draft.categories:
        draft.run("ici_excluded")


def _finish(draft: Draft, options: tuple[Option, ...], *, with_tests: bool = False) -> Decision:
    category = _category(draft, options)
    if category in WITHOUT_OPTIONS:
        options = ()
    if with_tests and category is not Category.REFUSE_OUT_OF_SCOPE:
        draft.facts |= option_facts(draft.kb, options)
        draft.facts["flags_so_far"] = frozenset(draft.flags)
        draft.run("tests")
    return Decision(
        category=category,
        options=options,
        hits=tuple(draft.hits),
        tests={code: tuple(rows) for code, rows in draft.tests.items()},
        flags=dict(draft.flags),
        asks=tuple(dict.fromkeys(draft.asks)),
        facts=draft.facts,
    )


def _category(draft: Draft, options: tuple[Option, ...]) -> Category:
    """Return the highest category that applies (hit policy P of 2.0)."""
    found = set(draft.categories)
    if not options and found & _NEEDS_OPTIONS:
        found -= _NEEDS_OPTIONS
        draft.flags.setdefault("NO_OPTION_LISTED", "2.0")
        found.add(Category.MDT_SAFETY_REVIEW) if not found else None
    if draft.review and not draft.facts.get("targeted_listed"):
        found.add(Category.MDT_SAFETY_REVIEW)
    if Category.SUBSEQUENT_LINE_OPTIONS in found and not options:
        draft.flags.setdefault("NO_OPTION_LISTED", "2.0")
        if draft.asks or "DRIVER_UNKNOWN_LATER_LINE" in draft.flags:
            found.add(Category.TEST_FIRST)
    ici = {Category.ICI_MONO_OPTIONS, Category.ICI_CHEMO_OPTIONS}
    if found & ici and not _any_ici(draft, options):
        found = (found - ici) | {Category.CHEMO_NO_ICI}
    for category in draft.kb.manifest.category_priority:
        if category in found:
            return category
    draft.flags.setdefault("ROUTE_NOT_COVERED", "2.0")
    return Category.TEST_FIRST


def _any_ici(draft: Draft, options: tuple[Option, ...]) -> bool:
    return any("ICI" in draft.kb.drug_classes[d] for option in options for d in option.drugs)
