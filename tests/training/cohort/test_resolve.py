import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from immunopath.domain.errors import CohortError
from immunopath.training.cohort.barcodes import barcode_in, parse_barcode
from immunopath.training.cohort.gdc import FileRecord
from immunopath.training.cohort.resolve import Reason, Resolved, Rules, resolve

P = "TCGA-05-4244"
RNA = f"{P}-01A-01R-1107-07"
DX = f"{P}-01Z-00-DX1"


def record(text: str, kind: str | None = None, **change: object) -> FileRecord:
    found = parse_barcode(text)
    what = kind or ("slide" if found.kind else "expression")
    values = {
        "file_id": f"id-{text}",
        "file_name": f"{text}.svs" if what == "slide" else f"{text}.tsv",
        "kind": what,
        "barcode": found,
        "patients": (found.patient_id,),
        "project": "TCGA-LUAD",
        "listed": "list:1",
        **change,
    }
    return FileRecord.model_validate(values)


def reasons(found: Resolved) -> dict[str, Reason]:
    return {d.file_id.removeprefix("id-"): d.reason for d in found.dropped}


def chosen(barcodes: Iterable[str], **rules: object) -> Resolved:
    return resolve(map(record, barcodes), Rules.model_validate(rules))


def test_normals_metastases_and_recurrences_are_dropped_and_listed() -> None:
    wrong: dict[str, Reason] = {
        f"{P}-11A-01R-1107-07": "normal tissue",
        f"{P}-06A-01R-1107-07": "metastasis",
        f"{P}-02A-01R-1107-07": "not the primary tumour",
        f"{P}-11A-01-TS1": "normal tissue",
    }
    found = chosen([RNA, DX, *wrong])
    assert reasons(found) == wrong
    assert found.counts == {"normal tissue": 2, "metastasis": 1, "not the primary tumour": 1}
    (row,) = found.rows
    assert (row.aliquot, row.site, row.cancer_type) == (RNA, "05", "LUAD")


def test_the_diagnostic_slide_comes_before_frozen_sections() -> None:
    found = chosen([RNA, f"{P}-01A-01-TS1", f"{P}-01A-01-BS1", f"{P}-01Z-00-DX2", DX])
    assert [barcode_in(s.split("/")[1]) for s in found.rows[0].slides] == [parse_barcode(DX)]
    assert reasons(found) == {
        f"{P}-01A-01-TS1": "diagnostic slide preferred",
        f"{P}-01A-01-BS1": "diagnostic slide preferred",
        f"{P}-01Z-00-DX2": "later barcode",
    }
    assert {d.kept for d in found.dropped} == {f"{DX}.svs"}


def test_without_a_diagnostic_slide_the_top_section_is_taken() -> None:
    found = chosen([RNA, f"{P}-01A-01-BS1", f"{P}-01A-01-TS1"])
    assert found.rows[0].slide_ids == (f"{P}-01A-01-TS1",)
    assert reasons(found) == {f"{P}-01A-01-BS1": "higher section preferred"}
    with pytest.raises(CohortError, match="no patient is left"):
        chosen([RNA, f"{P}-01A-01-BS1"], diagnostic_only=True)


def test_more_tissue_wins_among_slides_of_one_kind_only() -> None:
    slides = [record(RNA), record(DX), record(f"{P}-01Z-00-DX2"), record(f"{P}-01A-01-TS1")]
    areas = {f"{DX}.svs": 10.0, f"{P}-01Z-00-DX2": 80.0, f"id-{P}-01A-01-TS1": 500.0}
    found = resolve(slides, Rules(), areas)
    assert found.rows[0].slide_ids == (f"{P}-01Z-00-DX2",)
    assert reasons(found)[DX] == "less tissue"
    assert [d.detail for d in found.dropped if d.reason == "less tissue"] == ["10 against 80"]


def test_a_known_area_comes_before_an_unknown_one() -> None:
    slides = [record(RNA), record(DX), record(f"{P}-01Z-00-DX2")]
    found = resolve(slides, Rules(), {f"{P}-01Z-00-DX2": 3.0})
    assert found.rows[0].slide_ids == (f"{P}-01Z-00-DX2",)


def test_areas_that_belong_to_no_slide_are_refused() -> None:
    with pytest.raises(CohortError, match="none of the 1 tissue areas belongs to a listed slide"):
        resolve([record(RNA), record(DX)], Rules(), {"other.svs": 1.0})


