import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from guideline_support import AS_OF

from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.cohort import QueueFacts
from immunopath.domain.guidance import Guidance
from immunopath.domain.measured import SpecimenRef
from immunopath.guidelines.loader import load_knowledge
from immunopath.guidelines.triage import order_cohort, queue_facts

Run = Callable[..., Guidance]


DONE = {"her2_ihc": 1, "met_ihc_3plus_pct": 0}
"""What every stage IV is asked for beyond the gate."""


@pytest.mark.parametrize(
    ("inputs", "level", "rule"),
    [
        ({"drivers": "all_unknown", "tempo": "crisis"}, "T0", "TR-0"),
        ({"drivers": "all_unknown", "brain_mets": "symptomatic"}, "T0", "TR-0"),
        ({"drivers": "all_unknown"}, "T1", "TR-1"),
        ({"pdl1_tps": "not_done"}, "T1", "TR-1"),
        ({"histology": "squamous", "drivers": "all_unknown", "pdl1_tps": 20}, "T1", "TR-1"),
        ({"stage": "IIIB", "resectability": "unresectable", "crt_status": "none",
          "drivers": "all_unknown"}, "T1", "TR-1"),
        ({"pdl1_tps": 20}, "T2", "TR-2"),
        ({"drivers": "ALK:fusion"}, "T2", "TR-2"),
        (DONE | {"pdl1_tps": 20, "msi": "MSS", "mmr": "dMMR"}, "T3", "TR-3"),
    ],
)  # fmt: skip
def test_levels(run: Run, inputs: dict[str, str | int], level: str, rule: str) -> None:
    found = run(**inputs).triage
    assert found.level == level
    assert found.reasons[0].startswith(rule)
    assert found.basis == "clinical_facts_only"


def test_a_complete_case_is_not_queued(run: Run) -> None:
    assert run(pdl1_tps=20, **DONE).triage.level is None
    assert run(pdl1_tps=150).triage.level is None


def item(run: Run, case_id: str, days: int | None = None, **inputs: object) -> QueueFacts:
    specimen = SpecimenRef(type="core") if inputs.pop("core", False) else None
    chance = inputs.pop("chance", None)
    clinical = ClinicalContext(
        diagnosed_on=None if days is None else AS_OF - timedelta(days=days), specimen=specimen
    )
    facts = queue_facts(case_id, run(**inputs), clinical)
    return facts.model_copy(update={"changing_probability": chance})


def test_the_order_is_level_then_waiting_then_tissue(run: Run) -> None:
    items = [
        item(run, "late", 5, drivers="all_unknown"),
        item(run, "early", 30, drivers="all_unknown"),
        item(run, "scant", 5, drivers="all_unknown", core=True),
        item(run, "undated", None, drivers="all_unknown"),
        item(run, "crisis", 1, drivers="all_unknown", tempo="crisis"),
        item(run, "done", 90, pdl1_tps=20, **DONE),
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


def levels(guidance: Guidance) -> dict[str, tuple[str, str]]:
    return {test.code: (test.level, test.turnaround) for test in guidance.tests}


def test_what_refines_does_not_hurry_and_says_so(run: Run) -> None:
    found = levels(run(drivers="ALK:fusion", pdl1_tps="not_done"))
    assert found["PDL1_IHC"] == ("T2", "14-21 days")
    assert found["HER2_IHC"] == ("T2", "14-21 days")
    assert levels(run(drivers="all_unknown", pdl1_tps="not_done"))["PDL1_IHC"] == (
        "T1",
        "2-3 days",
    )


def test_a_scant_specimen_is_spent_in_the_order_of_the_budget(run: Run) -> None:
    more: dict[str, object] = {"drivers": "all_unknown", "pdl1_tps": "not_done", "tempo": "rapid"}
    plain = [t.code for t in run(**more).tests]
    assert {"EGFR_RAPID", "ALK_IHC_RAPID"} <= set(plain)
    scant = run(**more, specimen_type="core")
    tissue = [t.code for t in scant.tests if t.code in {"NGS_DNA_RNA", "PDL1_IHC", "HER2_IHC"}]
    assert tissue == ["NGS_DNA_RNA", "PDL1_IHC", "HER2_IHC"]
    assert not {"EGFR_RAPID", "ALK_IHC_RAPID"} & {t.code for t in scant.tests}
    assert "TISSUE_SCANT" in scant.flag_codes()
    crisis = run(**more | {"tempo": "crisis"}, specimen_type="core")
    assert next(t.code for t in crisis.tests if t.level == "T0") == "EGFR_RAPID"
    share = run(pdl1_tps=20, tumour_cellularity_pct=25)
    assert "TISSUE_SCANT" in share.flag_codes()


def test_pathology_reviews_are_the_laboratorys_and_imaging_is_not() -> None:
    """As docs/decisions.md says it of the worklist."""
    page = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| The worklist names"))
    tests = load_knowledge().tests
    named = [code for code in tests if f"`{code}`" in row]
    assert named == ["PATH_REVIEW", "REBIOPSY"]
    assert all(tests[code].laboratory for code in named)
    assert not any(tests[code].laboratory for code in ("BRAIN_MRI", "PET_CT", "TRANSPLANT_MDT"))
