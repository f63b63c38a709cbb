"""A cohort folder as training reads it: patients with labels and tile files, checked as a whole."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from immunopath.domain.errors import (
    CaseFileError,
    EngineUnavailable,
    LabelError,
    OneClassField,
    first_few,
)
from immunopath.domain.files import read_bounded, require_file
from immunopath.domain.words import counted
from immunopath.imaging.tile_manifest import TileRow, read_tiles
from immunopath.models.foundation.weights import sha256_of
from immunopath.training.labels.recipe import LABELS, LabelRecipe, read_recipe
from immunopath.training.leakage import placed, require_no_leak
from immunopath.training.lora.config import TrainConfig
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples
from immunopath.training.synthetic import CONSTANTS

PACKAGES: Final = ("torch", "transformers", "peft", "accelerate", "safetensors", "pyarrow")


@dataclass(frozen=True)
class Patient:
    """A sample and the files of its tiles; first: of the selected ones, in manifest order."""

    sample: Sample
    tiles: tuple[Path, ...]
    first: tuple[Path, ...]


@dataclass(frozen=True)
class TrainingCohort:
    """What is trained and validated on.

    mpp (µm per pixel) and patch_px: of every tile; keys: what is trained, in answer order;
    unknown: wanted keys that no training patient has a label of, which are not asked; left_out:
    patients that cannot be used, with the reason; origins: how many patients of each origin;
    digests: SHA-256 of the tiles' files, where the manifest states them; tables: of the two tables
    themselves, which name labels, splits and tiles; recipe: what made labels from expression;
    constants: that, or what made those of rendered fields.
    """

    train: tuple[Patient, ...]
    val: tuple[Patient, ...]
    mpp: float
    patch_px: int
    keys: tuple[str, ...]
    unknown: tuple[str, ...]
    left_out: Mapping[str, str]
    origins: Mapping[str, int]
    digests: Mapping[Path, str]
    tables: Mapping[str, str]
    recipe: LabelRecipe | None
    constants: dict[str, Any] | None

    @property
    def summary(self) -> str:
        """One line: how many patients, what is left out."""
        silent = f"; no labels of {', '.join(self.unknown)}" if self.unknown else ""
        return (
            f"{counted(len(self.train), 'patient')} to train on, {len(self.val)} to validate on, "
            f"{len(self.left_out)} left out{silent}"
        )


def checked_cohort(config: TrainConfig) -> TrainingCohort:
    """Return the training and validation patients of the configured cohort folder.

    A patient without a known label of the wanted keys, or without a rendered tile, is left out
    and listed. Raises `CaseFileError`: a table missing or invalid, no training patient, patients
    without a split, labels of several origins, tiles of several sizes, tiles whose file is not
    there, settings that the cohort cannot serve; `OneClassField`: a field whose known training
    labels are all the same; `LeakageError`: a patient, slide or tile in two splits,
    or held out and behind the label constants; `LabelError`: constants that are damaged.
    """
    require_packages()
    folder, data = config.cohort, config.data
    samples = read_samples(folder / SAMPLES)
    _check_splits(folder, samples)
    recipe = read_recipe(folder / LABELS) if (folder / LABELS).is_file() else None
    if recipe is not None:
        recipe.require_held_out({s.patient_id: s.split for s in samples})
    rows = read_tiles(folder / TILES)
    require_no_leak(placed(samples, rows))
    kept, left_out = _kept(folder, samples, rows, data.keys)
    keys, unknown = _learnable(folder, [p.sample for p in kept["train"]], data.keys)
    mpp, px = _scale(folder, rows)
    used = [*kept["train"], *kept["val"]]
    found = TrainingCohort(
        train=tuple(kept["train"]),
        val=tuple(kept["val"]),
        mpp=mpp,
        patch_px=px,
        keys=keys,
        unknown=unknown,
        left_out=left_out,
        origins=dict(sorted(Counter(p.sample.origin for p in used).items())),
        digests={folder / r.file: r.sha256 for r in rows if r.file is not None and r.sha256},
        tables={name: sha256_of(folder / name) for name in (SAMPLES, TILES)},
        recipe=recipe,
        constants=_drawn(folder) if recipe is None else recipe.model_dump(mode="json"),
    )
    _check_settings(config, found)
    return found


def _drawn(folder: Path) -> dict[str, Any] | None:
    """Return what the labels of rendered fields were made with."""
    path = folder / CONSTANTS
    if not path.is_file():
        return None
    try:
        found = json.loads(read_bounded(path))
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: is no JSON ({error}); write the cohort anew") from error
    return found if isinstance(found, dict) else None


def require_packages() -> None:
    """Raise `EngineUnavailable` for a package that training needs and that is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise EngineUnavailable(
            f"training needs {', '.join(missing)}: pip install 'immunopath[foundation,train]'"
        )


