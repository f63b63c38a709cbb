"""From a case's tables as an engine reads them to calibrated ones, for every engine alike.

    calibrator = read_calibrator(folder)        # once, when the engine is built
    if calibrator is not None:
        calibrator.require(digest, str(folder))
    ...
    result = calibrated_result(result, calibrator)     # of every case

The tables of a case are what is calibrated: after the tiles are aggregated, never before.
"""

from typing import Any, Final, TypeVar

from immunopath.domain.prediction import (
    FIELD_VALUES,
    BiomarkerProfile,
    EngineCaution,
    FieldPrediction,
    PredictorResult,
)
from immunopath.models.calibration import CalibratedTable, Calibrator

V = TypeVar("V", str, float)

_DECIMALS: Final = 6
_SYNTHETIC: Final = "synthetic"


def calibrated_result(result: PredictorResult, calibrator: Calibrator | None) -> PredictorResult:
    """Return what an engine says of a case with calibrated tables and what speaks against them.

    Without a calibrator the result is returned as it is.
    """
    if calibrator is None:
        return result
    changed = {
        "profile": calibrated_profile(result.profile, calibrator),
        "cautions": (*result.cautions, *calibration_cautions(result.profile, calibrator)),
    }
    return result.model_copy(update=changed)


def calibrated_profile(profile: BiomarkerProfile, calibrator: Calibrator) -> BiomarkerProfile:
    """Return the profile with every stated table calibrated that the calibrator can.

    Left as they are: abstentions (the fit had only cases with a value), fields without a table,
    fields that are not evaluable, and everything that was asked in another way (see `differences`).
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
    if field.abstained or field.calibrated or not table or differences(field, calibrator):
        return field
    stated = calibrator.field(name).apply(table)
    return _stated(field, stated, calibrator.digest) if stated.calibrated else field


def differences(
    field: FieldPrediction[str] | FieldPrediction[float], calibrator: Calibrator
) -> tuple[str, ...]:
    """Return in what the field was asked otherwise than in the calibration; empty when it fits."""
    found = []
    if field.conditioning != calibrator.conditioning:
        found.append(
            f"conditioning {field.conditioning or 'none'} instead of "
            f"{calibrator.conditioning or 'none'}"
        )
    theirs, ours = calibrator.preprocess, field.source.preprocess or ""
    if theirs and theirs != ours:
        before, now = (set(text.split(";")) for text in (theirs, ours))
        found.append(
            f"{';'.join(sorted(now - before)) or 'nothing'} instead of "
            f"{';'.join(sorted(before - now)) or 'nothing'}"
        )
    return tuple(found)


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
    profile: BiomarkerProfile, calibrator: Calibrator
) -> tuple[EngineCaution, ...]:
    """Return what a report must say of a calibrator that serves this profile, not yet calibrated.

    An engine that states no table at all needs no word.
    """
    stated = [field for _, field in profile.items() if field.probabilities]
    if not stated:
        return ()
    others = tuple(dict.fromkeys(text for f in stated for text in differences(f, calibrator)))
    if others:
        return (_not_applied(others),)
    found = [] if _SYNTHETIC not in calibrator.origins else [_ON_SYNTHETIC]
    (least, most), n = calibrator.n_tiles, max(field.n_tiles for field in stated)
    if most > 0 and not least <= n <= most:
        found.append(
            EngineCaution(
                code="CALIBRATED_ON_OTHER_TILE_COUNTS",
                severity="caution",
                message=f"The case has {n} tiles; the calibration saw cases of {least} to {most}, "
                "so its coverage is not known here.",
                action="Give the predictor as many tiles as in its calibration.",
            )
        )
    return tuple(found)


_ON_SYNTHETIC: Final = EngineCaution(
    code="CALIBRATED_ON_SYNTHETIC",
    severity="serious",
    message="The predictor was calibrated on rendered images with set labels, not on patients.",
    action="Calibrate it on patients with 'immunopath calibrate' before any use.",
)


def _not_applied(others: tuple[str, ...]) -> EngineCaution:
    return EngineCaution(
        code="CALIBRATION_NOT_APPLIED",
        severity="caution",
        message=f"The calibration was fitted on answers to another question ({', '.join(others)}): "
        "the tables stay uncalibrated.",
        action="Ask as in the calibration, or calibrate again.",
    )
