"""What must hold in every cell of a grid, whatever the rows of the tables say.

These limits are written out here a second time, apart from the tables, on purpose: they are the
hard rules of `guidelines.md` 2.5 to 2.14, and a row that breaks one must not go unseen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from immunopath.domain.guidance import WITHOUT_OPTIONS, Category, Option
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.loader import Knowledge

STOPS = frozenset({"CI-1", "CI-2", "CI-3", "CI-4", "CI-6"})
"""Barriers that take every checkpoint inhibitor away (2.14)."""
FORBIDDEN: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(STOPS, frozenset({"ICI"})),
    "CI-9": frozenset({"DXD", "RX-DURVA-CONS"}),
    "CI-11": frozenset({"ANY"}),
    "CI-14": frozenset({"ANTI_VEGF"}),
    "CI-15": frozenset({"pemetrexed", "cisplatin"}),
    "CI-16": frozenset({"cisplatin"}),
    "CI-17": frozenset({"TAXANE", "cisplatin"}),
    "CI-18": frozenset({"docetaxel"}),
}
"""What must be gone under each barrier: a drug, a class, a regimen or anything."""
NO_ICI_DRIVERS = frozenset({"DR-1", "DR-2", "DR-3", "DR-4", "DR-5", "DR-6", "DR-9", "DR-10"})
"""Drivers of MP-6; DR-7, DR-8 and DR-11 accept ICI-based options as an alternative."""
_METASTATIC = frozenset({"first_line", "driver", "later_line"})
_DOUBLE_ICI_CHEMO = frozenset({"RX-NIVO-IPI-CHEMO2", "RX-DURVA-TREME-CHEMO"})


@dataclass(frozen=True)
class Outcome:
    """A cell's labels, facts and decision, as the checks read them."""

    kb: Knowledge
    labels: Mapping[str, str]
    decision: Decision

    def at(self, axis: str) -> str:
        """Return the cell's value on an axis; empty where the grid has no such axis."""
        return self.labels.get(axis, "")

    @cached_property
    def tokens(self) -> Mapping[str, frozenset[str]]:
        """Return per listed regimen its id, its drugs and their classes."""
        return {
            o.regimen_id: frozenset(
                {"ANY", o.regimen_id, *o.drugs}.union(*(self.kb.drug_classes[d] for d in o.drugs))
            )
            for o in self.decision.options
        }

    def listing(self, *tokens: str) -> list[str]:
        """Return the listed regimens that carry one of the tokens."""
        wanted = frozenset(tokens)
        return [name for name, found in self.tokens.items() if found & wanted]

    def mono(self) -> list[Option]:
        """Return the listed options that are one checkpoint inhibitor and nothing else."""
        return [
            o
            for o in self.decision.options
            if all("ICI" in self.kb.drug_classes[d] for d in o.drugs) and len(o.components) == 1
        ]

    @property
    def metastatic(self) -> bool:
        """Return True on the routes of stage IV."""
        return self.decision.facts.get("route") in _METASTATIC

    def fired(self, table: str) -> list[str]:
        """Return the ids of the rows of a table on the rule path."""
        return [hit.rule.spec.id for hit in self.decision.hits if hit.rule.table == table]


def complete(o: Outcome) -> Iterator[str]:
    """Every cell is decided by a row: no route is missing, no table ran into nothing."""
    if "ROUTE_NOT_COVERED" in o.decision.flags:
        yield "no row decides this cell"
    for name in {
        hit.rule.table for hit in o.decision.hits if o.kb.tables[hit.rule.table].first_only
    }:
        if len(o.fired(name)) > 1:
            yield f"hit policy first, yet rows {o.fired(name)} of {name} fired"
    if not o.fired("scope") and len(o.fired("router")) != 1:
        yield f"rows {o.fired('router')} of the router fired"
    if o.decision.facts.get("route") == "first_line" and not o.fired("gate_pdl1"):
        blocked = {"G-2", "G-3", "G-4"} & set(o.fired("gate_drivers"))
        if not blocked:
            yield "neither a gate row nor a PD-L1 row fired in line 1"


def no_overlap(o: Outcome) -> Iterator[str]:
    """At most one row of 2.6/2.7 fires, and no table lists a regimen at two ranks."""
    for table in ("first_line", "ici_excluded"):
        if len(set(o.fired(table))) > 1:
            yield f"rows {o.fired(table)} of {table} fired together"
    ranks: dict[tuple[str, str], set[int]] = {}
    for hit in o.decision.hits:
        for then in hit.thens:
            for option in then.options:
                for regimen in option.regimens:
                    ranks.setdefault((hit.rule.table, regimen), set()).add(option.rank)
    for (table, regimen), found in ranks.items():
        if len(found) > 1:
            yield f"{table} lists {regimen} at ranks {sorted(found)}"


