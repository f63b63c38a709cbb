"""MP-11: the exhaustive grids hold, and a table that breaks a hard rule is caught in them."""

from collections.abc import Callable

import pytest
import yaml

from immunopath.guidelines.grid import GRIDS, Grid, GridReport, cells, check_grid, check_grids
from immunopath.guidelines.loader import Knowledge, build_knowledge, knowledge_texts

SAMPLE = 17
"""Every n-th cell where the whole grid is not needed; a prime, so that no axis stands still."""


def broken(*edits: str) -> Knowledge:
    """The shipped knowledge with texts replaced: file, old, new, and so on."""
    texts = knowledge_texts()
    for name, old, new in zip(edits[::3], edits[1::3], edits[2::3], strict=True):
        assert old in texts[name], f"{old!r} is not in {name}"
        texts[name] = texts[name].replace(old, new)
    return build_knowledge(texts)


def without_rule(name: str, rule_id: str) -> Knowledge:
    texts = knowledge_texts()
    content = yaml.safe_load(texts[name])
    kept = [rule for rule in content["rules"] if rule["id"] != rule_id]
    assert len(kept) < len(content["rules"])
    return build_knowledge({**texts, name: yaml.safe_dump({**content, "rules": kept})})


def failures(kb: Knowledge, grid: str, step: int = SAMPLE) -> dict[str, str]:
    """Check name to the details, joined."""
    found: dict[str, list[str]] = {}
    for violation in check_grid(kb, GRIDS[grid], step=step).violations:
        found.setdefault(violation.check, []).append(violation.detail)
    return {name: "; ".join(details) for name, details in found.items()}


@pytest.mark.parametrize("name", list(GRIDS))
def test_the_whole_grid_holds(kb: Knowledge, name: str) -> None:
    report = check_grid(kb, GRIDS[name])
    assert report.violations == ()
    assert report.cells == sum(report.categories.values())


def test_the_first_line_grid_is_that_of_the_specification(kb: Knowledge) -> None:
    sizes = {name: len(axis) for name, axis in GRIDS["first_line"].axes.items()}
    assert sizes == {"histology": 2, "tps": 4, "driver": 19, "ecog": 5, "barrier": 24}
    labels = [labels for labels, _ in cells(kb, GRIDS["first_line"])]
    assert len(labels) == 2 * 4 * 19 * 5 * 24
    assert len({tuple(label.items()) for label in labels}) == len(labels)


def test_every_axis_value_sets_facts_that_a_case_has(kb: Knowledge) -> None:
    grids = list(GRIDS.values())
    known = set(next(cells(kb, grids[0]))[1])
    for grid in grids:
        for axis in grid.axes.values():
            for changes in axis.values():
                assert set(changes) <= known | {"all_gate", "regimens"}, changes


def test_cells_differ_in_their_facts(kb: Knowledge) -> None:
    for grid in GRIDS.values():
        for name, axis in grid.axes.items():
            small = Grid(grid.name, {name: axis}, grid.shared, grid.check)
            facts = [tuple(sorted(f.items(), key=str)) for _, f in cells(kb, small)]
            assert len(set(facts)) == len(axis), (grid.name, name)


def test_the_summary_counts(kb: Knowledge) -> None:
    summary = check_grids(kb, ("stage_iii", "adjuvant"), step=101)
    assert [grid.name for grid in summary.grids] == ["stage_iii", "adjuvant"]
    assert summary.cells == sum(grid.cells for grid in summary.grids)
    assert summary.sentence() == (
        f"{summary.cells} cells in 2 grids, {len(summary.violations)} violations"
    )
    assert summary == check_grids(kb, ("stage_iii", "adjuvant"), step=101)
    assert isinstance(
        GridReport.model_validate_json(summary.grids[0].model_dump_json()), GridReport
    )


