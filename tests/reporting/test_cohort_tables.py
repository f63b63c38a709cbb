"""The tables and pages of a cohort."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakSet

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from immunopath.domain.cohort import CaseRecord, FieldSummary, QueueFacts, SlideSummary
from immunopath.domain.files import safe_name
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.reporting import cohort_tables
from immunopath.reporting.cohort_page import summary_page, worklist_page
from immunopath.reporting.cohort_tables import (
    CASE_COLUMNS,
    CLOSED,
    FIELD_COLUMNS,
    IDLE,
    NUMBER_UNIT,
    OPEN,
    SLIDE_COLUMNS,
    tidy,
    worklist,
    worklist_head,
    write_csv,
    write_tables,
)

AS_OF = date(2026, 11, 24)


def record(case_id: str, level: str | None = "T1", **more: object) -> CaseRecord:
    values: dict[str, str | float] = {"til_fraction": 0.25, "immune_phenotype": "excluded"}
    fields = tuple(
        FieldSummary(
            field=name,
            quantity="q",
            value=values.get(name),
            calibrated=False,
            informative=bool(more.get("informative", False)),
            abstained=name not in values,
            reason="" if name in values else "cannot be seen",
            n_tiles=1,
        )
        for name in FIELD_VALUES
    )
    explored = more.get("explored", {})
    queue = QueueFacts.model_validate(
        {"case_id": case_id, "level": level, "exploratory": explored, "reasons": ("TR-1: why",),
         "changing_probability": more.get("chance")}
    )  # fmt: skip
    return CaseRecord(
        case_id=case_id,
        row=1,
        status="ok",
        fields=fields,
        queue=None if level is None else queue,
        tests=("PDL1_IHC",),
        files={f"cases/{n}.html": "0" for n in [len(case_id)]},
    )


FAILED = CaseRecord(case_id="f", row=9, status="failed", reason="<b>cut off</b>")


def test_a_case_is_a_row_per_field_and_a_failed_one_a_row_without() -> None:
    records = [record("a"), FAILED]
    rows = list(tidy(records, worklist(records, AS_OF)))
    assert [row["case_id"] for row in rows] == ["a"] * 8 + ["f"]
    assert {row["rank"] for row in rows[:8]} == {1}
    assert (rows[8]["field"], rows[8]["reason"], rows[8]["rank"]) == (None, "<b>cut off</b>", None)
    assert rows[0]["field_reason"] == "cannot be seen"
    assert set(rows[0]) == set(rows[8]) == {*CASE_COLUMNS, *FIELD_COLUMNS, *SLIDE_COLUMNS}


def test_the_exploratory_order_goes_by_one_quantity_and_changes_no_rank() -> None:
    records = [
        record("a", "T0", explored={"p": 0.1, "til": 0.9}),
        record("b", "T1", explored={"til": 0.95}),
        record("c", "T1", explored={"p": 0.9, "til": 0.1}),
        record("d", "T2"),
    ]
    lines = {line["case_id"]: line for line in worklist(records, AS_OF)}
    assert [lines[c]["rank"] for c in "ad"] == [1, 4]
    assert [lines[c]["exploratory_order"] for c in "abcd"] == [2, 1, 3, None]
    assert lines["a"]["exploratory_basis"] == "til, unvalidated"
    assert lines["d"]["exploratory_basis"] == ""


def test_the_head_says_whether_a_prediction_takes_part() -> None:
    assert worklist_head([record("a"), FAILED]) == CLOSED
    assert worklist_head([record("a", informative=True)]) == IDLE
    assert worklist_head([record("a", informative=True, chance=0.4), FAILED]) == OPEN


@given(st.text(min_size=1))
@example(" +1")
@example("\n=1")
def test_no_cell_is_a_formula_and_every_line_is_one_row(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_csv(path, [{"x": text, "y": 1}], ("x", "y"))
        written = path.read_bytes().decode("utf-8")
    assert written.isprintable() or set(written) - {"\n"} == {c for c in written if c.isprintable()}
    rows = list(csv.reader(io.StringIO(written)))
    assert len(rows) == 2
    assert not rows[1][0].lstrip().startswith(("=", "+", "-", "@"))


def test_parquet_holds_the_same_rows(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    records = [record("a"), FAILED]
    names = write_tables(tmp_path, records, worklist(records, AS_OF))
    assert names == ["cohort.csv", "worklist.csv", "cohort.parquet"]
    table = pq.read_table(tmp_path / "cohort.parquet").to_pylist()
    assert len(table) == 9
    til = next(row for row in table if row["field"] == "til_fraction")
    assert (til["value"], til["number"], til["abstained"]) == ("0.25", 0.25, False)


def test_a_table_of_many_rows_is_the_table_of_its_parts(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    n = cohort_tables._ROWS // 8 + 3
    records = [record(f"case {i}").model_copy(update={"row": i}) for i in range(n)]
    lines = worklist(records, AS_OF)
    write_tables(tmp_path, records, lines)
    table = pq.read_table(tmp_path / "cohort.parquet").to_pylist()
    asked = list(tidy(records, lines))
    assert len(asked) > cohort_tables._ROWS
    for name in ("case_id", "row", "rank", "field", "field_reason", "abstained"):
        assert [row[name] for row in table] == [row[name] for row in asked]
    assert pq.ParquetFile(tmp_path / "cohort.parquet").num_row_groups == 1


class Seen(dict[str, object]):
    """A row that can be followed."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def test_a_table_is_written_without_holding_its_rows(tmp_path: Path) -> None:
    alive: WeakSet[Seen] = WeakSet()
    most = 0

    def rows() -> Iterator[Seen]:
        nonlocal most
        for n in range(50):
            row = Seen(x=n)
            alive.add(row)
            most = max(most, len(alive))
            yield row

    write_csv(tmp_path / "rows.csv", rows(), ("x",))
    assert most <= 2
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 51


