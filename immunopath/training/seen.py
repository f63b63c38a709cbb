"""Nobody is tested on whom a checkpoint was made: its record knows its patients again.

Splits are made anew more often than models are trained, and a test patient of one split is a
training patient of another. The published project compared two versions on such patients.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from immunopath.domain.errors import InputError, LeakageError, first_few
from immunopath.domain.files import read_bounded
from immunopath.domain.words import counted
from immunopath.models.calibration import load_calibrator
from immunopath.models.seen import Seen
from immunopath.training.cohort.barcodes import patient_key
from immunopath.training.samples import Sample, Split

RECORDS: Final = ("immunopath.json", "mil.json")


def key_of(patient_id: str) -> str:
    """Return the short digest of a patient, the same under every barcode."""
    return hashlib.sha256(patient_key(patient_id).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def keys_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the digests of patients, sorted; none of drawn ones, whose names are only counted."""
    return tuple(sorted(key_of(s.patient_id) for s in samples if s.origin != "synthetic"))


def seen_of(train: Sequence[Sample], val: Sequence[Sample]) -> Seen:
    """Return what a record keeps of the patients of a training."""
    real = [s for s in (*train, *val) if s.origin != "synthetic"]
    sites = tuple(sorted({s.site for s in real if s.site}))
    return Seen(train=keys_of(train), val=keys_of(val), sites=sites)


def read_seen(folder: Path) -> Seen | None:
    """Return whom the checkpoint in a folder was made from; None when its record does not say.

    Raises `InputError` for a record that is damaged.
    """
    for path in (folder / name for name in RECORDS):
        if not path.is_file():
            continue
        try:
            found: Any = json.loads(read_bounded(path))
            said = found.get("seen") or (found.get("training") or {}).get("seen")
            return None if said is None else Seen.model_validate(said)
        except (OSError, ValueError, AttributeError, ValidationError) as error:
            raise InputError(f"{path}: is no record; it should say what the model is") from error
    return None


def require_unseen(seen: Seen, samples: Sequence[Sample], split: Split, where: Path) -> None:
    """Raise `LeakageError` for patients of a held-out split whom the checkpoint was made from.

    Training patients may not be in `val` or `test`, those who decided when to stop not in `test`.
    """
    known = {"train": (), "val": seen.train, "test": (*seen.train, *seen.val)}[split]
    _refuse(samples, known, f"{where}: the checkpoint was made from", f"the split {split}")


def require_uncalibrated(calibration: Path, samples: Sequence[Sample]) -> None:
    """Raise `LeakageError` for test patients whom the calibration in a file was fitted on."""
    known = load_calibrator(calibration).patients
    _refuse(samples, known, f"{calibration}: was fitted on", "the split test")


def require_external(seen: Seen, samples: Sequence[Sample], where: Path) -> None:
    """Raise `InputError` when a cohort is no external one for a checkpoint.

    samples: the whole table: with a training patient in any split it is the training cohort.
    """
    keys = {*seen.train, *seen.val}
    shared = [s.patient_id for s in samples if key_of(s.patient_id) in keys]
    if shared:
        raise InputError(
            f"--external: {where} was made from {counted(len(shared), 'patient')} of this cohort "
            f"({first_few(shared)}); leave it out, or evaluate another cohort"
        )
    sites = sorted({s.site for s in samples} & set(seen.sites))
    if sites:
        raise InputError(
            f"--external: {where} was made from patients of site {first_few(sites)}, which this "
            "cohort has too; leave it out, or name sites that are others by other names"
        )


def _refuse(samples: Sequence[Sample], keys: Sequence[str], who: str, split: str) -> None:
    known = set(keys)
    shared = [
        s.patient_id for s in samples if s.origin != "synthetic" and key_of(s.patient_id) in known
    ]
    if shared:
        raise LeakageError(
            f"{who} {len(shared)} of {counted(len(samples), 'patient')} of {split} "
            f"({first_few(shared)}); "
            "figures on them would be too good: take the splits of its training"
        )