def _kept(
    folder: Path, samples: Sequence[Sample], rows: Sequence[TileRow], keys: Sequence[str]
) -> tuple[dict[str, list[Patient]], dict[str, str]]:
    """Return the usable patients of train and val, and why the others are left out."""
    by_patient = _rendered(folder, rows)
    left_out: dict[str, str] = {}
    kept: dict[str, list[Patient]] = {"train": [], "val": []}
    for sample in samples:
        if sample.split not in kept:
            continue
        tiles = by_patient.get(sample.patient_id, [])
        reason = _unusable(sample, tiles, keys)
        if reason:
            left_out[sample.patient_id] = reason
        else:
            kept[sample.split].append(_patient(folder, sample, tiles))
    if not kept["train"]:
        why = next(iter(left_out.values()), "no patient is in the split train")
        raise CaseFileError(f"{folder / SAMPLES}: no patient to train on ({why})")
    return kept, left_out


def _check_settings(config: TrainConfig, cohort: TrainingCohort) -> None:
    if len(cohort.origins) > 1:
        raise CaseFileError(
            f"{config.cohort / SAMPLES}: mixes labels of {' and '.join(cohort.origins)} origin; "
            "train on one kind"
        )
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
            f"{folder / SAMPLES}: {counted(len(lost), 'patient is', 'patients are')} in "
            f"no split ({first_few(lost)}); give "
            "each train, val or test"
        )


def _unusable(sample: Sample, tiles: Sequence[TileRow], keys: Sequence[str]) -> str:
    if all(sample.label(key) is None for key in keys):
        return "no label of the wanted keys is known"
    return "" if tiles else "no rendered tile in the manifest"


def _patient(folder: Path, sample: Sample, tiles: Sequence[TileRow]) -> Patient:
    for tile in tiles:
        require_file(folder / str(tile.file), "the image of a tile")
    files = tuple(folder / str(tile.file) for tile in tiles)
    selected = tuple(f for f, t in zip(files, tiles, strict=True) if t.selected)
    return Patient(sample, files, selected or files)


def _rendered(folder: Path, rows: Sequence[TileRow]) -> dict[str, list[TileRow]]:
    """Return the tiles with a file, by patient; raises for a selected one that has none."""
    missing = [row.tile_id for row in rows if row.file is None and row.selected]
    if missing:
        raise CaseFileError(
            f"{folder / TILES}: {counted(len(missing), 'selected tile has', 'selected tiles have')}"
            " no rendered file "
            f"({first_few(missing)}); write the tiles as files first"
        )
    found: dict[str, list[TileRow]] = {}
    for row in rows:
        if row.file is not None:
            found.setdefault(row.patient_id, []).append(row)
    return found


def _learnable(
    folder: Path, samples: Sequence[Sample], keys: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys that can be learned, and those that no training patient knows.

    Raises for a field with one and the same value everywhere.
    """
    values = {key: {s.label(key) for s in samples} - {None} for key in keys}
    for key, found in values.items():
        if len(found) == 1 and len(samples) > 1:
            rest = ", ".join(k for k in keys if k != key) or "another field"
            raise OneClassField(
                f"{folder / SAMPLES}: {key}: every known label of the {len(samples)} training "
                f"patients is {next(iter(found))}, so nothing can be learned of it; set data.keys "
                f"to the others ({rest})"
            )
    return tuple(k for k in keys if values[k]), tuple(k for k in keys if not values[k])


def _scale(folder: Path, rows: Sequence[TileRow]) -> tuple[float, int]:
    found = sorted({(row.target_mpp, row.size_px) for row in rows})
    if len(found) != 1:
        words = " and ".join(f"{px} px at {mpp:g} µm/px" for mpp, px in found[:3])
        raise CaseFileError(f"{folder / TILES}: holds tiles of {words}; make all alike")
    return found[0]
