"""What a MIL head was trained on and with: ``mil.json`` beside ``mil.safetensors``."""

import hashlib
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.errors import RecordMissing
from immunopath.domain.files import MAX_TABLE, write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import FIELD_VALUES, CutPoints
from immunopath.models.atlas_entry import Encoder
from immunopath.models.seen import Seen

FILE: Final = "mil.json"
WEIGHTS: Final = "mil.safetensors"
SYNTHETIC: Final = "synthetic"
UNDECLARED: Final = "undeclared"
EXTERNAL: Final = "external"
"""In place of an engine string: the vectors were imported, their encoder is as declared."""


class FieldRecord(Frozen):
    """One field of a head.

    quantity: what its labels were; trainable: False makes the engine abstain with `reason`;
    n: known labels in the training split; counts: of each value there (a number has none);
    mean: of a number's labels.
    """

    quantity: str
    trainable: bool
    reason: str = ""
    n: int = Field(ge=0)
    counts: dict[str, int] = Field(default_factory=dict)
    mean: float | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if not self.trainable and not self.reason:
            raise ValueError("a field that is not trainable gives its reason")
        return self


class MilRecord(Frozen):
    """The contract of one head.

    embedder: engine string, or `EXTERNAL`; encoder: its identity, which the engine must show
    again; mpp, px: of the squares (µm per pixel, pixels a side); stain: the normalisations that
    training tiles went through (``none`` among them where some did not); fields: all eight;
    samples_digest and tiles_digest: SHA-256 of the cohort's tables; label_constants_digest: of the
    fitted constants behind the labels, None where there are none; seen: whom it was made from;
    origin: ``synthetic`` for rendered images; tiles_low, tiles_high: fewest and most tiles of a
    training patient; ood_limit: mean squared standardised distance that 99 of 100 training tiles
    keep; weights_sha256: of ``mil.safetensors``; versions: of packages.
    """

    schema_version: Literal[1] = 1
    kind: Literal["attention-mil"] = "attention-mil"
    embedder: str
    encoder: Encoder
    mpp: float = Field(gt=0.01, lt=32)
    px: int = Field(ge=16, le=8192)
    stain: tuple[str, ...] = ("none",)
    fields: dict[str, FieldRecord]
    cut_points: CutPoints | None = None
    label_constants_digest: str | None = None
    samples_digest: str
    tiles_digest: str
    origin: Literal["rna", "synthetic", "user"]
    members: int = Field(ge=1)
    hidden: int = Field(ge=1)
    attention: int = Field(ge=1)
    seed: int
    patients: dict[str, int]
    seen: Seen | None = None
    tiles_low: int = Field(ge=1)
    tiles_high: int = Field(ge=1)
    ood_limit: float = Field(gt=0)
    settings: dict[str, float | int | str | bool | None]
    versions: dict[str, str]
    weights_sha256: str

    @model_validator(mode="after")
    def _all_fields(self) -> Self:
        if set(self.fields) != set(FIELD_VALUES):
            raise ValueError(f"fields are {', '.join(FIELD_VALUES)}")
        if not self.trained:
            raise ValueError("no field is trainable")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the record, which holds the digests of weights, encoder and cohort."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def trained(self) -> tuple[str, ...]:
        """The fields that the head answers, in contract order."""
        return tuple(name for name in FIELD_VALUES if self.fields[name].trainable)


_FILE = JsonFile(
    MilRecord,
    f"the {FILE} that 'immunopath train-mil' writes",
    error=RecordMissing,
    limit=MAX_TABLE,
)


def read_record(folder: Path) -> MilRecord:
    """Return the record of a folder; raises `RecordMissing` naming the file and the key."""
    return _FILE.read(folder / FILE)


def write_record(folder: Path, record: MilRecord) -> None:
    """Write ``mil.json``, whole or not at all."""
    write_text(folder / FILE, record.model_dump_json(indent=2) + "\n")
