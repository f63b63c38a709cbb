"""A cohort folder with real tile files, dark for low patients and bright for high ones."""

import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image
from tiny_lora import HIGH, LOW, field

from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.training.samples import SAMPLES, TILES, Sample, Split, write_samples

PX = 64


def write_cohort(folder: Path, n: int = 24, tiles: int = 1, **changes: Any) -> tuple[Sample, ...]:
    """`n` test and 12 training patients, every second one high."""
    splits: tuple[Split, ...] = ("test",) * n + ("train",) * 12
    samples, rows = [], []
    for i, split in enumerate(splits):
        high = i % 2 == 1
        sample = Sample(
            patient_id=f"P{i:03d}",
            site="AB"[i % 4 // 2],
            cancer_type=("LUAD", "LUSC")[i % 3 % 2],
            split=split,
            labels=HIGH if high else LOW,
            origin="synthetic",
        )
        samples.append(sample.model_copy(update=changes))
        rows += [tile(folder, sample.patient_id, k, 190 if high else 75) for k in range(tiles)]
    write_samples(folder / SAMPLES, samples)
    write_tiles(folder / TILES, rows)
    return tuple(samples)


def tile(folder: Path, patient: str, k: int, level: int, **changes: Any) -> TileRow:
    """Write one noisy grey tile and return its row."""
    seed = int(hashlib.sha256(f"{patient}-{k}".encode()).hexdigest()[:8], 16)
    stream = io.BytesIO()
    Image.fromarray(field(level, seed, PX)).save(stream, format="PNG")
    name = f"tiles/{patient}-{k}.png"
    (folder / "tiles").mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(stream.getvalue())
    row = TileRow(
        tile_id=f"{patient}-{k}",
        patient_id=patient,
        slide_id=patient,
        source=name,
        x=0,
        y=0,
        width=PX,
        height=PX,
        mpp=0.5,
        mpp_source="user",
        target_mpp=0.5,
        size_px=PX,
        tissue=0.8,
        file=name,
        sha256=hashlib.sha256(stream.getvalue()).hexdigest(),
    )
    return row.model_copy(update=changes)
