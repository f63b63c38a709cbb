"""A cohort folder of drawn textures: dark discs on pink, more of them the higher the label.

Not tissue and not meant to look like it; only the learning is tested.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.models.protocols import RGB
from immunopath.training.samples import SAMPLES, TILES, Label, Sample, write_samples

PX = 96
MPP = 0.5


def texture(share: float, seed: int, px: int = PX) -> RGB:
    """Return pink ground with small dark discs on `share` of a fixed number of places."""
    rng = np.random.default_rng(seed)
    rgb = np.clip(rng.normal((225, 170, 200), 6, (px, px, 3)), 0, 255).astype(np.uint8)
    for x, y in rng.integers(4, px - 4, (60, 2)):
        small = rng.random() < share
        colour = (70, 40, 120) if small else (150, 110, 180)
        cv2.circle(rgb, (int(x), int(y)), 3 if small else 6, colour, -1, cv2.LINE_AA)
    return rgb


def labels_of(share: float) -> dict[str, Label]:
    density = "low" if share < 0.33 else "high" if share >= 0.66 else "moderate"
    return {
        "til_fraction": share,
        "til_density": density,
        "immune_phenotype": "inflamed" if share >= 0.5 else "desert",
        "msi_status": "MSS",
    }


def make_cohort(
    folder: Path, patients: int = 48, tiles: int = 3, seed: int = 0, px: int = PX
) -> Path:
    """Write a cohort: half train, a quarter val, a quarter test."""
    rng = np.random.default_rng(seed)
    samples, rows = [], []
    for n in range(patients):
        share = float(rng.uniform(0.02, 0.98))
        split = ("train", "val", "train", "test")[n % 4]
        patient = f"P{n:03d}"
        samples.append(
            Sample(patient_id=patient, split=split, labels=labels_of(share), origin="synthetic")  # type: ignore[arg-type]
        )
        for k in range(tiles):
            own = float(np.clip(share + rng.normal(0, 0.05), 0, 1))
            rows.append(write_tile(folder, patient, k, texture(own, 1000 * n + k + seed, px)))
    write_cohort(folder, samples, rows)
    return folder


def write_tile(folder: Path, patient: str, number: int, rgb: RGB) -> TileRow:
    name = f"tiles/{patient}-{number}.png"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", rgb[..., ::-1])
    path.write_bytes(data.tobytes())
    return TileRow(
        tile_id=f"{patient}-{number}",
        patient_id=patient,
        slide_id=f"{patient}-slide",
        source=f"{patient}.drawn",
        x=number * rgb.shape[1],
        y=0,
        width=rgb.shape[1],
        height=rgb.shape[0],
        mpp=MPP,
        mpp_source="user",
        target_mpp=MPP,
        size_px=rgb.shape[0],
        tissue=1.0,
        file=name,
        sha256=hashlib.sha256(data.tobytes()).hexdigest(),
    )


def write_cohort(folder: Path, samples: Sequence[Sample], rows: Sequence[TileRow]) -> None:
    write_samples(folder / SAMPLES, samples)
    write_tiles(folder / TILES, rows)
