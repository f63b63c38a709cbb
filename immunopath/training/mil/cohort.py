"""A cohort folder as the MIL head reads it: patients, their tiles, and what speaks against them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from immunopath.domain.errors import CaseFileError, first_few
from immunopath.domain.words import counted
from immunopath.imaging.tile_manifest import TileRow, read_tiles
from immunopath.models.foundation.weights import sha256_of
from immunopath.training.leakage import placed, require_no_leak
from immunopath.training.samples import SAMPLES, TILES, Sample, Split, read_samples


@dataclass(frozen=True)
class Cohort:
    """Patients and rendered tiles of one folder; rows keep the order of the manifest.

    mpp, px: of every tile; samples_sha256, tiles_sha256: of the two tables.
    """

    folder: Path
    samples: tuple[Sample, ...]
    rows: tuple[TileRow, ...]
    mpp: float
    px: int
    samples_sha256: str
    tiles_sha256: str

    @cached_property
    def pixels_digest(self) -> str:
        """SHA-256 over ids and file digests of all tiles, in order: what vectors belong to."""
        return pixels_digest_of(self.rows)

    @property
    def stain(self) -> tuple[str, ...]:
        """Every stain normalisation that tiles went through, each once."""
        return tuple(sorted({row.stain for row in self.rows}))

    @cached_property
    def places(self) -> Mapping[str, Sequence[int]]:
        """Row numbers of all tiles of every patient: what training draws from."""
        return self._grouped(range(len(self.rows)))

    @cached_property
    def shown(self) -> Mapping[str, Sequence[int]]:
        """Row numbers of the selected tiles: what patients are validated and evaluated on."""
        return self._grouped(i for i, row in enumerate(self.rows) if row.selected)

    def _grouped(self, places: Iterable[int]) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for index in places:
            found[self.rows[index].patient_id].append(index)
        return dict(found)

    def of(self, split: Split) -> tuple[Sample, ...]:
        """Return the patients of a split, in the order of the table."""
        return tuple(sample for sample in self.samples if sample.split == split)


def pixels_digest_of(rows: Iterable[TileRow]) -> str:
    """Return what the vectors of these tiles belong to, see `Cohort.pixels_digest`."""
    lines = "".join(f"{row.tile_id}\t{row.sha256}\n" for row in rows)
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def read_cohort(folder: Path, *, rendered: bool = True) -> Cohort:
    """Return the cohort in a folder; `rendered`: False where vectors were imported.

    Tiles that were left out when the cohort was cut have no file and are no part of it. Raises
    `CaseFileError` for a missing or damaged table, tiles of mixed resolution or size, and a
    selected tile without a file; `LeakageError` for a patient under two names, a slide that two
    patients share, and equal tiles in two splits.
    """
    samples = read_samples(folder / SAMPLES)
    rows = tuple(row for row in read_tiles(folder / TILES) if row.selected or row.file is not None)
    if not rows:
        raise CaseFileError(f"{folder / TILES}: holds no tile; cut the tiles of the cohort first")
    mpp, px = _one_shape(folder / TILES, rows, rendered=rendered)
    cohort = Cohort(
        folder=folder,
        samples=samples,
        rows=rows,
        mpp=mpp,
        px=px,
        samples_sha256=sha256_of(folder / SAMPLES),
        tiles_sha256=sha256_of(folder / TILES),
    )
    require_no_leak(placed(samples, rows))
    return cohort


def _one_shape(path: Path, rows: Sequence[TileRow], *, rendered: bool) -> tuple[float, int]:
    """Return mpp and side of all tiles, which are rendered files of one kind."""
    shapes = sorted({(row.target_mpp, row.size_px) for row in rows})
    if len(shapes) > 1:
        (mpp, px), (mpp2, px2) = shapes[:2]
        raise CaseFileError(
            f"{path}: mixes tiles of {px} px at {mpp:g} µm/px with {px2} px at {mpp2:g}; "
            "a head knows one size and one resolution"
        )
    unrendered = next((row for row in rows if row.file is None), None)
    if rendered and unrendered is not None:
        raise CaseFileError(
            f"{path}: tile {unrendered.tile_id!r} has no rendered file; write the tiles "
            "of the cohort as images first, or name imported vectors (--features)"
        )
    return shapes[0]


def require_tiles(cohort: Cohort, samples: Sequence[Sample]) -> None:
    """Raise `CaseFileError` naming the patients that have no selected tile."""
    bare = [s.patient_id for s in samples if s.patient_id not in cohort.shown]
    if bare:
        raise CaseFileError(
            f"{cohort.folder / TILES}: no tile for {len(bare)} of "
            f"{counted(len(samples), 'patient')} "
            f"({first_few(bare)}); cut their tiles, or drop them from {SAMPLES}"
        )
