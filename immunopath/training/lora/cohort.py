"""A cohort folder as training reads it: patients with labels and tile files, checked as a whole."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import require_file
from immunopath.domain.prediction import FIELD_VALUES
from immunopath.imaging.tile_manifest import TileRow, read_tiles
from immunopath.training.lora.config import TrainConfig
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples

_SHOWN = 5


@dataclass(frozen=True)
class Patient:
    """A sample and the files of its tiles; first: of the selected ones, in manifest order."""

    sample: Sample
    tiles: tuple[Path, ...]
    first: tuple[Path, ...]


@dataclass(frozen=True)
class TrainingCohort:
    """What is trained and validated on.

    mpp (µm per pixel) and patch_px: of every tile; left_out: patients that cannot be used, with
    the reason; origins: how many patients of each origin.
    """

    train: tuple[Patient, ...]
    val: tuple[Patient, ...]
    mpp: float
    patch_px: int
    left_out: Mapping[str, str]
    origins: Mapping[str, int]


def checked_cohort(config: TrainConfig) -> TrainingCohort:
    """Return the training and validation patients of the configured cohort folder.

    A patient without a known label of the wanted keys, or without a tile, is left out and
    listed. Raises `CaseFileError`: a table missing or invalid, no training patient, patients
    without a split, a field whose training labels are all the same or all unknown, tiles of
    several sizes, tiles whose file is not there, settings that the cohort cannot serve.
    """
    folder, data = config.cohort, config.data
    samples = read_samples(folder / SAMPLES)
    _check_splits(folder, samples)
    rows = read_tiles(folder / TILES)
    by_patient: dict[str, list[TileRow]] = {}
    for row in rows:
        by_patient.setdefault(row.patient_id, []).append(row)
    left_out: dict[str, str] = {}
    kept: dict[str, list[Patient]] = {"train": [], "val": []}
    for sample in samples:
        if sample.split not in kept:
            continue
        tiles = by_patient.get(sample.patient_id, [])
        reason = _unusable(sample, tiles, data.keys)
        if reason:
            left_out[sample.patient_id] = reason
        else:
            kept[sample.split].append(_patient(folder, sample, tiles))
    if not kept["train"]:
        why = next(iter(left_out.values()), "no patient is in the split train")
        raise CaseFileError(f"{folder / SAMPLES}: no patient to train on ({why})")
    _check_labels(folder, [p.sample for p in kept["train"]], data.keys)
    mpp, px = _scale(folder, rows)
    used = [*kept["train"], *kept["val"]]
    found = TrainingCohort(
        train=tuple(kept["train"]),
        val=tuple(kept["val"]),
        mpp=mpp,
        patch_px=px,
        left_out=left_out,
        origins=dict(sorted(Counter(p.sample.origin for p in used).items())),
    )
    _check_settings(config, found)
    return found


def _check_settings(config: TrainConfig, cohort: TrainingCohort) -> None:
    if config.data.tiles < config.data.images:
        raise CaseFileError(
            f"data.tiles {config.data.tiles} is below data.images {config.data.images}; show at "
            "least as many tiles as a prompt has images"
        )
    if not cohort.val and config.run.patience:
        raise CaseFileError(
            "run.patience needs validation patients and the cohort has none in its split val; set "
            "it to 0 to train without"
        )


def _check_splits(folder: Path, samples: Sequence[Sample]) -> None:
    lost = [s.patient_id for s in samples if s.split is None]
    if lost:
        raise CaseFileError(
            f"{folder / SAMPLES}: {len(lost)} patients are in no split ({_some(lost)}); give each "
            "train, val or test"
        )


def _unusable(sample: Sample, tiles: Sequence[TileRow], keys: Sequence[str]) -> str:
    if all(sample.label(key) is None for key in keys):
        return "no label of the wanted keys is known"
    return "" if tiles else "no tile in the manifest"


def _patient(folder: Path, sample: Sample, tiles: Sequence[TileRow]) -> Patient:
    missing = [tile.tile_id for tile in tiles if tile.file is None]
    if missing:
        raise CaseFileError(
            f"{folder / TILES}: {len(missing)} tiles of patient {sample.patient_id!r} have no "
            f"rendered file ({_some(missing)}); write the tiles as files first"
        )
    files = tuple(folder / tile.file for tile in tiles if tile.file is not None)
    for file in files:
        require_file(file, "the image of a tile")
    selected = tuple(f for f, t in zip(files, tiles, strict=True) if t.selected)
    return Patient(sample, files, selected or files)


def _check_labels(folder: Path, samples: Sequence[Sample], keys: Sequence[str]) -> None:
    """Raise for a field that cannot be learned: one value, or none, in all training patients."""
    for key in keys:
        values = {s.label(key) for s in samples} - {None}
        if len(values) > 1 or (len(samples) == 1 and values):
            continue
        what = "unknown" if not values else f"the same ({next(iter(values))})"
        rest = ", ".join(k for k in keys if k != key) or "another field"
        raise CaseFileError(
            f"{folder / SAMPLES}: {key}: the labels of all {len(samples)} training patients are "
            f"{what}, so nothing can be learned of it; set data.keys to the others ({rest})"
        )


def _scale(folder: Path, rows: Sequence[TileRow]) -> tuple[float, int]:
    found = sorted({(row.target_mpp, row.size_px) for row in rows})
    if len(found) != 1:
        words = " and ".join(f"{px} px at {mpp:g} µm/px" for mpp, px in found[:3])
        raise CaseFileError(f"{folder / TILES}: holds tiles of {words}; make all alike")
    return found[0]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def label_counts(patients: Sequence[Patient], keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return per field how many patients have each class, or a known number; unknown counted."""
    found: dict[str, dict[str, int]] = {}
    for key in keys:
        values = [p.sample.label(key) for p in patients]
        known = [v for v in values if v is not None]
        allowed = FIELD_VALUES[key]
        counted = Counter(known) if allowed else {"number": len(known)}
        table = {str(v): int(counted.get(v, 0)) for v in allowed or ("number",)}
        found[key] = table | {"unknown": len(values) - len(known)}
    return found