def test_all_slides_of_the_best_kind_on_demand() -> None:
    found = chosen([RNA, DX, f"{P}-01Z-00-DX2", f"{P}-01A-01-TS1"], all_slides=True)
    assert found.rows[0].slide_ids == (DX, f"{P}-01Z-00-DX2")


@pytest.mark.parametrize(
    "later",
    [
        f"{P}-01B-01R-1107-07",  # vial
        f"{P}-01A-02R-1107-07",  # portion
        f"{P}-01A-01R-A39D-07",  # plate
    ],
)
def test_the_first_aliquot_in_barcode_order_is_taken(later: str) -> None:
    found = chosen([later, RNA, DX])
    assert found.rows[0].aliquot == RNA
    assert reasons(found) == {later: "later barcode"}


def test_the_same_barcode_twice_is_decided_by_file_id() -> None:
    pair = [record(RNA, file_id="z"), record(RNA, file_id="a")]
    found = resolve([*pair, record(DX)], Rules())
    assert found.rows[0].expression == f"a/{RNA}.tsv"
    assert found.dropped[0].reason == "same barcode, later file id"


def test_what_cannot_be_placed_is_listed_with_its_reason() -> None:
    odd = [
        record(RNA, file_id="pool", patients=(P, "TCGA-05-4249")),
        record(RNA, file_id="nobody", patients=(), barcode=None),
        record(RNA, file_id="bare", barcode=parse_barcode(P)),
        record(RNA, file_id="bam", kind="other"),
        record(RNA, file_id="brca", project="TCGA-BRCA"),
    ]
    rules = Rules(projects=("TCGA-LUAD",))
    found = resolve([*odd, record(RNA), record(DX)], rules)
    assert {d.file_id: d.reason for d in found.dropped} == {
        "pool": "several patients",
        "nobody": "no barcode",
        "bare": "sample type unknown",
        "bam": "other file",
        "brca": "other project",
    }


def test_unknown_sample_types_are_primary_on_the_callers_word_only() -> None:
    bare = record(RNA, barcode=parse_barcode(P))
    assert resolve([bare, record(DX)], Rules(assume_primary=True)).rows[0].aliquot == P
    with pytest.raises(CohortError, match="sample type unknown 1"):
        resolve([bare, record(DX)], Rules())
    normal = record(f"{P}-11A-01R-1107-07")
    with pytest.raises(CohortError, match="normal tissue 1"):
        resolve([normal, record(DX)], Rules(assume_primary=True))


def test_a_patient_needs_both_unless_said_otherwise() -> None:
    other = "TCGA-44-2668"
    files = [RNA, DX, f"{other}-01A-01R-1107-07", "TCGA-44-2669-01Z-00-DX1"]
    found = chosen(files)
    assert [row.patient_id for row in found.rows] == [P]
    assert sorted(found.counts) == ["patient without expression", "patient without slide"]
    assert len(chosen(files, need="expression").rows) == 2
    assert len(chosen(files, need="slides").rows) == 2


def test_nothing_left_says_why() -> None:
    with pytest.raises(CohortError, match=r"no patient is left of 1 file \(normal tissue 1\)"):
        chosen([f"{P}-11A-01R-1107-07"])


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate({"need": "nothing"})


BARCODES = st.builds(
    "TCGA-{}-{}-{}{}".format,
    st.sampled_from(["05", "44"]),
    st.sampled_from(["4244", "2668"]),
    st.sampled_from(["01A", "01B", "11A", "06A"]),
    st.sampled_from(["-01R-1107-07", "-02R-A39D-07", "-00-DX1", "-00-DX2", "-01-TS1", "-01-BS1"]),
)


@given(st.lists(BARCODES, min_size=1, max_size=20, unique=True), st.randoms(use_true_random=False))
def test_every_file_is_used_once_or_listed_once_whatever_the_order(
    barcodes: list[str], order: random.Random
) -> None:
    records = [record(b) for b in barcodes]
    try:
        found = resolve(records, Rules())
    except CohortError:
        return
    used = [p for row in found.rows for p in (*row.slides, row.expression)]
    listed = [f"{d.file_id}/{d.file_name}" for d in found.dropped]
    assert sorted(used + listed) == sorted(r.path for r in records)
    assert len({row.patient_id for row in found.rows}) == len(found.rows)
    order.shuffle(records)
    assert resolve(records, Rules()).rows == found.rows
