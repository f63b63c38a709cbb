"""A synthetic cohort on disk: a cohort folder like any other, plus ``truth.json``."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from immunopath.domain.errors import CaseFileError
from immunopath.domain.files import MAX_TABLE, read_small, write_bytes, write_text
from immunopath.imaging.arrays import RGB
from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.training.samples import SAMPLES, TILES, write_samples
from immunopath.training.synthetic import CAPTION, CONSTANTS
from immunopath.training.synthetic.cohort import (
    CohortSettings,
    PatientTruth,
    SyntheticCohort,
    SyntheticTile,
    make_cohort,
    slide_of,
)

TRUTH: Final = "truth.json"


def write_cohort(folder: Path, settings: CohortSettings, seed: int) -> SyntheticCohort:
    """Write a cohort folder and return the cohort; the same settings and seed, the same bytes.

    ``samples.jsonl`` (origin ``synthetic``, patients ``SYN-…``), ``tiles.parquet``, the fields as
    PNG below ``tiles``, ``synthetic-labels.json`` (the label constants) and ``truth.json`` (what
    was drawn, with the settings). Raises `OutputError` where a file cannot be written.
    """
    cohort = make_cohort(settings, seed)
    write_tiles(folder / TILES, list(_drawn(cohort, folder)))
    write_samples(folder / SAMPLES, cohort.samples)
    write_text(folder / CONSTANTS, cohort.constants.model_dump_json(indent=1) + "\n")
    write_text(folder / TRUTH, json.dumps(_truth(cohort), indent=1) + "\n")
    return cohort


def read_truth(path: Path) -> tuple[PatientTruth, ...]:
    """Return the truths of ``truth.json``; raises `CaseFileError` for another file."""
    data = read_small(path, f"the truth of a synthetic cohort ({TRUTH})", MAX_TABLE)
    try:
        found = json.loads(data)
        return tuple(PatientTruth.model_validate(row) for row in found["patients"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise CaseFileError(f"{path}: is not the truth of a synthetic cohort") from error


def _truth(cohort: SyntheticCohort) -> dict[str, object]:
    return {
        "caption": CAPTION,
        "seed": cohort.seed,
        "settings": cohort.settings.model_dump(mode="json"),
        "cut_points": cohort.constants.cut_points.model_dump(),
        "patients": [truth.model_dump(mode="json") for truth in cohort.truths],
        "tiles": {tile.tile_id: tile.truth.model_dump() for tile in cohort.tiles},
    }


def _drawn(cohort: SyntheticCohort, folder: Path) -> Iterator[TileRow]:
    """Draw and write tile after tile, and yield its row."""
    for tile in cohort.tiles:
        data = png(tile.pixels())
        name = f"tiles/{tile.patient_id}/{tile.tile_id}.png"
        write_bytes(folder / name, data)
        yield _row(tile, name, hashlib.sha256(data).hexdigest())


def _row(tile: SyntheticTile, name: str, digest: str) -> TileRow:
    size, mpp = tile.scene.size_px, tile.scene.mpp
    return TileRow(
        tile_id=tile.tile_id,
        patient_id=tile.patient_id,
        slide_id=slide_of(tile.patient_id),
        source=name,
        x=0,
        y=0,
        width=size,
        height=size,
        mpp=mpp,
        mpp_source="user",
        target_mpp=mpp,
        size_px=size,
        tissue=1.0,
        file=name,
        sha256=digest,
    )


def png(rgb: RGB) -> bytes:
    """Return pixels as PNG with the caption that says what they are."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Description", CAPTION)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format="PNG", pnginfo=note, compress_level=3)
    return stream.getvalue()
