import os
from pathlib import Path

import pytest
from guideline_support import AS_OF

from immunopath.domain.errors import CaseFileError
from immunopath.domain.guidance import Category
from immunopath.domain.molecular import Gene
from immunopath.guidelines.casefile import MAX_BYTES, load_clinical
from immunopath.guidelines.engine import evaluate

EXAMPLES = Path(__file__).parents[2] / "examples"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "case.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_absent_keys_stay_unknown(tmp_path: Path) -> None:
    context = load_clinical(write(tmp_path, "histology: squamous\n"))
    assert context.histology == "squamous"
    assert context.ecog is None
    assert context.transplant == "unknown"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("pdl1_tps: 150", "150"),
        ("pdl1_tps: -1", "not a percentage"),
        ("pdl1_tps: .nan", "pdl1"),
        ("pdl1_tps: abc", "abc"),
        ("pdl1_tps: 0.6\npdl1_unit: missing", "without a unit"),
        ("ecog: 9", "ecog"),
        ("histologie: squamous", "did you mean 'histology'"),
        ("pred: {cd274: high}", "pred"),
        ("pdl1_tps: {source: predicted, value: 80}", "measured value only"),
        ("ecog: 1\necog: 2", "appears twice"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("- a\n- b", "expected 'key: value'"),
        ("", "expected 'key: value'"),
        ("a: [", "not valid YAML"),
        ("crt_end_date: 2026-13-45", "case.yaml"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("a: " + "[" * 2000, "not valid YAML"),
        ("histology: [squamous]", "histology"),
        ("? [1, 2]\n: 3", "not valid YAML"),
    ],
)
def test_bad_files_are_one_line_with_the_file_name(
    tmp_path: Path, text: str | bytes, word: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(CaseFileError) as caught:
        load_clinical(path)
    message = str(caught.value)
    assert word in message
    assert "case.yaml" in message
    assert "\n" not in message


def test_an_alias_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(CaseFileError, match="aliases are not allowed"):
        load_clinical(write(tmp_path, "\n".join(levels)))


def test_size_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="larger than"):
        load_clinical(write(tmp_path, "#" * (MAX_BYTES + 1)))
    with pytest.raises(CaseFileError, match="no such file"):
        load_clinical(tmp_path / "absent.yaml")
    with pytest.raises(CaseFileError, match="is a folder"):
        load_clinical(tmp_path)


def test_the_complete_example_reaches_options_and_drugs() -> None:
    guidance = evaluate(load_clinical(EXAMPLES / "clinical_complete.yaml"), as_of=AS_OF)
    assert guidance.category is Category.ICI_MONO_OPTIONS
    assert "RX-PEMBRO" in guidance.regimen_ids()
    assert guidance.missing == ()
    assert guidance.named_drugs()


def test_the_minimal_example_asks_for_tests_first() -> None:
    guidance = evaluate(load_clinical(EXAMPLES / "clinical_minimal.yaml"), as_of=AS_OF)
    assert guidance.category is Category.TEST_FIRST
    assert guidance.conditional


def test_a_gene_that_a_case_file_does_not_name_stays_unknown(tmp_path: Path) -> None:
    """One KRAS result must not pass the gate for EGFR and ALK."""
    path = tmp_path / "case.yaml"
    path.write_text(
        "histology: adenocarcinoma\nstage: IVB\nline: 1\necog: 1\npdl1_tps: 60\ndrivers: KRAS:G12C"
    )
    context = load_clinical(path)
    assert [result.gene for result in context.genes] == ["KRAS"]
    assert context.genes[0].method is None
    guidance = evaluate(context, as_of=AS_OF)
    assert guidance.category == "TEST_FIRST"
    assert guidance.options == ()


def test_the_rest_is_negative_only_when_said_and_by_a_named_method(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("drivers: EGFR:L858R; rest_neg\ndrivers_method: NGS_DNA_RNA")
    found = {result.gene: result for result in load_clinical(path).genes}
    assert len(found) == 11
    assert found[Gene.ALK].result.value == "negative"
    assert {result.method for result in found.values()} == {"NGS_DNA_RNA"}
    path.write_text("drivers: EGFR:L858R; rest_neg")
    with pytest.raises(CaseFileError, match="rest_neg needs drivers_method"):
        load_clinical(path)


def test_a_negative_without_a_method_excludes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("histology: adenocarcinoma\nstage: IVB\nline: 1\ndrivers: EGFR:negative")
    guidance = evaluate(load_clinical(path), as_of=AS_OF)
    assert guidance.category == "TEST_FIRST"
    assert "gene_EGFR" in guidance.missing


def test_all_negative_names_the_assay_it_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("drivers: all_neg")
    assert {result.method for result in load_clinical(path).genes} == {"NGS_DNA_RNA"}


@pytest.mark.parametrize("number", ["060", "0x3c", "1:00", "0b11", "1_0", "1:00.5", "9" * 5000])
def test_a_number_that_is_not_plainly_decimal_is_named(tmp_path: Path, number: str) -> None:
    """YAML 1.1 would read 060 as 48 and 1:00 as 60."""
    with pytest.raises(CaseFileError, match="not a plain decimal number"):
        load_clinical(write(tmp_path, f"pdl1_tps: {number}"))


@pytest.mark.parametrize("line", ["allergies: !!set {a: , b: }", "age: !!int 3", "sex: !x male"])
def test_tags_are_refused(tmp_path: Path, line: str) -> None:
    """A set has no order, so that the same file would give other bytes every time."""
    with pytest.raises(CaseFileError, match="tags are not allowed"):
        load_clinical(write(tmp_path, line))


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="half a character"):
        load_clinical(write(tmp_path, 'allergies: ["\\uD800"]'))


def test_a_pipe_or_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaseFileError, match="no regular file"):
        load_clinical(tmp_path / "pipe")
    with pytest.raises(CaseFileError, match="is a folder"):
        load_clinical(tmp_path)
