"""From a case's tables as an engine reads them to calibrated ones, for every engine alike.

    calibrator = chosen_calibrator(options, folder, digest)  # once, when the engine is built
    ...
    result = calibrated_result(result, calibrator)  # of every case

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
from immunopath.domain.words import counted
from immunopath.models.calibration import CalibratedTable, Calibrator
from immunopath.models.validation import SYNTHETIC

V = TypeVar("V", str, float)

_DECIMALS: Final = 6


def calibrated_result(result: PredictorResult, calibrator: Calibrator | None) -> PredictorResult:
    """Return what an engine says of a case with calibrated tables and what speaks against them.

    The result is returned as it is without a calibrator, and when it states no table at all.
    """
    stated = [field for _, field in result.profile.items() if field.probabilities]
    if calibrator is None or not stated:
        return result
    first, n_tiles = stated[0], max(field.n_tiles for field in stated)
    said = calibration_cautions(calibrator, first.conditioning, n_tiles, first.source.preprocess)
    changed = {
        "profile": calibrated_profile(result.profile, calibrator),
        "cautions": (*result.cautions, *said),
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
    if field.abstained or field.calibrated or not table:
        return field
    if differences(calibrator, field.conditioning, field.source.preprocess):
        return field
    stated = calibrator.field(name).apply(table)
    return _stated(field, stated, calibrator.digest) if stated.calibrated else field


def differences(
    calibrator: Calibrator, conditioning: str | None, preprocess: str | None
) -> tuple[str, ...]:
    """Return in what tables were asked for otherwise than in the calibration; empty when alike.

    conditioning: as in `FieldPrediction`, preprocess: as in `Provenance`; the latter is compared
    where both sides know it.
    """
    found = []
    if conditioning != calibrator.conditioning:
        theirs, ours = calibrator.conditioning or "none", conditioning or "none"
        found.append(f"conditioning {ours} instead of {theirs}")
    if preprocess and calibrator.preprocess and preprocess != calibrator.preprocess:
        before, now = (set(text.split(";")) for text in (calibrator.preprocess, preprocess))
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
    calibrator: Calibrator,
    conditioning: str | None,
    n_tiles: int | None = None,
    preprocess: str | None = None,
) -> tuple[EngineCaution, ...]:
    """Return what a report must say of a calibrator that serves a case of `n_tiles` tiles.

    conditioning, preprocess: of the case's tables, see `differences`.
    """
    others = differences(calibrator, conditioning, preprocess)
    if others:
        return (_not_applied(others),)
    found = [] if SYNTHETIC not in calibrator.origins else [_ON_SYNTHETIC]
    if calibrator.stopped_on:
        found.append(_on_stop_patients(calibrator))
    least, most = calibrator.n_tiles
    if n_tiles is not None and most > 0 and not least <= n_tiles <= most:
        found.append(
            EngineCaution(
                code="CALIBRATED_ON_OTHER_TILE_COUNTS",
                severity="caution",
                message=f"The case has {counted(n_tiles, 'tile')}; the calibration saw cases of "
                f"{least} to {most}, so its coverage is not known here.",
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


def _on_stop_patients(calibrator: Calibrator) -> EngineCaution:
    return EngineCaution(
        code="CALIBRATED_ON_STOP_PATIENTS",
        severity="note",
        message=calibrator.stop_text,
        action="Judge the calibration on the split test, or calibrate on validation patients that "
        "the training never read.",
    )


def _not_applied(others: tuple[str, ...]) -> EngineCaution:
    return EngineCaution(
        code="CALIBRATION_NOT_APPLIED",
        severity="caution",
        message=f"The calibration was fitted on answers to another question ({', '.join(others)}): "
        "the tables stay uncalibrated.",
        action="Ask as in the calibration, or calibrate again.",
    )
