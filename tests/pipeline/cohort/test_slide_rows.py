"""From the sampling of a report to the rows of the tables."""

from pathlib import Path

import samples
import samples_sampling

from immunopath.domain.case import Case
from immunopath.domain.cohort import CaseRecord
from immunopath.domain.report import CaseReport
from immunopath.pipeline.cohort.record import record_of
from immunopath.pipeline.cohort.slide_rows import NO_ESTIMATE, TIL, slide_summaries
from immunopath.pipeline.cohort.store import ResultStore

OTHER = "cd" * 32


def report(**change: object) -> CaseReport:
    block = samples_sampling.block().model_copy(update=change)
    return samples.full().model_copy(update={"sampling": block})


def test_a_slide_has_its_share_and_a_row_per_phenotype() -> None:
    til, *cells = record_of(report(), row=1, key="k", files={}).slides
    assert (til.field, til.value, til.low, til.high, til.coverage) == (TIL, 0.21, 0.16, 0.26, 0.9)
    assert (til.first_round, til.n_regions, til.slide) == (0.27, 5, "S.svs")
    assert "own error" in til.interval_of
    assert til.engine.startswith(samples.full().profile.til_fraction.source.engine)
    assert [(row.field, row.value) for row in cells] == [
        ("slide_inflamed_share_1mm2", 0.2),
        ("slide_excluded_share_1mm2", 0.3),
        ("slide_desert_share_1mm2", 0.5),
    ]
    assert [(row.low, row.coverage) for row in cells] == [(0.1, 0.9), (None, None), (None, None)]


def test_what_has_no_value_says_why_slide_by_slide() -> None:
    known = samples_sampling.block()
    second = known.slides[0].model_copy(update={"name": "T.svs", "sha256": OTHER})
    rows = slide_summaries(report(slides=(second, *known.slides)))
    assert [row.slide for row in rows] == ["T.svs", "T.svs", "S.svs", "S.svs", "S.svs", "S.svs"]
    assert (rows[0].value, rows[0].reason, rows[0].n_regions) == (None, NO_ESTIMATE, None)
    assert (rows[1].value, rows[1].reason) == (None, "T.svs: <few> cells.")
    assert all(row.value is not None for row in rows[2:])


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
