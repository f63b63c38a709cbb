"""Speed of the guideline engine on one core, and its score beside a five-rule engine: one JSON.

``python benchmarks/guidelines.py --json -``. Cases are the vignettes of ``tests/guidelines``.
Seconds are processor time of this process. ``cold`` forgets every memory of the engine before each
pass over the cases: an answer may still use what an earlier case of that pass left. ``warm`` keeps
them, as a cohort does.
"""

import argparse
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

from benchmark_json import write_figures
from five_rule_engine import Answer, five_rules

from immunopath.domain.guidance import WITHOUT_OPTIONS
from immunopath.guidelines.check import Vignette, check_vignette, load_vignettes, run_inputs
from immunopath.guidelines.decide import decide
from immunopath.guidelines.engine import evaluate
from immunopath.guidelines.facts import base_facts
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.pdl1 import read_pdl1
from immunopath.guidelines.vocabulary import parse_inputs

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests/guidelines"
FILES = ("vignettes.yaml", "vignettes_own.yaml")
AS_OF = date(2026, 11, 24)
KB = load_knowledge()
_ICI, _MONO = frozenset({"ANY_ICI", "ICI_RANKED_FIRST"}), frozenset({"pembrolizumab"})


def vignettes() -> list[Vignette]:
    return [case for name in FILES for case in load_vignettes(FOLDER / name)]


def per_second(run: Callable[[], int], repeats: int, *, cold: bool) -> dict[str, float]:
    """Return the median and the best decisions per second over the repeats."""
    run()
    rates: list[float] = []
    for _ in range(repeats):
        if cold:
            KB.forget()
        start = process_time()
        count = run()
        rates.append(count / (process_time() - start))
    return {"median": round(statistics.median(rates)), "best": round(max(rates))}


def speed(cases: Sequence[Vignette], repeats: int) -> dict[str, Any]:
    """Return decisions per second: whole answers, and the decision of the tables alone."""
    contexts = [parse_inputs(case.inputs, defaults=True) for case in cases]

    def whole() -> int:
        return sum(1 for context in contexts if evaluate(context, as_of=AS_OF))

    def alone() -> int:
        for context in contexts:
            pdl1 = read_pdl1(KB, context, AS_OF)
            decide(KB, base_facts(KB, context, pdl1, AS_OF), pdl1.hits)
        return len(contexts)

    return {
        f"{name}_{state}": per_second(run, repeats, cold=state == "cold")
        for name, run in (("evaluate", whole), ("decision_alone", alone))
        for state in ("warm", "cold")
    }


def ours(cases: Iterable[Vignette]) -> dict[str, Any]:
    """Return this engine's score on the vignettes, aspect by aspect."""
    table: dict[str, list[bool]] = {}
    for case in cases:
        for aspect in check_vignette(case, as_of=AS_OF).aspects:
            table.setdefault(aspect.name, []).append(aspect.passed)
    return {name: {"met": sum(rows), "of": len(rows)} for name, rows in sorted(table.items())}


def breaks(token: str, answer: Answer) -> bool:
    """Return True when the five-rule answer does what a ``must_not`` token forbids.

    Read in its favour: a platinum doublet without a named partner breaks no rule on pemetrexed, and
    a token that is not listed here counts as kept.
    """
    drugs = answer.drugs
    ici = bool(drugs & {"pembrolizumab", "anti-PD-1 or anti-PD-L1 agent"})
    named = {
        "ANY_DRUG": bool(drugs),
        "ICI_MONO": ici and len(drugs) == 1,
        "ANY_CHEMO": "platinum doublet" in drugs,
        "RX-PEMBRO": drugs == _MONO,
        "RX-PEMBRO-MSIH": drugs == _MONO and answer.rule == 1,
    }
    return ici if token in _ICI else named.get(token, False)


def names(regimen: str, answer: Answer) -> bool:
    """Return True when the five-rule answer amounts to the regimen."""
    if regimen in {"RX-PEMBRO", "RX-PEMBRO-2L", "RX-PEMBRO-MSIH"}:
        return answer.drugs == _MONO
    return (
        regimen in {"RX-PEMBRO-PEM-PLAT", "RX-PEMBRO-TAX-CARBO"}
        and "platinum doublet" in answer.drugs
    )


def five(cases: Iterable[Vignette]) -> dict[str, Any]:
    """Return the five-rule engine's score; it has no categories, so none is compared."""
    rows: dict[str, list[bool]] = {"must_not": [], "regimens_all": [], "regimens_any": []}
    asked = found = 0
    for case in cases:
        expect, answer = case.expect, five_rules(case.inputs)
        if expect.must_not:
            rows["must_not"].append(not any(breaks(t, answer) for t in expect.must_not))
        if expect.regimens_all:
            rows["regimens_all"].append(all(names(r, answer) for r in expect.regimens_all))
        if expect.regimens_any:
            rows["regimens_any"].append(any(names(r, answer) for r in expect.regimens_any))
        asked += len(expect.required_tests)
        found += len(set(expect.required_tests) & answer.tests)
    table: dict[str, Any] = {k: {"met": sum(v), "of": len(v)} for k, v in rows.items()}
    return table | {"required_tests": {"found": found, "asked": asked}}


def our_tests(cases: Iterable[Vignette]) -> dict[str, int]:
    asked = found = 0
    for case in cases:
        guidance = run_inputs(case.inputs, as_of=AS_OF)
        listed = {test.code for test in guidance.tests}
        asked += len(case.expect.required_tests)
        found += len(set(case.expect.required_tests) & listed)
    return {"found": found, "asked": asked}


def summary(cases: Sequence[Vignette]) -> Mapping[str, Any]:
    wanted = [case.expect.category for case in cases]
    return {
        "cases": len(cases),
        "tricky": sum(case.tricky for case in cases),
        "without_any_drug": sum(c in WITHOUT_OPTIONS for c in wanted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="-")
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    cases, given = vignettes(), load_vignettes(FOLDER / FILES[0])
    found = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, one core",
        "knowledge": KB.version,
        "rules": sum(len(table.rules) for table in KB.tables.values()),
        "vignettes": summary(cases),
        "decisions_per_second": speed(cases, args.repeats),
        "ours": ours(cases) | {"required_tests": our_tests(cases)},
        "five_rule_engine": five(cases),
        "given_vignettes_only": {
            "ours": ours(given),
            "five_rule_engine": five(given),
        },
    }
    write_figures(found, args.json)


if __name__ == "__main__":
    main()
