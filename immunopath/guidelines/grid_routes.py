"""What must hold on one route only: later lines, stage III, peri-operative, adjuvant."""

from collections.abc import Iterator

from immunopath.domain.guidance import Category
from immunopath.guidelines.grid_checks import Outcome

_AFTER_PLATINUM = ("RX-NIVO-2L", "RX-PEMBRO-2L", "RX-ATEZO-2L")
_PERIOPERATIVE = ("RX-NIVO-CHEMO-NEO", "RX-NIVO-PERIOP", "RX-PEMBRO-PERIOP", "RX-DURVA-PERIOP")
_EGFR_ALK = frozenset({"DR-1", "DR-2", "DR-3", "DR-4", "DR-5"})


def first_line(o: Outcome) -> Iterator[str]:
    """Line 1: the panel decides first, and a labelled driver gets its category (2.4, 2.5)."""
    driver, category = o.at("driver"), o.decision.category
    plain = o.at("barrier") == "none" and o.at("ecog") in {"0", "1"}
    if not plain:
        return
    if driver == "unknown" and o.at("histology") == "nonsquamous":
        if category is not Category.TEST_FIRST:
            yield f"panel unknown and {category}"
    elif o.listing("TARGETED"):
        if category is not Category.DRIVER_DIRECTED:
            yield f"targeted options and {category}"
    elif driver in {"negative", "DR-12", "DR-13", "DR-14", "DR-15", "DR-16", "DR-17"}:
        wanted = Category.ICI_MONO_OPTIONS if o.at("tps") == "high" else Category.ICI_CHEMO_OPTIONS
        if category is not wanted:
            yield f"{driver}, TPS {o.at('tps')} and {category}"


def later_line(o: Outcome) -> Iterator[str]:
    """2.9: no gap for a known case; ICI is not repeated, and no regimen comes twice."""
    history = o.at("history")
    if "ici" in history.split("+") and o.listing("ICI"):
        yield f"ICI again: {o.listing('ICI')}"
    if history in {"unstated", "osimertinib"} and o.listing(*_AFTER_PLATINUM):
        yield f"{o.listing(*_AFTER_PLATINUM)} without earlier platinum"
    given = o.decision.facts.get("prior_regimens")
    again = [name for name in o.tokens if isinstance(given, frozenset) and name in given]
    if again:
        yield f"{again} given before"
    known = history != "unstated" and o.at("driver") != "unknown"
    if known and o.at("ecog") in {"1", "2"} and o.at("barrier") == "none" and not o.tokens:
        yield f"gap: everything is stated, nothing bars, and {o.decision.category} has no option"


def stage_iii(o: Outcome) -> Iterator[str]:
    """2.10: consolidation only after chemoradiation, without progression, driver or pneumonitis."""
    done = o.at("crt").startswith("completed")
    if o.at("progression") == "True" and done:
        return  # the stage IV tables apply (U3-4)
    durva = o.listing("RX-DURVA-CONS")
    blocked = {
        "no completed chemoradiation": not done,
        "progression not excluded": o.at("progression") != "False",
        "lung": o.at("lung") not in {"none", "radiation_pneumonitis_g1"},
        "ECOG": o.at("ecog") not in {"0", "1"},
        "driver": o.at("driver") in _EGFR_ALK | {"DR-6", "DR-9"},
    }
    yield from (
        f"durvalumab in spite of: {why}" for why, holds in blocked.items() if holds and durva
    )
    if o.listing("RX-OSI-CONS") and o.at("driver") != "DR-1":
        yield f"osimertinib consolidation with {o.at('driver')}"
    if set(o.tokens) - {"RX-DURVA-CONS", "RX-OSI-CONS"}:
        yield f"outside 2.10: {sorted(o.tokens)}"


def perioperative(o: Outcome) -> Iterator[str]:
    """2.11: EGFR and ALK before a neoadjuvant ICI, and only from 4 cm or node-positive on."""
    ici, driver = o.listing("ICI"), o.at("driver")
    if ici and (driver in _EGFR_ALK or driver == "unknown"):
        yield f"{driver} and {ici}"
    if ici and o.at("stage") in {"IB, 3.5 cm", "IB, size unknown"}:
        yield f"{o.at('stage')} and {ici}"
    if set(o.tokens) - set(_PERIOPERATIVE):
        yield f"outside 2.11: {sorted(o.tokens)}"
    asked = driver == "unknown" and o.at("stage") not in {"IB, 3.5 cm", "IB, size unknown"}
    if asked and o.at("ecog") != "4" and o.decision.category is not Category.TEST_FIRST:
        yield f"EGFR and ALK unknown and {o.decision.category}"


def adjuvant(o: Outcome) -> Iterator[str]:
    """2.12: targeted by its driver, ICI after platinum only, durvalumab never."""
    ici, driver = o.listing("ICI"), o.at("driver")
    if ici and (driver in _EGFR_ALK or driver == "unknown"):
        yield f"{driver} and {ici}"
    if o.listing("durvalumab"):
        yield "adjuvant durvalumab"
    if ici and (o.at("chemo") != "yes" or o.at("neoadjuvant") == "True"):
        yield f"chemotherapy {o.at('chemo')}, neoadjuvant ICI {o.at('neoadjuvant')} and {ici}"
    wrong = {"RX-OSI-ADJ": "DR-1", "RX-ALEC-ADJ": "DR-5"}
    yield from (f"{r} with {driver}" for r, row in wrong.items() if o.listing(r) and driver != row)
    asked = driver == "unknown" and o.at("ecog") != "4"
    if asked and o.decision.category is not Category.TEST_FIRST:
        yield f"EGFR and ALK unknown and {o.decision.category}"
