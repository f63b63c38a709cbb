"""From a profile as an engine reads it to one with calibrated tables, for every engine alike.

    calibrator = read_calibrator(folder)
    if calibrator is not None:
        calibrator.require(digest)
        profile = calibrated_profile(profile, calibrator)
        cautions = (*cautions, *calibration_cautions(calibrator, conditioning, n_tiles))

Case tables are what is calibrated: after the tiles are aggregated, never before.
"""

from typing import Any, Final, TypeVar

from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    EngineCaution,
    FieldPrediction,
)
from immunopath.models.calibration import CalibratedTable, Calibrator

V = TypeVar("V", str, float)

_DECIMALS: Final = 6
_SYNTHETIC: Final = "synthetic"


def calibrated_profile(profile: BiomarkerProfile, calibrator: Calibrator) -> BiomarkerProfile:
    """Return the profile with every stated table calibrated that the calibrator can.

    Left as they are: abstentions (the fit had only cases with a value), fields without a table,
    fields that are not evaluable, and everything asked under another conditioning.
    """
    changed: dict[str, Any] = {
        name: calibrated_field(name, getattr(profile, name), calibrator) for name in FIELD_VALUES
    }
    return BiomarkerProfile(**changed)


def calibrated_field(
    name: str, field: FieldPrediction[V], calibrator: Calibrator
) -> FieldPrediction[V]:
    """Return one field with its table, value, set or interval calibrated; see above for when not.

    ``raw_value`` keeps the value that the table had before, where calibration moves it.
    """
    table = field.probabilities
    if field.abstained or field.calibrated or not table:
        return field
    if field.conditioning != calibrator.conditioning:
        return field
    stated = calibrator.field(name).apply(table)
    return _stated(field, stated, calibrator.digest) if stated.calibrated else field


def _stated(field: FieldPrediction[V], found: CalibratedTable, digest: str) -> FieldPrediction[V]:
    moved = found.value != field.value and field.raw_value is None
    span = found.interval
    values = field.model_dump() | {
        "value": found.value,
        "raw_value": field.value if moved else field.raw_value,
        "probabilities": {name: round(p, _DECIMALS) for name, p in found.probabilities.items()},
        "prediction_set": found.prediction_set,
        "interval": None if span is None else (round(span[0], 4), round(span[1], 4)),
        "coverage": found.coverage,
        "calibrated": True,
        "source": field.source.model_copy(update={"calibrator_digest": digest}),
    }
    return type(field).model_validate(values)


def calibration_cautions(
    calibrator: Calibrator, conditioning: str | None, n_tiles: int | None = None
) -> tuple[EngineCaution, ...]:
    """Return what a report must say of a calibrator that serves a case of `n_tiles` tiles.

    conditioning: of the case's tables, as in `FieldPrediction`; None for an engine without.
    """
    if conditioning != calibrator.conditioning:
        return (_other_conditioning(calibrator, conditioning),)
    found = []
    if _SYNTHETIC in calibrator.origins:
        found.append(
            EngineCaution(
                code="CALIBRATED_ON_SYNTHETIC",
                severity="serious",
                message="The predictor was calibrated on rendered images with set labels, not on "
                "patients.",
                action="Calibrate it on patients with 'immunopath calibrate' before any use.",
            )
        )
    least, most = calibrator.n_tiles
    if n_tiles is not None and most > 0 and not least <= n_tiles <= most:
        found.append(
            EngineCaution(
                code="CALIBRATED_ON_OTHER_TILE_COUNTS",
                severity="caution",
                message=f"The case has {n_tiles} tiles; the calibration saw cases of {least} to "
                f"{most}, so its coverage is not known here.",
                action="Give the predictor as many tiles as in its validation.",
            )
        )
    return tuple(found)


def _other_conditioning(calibrator: Calibrator, conditioning: str | None) -> EngineCaution:
    return EngineCaution(
        code="CALIBRATION_NOT_APPLIED",
        severity="caution",
        message=f"The calibration was fitted on tables with {calibrator.conditioning or 'no'} "
        f"conditioning, these have {conditioning or 'none'}: they stay uncalibrated.",
        action="Ask as in the calibration (option marginal=), or calibrate again.",
    )
