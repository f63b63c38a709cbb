"""What is known of a checkpoint's fields: the file ``validation.json`` beside its record.

Written by ``immunopath evaluate`` and read by every predictor that answers from a checkpoint. The
trust gate opens for a field only with a card out of such a file (`guidelines.md` 3.2); a file of
another checkpoint is no evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from immunopath.domain.base import Frozen
from immunopath.domain.files import write_text
from immunopath.domain.json_file import JsonFile
from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    EngineCaution,
    ValidationCard,
)

FILE: Final = "validation.json"
SYNTHETIC: Final = "synthetic"


class ValidationFile(Frozen):
    """The cards of one checkpoint, asked in one way.

    checkpoint: digest of what answered (`EngineInfo.weights_digest`); calibrator: digest of the
    calibration that its tables went through, None = raw; conditioning: as in `FieldPrediction`;
    preprocess: as in `Provenance`, empty when it was not known; origin: of the labels; evaluation:
    SHA-256 of the ``evaluation.json`` that says everything; cards: by field, only of fields that
    could be evaluated.
    """

    schema_version: Literal[1] = 1
    checkpoint: str
    calibrator: str | None = None
    conditioning: str | None = None
    preprocess: str = ""
    origin: str
    split: str
    evaluation: str
    cards: dict[str, ValidationCard] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _honest(self) -> Self:
        unknown = sorted(set(self.cards) - set(FIELD_VALUES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of the eight fields")
        if SYNTHETIC in self.origin and any(card.external for card in self.cards.values()):
            raise ValueError("rendered images are no external validation")
        return self


@dataclass(frozen=True)
class Evidence:
    """Cards by field that hold for an engine, and what a report must say about the file."""

    cards: Mapping[str, ValidationCard] = field(default_factory=dict)
    caution: EngineCaution | None = None


def write_validation(found: ValidationFile, path: Path) -> None:
    """Write a file of cards, whole or not at all."""
    write_text(path, found.model_dump_json(indent=2) + "\n")


_FILE = JsonFile(
    ValidationFile,
    "a file of cards",
    whole="cards",
    remedy="evaluate the checkpoint again or remove the file",
)


def read_validation(path: Path) -> ValidationFile | None:
    """Return the file, None when there is none; raises `CaseFileError` for one that is damaged."""
    if not path.is_file():
        return None
    return _FILE.read(path)


def evidence_of(
    path: Path,
    digest: str,
    calibrator: str | None = None,
    conditioning: str | None = None,
    preprocess: str = "",
) -> Evidence:
    """Return the cards in a file if they are of this checkpoint as it answers now.

    digest: of the engine; calibrator: digest of the calibration that its tables go through;
    conditioning, preprocess: how it asks (the latter is compared where both sides say it). Cards of
    other weights, or of the same ones asked otherwise, are left out with a caution. Raises
    `CaseFileError` for a damaged file.
    """
    found = read_validation(path)
    if found is None:
        return Evidence()
    if found.checkpoint != digest:
        return Evidence(caution=_not_used("of other weights"))
    if found.calibrator != calibrator:
        return Evidence(caution=_not_used("of this checkpoint under another calibration"))
    if found.conditioning != conditioning:
        return Evidence(caution=_not_used("of this checkpoint under another conditioning"))
    if preprocess and found.preprocess and found.preprocess != preprocess:
        return Evidence(caution=_not_used("of this checkpoint asked in another way"))
    return Evidence(found.cards)


def validated_profile(
    profile: BiomarkerProfile, cards: Mapping[str, ValidationCard]
) -> BiomarkerProfile:
    """Return the profile with the card of every field that has one."""
    if not cards:
        return profile
    fields = {
        name: found.model_copy(update={"validation": cards.get(name)})
        for name, found in profile.items()
    }
    return profile.model_copy(update=fields)


def _not_used(why: str) -> EngineCaution:
    return EngineCaution(
        code="VALIDATION_NOT_USED",
        severity="caution",
        message=f"The validation beside the checkpoint is {why}, so it says nothing of these "
        "answers.",
        action="Evaluate the checkpoint again with 'immunopath evaluate'.",
    )