def with_slides() -> CaseRecord:
    base = {"slide": "=S.svs", "slide_sha256": "ab" * 32, "quantity": "q", "engine": "e 1"}
    share = SlideSummary(
        **base, field="slide_til_share", value=0.21, low=0.16, high=0.26, coverage=0.9,
        interval_of="other regions", first_round=0.27, n_places=5,
    )  # fmt: skip
    none = SlideSummary(**base, field="slide_inflamed_share_1mm2", value=None, reason="3 cells")
    return record("a").model_copy(update={"slides": (share, none)})


def test_a_slide_is_a_row_per_number_beside_the_fields(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    records = [with_slides()]
    lines = worklist(records, AS_OF)
    assert lines == worklist([record("a")], AS_OF)
    rows = list(tidy(records, lines))
    assert rows[:8] == list(tidy([record("a")], lines))
    assert {row["rank"] for row in rows} == {1}
    write_tables(tmp_path, records, lines)
    share, none = pq.read_table(tmp_path / "cohort.parquet").to_pylist()[8:]
    assert (share["field"], share["value"], share["number"]) == ("slide_til_share", "0.21", 0.21)
    assert (share["low"], share["high"], share["coverage"]) == (0.16, 0.26, 0.9)
    assert (share["unit"], share["first_round"], share["n_places"]) == (
        "share from 0 to 1",
        0.27,
        5,
    )
    assert (share["slide"], share["engine"]) == ("=S.svs", "e 1")
    assert (share["interval_of"], share["n_tiles"]) == ("other regions", None)
    assert not share["calibrated"]
    assert not share["informative"]
    assert (none["abstained"], none["field_reason"], none["number"]) == (True, "3 cells", None)
    with (tmp_path / "cohort.csv").open(newline="") as stream:
        shown = list(csv.DictReader(stream))[8]
    assert (shown["slide"], shown["field"]) == ("'=S.svs", "slide_til_share")


def test_a_number_of_the_case_has_a_unit_and_a_word_has_none() -> None:
    rows = {row["field"]: row for row in tidy([record("a")], [])}
    assert rows["til_fraction"]["unit"] == NUMBER_UNIT
    assert rows["immune_phenotype"]["unit"] is None


def test_pages_speak_in_words_where_tables_have_codes() -> None:
    asked = ("PDL1_IHC", "OF_ANOTHER_VERSION")
    known = record("a").model_copy(update={"tests": asked})
    lines = worklist([known], AS_OF)
    assert lines[0]["tests"] == "PDL1_IHC; OF_ANOTHER_VERSION"
    listed = worklist_page([known], lines, AS_OF)
    assert "PD-L1 IHC (22C3, 28-8 or SP263); OF_ANOTHER_VERSION" in listed
    silent = known.fields[0].model_copy(update={"agreement": "none"})
    page = summary_page([known.model_copy(update={"fields": (silent,)})], AS_OF)
    assert "no opinion: 1" in page


def test_the_pages_escape_and_say_what_is_missing() -> None:
    page = summary_page([record("a"), FAILED], AS_OF)
    assert "&lt;b&gt;cut off&lt;/b&gt;" in page
    assert "Cohort of 2 cases" in page
    assert "Cohort of 1 case<" in summary_page([record("a")], AS_OF)
    assert "in 0 of 1 case," in summary_page([record("a")], AS_OF)
    records = [record("a"), record("b", None), FAILED]
    listed = worklist_page(records, worklist(records, AS_OF), AS_OF)
    assert str(escape(CLOSED)) in listed
    absent = listed.split('id="h-absent"')[1]
    assert "2 cases with the reason of each" in absent
    assert "no laboratory test is outstanding" in absent
    assert "&lt;b&gt;cut off&lt;/b&gt;" in absent
    assert "h-absent" not in worklist_page(records[:1], worklist(records[:1], AS_OF), AS_OF)


def test_a_refused_case_leads_to_its_report() -> None:
    name = f"cases/{safe_name('bad')}.html"
    known = FAILED.model_copy(update={"case_id": "bad", "status": "refused", "files": {name: "ab"}})
    assert f'<a href="{name}">bad</a>' in summary_page([known], AS_OF)
    assert f'<a href="{name}">bad</a>' in worklist_page([known], [], AS_OF)


def test_pages_need_no_network() -> None:
    page = summary_page([record("a"), FAILED], AS_OF)
    assert "http" not in page.replace("http-equiv", "")
