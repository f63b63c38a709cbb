"""The table of samples."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError
from immunopath.training.samples import Sample, read_samples, write_samples

LABELS: dict[str, str | float | None] = {"til_fraction": 0.25, "msi_status": None}


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = [
        Sample(patient_id="A", site="05", cancer_type="LUAD", split="train", labels=LABELS),
        Sample(patient_id="B", labels={"tme_subtype": "IE/F"}, origin="synthetic"),
    ]
    write_samples(tmp_path / "samples.jsonl", table)
    assert list(read_samples(tmp_path / "samples.jsonl")) == table
    assert table[0].label("msi_status") is None
    assert table[0].label("tme_subtype") is None


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"til": 0.1}, "not one of the eight fields"),
        ({"til_fraction": 1.5}, r"not a number in \[0, 1\]"),
        ({"til_fraction": "high"}, r"not a number in \[0, 1\]"),
        ({"tme_subtype": "IE_F"}, "not one of IE"),
    ],
)
def test_a_label_outside_the_contract_is_refused(
    labels: dict[str, str | float | None], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Sample(patient_id="A", labels=labels)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"patient_id": "A", "labels": {}}\n{"patient_id": "A", "labels": {}}\n', "line 1 and"),
        ('{"patient_id": "A", "labels": {}, "age": 3}\n', "line 1: age"),
        ("{\n", "line 1"),
        ("\n", "holds no sample"),
    ],
)
def test_a_bad_table_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(text)
    with pytest.raises(CaseFileError, match=said):
        read_samples(path)
