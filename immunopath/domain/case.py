"""The question: which images of which patient, and what is known from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import ClinicalContext
from immunopath.domain.errors import RegionError
from immunopath.domain.region import Region, checked_regions
from immunopath.domain.units import checked_mpp

MAX_CASE_ID = 200


def named_after(image: Path) -> str:
    """Return the case id for an image that was given without one: its name, cut to length."""
    name = image.stem.encode("utf-8", "backslashreplace").decode("utf-8")
    return name[:MAX_CASE_ID] or "case"


class Case(Frozen):
    """One patient's H&E images and measured clinical facts.

    ``Case(case_id="P-17", images="core.tif", mpp=0.5)`` is enough: a single path becomes a tuple.
    """

    case_id: str = Field(min_length=1, max_length=MAX_CASE_ID)
    """A pseudonym. Any text: file names are derived from it by slug and digest."""
    images: tuple[Path, ...] = Field(min_length=1)
    mpp: float | None = None
    """Stated µm per pixel of all images, in [0.05, 20]; None = read it from the files."""
    patient_id: str | None = None
    """Leaves the patient's own entries out of retrieval."""
    clinical: ClinicalContext = Field(default_factory=ClinicalContext)
    regions: tuple[Region, ...] = ()
    """Picked by hand: x, y, width, height in level-0 pixels of the one image; only they are read.

    Empty = a slide is read at places spread over its tissue, an image as a whole.
    """

    @field_validator("images", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @field_validator("mpp")
    @classmethod
    def _sane_mpp(cls, value: float | None) -> float | None:
        return None if value is None else checked_mpp(value)

    @field_validator("regions", mode="before")
    @classmethod
    def _boxes(cls, value: object) -> object:
        """Raise `RegionError` itself, which names the region at fault."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise RegionError("regions: give a list of (x, y, width, height) in level-0 pixels")
        if not all(isinstance(box, Sequence) and not isinstance(box, str) for box in value[:100]):
            raise RegionError("regions: each is (x, y, width, height) in level-0 pixels")
        return checked_regions(value)

    @model_validator(mode="after")
    def _of_one_image(self) -> Self:
        if self.regions and len(self.images) != 1:
            raise RegionError(
                f"regions were picked for {len(self.images)} images; pick them on one slide"
            )
        return self
