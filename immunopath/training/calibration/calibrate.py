"""``immunopath calibrate``: what may be calibrated on what, and the file that comes of it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from immunopath import __version__
from immunopath.domain.errors import CalibratorMismatch, CaseFileError, InputError
from immunopath.domain.files import MAX_TABLE, read_small
from immunopath.domain.words import counted
from immunopath.models.calibration import Calibrator
from immunopath.models.seen import Seen
from immunopath.models.validation import SYNTHETIC
from immunopath.training.calibration.fit import FitOptions, fit_fields
from immunopath.training.predictions import PredictionSet, read_predictions
from immunopath.training.samples import Sample, read_samples
from immunopath.training.seen import key_of, keys_of, read_seen, require_unseen

SPLIT: Final = "val"
_REFUSED: Final = {
    "train": "the model has seen these patients, so its tables look better on them than they are",
    "test": "the test patients then say nothing of the calibration any more",
}


def fit_calibrator(
    predictions: Path,
    samples: Path,
    split: str = SPLIT,
    options: FitOptions | None = None,
    checkpoint: Path | None = None,
) -> Calibrator:
    """Return the calibrator of the answers in a file on the patients of one split.

    checkpoint: the folder of what answered, whose record says whom it was trained on. Raises
    `CaseFileError` for files that cannot be read or do not belong together, `InputError` for a
    split that may not be used, and `LeakageError` for patients of it who trained the checkpoint.
    """
    asked = options or FitOptions()
    require_split(split)
    found, table = read_predictions(predictions), read_samples(samples)
    _require_raw(found, predictions)
    chosen = _of_split(found, table, split, predictions, samples)
    seen = None if checkpoint is None else read_seen(checkpoint)
    if checkpoint is not None and seen is not None:
        held = [sample for sample in table if sample.split == split]
        require_unseen(seen, held, "val", checkpoint)
    tiles = [a.n_tiles for a in found.answers if a.patient_id in chosen and a.n_tiles > 0] or [0]
    patients = [sample for sample in table if sample.patient_id in chosen]
    return Calibrator(
        version=__version__,
        engine=found.engine,
        checkpoint=found.digest,
        predictions=_sha256(predictions),
        samples=_sha256(samples),
        conditioning=found.conditioning,
        preprocess=found.preprocess,
        split="val",
        origins=tuple(sorted({sample.origin for sample in patients})),
        n=len(patients),
        patients=keys_of(patients),
        n_tiles=(min(tiles), max(tiles)),
        coverage=asked.coverage,
        seed=asked.seed,
        stopped_on=_stopped_on(seen, patients),
        fields=fit_fields(patients, found, asked),
    )


def require_split(split: str) -> None:
    """Raise `InputError` unless the split is the validation split."""
    if split == SPLIT:
        return
    why = _REFUSED.get(split, "there is no such split")
    raise InputError(f"--split {split}: {why}; calibrate on {SPLIT}")


def require_checkpoint(calibrator: Calibrator, digest: str | None, where: Path) -> None:
    """Raise `CalibratorMismatch` when the checkpoint at `where` is known to be another one."""
    if digest is not None and digest != calibrator.checkpoint:
        raise CalibratorMismatch(
            f"{where}: has digest {digest[:12]}…, the predictions are those of "
            f"{calibrator.checkpoint[:12]}…; give the folder of the checkpoint that made them"
        )


def _stopped_on(seen: Seen | None, patients: Sequence[Sample]) -> int | None:
    """Return how many patients decided when training stopped; None when no record can say it."""
    real = [sample for sample in patients if sample.origin != SYNTHETIC]
    if seen is None or len(real) < len(patients):
        return None
    stopped = set(seen.val)
    return sum(key_of(sample.patient_id) in stopped for sample in real)


def _require_raw(found: PredictionSet, path: Path) -> None:
    if found.calibrated:
        raise CaseFileError(
            f"{path}: the answers are calibrated already; predict again with calibration=none"
        )
    if found.control != "none":
        raise CaseFileError(
            f"{path}: holds answers to {found.control} images; calibrate on those to the true ones"
        )
    if not found.answers:
        raise CaseFileError(f"{path}: holds no answer")


def _of_split(
    found: PredictionSet, table: Sequence[Sample], split: str, predictions: Path, samples: Path
) -> set[str]:
    """Return the answered patients of a split; a patient of no table is a wrong table."""
    splits = {sample.patient_id: sample.split for sample in table}
    answered = [answer.patient_id for answer in found.answers]
    unknown = [patient for patient in answered if patient not in splits]
    if unknown:
        raise CaseFileError(
            f"{predictions}: patient {unknown[0]!r} is not in {samples}; give the samples that "
            "these answers are about"
        )
    chosen = {patient for patient in answered if splits[patient] == split}
    if not chosen:
        others = sorted({splits[patient] or "no split" for patient in answered})
        raise CaseFileError(
            f"{predictions}: none of {counted(len(answered), 'patient')} is of the split {split} "
            f"(they are of {', '.join(others)}); predict the {split} patients"
        )
    return chosen


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_small(path, "a table", MAX_TABLE)).hexdigest()