def category_fits(o: Outcome) -> Iterator[str]:
    """The category and the options say the same thing."""
    category, listed = o.decision.category, o.decision.options
    if category in WITHOUT_OPTIONS and listed:
        yield f"{category} with options"
    has_ici = bool(o.listing("ICI"))
    needs: Mapping[Category, Any] = {
        Category.DRIVER_DIRECTED: o.listing("TARGETED"),
        Category.ICI_MONO_OPTIONS: o.mono(),
        Category.ICI_CHEMO_OPTIONS: has_ici,
        Category.CHEMO_NO_ICI: listed and not has_ici,
        Category.BRIDGE_CHEMO_PENDING_TESTS: o.listing("PLATINUM") and not has_ici,
    }
    if category in needs and not needs[category]:
        yield f"{category} with {[x.regimen_id for x in listed]}"
    if category is Category.ICI_MONO_OPTIONS and not any(x.rank == 1 for x in o.mono()):
        yield "ICI_MONO_OPTIONS and no monotherapy leads"


def barriers_hold(o: Outcome) -> Iterator[str]:
    """Nothing that a barrier forbids is listed, and a STOP is on the rule path (2.14)."""
    barrier = o.at("barrier")
    found = o.listing(*FORBIDDEN.get(barrier, ()))
    if found:
        yield f"{barrier} and {found}"
    if barrier in STOPS and barrier not in o.fired("barriers"):
        yield f"{barrier} did not fire"
    if barrier in STOPS and o.decision.category in {
        Category.ICI_MONO_OPTIONS, Category.ICI_CHEMO_OPTIONS
    }:  # fmt: skip
        yield f"{barrier} and {o.decision.category}"


def histology_holds(o: Outcome) -> Iterator[str]:
    """MP-4: squamous disease never gets pemetrexed or bevacizumab."""
    found = o.listing("pemetrexed", "bevacizumab")
    if o.at("histology") == "squamous" and found:
        yield f"squamous and {found}"


def pdl1_holds(o: Outcome) -> Iterator[str]:
    """Line 1: monotherapy leads at high only, is last at low, never listed below 1 (2.6, 2.7).

    In curative intent and after platinum the labels of monotherapy follow their own limits.
    """
    tps = o.at("tps")
    mono = [x for x in o.mono() if len(x.drugs) == 1]
    if o.metastatic and o.decision.facts.get("treatment_line") == "first":
        if tps in {"neg", "unobtainable"} and mono:
            yield f"TPS {tps} and {[x.regimen_id for x in mono]}"
        last = max((x.rank for x in o.decision.options), default=0)
        if tps == "low":
            yield from (f"{x.regimen_id} is not last at TPS low" for x in mono if x.rank < last)
    below = o.listing("RX-PEMBRO-2L", "RX-NIVO-IPI", "RX-ATEZO-ADJ")
    if tps in {"neg", "unobtainable"} and below:
        yield f"TPS {tps} and {below}, labelled for TPS >= 1"


def fitness_holds(o: Outcome) -> Iterator[str]:
    """2.13: nothing at ECOG 4; no chemotherapy or ICI at ECOG 3; no dual ICI at ECOG 2."""
    ecog, listed = o.at("ecog"), o.decision.options
    if ecog == "4" and (listed or o.decision.category is not Category.SUPPORTIVE_CARE_FIRST):
        yield f"ECOG 4: {o.decision.category}, {[x.regimen_id for x in listed]}"
    if ecog == "3" and o.listing("CHEMO", "ICI"):
        yield f"ECOG 3 and {o.listing('CHEMO', 'ICI')}"
    if ecog == "2" and o.listing(*_DOUBLE_ICI_CHEMO):
        yield f"ECOG 2 and {o.listing(*_DOUBLE_ICI_CHEMO)}"


def drivers_hold(o: Outcome) -> Iterator[str]:
    """P-2, P-3 and MP-6 in stage IV: no ICI with a driver of the list or an unknown panel.

    The curative routes ask for EGFR and ALK only; their own checks hold that.
    """
    driver, ici = o.at("driver"), o.listing("ICI")
    if o.metastatic and driver in NO_ICI_DRIVERS and ici:
        yield f"{driver} and {ici}"
    if o.metastatic and driver == "unknown" and o.at("histology") == "nonsquamous" and ici:
        yield f"panel unknown and {ici}"
    if o.listing("RX-OSI", "RX-AMI-LAZ", "RX-OSI-CHEMO") and driver == "DR-2":
        yield "osimertinib or amivantamab with lazertinib for an exon 20 insertion"


def never_pending(o: Outcome) -> Iterator[str]:
    """Nothing unverified is listed, in any cell."""
    for option in o.decision.options:
        regimen = o.kb.regimens[option.regimen_id]
        if regimen.status != "active" or regimen.regulatory == "unverified":
            yield f"{regimen.id} is {regimen.status}, {regimen.regulatory}"


Check = Callable[[Outcome], Iterator[str]]
COMMON: tuple[Check, ...] = (
    complete, no_overlap, category_fits, barriers_hold, histology_holds, pdl1_holds,
    fitness_holds, drivers_hold, never_pending,
)  # fmt: skip
