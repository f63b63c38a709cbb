"""Values that a laboratory or a clinician states. No prediction can enter here."""

from datetime import date
from enum import StrEnum
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.prediction import FieldPrediction

T = TypeVar("T")


class State(StrEnum):
    """What is known of a measurement. ``unknown`` means that nobody said."""

    measured = "measured"
    pending = "pending"
    not_done = "not_done"
    failed = "failed"
    indeterminate = "indeterminate"
    unknown = "unknown"


SpecimenType = Literal["resection", "core", "fna_cellblock", "cytology", "fluid", "ctdna_only"]


class SpecimenRef(Frozen):
    """Where a measurement came from. Every key is optional: absent is unknown."""

    site: str | None = None
    type: SpecimenType | None = None
    collected: date | None = None
    tumour_cellularity_pct: float | None = Field(default=None, ge=0, le=100)
    viable_tumour_cells: int | None = Field(default=None, ge=0)
    decalcified: bool | None = None
    before_intervening_therapy: bool | None = None
    """True when a systemic therapy was given after this specimen was taken."""


class Measured(Frozen, Generic[T]):
    """A measured value and its state (`guidelines.md` 1.1).

    ``value`` is present exactly when ``state`` is ``measured``. Dates in the future cannot be
    judged without a clock: see `future_dates`.
    """

    state: State = State.unknown
    value: T | None = None
    method: str | None = None
    """E.g. ``IHC``, ``NGS_DNA``, ``NGS_RNA``, ``NGS_DNA_RNA``, ``FISH``, ``PCR``, ``CTDNA_NGS``."""
    assay: str | None = None
    """E.g. ``22C3_pharmDx``."""
    specimen: SpecimenRef | None = None
    reported_on: date | None = None
    lab: str | None = None
    source_ref: str | None = None
    """Document id, for provenance."""

    @model_validator(mode="after")
    def _value_exactly_when_measured(self) -> Self:
        if isinstance(self.value, FieldPrediction):
            raise ValueError("a prediction is not a measured value")
        if self.state is State.measured and self.value is None:
            raise ValueError("state 'measured' needs a value")
        if self.state is not State.measured and self.value is not None:
            raise ValueError(f"state '{self.state}' cannot carry a value")
        return self

    @property
    def known(self) -> bool:
        """True when there is a value."""
        return self.state is State.measured

    def future_dates(self, as_of: date) -> tuple[str, ...]:
        """Return the names of date fields that lie after `as_of`."""
        dates = {
            "reported_on": self.reported_on,
            "specimen.collected": self.specimen.collected if self.specimen else None,
        }
        return tuple(name for name, day in dates.items() if day is not None and day > as_of)
