"""PD-L1 results as reported to a TPS stratum, by rules PDL-1 to PDL-12."""

import math
import re
from dataclasses import dataclass
from datetime import date

from immunopath.domain.clinical import ClinicalContext, InputProblem
from immunopath.domain.measured import SpecimenRef, State
from immunopath.domain.molecular import Pdl1Result
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.predicates import Value
from immunopath.guidelines.tables import Hit, run_table

_BOUND = re.compile(r"(<=|>=|<|>)\s*(\d+(?:\.\d+)?)")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:-|to|\u2013)\s*(\d+(?:\.\d+)?)")
_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Pdl1Reading:
    """What the PD-L1 results of a case amount to."""

    status: str
    stratum: str | None
    hits: tuple[Hit, ...]
    problems: tuple[InputProblem, ...]
    assay: str | None = None
    others: tuple[str, ...] = ()
    """The results that do not count, in words (PDL-12: the rest is listed)."""


def read_pdl1(kb: Knowledge, context: ClinicalContext, as_of: date) -> Pdl1Reading:
    """Return the stratum (``neg``, ``low``, ``high`` or None) and everything that was noted."""
    readings = [(r, _read_one(kb, r, as_of, context.specimen)) for r in context.pdl1]
    if not readings:
        return Pdl1Reading("unknown", None, (), ())
    problems = tuple(p for _, r in readings for p in r.problems)
    usable = [(result, r) for result, r in readings if r.stratum is not None]
    chosen_result, chosen = max(usable, key=_order) if usable else readings[0]
    strata = {r.stratum for _, r in usable}
    facts = _facts(chosen_result, as_of, context.specimen) | {"p_heterogeneous": len(strata) > 1}
    notes = run_table(kb.tables["pdl1_notes"], facts) if chosen.stratum else ()
    hits = tuple(h for _, r in readings for h in r.hits) if not usable else chosen.hits
    others = tuple(sorted(_words(r, read) for r, read in readings if r is not chosen_result))
    return Pdl1Reading(
        chosen.status, chosen.stratum, (*hits, *notes), problems, chosen_result.assay, others
    )


def _words(result: Pdl1Result, reading: Pdl1Reading) -> str:
    specimen = result.tps.specimen
    day = (specimen.collected if specimen else None) or result.tps.reported_on
    value = result.tps.value if result.tps.known else result.tps.state.value
    return f"{value} ({result.assay}, {day or 'undated'}): {reading.stratum or reading.status}"


def _order(item: tuple[Pdl1Result, Pdl1Reading]) -> tuple[bool, date, str]:
    """Pre-treatment specimens first, then the most recent; the stratum only breaks exact ties."""
    result, reading = item
    specimen = result.tps.specimen
    pre = not (specimen and specimen.before_intervening_therapy)
    day = (specimen.collected if specimen else None) or result.tps.reported_on or date.min
    lowest_first = {"high": "0", "low": "1", "neg": "2"}[reading.stratum or "neg"]
    return pre, day, lowest_first


def _read_one(
    kb: Knowledge, result: Pdl1Result, as_of: date, case_specimen: SpecimenRef | None
) -> Pdl1Reading:
    if not result.tps.known:
        return Pdl1Reading(result.tps.state.value, None, (), ())
    facts = _facts(result, as_of, case_specimen)
    hits = run_table(kb.tables["pdl1"], facts)
    stratum: str | None = None
    status = State.measured.value
    problems: list[InputProblem] = []
    for hit in hits:
        for then in hit.thens:
            if then.reject:
                message = f"{hit.rule.spec.id}: {hit.rule.spec.summary} (got {result.tps.value!r})"
                problems.append(
                    InputProblem(field=then.field or "pdl1_tps", code=then.reject, message=message)
                )
            stratum = _resolved(then.set.get("tps_stratum"), facts) or stratum
            status = then.set.get("tps_status", status)
    return Pdl1Reading(status, stratum, hits, tuple(problems))


def _resolved(value: str | None, facts: dict[str, Value]) -> str | None:
    if value is not None and value.startswith("="):
        return str(facts[value[1:]])
    return value


def parse_tps(value: float | str) -> tuple[float, float, bool] | None:
    """Return ``(low, high, high is open)`` in percent, or None when it cannot be read."""
    if isinstance(value, int | float):
        return None if math.isnan(value) else (float(value), float(value), False)
    text = value.strip().removesuffix("%").strip()
    if re.fullmatch(r"-?\d+(?:\.\d+)?", text):
        number = float(text)
        return number, number, False
    if found := _BOUND.fullmatch(text):
        bound = float(found[2])
        if found[1] == "<" and bound == 0:
            bound = -1.0  # nothing lies below 0 %: as impossible as a number below it
        if not 0 <= bound <= 100:
            return bound, bound, False
        return (0.0, bound, found[1] == "<") if found[1].startswith("<") else (bound, 100.0, False)
    if (found := _RANGE.fullmatch(text)) and float(found[1]) <= float(found[2]):
        return float(found[1]), float(found[2]), False
    return None


def _stratum(value: float, *, just_below: bool = False) -> str:
    if value < 1 or (just_below and value <= 1):
        return "neg"
    return "low" if value < 50 or (just_below and value <= 50) else "high"


def _facts(
    result: Pdl1Result, as_of: date, case_specimen: SpecimenRef | None = None
) -> dict[str, Value]:
    """Return the facts of one result; without a specimen of its own, that of the case is read."""
    value = result.tps.value
    parsed = parse_tps(value) if value is not None else None
    says_percent = isinstance(value, str) and value.strip().endswith("%")
    unit = "percent" if says_percent else result.unit
    facts: dict[str, Value] = {"p_readable": parsed is not None, "p_unit": unit}
    if parsed is not None:
        low, high, is_open = parsed
        strata = _stratum(low), _stratum(high, just_below=is_open)
        facts |= {
            "p_low": low,
            "p_high": high,
            "p_number": low if low == high else None,
            "p_fraction": 0 < high < 1,
            "p_strata": strata[0] if strata[0] == strata[1] else "straddles",
        }
    facts |= {
        "p_score": None if result.score_type == "unknown" else result.score_type,
        "p_assay": None if result.assay == "unknown" else result.assay,
    }
    return facts | _specimen_facts(result.tps.specimen or case_specimen, as_of)


def _specimen_facts(specimen: SpecimenRef | None, as_of: date) -> dict[str, Value]:
    if specimen is None:
        return {}
    age = (as_of - specimen.collected).days / _DAYS_PER_YEAR if specimen.collected else None
    return {
        "p_cells": specimen.viable_tumour_cells,
        "p_age_years": age,
        "p_decalcified": specimen.decalcified,
        "p_before_therapy": specimen.before_intervening_therapy,
    }
