"""What an atlas knows of each reference patch, and which encoder its vectors came from."""

import base64
import hashlib
import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import FIELD_VALUES, Quantity
from immunopath.domain.units import TILE_PX, WORKING_MPP
from immunopath.models.protocols import EngineInfo

MAX_THUMBNAIL_BYTES = 20_000
EXTRA_LABELS: dict[str, tuple[str, ...]] = {"lymphocyte_rich": ("yes", "no")}
"""Labels that are no profile field but are known of some patches; they are shown and voted on."""
_JPEG = b"\xff\xd8\xff"
_TCGA = re.compile(r"tcga-[a-z0-9]{2}-[a-z0-9]{4}")


class AtlasEntry(Frozen):
    """One reference patch: a tile of an image, with only what is really known of it."""

    entry_id: str = Field(min_length=1, max_length=200)
    image_id: str = Field(min_length=1, max_length=200)
    """Tiles of one image share it."""
    title: str
    tissue: str = ""
    labels: dict[str, str | float] = Field(default_factory=dict)
    label_quantity: Quantity | None = None
    """What stands behind a ``til_fraction`` label; required with one."""
    patient_id: str | None = None
    """None = unknown, which excludes nothing."""
    image_sha256: str
    pixels_sha256: str
    mpp: float = Field(gt=0)
    mpp_source: str
    source: str
    licence: str
    attribution: str
    thumbnail: str | None = None
    """JPEG of at most 96 px, base64."""

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, labels: dict[str, str | float]) -> dict[str, str | float]:
        for name, value in labels.items():
            if name not in FIELD_VALUES and name not in EXTRA_LABELS:
                known = ", ".join([*FIELD_VALUES, *EXTRA_LABELS])
                raise ValueError(f"label {name!r} is not known; use {known}")
            allowed = FIELD_VALUES[name] if name in FIELD_VALUES else EXTRA_LABELS[name]
            if allowed is None:
                if isinstance(value, str) or not 0 <= value <= 1:
                    raise ValueError(f"label {name} is a number in [0, 1], not {value!r}")
            elif value not in allowed:
                raise ValueError(f"label {name} is one of {', '.join(allowed)}, not {value!r}")
        return labels

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "til_fraction" in self.labels and self.label_quantity is None:
            raise ValueError("a til_fraction label needs its label_quantity")
        if self.thumbnail is not None:
            data = base64.b64decode(self.thumbnail, validate=True)
            if not data.startswith(_JPEG) or len(data) > MAX_THUMBNAIL_BYTES:
                raise ValueError(f"a thumbnail is a JPEG of at most {MAX_THUMBNAIL_BYTES} bytes")
        return self

    @property
    def thumbnail_jpeg(self) -> bytes | None:
        """The thumbnail's bytes, or None."""
        return None if self.thumbnail is None else base64.b64decode(self.thumbnail)


class Encoder(Frozen):
    """Which encoder made a vector. Two vectors compare only when these are equal."""

    name: str
    revision: str
    weights_digest: str | None
    size: int = Field(gt=0)
    preprocess_digest: str
    """SHA-256 over the resolution, input size and tile grid that the pixels went through."""

    @classmethod
    def of(cls, info: EngineInfo) -> Self:
        """Return the identity of an embedder from its `EngineInfo`.

        Raises `ValueError` for an engine that states no embedding size.
        """
        if info.embedding_size is None:
            raise ValueError(f"{info.name} is no embedder: it states no embedding size")
        steps = f"mpp={info.expected_mpp};px={info.input_px};tile={TILE_PX}@{WORKING_MPP}"
        if info.preprocess:
            steps += f";{info.preprocess}"
        return cls(
            name=info.name,
            revision=info.revision,
            weights_digest=info.weights_digest,
            size=info.embedding_size,
            preprocess_digest=hashlib.sha256(steps.encode()).hexdigest(),
        )

    def __str__(self) -> str:
        weights = (self.weights_digest or "no digest")[:8]
        return f"{self.name} {self.revision} ({weights}, {self.size} numbers)"


def patient_key(patient_id: str) -> str:
    """Return what two ids of one patient share: a TCGA slide or sample barcode names its patient.

    Case and surrounding blanks do not count.
    """
    text = patient_id.strip().casefold()
    found = _TCGA.match(text)
    return found.group() if found else text
