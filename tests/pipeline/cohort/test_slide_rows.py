"""From the sampling of a report to the rows of the tables."""

from pathlib import Path

import samples
import samples_heat
import samples_sampling

from immunopath.domain.case import Case
from immunopath.domain.cohort import SHARE_UNIT, CaseRecord
from immunopath.domain.heat import SquareCounts
from immunopath.domain.report import CaseReport
from immunopath.pipeline.cohort.record import record_of
from immunopath.pipeline.cohort.slide_rows import NO_ESTIMATE, PER_MM2, TIL, slide_summaries
from immunopath.pipeline.cohort.store import ResultStore
from immunopath.reporting.cohort_tables import NUMBER_UNIT

OTHER = "cd" * 32


def report(**change: object) -> CaseReport:
    block = samples_sampling.block().model_copy(update=change)
    return samples.full().model_copy(update={"sampling": block})


def test_a_slide_has_its_share_and_a_row_per_phenotype() -> None:
    til, *cells = record_of(report(), row=1, key="k", files={}).slides
    assert (til.field, til.value, til.low, til.high, til.coverage) == (TIL, 0.21, 0.16, 0.26, 0.9)
    assert (til.first_round, til.n_places, til.slide) == (0.27, 5, "S.svs")
    assert "own error" in til.interval_of
    assert til.engine.startswith(samples.full().profile.til_fraction.source.engine)
    assert [(row.field, row.value) for row in cells] == [
        ("slide_inflamed_share_1mm2", 0.2),
        ("slide_excluded_share_1mm2", 0.3),
        ("slide_desert_share_1mm2", 0.5),
    ]
    assert [(row.low, row.coverage) for row in cells] == [(0.1, 0.9), (None, None), (None, None)]


def test_the_unit_of_a_score_of_rna_is_no_share() -> None:
    assert slide_summaries(report())[0].unit == SHARE_UNIT
    score = (
        samples_sampling.block().estimates[0].model_copy(update={"quantity": "rna_score_sigmoid"})
    )
    assert slide_summaries(report(estimates=(score,)))[0].unit == NUMBER_UNIT


def test_what_has_no_value_says_why_slide_by_slide() -> None:
    known = samples_sampling.block()
    second = known.slides[0].model_copy(update={"name": "T.svs", "sha256": OTHER})
    rows = slide_summaries(report(slides=(second, *known.slides)))
    assert [row.slide for row in rows] == ["T.svs", "T.svs", "S.svs", "S.svs", "S.svs", "S.svs"]
    assert (rows[0].value, rows[0].reason, rows[0].n_places) == (None, NO_ESTIMATE, None)
    assert (rows[1].value, rows[1].reason) == (None, "T.svs: <few> cells.")
    assert all(row.value is not None for row in rows[2:])


def test_a_dense_pass_adds_rows_of_its_own_names() -> None:
    report = samples.full().model_copy(update={"heat": samples_heat.block()})
    rows = {row.field: row for row in slide_summaries(report)}
    assert list(rows) == [
        "slide_til_share_all_tiles",
        "slide_lymphocytes_per_mm2_all_tiles",
        "slide_inflamed_share_1mm2_all_tiles",
        "slide_excluded_share_1mm2_all_tiles",
        "slide_desert_share_1mm2_all_tiles",
    ]
    density = rows["slide_lymphocytes_per_mm2_all_tiles"]
    assert (density.value, density.unit, density.n_places) == (1331.6, PER_MM2, 1234)
    assert rows["slide_til_share_all_tiles"].value == 0.17
    assert rows["slide_inflamed_share_1mm2_all_tiles"].value == 0.2
    assert rows["slide_inflamed_share_1mm2_all_tiles"].n_places == 40
    assert {row.engine for row in rows.values()} == {"embedded-predictor nuclei-2"}
    assert {row.low for row in rows.values()} == {row.interval_of or None for row in rows.values()}
    assert {row.low for row in rows.values()} == {None}


def test_a_dense_pass_without_a_number_says_why() -> None:
    nothing = SquareCounts(side_um=1000, phenotypes={"inflamed": 0, "excluded": 0, "desert": 0})
    block = samples_heat.block(
        corrected_share=None, lymphocytes_per_mm2=None, cells=nothing, measured=0
    )
    rows = slide_summaries(samples.full().model_copy(update={"heat": block}))
    assert [(row.value, bool(row.reason)) for row in rows] == [(None, True)] * 3
    one = nothing.model_copy(update={"phenotypes": {"inflamed": 1, "excluded": 0, "desert": 0}})
    block = samples_heat.block(cells=one)
    *_, cell = slide_summaries(samples.full().model_copy(update={"heat": block}))
    assert (cell.value, cell.reason) == (None, "1 cell with a phenotype; shares need 8")


def test_a_case_without_slides_has_no_rows() -> None:
    assert slide_summaries(samples.full()) == ()


def test_a_record_from_before_there_were_slides_is_read_and_done_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    case = Case(case_id="a", images=(Path("a.png"),))
    store.write_record(CaseRecord(case_id="a", row=1, status="failed", key="k"))
    assert store.valid(case, "k") is not None
    store.write_record(CaseRecord(version="1", case_id="a", row=1, status="failed", key="k"))
    assert store.record("a") is not None
    assert store.valid(case, "k") is None
