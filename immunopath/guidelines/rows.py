"""Tests and flags as they are reported, with the level, the turnaround and the tissue budget."""

from collections.abc import Iterable
from datetime import date

from immunopath.domain.guidance import Flag, Level, TestRequest
from immunopath.guidelines.decision import Decision
from immunopath.guidelines.loader import Knowledge
from immunopath.guidelines.schema import TestInfo

_SEVERITY = {"stop": 0, "caution": 1, "info": 2}
_NO_TISSUE = 99
Row = tuple[str, str, Level | None]


def requested_tests(kb: Knowledge, decision: Decision) -> tuple[TestRequest, ...]:
    """Return the tests by level, then in the order in which the rules asked for them.

    On a scant specimen the order inside a level is the tissue budget of 3.3, and what sequencing
    answers with less tissue is left out unless the case cannot wait.
    """
    crisis, scant = decision.facts.get("tempo") == "crisis", decision.facts.get("scant") is True
    found: list[tuple[str, int, TestRequest]] = []
    for code, rows in decision.tests.items():
        info = kb.tests[code]
        level = level_of(info, rows, crisis=crisis)
        if scant and info.scant_only_at_t0 and level != "T0" and "NGS_DNA_RNA" in decision.tests:
            continue
        place = info.tissue_order if info.tissue_order is not None else _NO_TISSUE
        row = kb.memos.rows.get((code, level, rows), _test, kb, info, level, rows)
        found.append((level, place if scant else 0, row))
    return tuple(row for *_, row in sorted(found, key=lambda item: item[:2]))


def level_of(info: TestInfo, rows: Iterable[Row], *, crisis: bool) -> Level:
    """Return the most urgent level that a rule asks for; the vocabulary's where none says one."""
    levels: list[Level] = [level for _, _, level in rows if level]
    level = min(levels) if levels else info.level
    return "T0" if crisis and info.laboratory and level == "T1" else level


def _test(kb: Knowledge, info: TestInfo, level: Level, rows: tuple[Row, ...]) -> TestRequest:
    by_level = kb.turnaround_at.get(level) if info.laboratory else None
    return TestRequest(
        code=info.code,
        name=info.name,
        level=level,
        turnaround=by_level or info.turnaround,
        reason="; ".join(dict.fromkeys(reason for _, reason, _ in rows)),
        rule_ids=tuple(dict.fromkeys(rule for rule, _, _ in rows)),
    )


def raised_flags(kb: Knowledge, decision: Decision, as_of: date) -> tuple[Flag, ...]:
    """Return the flags, the severest first; old knowledge is a flag of its own (RG-11)."""
    codes = dict(decision.flags)
    if (as_of - kb.manifest.knowledge_date).days > kb.manifest.stale_after_days:
        codes["KNOWLEDGE_STALE"] = "RG-11"
    found = [
        kb.memos.rows.get((code, rule_id), _flag, kb, code, rule_id)
        for code, rule_id in codes.items()
    ]
    return tuple(sorted(found, key=lambda flag: _SEVERITY[flag.severity]))


def _flag(kb: Knowledge, code: str, rule_id: str) -> Flag:
    info = kb.flags[code]
    return Flag(code=code, meaning=info.meaning, severity=info.severity, rule_id=rule_id)
