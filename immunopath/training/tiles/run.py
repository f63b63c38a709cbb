"""Tiling of many slides into one folder: tiles, manifest, thumbnails, record."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from immunopath import __version__
from immunopath.domain.errors import EngineUnavailable, InputError, OutputError
from immunopath.domain.files import require_place, write_text
from immunopath.imaging.slides.reading import Readers
from immunopath.imaging.tile_manifest import TileRow, write_tiles
from immunopath.models.embedded.embedder import EmbeddedEmbedder, shipped
from immunopath.training.samples import TILES
from immunopath.training.tiles.inputs import SlideInput
from immunopath.training.tiles.one_slide import TilingTools, Watch, tile_folder, tile_slide
from immunopath.training.tiles.record import RECORD, SlideRecord, TilingRecord, TilingSettings


def tile_slides(  # noqa: PLR0913 - one parameter per choice of the command
    slides: Sequence[SlideInput],
    folder: Path,
    settings: TilingSettings,
    *,
    workers: int = 0,
    clock: Callable[[], float] | None = None,
    watch: Watch | None = None,
) -> TilingRecord:
    """Tile slides into `folder`; a slide that cannot be read is recorded and the others go on.

    Writes ``tiles/<slide>/<column>_<row>.png``, ``thumbnails/<slide>.png``, ``tiles.parquet`` and
    ``tiles.json``; the same slides and settings give the same bytes, whatever `workers` is.
    Where no slide gives a tile there is no manifest, and where none could be read nothing at all,
    so that the folder can be used again. Raises `OutputError` when the folder already holds tiles,
    `EngineUnavailable` when a package is missing.
    """
    _require_packages(settings)
    if (folder / TILES).exists() or (folder / "tiles").exists():
        raise OutputError(f"{folder}: already holds tiles; name another folder")
    require_place(folder / RECORD)
    records: list[SlideRecord] = []
    rows: list[TileRow] = []
    with Readers(workers) as readers:
        tools = TilingTools(readers, folder, clock, watch)
        for slide in slides:
            try:
                record, found = tile_slide(slide, settings, tools)
            except OutputError:
                raise
            except InputError as error:
                _leave_no_tile(folder / tile_folder(slide))
                record, found = _refused(slide, error), []
            records.append(record)
            rows += found
    info = EmbeddedEmbedder(shipped()).info
    record_of_run = TilingRecord(
        immunopath=__version__,
        settings=settings,
        embedder=f"{info.name} {info.revision}",
        embedder_digest=info.weights_digest or "",
        slides=tuple(records),
    )
    if rows:
        write_tiles(folder / TILES, rows)
    if any(record.status != "refused" for record in records):
        write_text(folder / RECORD, record_of_run.model_dump_json(indent=2) + "\n")
    return record_of_run


def _leave_no_tile(of_slide: Path) -> None:
    """Remove what a slide left that broke midway, with the folder of tiles when it is empty."""
    shutil.rmtree(of_slide, ignore_errors=True)
    with suppress(OSError):  # not there, or tiles of others lie in it
        of_slide.parent.rmdir()


def _require_packages(settings: TilingSettings) -> None:
    """Find out now, not after the last slide."""
    needed = ("pyarrow",) if settings.max_tiles is None else ("pyarrow", "sklearn")
    missing = next((name for name in needed if find_spec(name) is None), None)
    if missing is not None:
        raise EngineUnavailable(
            f"the package {missing!r} is not installed: pip install 'immunopath[train]'"
        )


def _refused(slide: SlideInput, error: InputError) -> SlideRecord:
    return SlideRecord(
        slide_id=slide.slide_id,
        patient_id=slide.patient_id,
        source=str(slide.path.absolute()),
        status="refused",
        reason=str(error),
    )
