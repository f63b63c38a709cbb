"""The question: which images of which patient, and what is known from elsewhere."""

from pathlib import Path

from pydantic import Field, field_validator

from immunopath.domain.base import Frozen
from immunopath.domain.clinical import ClinicalContext
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

    @field_validator("images", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @field_validator("mpp")
    @classmethod
    def _sane_mpp(cls, value: float | None) -> float | None:
        return None if value is None else checked_mpp(value)
