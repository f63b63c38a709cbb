"""How a MIL head is trained, as one value that refuses unknown keys."""

from typing import Self

from pydantic import Field, ValidationError

from immunopath.domain.base import Frozen, fault_of
from immunopath.domain.errors import CaseFileError
from immunopath.domain.prediction import FIELD_VALUES


class MilSettings(Frozen):
    """Of one training.

    fields: to be trained, empty = every field whose labels allow it; quantity: of ``til_fraction``
    (a `Quantity`), empty = as the cohort says; members: heads whose tables are averaged; hidden,
    attention: widths; dropout: of hidden units; tile_dropout: share of a patient's tiles that an
    epoch leaves out; max_tiles: of a patient in one step; balance: exponent of the class weights,
    0 = none, 1 = every class weighs the same (probabilities are corrected for it);
    rate, decay: of AdamW; patience: epochs without a better validation loss.
    """

    fields: tuple[str, ...] = ()
    quantity: str = ""
    seed: int = 0
    members: int = Field(default=5, ge=1, le=50)
    hidden: int = Field(default=64, ge=4, le=1024)
    attention: int = Field(default=32, ge=2, le=1024)
    dropout: float = Field(default=0.25, ge=0, lt=1)
    tile_dropout: float = Field(default=0.3, ge=0, lt=1)
    max_tiles: int = Field(default=128, ge=1)
    balance: float = Field(default=0.5, ge=0, le=1)
    epochs: int = Field(default=200, ge=1, le=10_000)
    patience: int = Field(default=25, ge=1)
    batch: int = Field(default=32, ge=2)
    rate: float = Field(default=2e-3, gt=0, lt=1)
    decay: float = Field(default=1e-2, ge=0)

    @classmethod
    def make(cls, values: dict[str, object]) -> Self:
        """Return settings; raises `CaseFileError` naming the key, also for an unknown field."""
        try:
            found = cls.model_validate(values)
        except ValidationError as error:
            raise CaseFileError(
                f"settings of the MIL head: {fault_of(error, 'settings')}"
            ) from error
        unknown = [name for name in found.fields if name not in FIELD_VALUES]
        if unknown:
            raise CaseFileError(
                f"settings of the MIL head: fields: {unknown[0]!r} is not one of "
                f"{', '.join(FIELD_VALUES)}"
            )
        return found
