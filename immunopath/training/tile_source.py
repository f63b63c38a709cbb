"""The rendered tiles of a cohort folder, presented to engines as the tiles of a case.

The controls of an evaluation change pixels here, so that engines run as they always do.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from immunopath.domain.errors import CaseFileError
from immunopath.domain.quality import QualityReport, TileSummary, Verdict
from immunopath.imaging.decode import decode_image
from immunopath.imaging.tile_manifest import TileRow, read_tiles
from immunopath.imaging.tiles import resample
from immunopath.models.foundation.medgemma.probe import blank, shuffled
from immunopath.models.protocols import RGB
from immunopath.training.samples import SAMPLES, TILES, Sample, read_samples

Control = Literal["none", "blank", "shuffled"]
PIXEL_CONTROLS: Final[tuple[Control, ...]] = ("blank", "shuffled")


class PatientTiles:
    """Implements `TileSource` over the selected, rendered tiles of one patient.

    Every tile is an image of its own at its `target_mpp`; there are no surroundings. Quality
    control was done when the tiles were cut, so all are accepted with the share of tissue that
    the manifest states; tiles of imported vectors, which nobody here saw, are flagged. control:
    ``blank`` shows white tiles; ``shuffled`` rearranges blocks of 1/64 of the side
    (`probe.shuffled`), seeded by `seed` and the tile's id.
    """

    def __init__(
        self, folder: Path, rows: Sequence[TileRow], control: Control = "none", seed: int = 0
    ) -> None:
        self._folder, self._rows = folder, tuple(rows)
        self._place = {row.tile_id: i for i, row in enumerate(rows)}
        self._control, self._seed = control, seed
        self._decoded: dict[int, RGB] = {}

    @cached_property
    def tiles(self) -> Sequence[TileSummary]:
        """One summary per tile, in the order of the manifest."""
        return tuple(
            TileSummary(
                tile_id=row.tile_id,
                image_index=index,
                box=(0, 0, row.size_px, row.size_px),
                mpp=row.target_mpp,
                mpp_source=row.mpp_source,
                quality=_quality(row),
            )
            for index, row in enumerate(self._rows)
        )

    def pixels(self, tile_id: str, mpp: float, halo_um: float = 0.0) -> RGB:
        """Return a tile at `mpp`; `halo_um` adds nothing, see the class."""
        index = self._place[tile_id]
        return resample(self._shown(index), self._rows[index].target_mpp, mpp)

    def halo(self, tile_id: str, halo_um: float) -> tuple[float, float, float, float]:
        """Return zeros."""
        return (0.0, 0.0, 0.0, 0.0)

    def image(self, image_index: int, max_px: int) -> RGB:
        """Return a tile reduced to at most `max_px` on its longer side."""
        pixels = self._shown(image_index)
        longest = max(pixels.shape[:2])
        return pixels if longest <= max_px else resample(pixels, 1.0, longest / max_px)

    def _shown(self, index: int) -> RGB:
        if index not in self._decoded:
            self._decoded[index] = self._altered(self._read(self._rows[index]), index)
        return self._decoded[index]

    def _altered(self, pixels: RGB, index: int) -> RGB:
        if self._control == "blank":
            return blank(pixels)
        if self._control == "shuffled":
            own = zlib.crc32(self._rows[index].tile_id.encode("utf-8", "surrogatepass"))
            return shuffled(pixels, self._seed + own)
        return pixels

    def _read(self, row: TileRow) -> RGB:
        if row.file is None:
            raise CaseFileError(
                f"{self._folder / TILES}: tile {row.tile_id!r} was not rendered to a file; cut the "
                "tiles with their files"
            )
        found = decode_image(self._folder / row.file)
        if row.sha256 and found.sha256 != row.sha256:
            raise CaseFileError(
                f"{self._folder / row.file}: is not the file that {TILES} names (SHA-256 differs); "
                "cut the tiles again"
            )
        if found.pixels.shape[:2] != (row.size_px, row.size_px):
            height, width = found.pixels.shape[:2]
            raise CaseFileError(
                f"{self._folder / row.file}: is {width} x {height} px, {TILES} says "
                f"{row.size_px} px; cut the tiles again"
            )
        return found.pixels


def _quality(row: TileRow) -> QualityReport:
    if row.tissue is None:
        return QualityReport(
            verdict=Verdict.flag,
            checks=(),
            tissue_share=0.0,  # none was seen
            reason="its vector was imported; nobody here saw the pixels",
        )
    return QualityReport(verdict=Verdict.accept, checks=(), tissue_share=row.tissue)


def read_cohort_folder(
    folder: Path,
) -> tuple[tuple[Sample, ...], Mapping[str, tuple[TileRow, ...]]]:
    """Return the samples of a cohort folder and the selected tiles by patient.

    Raises `CaseFileError` naming the file, also for what `selected_tiles` refuses.
    """
    samples = read_samples(folder / SAMPLES)
    return samples, selected_tiles(folder, samples, read_tiles(folder / TILES))


def selected_tiles(
    folder: Path, samples: Sequence[Sample], rows: Iterable[TileRow]
) -> Mapping[str, tuple[TileRow, ...]]:
    """Return the selected tiles of a cohort folder by patient; rows: of its whole manifest.

    Raises `CaseFileError` for a tile of a patient whom no sample names, because then samples and
    tiles are not of the same cohort.
    """
    known = {sample.patient_id for sample in samples}
    tiles: dict[str, list[TileRow]] = {}
    for row in rows:
        if row.patient_id not in known:
            raise CaseFileError(
                f"{folder / TILES}: tile {row.tile_id!r} is of patient {row.patient_id!r}, whom "
                f"{SAMPLES} does not name"
            )
        if row.selected:
            tiles.setdefault(row.patient_id, []).append(row)
    return {patient: tuple(own) for patient, own in tiles.items()}
