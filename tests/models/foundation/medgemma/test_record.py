"""Records: what a checkpoint was trained with, from file, shipped, or said by the user."""

import json
from pathlib import Path

import pytest
from tiny_medgemma import RECORD

from immunopath.domain.errors import EngineSpecError, RecordMissing
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.models.foundation.medgemma.published import PUBLISHED, SHORT_NAMES, V2, V31
from immunopath.models.foundation.medgemma.record import (
    ZERO_SHOT,
    overridden,
    read_record,
    record_from_options,
    write_record,
)


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    path = write_record(RECORD, tmp_path)
    assert path.name == "immunopath.json"
    assert read_record(path) == RECORD.model_copy(
        update={"prompt_digest": RECORD.the_prompt.digest}
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"prompt_text": "Another."}, "prompt_digest"),
        ({"prompt_text": None}, "is not shipped"),
        ({"keys": ["msi_status", "msi_status"]}, "different fields"),
        ({"keys": ["tmb"]}, "different fields"),
        ({"format": "yaml"}, "format"),
        ({"images": 0}, "images"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_record_names_file_and_key(
    tmp_path: Path, change: dict[str, object], match: str
) -> None:
    path = write_record(RECORD, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordMissing, match=match) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


def test_the_published_adapters_are_recorded_as_they_were_trained() -> None:
    v31, v2 = PUBLISHED[V31], PUBLISHED[V2]
    assert (v31.images, v31.format, v31.prompt) == (2, "indented", "v3.1-run")
    assert v31.keys == tuple(FIELD_VALUES)
    assert v31.quantity == "rna_score_minmax"
    assert v31.cut_points is not None
    assert (v31.cut_points.low, v31.cut_points.high) == (0.310, 0.522)
    assert (v2.images, v2.format, v2.prompt) == (4, "single_line", "v2-run")
    assert v2.keys[3:5] == ("immune_phenotype", "cd8_infiltration")
    assert set(v2.keys) == set(FIELD_VALUES)
    assert v2.quantity == "rna_score_sigmoid"
    assert set(SHORT_NAMES.values()) == set(PUBLISHED)


@pytest.mark.parametrize("name", [V31, V2])
def test_their_collapse_is_part_of_the_record(name: str) -> None:
    codes = {c.code: c.severity for c in PUBLISHED[name].cautions}
    assert codes["CHECKPOINT_COLLAPSED"] == "serious"
    assert "TRAINED_ON_MIXED_RESOLUTION" in codes


def test_what_the_engine_string_says_replaces_the_record_and_is_reported() -> None:
    changed = overridden(RECORD, {"images": "2", "mpp": "0.25", "px": "128", "prompt": "card-v1"})
    assert (changed.images, changed.mpp, changed.patch_px) == (2, 0.25, 128)
    assert changed.the_prompt.id == "card-v1"
    [caution] = changed.cautions
    assert caution.code == "ASKED_OTHERWISE_THAN_TRAINED"
    assert "images" in caution.message


def test_saying_what_the_record_says_is_no_change() -> None:
    assert overridden(RECORD, {"images": "1", "quant": "nf4"}).cautions == ()
    assert overridden(ZERO_SHOT, {"px": "64"}).cautions == ZERO_SHOT.cautions


@pytest.mark.parametrize(
    "options", [{"images": "none"}, {"mpp": "0"}, {"px": "3"}, {"format": "x"}, {"prompt": "x"}]
)
def test_a_wrong_override_names_its_option(options: dict[str, str]) -> None:
    with pytest.raises(EngineSpecError, match=next(iter(options))):
        overridden(RECORD, options)


def test_without_a_record_prompt_and_format_must_be_said() -> None:
    for options in ({}, {"prompt": "card-v1"}, {"format": "compact"}):
        with pytest.raises(RecordMissing, match="prompt="):
            record_from_options(options, "somebody/adapter")
    made = record_from_options({"prompt": "card-v1", "format": "compact"}, "somebody/adapter")
    assert (made.format, made.quantity, made.cut_points) == ("compact", "undeclared", None)
    assert [c.code for c in made.cautions] == ["RECORD_BY_USER"]
