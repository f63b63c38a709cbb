import pytest
from hypothesis import given
from hypothesis import strategies as st

from immunopath.domain.errors import CohortError
from immunopath.training.cohort.barcodes import (
    SAMPLE_TYPES,
    barcode_in,
    parse_barcode,
    patient_key,
)

ALNUM = st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
DIGIT = st.sampled_from("0123456789")


def code(symbols: st.SearchStrategy[str], n: int) -> st.SearchStrategy[str]:
    return st.lists(symbols, min_size=n, max_size=n).map("".join)


@st.composite
def barcodes(draw: st.DrawFn) -> str:
    text = f"TCGA-{draw(code(ALNUM, 2))}-{draw(code(ALNUM, 4))}"
    depth = draw(st.integers(0, 6))
    if depth:
        text += f"-{draw(st.sampled_from(sorted(SAMPLE_TYPES)))}"
        text += draw(st.sampled_from(["", "A", "B", "Z"]))
    if depth > 1:
        text += f"-{draw(code(DIGIT, 2))}"
    if depth == 3:
        kind = draw(st.sampled_from(["DX", "TS", "MS", "BS"]))
        return f"{text}-{kind}{draw(ALNUM)}"
    if depth > 3:
        text += draw(st.sampled_from("DRWTHX"))
    if depth > 4:
        text += f"-{draw(code(DIGIT, 4))}"
    if depth > 5:
        text += f"-{draw(code(DIGIT, 2))}"
    return text


@given(barcodes())
def test_every_length_is_read_and_written_back(text: str) -> None:
    found = parse_barcode(text)
    assert str(found) == text
    assert found.patient_id == text[:12]
    assert found.tss == text[5:7]


@given(barcodes())
def test_every_length_names_the_same_patient(text: str) -> None:
    assert patient_key(text) == patient_key(text[:12]) == text[:12]
    found = barcode_in(f"{text}.0F2A-uuid.svs")
    assert found == parse_barcode(text)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("TCGA-02-0001", "participant"),
        ("TCGA-02-0001-01", "sample"),
        ("TCGA-02-0001-01C", "sample"),
        ("TCGA-02-0001-01C-01", "portion"),
        ("TCGA-02-0001-01C-01D", "analyte"),
        ("TCGA-02-0001-01C-01D-0182-01", "aliquot"),
        ("TCGA-44-2668-01A-01-BS1", "slide"),
        ("TCGA-55-A4DF-01A-01-TSA", "slide"),
        ("TCGA-99-A899-01Z-00-DX1", "slide"),
        (" tcga-02-0001-01c ", "sample"),
    ],
)
def test_level(text: str, level: str) -> None:
    assert parse_barcode(text).level == level


def test_parts_of_an_aliquot() -> None:
    found = parse_barcode("TCGA-02-0001-01C-01D-0182-07")
    assert (found.tss, found.participant, found.sample, found.vial) == ("02", "0001", "01", "C")
    assert (found.portion, found.analyte, found.plate, found.center) == ("01", "D", "0182", "07")
    assert found.is_primary
    assert found.sample_type == "primary solid tumour"


@pytest.mark.parametrize(
    ("sample", "primary", "normal", "metastasis"),
    [("01A", 1, 0, 0), ("02A", 0, 0, 0), ("06A", 0, 0, 1), ("10A", 0, 1, 0), ("11A", 0, 1, 0)],
)
def test_sample_types(sample: str, primary: int, normal: int, metastasis: int) -> None:
    found = parse_barcode(f"TCGA-05-4244-{sample}")
    assert (found.is_primary, found.is_normal, found.is_metastasis) == (primary, normal, metastasis)


@pytest.mark.parametrize(
    "text",
    ["", "TCGA", "TCGA-02", "TCGA-02-001", "GTEX-02-0001", "TCGA-02-0001-1", "TCGA-02-0001-01-DX1",
     "TCGA-02-0001-01A-01-ZZ1x", "TCGA-02-00015", "TCGA-02-0001-01A-01D-0182-07-9"],
)  # fmt: skip
def test_what_is_no_barcode_is_refused(text: str) -> None:
    with pytest.raises(CohortError, match="no TCGA barcode"):
        parse_barcode(text)


def test_a_name_without_barcode_has_none() -> None:
    assert barcode_in("d832db0a.rna_seq.augmented_star_gene_counts.tsv") is None
    assert barcode_in("TCGA-05-42445.svs") is None
    assert patient_key(" case 7 ") == "case 7"
