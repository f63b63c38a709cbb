import base64

import pytest
from pixel_store import entry
from pydantic import ValidationError

from immunopath.models.atlas_entry import Encoder, patient_key
from immunopath.models.protocols import EngineInfo

INFO = EngineInfo(
    role="embedder",
    name="x",
    revision="1",
    weights_digest="w",
    expected_mpp=0.5,
    input_px=None,
    embedding_size=4,
    licence="MIT",
    gated=False,
    description="",
)


@pytest.mark.parametrize(
    "labels",
    [
        {"til_density": "medium"},
        {"til_density": 0.5},
        {"til_fraction": 1.5},
        {"til_fraction": "high"},
        {"grade": "2"},
        {"lymphocyte_rich": 1.0},
        {"immune_phenotype": "hot"},
    ],
)
def test_labels_outside_the_vocabulary_are_refused(labels: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="label"):
        entry(1, labels=labels, label_quantity="lymphocyte_share_of_nuclei")


def test_a_fraction_says_what_it_is_a_fraction_of() -> None:
    with pytest.raises(ValidationError, match="label_quantity"):
        entry(1, labels={"til_fraction": 0.5})


@pytest.mark.parametrize("data", [b"<svg onload=x>", b"\xff\xd8\xff" + b"0" * 20_000])
def test_a_thumbnail_is_a_small_jpeg(data: bytes) -> None:
    with pytest.raises(ValidationError, match="thumbnail"):
        entry(1, thumbnail=base64.b64encode(data).decode())


def test_thumbnail_bytes_come_back() -> None:
    data = b"\xff\xd8\xff\xe0 small"
    assert entry(1, thumbnail=base64.b64encode(data).decode()).thumbnail_jpeg == data
    assert entry(1).thumbnail_jpeg is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("TCGA-05-4244", "tcga-05-4244-01Z-00-DX1", True),
        ("TCGA-05-4244", "TCGA-05-4245", False),
        (" P1", "p1 ", True),
        ("P1", "P10", False),
        ("TCGA-05", "TCGA-05-4244", False),
    ],
)
def test_patient_keys(one: str, other: str, same: bool) -> None:
    assert (patient_key(one) == patient_key(other)) is same


def test_an_encoder_differs_by_every_part_of_its_preprocessing() -> None:
    base = Encoder.of(INFO)
    changed = {
        Encoder.of(EngineInfo(**{**vars(INFO), key: value})).model_dump_json()
        for key, value in (("expected_mpp", 0.25), ("input_px", 224), ("weights_digest", "v"))
    }
    assert len(changed | {base.model_dump_json()}) == 4


def test_an_engine_without_embedding_size_is_no_encoder() -> None:
    with pytest.raises(ValueError, match="no embedder"):
        Encoder.of(EngineInfo(**{**vars(INFO), "embedding_size": None}))
