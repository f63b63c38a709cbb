"""The file of validation cards beside a checkpoint."""

from pathlib import Path

import pytest

from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import ValidationCard
from immunopath.models.validation import (
    FILE,
    ValidationFile,
    evidence_of,
    read_validation,
    write_validation,
)

CARD = ValidationCard(
    cohort="C", n=200, metric="auroc", value=0.7, ci_low=0.66, ci_high=0.74, null_value=0.5,
    external=True, ece=0.05,
)  # fmt: skip
FOUND = ValidationFile(
    checkpoint="a" * 64,
    calibrator="k" * 64,
    conditioning="greedy",
    preprocess="px=512",
    origin="rna",
    split="test",
    evaluation="e" * 64,
    cards={"cd274_expression": CARD},
)


def test_cards_hold_for_this_checkpoint_asked_this_way_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert evidence_of(path, "a" * 64).cards == {}
    assert evidence_of(path, "a" * 64).caution is None
    write_validation(FOUND, path)
    assert read_validation(path) == FOUND
    assert evidence_of(path, "a" * 64, "k" * 64, "greedy").cards == {"cd274_expression": CARD}
    for asked, said in (
        (("b" * 64, "k" * 64, "greedy"), "other weights"),
        (("a" * 64, None, "greedy"), "another calibration"),
        (("a" * 64, "k" * 64, "marginal:8"), "another conditioning"),
        (("a" * 64, "k" * 64, "greedy", "px=896"), "asked in another way"),
    ):
        found = evidence_of(path, *asked)
        assert found.cards == {}
        assert found.caution is not None
        assert said in found.caution.message


def test_synthetic_cards_cannot_be_external_even_by_hand(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text(FOUND.model_dump_json().replace('"rna"', '"synthetic"'))
    with pytest.raises(CaseFileError, match="no external validation"):
        read_validation(path)


@pytest.mark.parametrize("text", ["{}", "[", '{"checkpoint": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(CaseFileError, match=r"validation\.json: .*evaluate the checkpoint again"):
        read_validation(path)
