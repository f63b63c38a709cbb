"""A cohort folder of grey noise whose brightness is the label, and a configuration for it."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tiny_lora import HIGH, LOW, field

from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.training.lora.config import TrainConfig
from immunopath.training.lora.config_file import make_config
from immunopath.training.samples import SAMPLES, TILES, Sample, write_samples

PX = 64
TEXT = "Answer."


def tile(patient: str, index: int, folder: Path, **changes: Any) -> TileRow:
    """One row of the manifest, its file in `folder`."""
    values: dict[str, Any] = {
        "tile_id": f"{patient}-{index}", "patient_id": patient, "slide_id": f"{patient}-S",
        "source": f"{patient}.svs", "x": 0, "y": 0, "width": PX, "height": PX, "mpp": 0.5,
        "mpp_source": "user", "target_mpp": 0.5, "size_px": PX, "tissue": 1.0,
        "file": f"tiles/{patient}-{index}.png",
    }  # fmt: skip
    return TileRow(**values | changes)


def build_cohort(
    folder: Path, *, train: int = 6, val: int = 2, tiles: int = 4, **labels: Any
) -> Path:
    """Patients in turn dark (LOW) and bright (HIGH); `labels` replace those of the first one."""
    samples, rows = [], []
    (folder / "tiles").mkdir(parents=True)
    for i in range(train + val):
        name, bright = f"P{i:02d}", bool(i % 2)
        known = dict(HIGH if bright else LOW) | (labels if i == 0 else {})
        samples.append(
            Sample(
                patient_id=name,
                cancer_type="LUAD",
                split="train" if i < train else "val",
                labels=known,
                origin="synthetic",
            )
        )
        for j in range(tiles):
            level = (180 if bright else 60) + 7 * j
            pixels = field(level, 100 * i + j, PX)
            Image.fromarray(np.asarray(pixels)).save(folder / "tiles" / f"{name}-{j}.png")
            rows.append(tile(name, j, folder))
    write_samples(folder / SAMPLES, samples)
    write_tiles(folder / TILES, rows)
    return folder


def tiny_config(base: Path, cohort: Path, out: Path, **changes: Any) -> TrainConfig:
    """The default preset made small enough for a test; `changes` by section."""
    values: dict[str, Any] = {
        "base": str(base), "cohort": str(cohort), "out": str(out),
        "data": {"prompt": "tiny", "prompt_text": TEXT, "images": 1, "tiles": 2,
                 "validation_tiles": 1, "decimals": 2},
        "lora": {"rank": 8, "alpha": 8, "dropout": 0.0},
        "optim": {"lr": 2e-2, "epochs": 8, "batch": 4, "accumulation": 1, "schedule": "constant",
                  "warmup": 0.0},
        "run": {"quant": "none", "dtype": "float32", "device": "cpu", "every": 6, "log": 3,
                "patience": 0, "gradient_checkpointing": False, "threads": 1},
    }  # fmt: skip
    for section, found in changes.items():
        values[section] = values.get(section, {}) | found if isinstance(found, dict) else found
    return make_config(values)
