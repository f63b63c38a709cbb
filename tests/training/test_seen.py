"""Whom a checkpoint was made from is known again under any split and any barcode."""

import json
from pathlib import Path
from typing import Any

import pytest

from immunopath.domain.errors import InputError, LeakageError
from immunopath.models.seen import Seen
from immunopath.training.samples import Sample, Split
from immunopath.training.seen import (
    keys_of,
    read_seen,
    require_external,
    require_unseen,
    seen_of,
)

WHERE = Path("head")


def sample(patient: str, **more: Any) -> Sample:
    return Sample.model_validate({"patient_id": patient, "labels": {}, "origin": "rna"} | more)


@pytest.fixture
def seen() -> Seen:
    return seen_of(
        [sample("TCGA-05-4244-01A", site="05"), sample("b")], [sample("c", site="Turin")]
    )


@pytest.mark.parametrize(
    ("patient", "split", "refused"),
    [
        ("TCGA-05-4244", "test", True), ("TCGA-05-4244", "val", True),
        ("TCGA-05-4244", "train", False), ("c", "test", True), ("c", "val", False),
        ("d", "test", False),
    ],
)  # fmt: skip
def test_held_out_patients_are_none_of_the_training(
    seen: Seen, patient: str, split: Split, refused: bool
) -> None:
    tested = [sample("e"), sample(patient)]
    if not refused:
        require_unseen(seen, tested, split, WHERE)
        return
    with pytest.raises(LeakageError, match=f"head: .* 1 of 2 patients of the split {split}"):
        require_unseen(seen, tested, split, WHERE)


def test_a_cohort_with_a_training_patient_or_site_is_not_external(seen: Seen) -> None:
    require_external(seen, [sample("x", site="Oslo"), sample("y")], WHERE)
    with pytest.raises(InputError, match=r"made from 1 patient of this cohort \(b\)"):
        require_external(seen, [sample("x"), sample("b", split="train")], WHERE)
    with pytest.raises(InputError, match="patients of site Turin"):
        require_external(seen, [sample("x", site="Turin")], WHERE)


def test_drawn_patients_have_counted_names_and_no_keys() -> None:
    assert keys_of([sample("SYN-00001", origin="synthetic"), sample("a")]) == keys_of([sample("a")])


@pytest.mark.parametrize("name", ["mil.json", "immunopath.json"])
def test_a_record_is_read_and_a_damaged_one_named(tmp_path: Path, seen: Seen, name: str) -> None:
    assert read_seen(tmp_path) is None
    own = {"seen": seen.model_dump()}
    record: dict[str, Any] = own if name == "mil.json" else {"training": own}
    (tmp_path / name).write_text(json.dumps(record))
    assert read_seen(tmp_path) == seen
    (tmp_path / name).write_text('{"training": null}')
    assert read_seen(tmp_path) is None
    for damaged in ("{", "[]", '{"seen": {"train": 3}}'):
        (tmp_path / name).write_text(damaged)
        with pytest.raises(InputError, match=f"{name}: is no record"):
            read_seen(tmp_path)