@pytest.mark.parametrize(
    ("grid", "check", "detail", "knowledge"),
    [
        ("first_line", "barriers_hold", "CI-1 did not fire",
         lambda: without_rule("rules_barriers.yaml", "CI-1")),
        ("first_line", "barriers_hold", "CI-17 and",
         lambda: without_rule("rules_barriers.yaml", "CI-17")),
        ("first_line", "barriers_hold", "CI-15 and",
         lambda: without_rule("rules_barriers.yaml", "CI-15")),
        ("first_line", "no_overlap", "fired together",
         lambda: broken("rules_first_line.yaml", "{histology_group: squamous}",
                        "{histology_group: [squamous, nonsquamous]}")),
        ("first_line", "no_overlap", "lists RX-PEMBRO at ranks [1, 2]",
         lambda: broken("rules_first_line.yaml", "[RX-PEMBRO-TAX-CARBO, RX-CEMI-CHEMO], rank: 2",
                        "[RX-PEMBRO-TAX-CARBO, RX-PEMBRO], rank: 2")),
        ("first_line", "category_fits", "CHEMO_NO_ICI",
         lambda: broken("rules_first_line.yaml", "category: ICI_CHEMO_OPTIONS",
                        "category: CHEMO_NO_ICI")),
        ("first_line", "drivers_hold", "DR-9 and ['RX-PEMBRO']",
         lambda: broken("rules_driver.yaml", "[RX-SELPER]", "[RX-SELPER, RX-PEMBRO]",
                        "rules_driver.yaml", "then: {remove: [ICI]}", "then: {}")),
        ("first_line", "drivers_hold", "panel unknown and",
         lambda: without_rule("rules_gate.yaml", "G-2")),
        ("first_line", "complete", "rows [] of the router fired",
         lambda: without_rule("rules_router.yaml", "RT-7")),
        ("first_line", "fitness_holds", "ECOG 4",
         lambda: without_rule("rules_scope.yaml", "E-6")),
        ("first_line", "fitness_holds", "ECOG 2 and ['RX-NIVO-IPI-CHEMO2'",
         lambda: without_rule("rules_fitness.yaml", "E-4")),
        ("later_line", "later_line", "ICI again",
         lambda: broken("rules_later_line.yaml", "  then: {remove: [ICI]}\n", "  then: {}\n",
                        "rules_later_line.yaml", "prior_platinum: true, prior_ici: false",
                        "prior_platinum: true")),
        ("later_line", "later_line", "without earlier platinum",
         lambda: broken("rules_later_line.yaml", "L2-2, when: {prior_platinum: true, ",
                        "L2-2, when: {")),
        ("later_line", "pdl1_holds", "labelled for TPS >= 1",
         lambda: broken("regimens.yaml", "tps_min: 1", "tps_min: 0")),
        ("stage_iii", "stage_iii", "progression not excluded",
         lambda: broken("rules_stage_iii.yaml", "crt_status: completed_concurrent, "
                        "consolidation_clear: true", "crt_status: completed_concurrent")),
        ("stage_iii", "stage_iii", "osimertinib consolidation with DR-",
         lambda: broken("rules_stage_iii.yaml", "driver_EGFR_COMMON: true",
                        "driver_EGFR_ANY: true")),
        ("perioperative", "perioperative", "unknown and ['RX-",
         lambda: broken("rules_perioperative.yaml", "egfr_alk_negative: true, ecog_le_1",
                        "ecog_le_1", "rules_perioperative.yaml", "egfr_alk_known: false",
                        "egfr_alk_known: never")),
        ("perioperative", "perioperative", "IB, 3.5 cm and",
         lambda: broken("rules_perioperative.yaml", "perioperative_eligible: true, "
                        "egfr_alk_negative: true", "egfr_alk_negative: true")),
        ("adjuvant", "adjuvant", "chemotherapy no",
         lambda: broken("rules_adjuvant.yaml", 'adjuvant_chemo: "yes"',
                        'adjuvant_chemo: ["yes", "no"]')),
        ("adjuvant", "adjuvant", "RX-ALEC-ADJ with DR-9",
         lambda: broken("rules_adjuvant.yaml", "driver_ALK: true", "driver_RET: true")),
        ("adjuvant", "adjuvant", "EGFR and ALK unknown",
         lambda: without_rule("rules_adjuvant.yaml", "AD-5")),
    ],
)  # fmt: skip
def test_a_broken_table_is_caught(
    grid: str, check: str, detail: str, knowledge: Callable[[], Knowledge]
) -> None:
    assert detail in failures(knowledge(), grid).get(check, "")
