import random
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.guidance import Guidance
from immunopath.domain.measured import SpecimenRef
from immunopath.guidelines.triage import QueueItem, order_cohort

Run = Callable[..., Guidance]


@pytest.mark.parametrize(
    ("inputs", "level", "rule"),
    [
        ({"drivers": "all_unknown", "tempo": "crisis"}, "T0", "TR-0"),
        ({"drivers": "all_unknown", "brain_mets": "symptomatic"}, "T0", "TR-0"),
        ({"drivers": "all_unknown"}, "T1", "TR-1"),
        ({"pdl1_tps": "not_done"}, "T1", "TR-1"),
        ({"histology": "squamous", "drivers": "all_unknown", "pdl1_tps": 20}, "T2", "TR-2"),
        ({"pdl1_tps": 20, "msi": "MSS", "mmr": "dMMR"}, "T3", "TR-3"),
    ],
)
def test_levels(run: Run, inputs: dict[str, str | int], level: str, rule: str) -> None:
    found = run(**inputs).triage
    assert found.level == level
    assert found.reasons[0].startswith(rule)
    assert found.basis == "clinical_facts_only"


def test_a_complete_case_is_not_queued(run: Run) -> None:
    assert run(pdl1_tps=20).triage.level is None
    assert run(pdl1_tps=150).triage.level is None


def item(run: Run, case_id: str, days: int | None = None, **inputs: object) -> QueueItem:
    specimen = SpecimenRef(type="core") if inputs.pop("core", False) else None
    chance = inputs.pop("chance", None)
    clinical = ClinicalContext(
        diagnosed_on=None if days is None else AS_OF - timedelta(days=days), specimen=specimen
    )
    return QueueItem(
        case_id=case_id,
        guidance=run(**inputs),
        clinical=clinical,
        changing_probability=chance,  # type: ignore[arg-type]
    )


def test_the_order_is_level_then_waiting_then_tissue(run: Run) -> None:
    items = [
        item(run, "late", 5, drivers="all_unknown"),
        item(run, "early", 30, drivers="all_unknown"),
        item(run, "scant", 5, drivers="all_unknown", core=True),
        item(run, "undated", None, drivers="all_unknown"),
        item(run, "crisis", 1, drivers="all_unknown", tempo="crisis"),
        item(run, "done", 90, pdl1_tps=20),
    ]
    order = [i.case_id for i in order_cohort(items, as_of=AS_OF)]
    assert order == ["crisis", "early", "scant", "late", "undated", "done"]


def test_a_prediction_breaks_only_ties(run: Run) -> None:
    likely = item(run, "likely", 5, pdl1_tps="not_done", chance=0.9)
    waiting = item(run, "waiting", 6, pdl1_tps="not_done", chance=0.1)
    other = item(run, "other", 5, pdl1_tps="not_done", chance=0.2)
    order = [i.case_id for i in order_cohort([other, likely, waiting], as_of=AS_OF)]
    assert order == ["waiting", "likely", "other"]


def test_the_order_does_not_depend_on_the_order_of_arrival(run: Run) -> None:
    items = [item(run, f"case-{n}", n % 3, drivers="all_unknown") for n in range(8)]
    first = order_cohort(items, as_of=AS_OF)
    random.Random(3).shuffle(items)
    assert order_cohort(items, as_of=AS_OF) == first
    assert order_cohort(items, as_of=date(2026, 12, 1))[0].case_id == first[0].case_id
